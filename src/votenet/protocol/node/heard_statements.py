"""Statements that named nodes made about blocks: each signature is checked once, and few of each node are."""

from __future__ import annotations

from collections import Counter

import msgspec

from votenet.core.ledger.statement import Commit, Signed, Statement
from votenet.errors import Rejected
from votenet.protocol.consensus.outputs import PRECOMMIT, RoundStatement
from votenet.protocol.consensus.votes import ROUNDS_AHEAD
from votenet.protocol.node.round_statements import statement_of
from votenet.protocol.node.state import NodeState

Contradiction = tuple[Signed[Statement], Signed[Statement]]


def most_statements(round_number: int) -> int:
    """Of one node at a height: three in each round up to the last that is kept, and contradictions."""
    return 4 * (round_number + ROUNDS_AHEAD + 2)


class HeardStatements:
    """Those of the height to be decided, and of the one after it."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._heard: set[RoundStatement] = set()
        self._counts: Counter[tuple[int, int]] = Counter()
        """How many each node has made, by height and node."""
        self._contradicted: set[int] = set()
        """Named nodes that have contradicted a commit."""

    def __contains__(self, statement: RoundStatement) -> bool:
        """With its signature, which goes on to others."""
        return statement in self._heard

    def begin_height(self, height: int) -> None:
        self._heard = {statement for statement in self._heard if statement.height == height}
        self._counts = Counter((statement.height, statement.node) for statement in self._heard)

    def take(self, statement: RoundStatement, round_number: int) -> bool:
        """Check and keep a statement that is new; False, without a check, when its node has made too many.

        Raises:
            Rejected: bad-statement.
        """
        place = statement.height, statement.node
        if self._counts[place] >= most_statements(round_number):
            return False
        self.check(statement)
        self._heard.add(statement)
        self._counts[place] += 1
        return True

    def check(self, statement: RoundStatement) -> None:
        """Raises Rejected bad-statement: it is not signed by its node."""
        keys = self._state.election.statement_keys
        if statement.node >= len(keys):
            raise Rejected("bad-statement", f"there is no named node {statement.node}")
        signed = statement_of(statement, self._state.election)
        if not signed.holds(keys[statement.node], statement.signature):
            raise Rejected("bad-statement", f"this is not signed by named node {statement.node}")

    def contradiction(self, late: RoundStatement) -> Contradiction | None:
        """The precommit in the commit of a decided block that a late one of the same round contradicts.

        Raises:
            Rejected: bad-statement.
        """
        best = self._state.chain.best
        if late.kind != PRECOMMIT or late.node in self._contradicted or not 0 < late.height < len(best):
            return None
        entry = best[late.height]
        if late.value == entry.hash or not entry.commit:
            return None
        commit = msgspec.json.decode(entry.commit, type=Commit)
        signature = commit.signatures.get(str(late.node))
        if signature is None or commit.round != late.round:
            return None
        self.check(late)
        self._contradicted.add(late.node)
        made = late._replace(value=entry.hash, signature=signature)
        return self.shown(made), self.shown(late)

    def shown(self, statement: RoundStatement) -> Signed[Statement]:
        return Signed(signature=statement.signature, statement=statement_of(statement, self._state.election))
