"""Acceptances: a named node's signature over the votes of one group commit, and its proof for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import msgspec

from votenet.core.encoding import Hex32, Hex64, Unsigned
from votenet.core.keys import SigningKey
from votenet.core.ledger.statement import AcceptanceStatement
from votenet.core.log.merkle import merkle_root, path_in, root_from_path, tree_levels
from votenet.errors import Rejected


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The proof that a named node saved a vote by `time` (Unix seconds).

    The vote is number `index` of the `count` votes that were saved together; `path` leads from its id to the
    root that the node signed.
    """

    count: Unsigned
    index: Unsigned
    node: Unsigned
    path: tuple[Hex32, ...]
    signature: Hex64
    time: Unsigned

    def statement(self, network_hex: str, vote_id: bytes) -> AcceptanceStatement:
        """What the node must have signed. Raises Rejected bad-acceptance: the path does not fit."""
        path = [bytes.fromhex(sibling) for sibling in self.path]
        root = root_from_path(vote_id, self.index, self.count, path)
        if root is None:
            raise _bad("the path does not fit the place of the vote")
        return AcceptanceStatement(
            count=self.count, network_id=network_hex, node=self.node, root=root.hex(), time=self.time
        )

    def check(self, network_hex: str, vote_id: bytes, keys: Sequence[bytes]) -> None:
        """Check the proof for one vote; `keys` are the named nodes' statement keys by index.

        Raises:
            Rejected: bad-acceptance.
        """
        statement = self.statement(network_hex, vote_id)
        if self.node >= len(keys):
            raise _bad(f"there is no named node {self.node}")
        if not _is_signed(statement, keys[self.node], self.signature):
            raise _bad(f"named node {self.node} has not signed that it accepted this vote")


@lru_cache(maxsize=256)
def _is_signed(statement: AcceptanceStatement, key: bytes, signature: str) -> bool:
    """Votes that were saved together have one statement."""
    return statement.holds(key, signature)


def _bad(what: str) -> Rejected:
    return Rejected("bad-acceptance", what)


class AcceptedGroup:
    """The votes of one group commit and the signature over them: all acceptances in one."""

    def __init__(self, statement: AcceptanceStatement, signature: str, vote_ids: Sequence[bytes]) -> None:
        """`vote_ids` in the order in which the votes were saved: `statement.root` is over them."""
        self.statement = statement
        self.signature = signature
        self.vote_ids = vote_ids

    @cached_property
    def _levels(self) -> list[Sequence[bytes]]:
        return tree_levels(self.vote_ids)

    def acceptance(self, index: int) -> Acceptance:
        """That of vote number `index`. Raises IndexError."""
        return Acceptance(
            count=self.statement.count,
            index=index,
            node=self.statement.node,
            path=tuple(sibling.hex() for sibling in path_in(self._levels, index)),
            signature=self.signature,
            time=self.statement.time,
        )


def accept_group(
    key: SigningKey, *, network_hex: str, node: int, time: int, vote_ids: Sequence[bytes]
) -> AcceptedGroup:
    """Sign for the votes of one group commit, one at least, after they were saved.

    `time` in Unix seconds comes from `next_time`.
    """
    statement = AcceptanceStatement(
        count=len(vote_ids),
        network_id=network_hex,
        node=node,
        root=merkle_root(vote_ids).hex(),
        time=time,
    )
    return AcceptedGroup(statement, statement.sign(key), vote_ids)


def check_group(
    statement: AcceptanceStatement,
    signature: str,
    vote_ids: Sequence[bytes],
    network_hex: str,
    keys: Sequence[bytes],
) -> AcceptedGroup:
    """The group that another named node has signed for.

    Raises:
        Rejected: bad-acceptance.
    """
    if statement.network_id != network_hex:
        raise _bad("this was signed for another network")
    if statement.node >= len(keys):
        raise _bad(f"there is no named node {statement.node}")
    if not vote_ids or statement.count != len(vote_ids) or statement.root != merkle_root(vote_ids).hex():
        raise _bad(f"named node {statement.node} has signed for other votes")
    if not statement.holds(keys[statement.node], signature):
        raise _bad(f"this is not signed by named node {statement.node}")
    return AcceptedGroup(statement, signature, vote_ids)


def next_time(now: int, last: int) -> int:
    """The time of a node's next acceptance, Unix seconds: never before its `last` one."""
    return max(now, last)
