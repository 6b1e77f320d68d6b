"""The statements that a node knows of one height: bounded, each node counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    ROUND_KINDS,
    RoundStatement,
)

ROUNDS_AHEAD: Final = 8
"""Of each node, statements of at most so many rounds above ours are kept: its highest."""


def is_possible(statement: RoundStatement, nodes: int) -> bool:
    """Whether an honest one of `nodes` named nodes could have made it."""
    if statement.node not in range(nodes) or statement.round < 0:
        return False
    if statement.kind != PROPOSAL:
        return statement.kind in (PREVOTE, PRECOMMIT)
    is_proposer = statement.node == (statement.height + statement.round) % nodes
    return is_proposer and statement.value != NO_BLOCK and NO_ROUND <= statement.valid_round < statement.round


def is_quorum(votes: Sequence[RoundStatement], nodes: int, quorum: int) -> bool:
    """Whether so many different nodes prevote, or precommit, one block in one round."""
    what = {(vote.kind, vote.height, vote.round, vote.value) for vote in votes}
    fit = all(is_possible(vote, nodes) and vote.kind != PROPOSAL and vote.value != NO_BLOCK for vote in votes)
    return fit and len(what) == 1 and len({vote.node for vote in votes}) == len(votes) >= quorum


class VoteSet:
    """Statements of one kind and round, one for each node."""

    __slots__ = ("by_node", "counts")

    def __init__(self) -> None:
        self.by_node: dict[int, RoundStatement] = {}
        self.counts: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self.by_node)

    def add(self, statement: RoundStatement) -> None:
        self.by_node[statement.node] = statement
        self.counts[statement.value] += 1

    def remove(self, node: int) -> None:
        if (statement := self.by_node.pop(node, None)) is not None:
            self.counts[statement.value] -= 1
            self.counts += Counter()  # forgets values without votes

    def value_with(self, quorum: int) -> bytes | None:
        """The value for which at least a quorum of nodes is."""
        return next((value for value, count in self.counts.items() if count >= quorum), None)

    def for_value(self, value: bytes) -> tuple[RoundStatement, ...]:
        """The statements for a value, by ascending index of their nodes."""
        return tuple(made for _, made in sorted(self.by_node.items()) if made.value == value)


class RoundVotes:
    """Everything that is known of one round."""

    __slots__ = ("by_kind", "precommits", "prevotes", "proposals")

    def __init__(self) -> None:
        self.proposals, self.prevotes, self.precommits = VoteSet(), VoteSet(), VoteSet()
        self.by_kind = {PROPOSAL: self.proposals, PREVOTE: self.prevotes, PRECOMMIT: self.precommits}

    def __iter__(self) -> Iterator[RoundStatement]:
        for votes in self.by_kind.values():
            yield from votes.by_node.values()

    def has(self, node: int) -> bool:
        return any(node in votes.by_node for votes in self.by_kind.values())


_EMPTY: Final = RoundVotes()
"""Stands for a round of which nothing is known. Never written to."""


class StatementLog:
    """At most one proposal, prevote and precommit of each node and round."""

    def __init__(self) -> None:
        self.rounds: dict[int, RoundVotes] = {}
        self.highest: dict[int, int] = {}
        """The highest round of which each node has said anything."""
        self.quorums: dict[int, tuple[RoundStatement, ...]] = {}
        """Quorums of prevotes that came in one piece, by round. A liar counts in them whatever it told us."""

    def of_round(self, number: int) -> RoundVotes:
        return self.rounds.get(number, _EMPTY)

    def find(self, kind: str, number: int, node: int) -> RoundStatement | None:
        return self.of_round(number).by_kind[kind].by_node.get(node)

    def add(self, statement: RoundStatement, current_round: int) -> RoundStatement | None:
        """Keep a statement if its place is free; returns what has its place then, None without room."""
        node, number = statement.node, statement.round
        if number > current_round and not self._make_room(node, number, current_round):
            return None
        if (earlier := self.find(statement.kind, number, node)) is not None:
            return earlier
        if number not in self.rounds:
            self.rounds[number] = RoundVotes()
        self.rounds[number].by_kind[statement.kind].add(statement)
        self.highest[node] = max(number, self.highest.get(node, number))
        return statement

    def prevotes_of(self, number: int, quorum: int) -> tuple[RoundStatement, ...]:
        """A quorum of prevotes for one block in a round; empty if there is none."""
        prevotes = self.of_round(number).prevotes
        if value := prevotes.value_with(quorum):
            return prevotes.for_value(value)
        return self.quorums.get(number, ())

    def _make_room(self, node: int, number: int, current_round: int) -> bool:
        ahead = [other for other, votes in self.rounds.items() if other > current_round and votes.has(node)]
        if number in ahead or len(ahead) < ROUNDS_AHEAD:
            return True
        lowest = min(ahead)
        if number < lowest:
            return False
        for votes in self.rounds[lowest].by_kind.values():
            votes.remove(node)
        if not any(self.rounds[lowest]):
            del self.rounds[lowest]
        return True

    def by(self, node: int) -> list[RoundStatement]:
        """Everything that a node has said, in the order of rounds and steps."""
        found = (self.find(kind, number, node) for number in sorted(self.rounds) for kind in ROUND_KINDS)
        return [statement for statement in found if statement is not None]
