"""What named nodes sign: blocks, proposals, prevotes, precommits, acceptances, passed hours, closing lists.

A signature covers the domain prefix of its kind and the canonical JSON of the statement. Each statement names
its network and its signer, so it can be shown to strangers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Generic, TypeVar

import msgspec

from votenet.core.encoding import Hex32, Hex64, Unsigned, canonical
from votenet.core.keys import SigningKey, verify
from votenet.core.limits import MAX_SAFE_INTEGER
from votenet.errors import Rejected

NIL: Final = ""
"""The block of a prevote or a precommit for none."""
BlockOrNil = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A statement of the named node with index `node`. Hashes and ids in lower-case hexadecimal."""

    domain: ClassVar[bytes]
    network_id: Hex32
    node: Unsigned

    def sign(self, key: SigningKey) -> str:
        """The signature, in hexadecimal, by a node's statement key."""
        return key.sign(self.domain + canonical(self)).hex()

    def holds(self, key: bytes, signature: str) -> bool:
        """Whether `signature` (hexadecimal) is that of the statement key `key` (32 bytes)."""
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return False
        return raw.hex() == signature and verify(key, self.domain + canonical(self), raw)


class MinerStatement(Statement, frozen=True, kw_only=True):
    """The node searched the nonce of this block."""

    domain: ClassVar[bytes] = b"votenet/block/2\n"
    block: Hex32
    height: Unsigned


class ProposalStatement(Statement, frozen=True, kw_only=True):
    """`valid_round` is the round in which the proposer saw a quorum of prevotes for the block; -1: none."""

    domain: ClassVar[bytes] = b"votenet/proposal/2\n"
    block: Hex32
    height: Unsigned
    round: Unsigned
    valid_round: Annotated[int, msgspec.Meta(ge=-1, le=MAX_SAFE_INTEGER)]


class PrevoteStatement(Statement, frozen=True, kw_only=True):
    domain: ClassVar[bytes] = b"votenet/prevote/2\n"
    block: BlockOrNil
    height: Unsigned
    round: Unsigned


class PrecommitStatement(Statement, frozen=True, kw_only=True):
    domain: ClassVar[bytes] = b"votenet/precommit/2\n"
    block: BlockOrNil
    height: Unsigned
    round: Unsigned


class AcceptanceStatement(Statement, frozen=True, kw_only=True):
    """The node saved `count` votes by `time` (Unix seconds); `root` is over their ids as they were saved."""

    domain: ClassVar[bytes] = b"votenet/acceptance/2\n"
    count: Unsigned
    root: Hex32
    time: Unsigned


class HourPassedStatement(Statement, frozen=True, kw_only=True):
    """The node takes no more votes from voters, and has handed on all that it took."""

    domain: ClassVar[bytes] = b"votenet/hour-passed/2\n"
    closes: Unsigned


class ClosingListStatement(Statement, frozen=True, kw_only=True):
    """The votes that the node holds in time and that are in no block up to `height`, its last decided one.

    `root` is over their `count` ids in ascending order.
    """

    domain: ClassVar[bytes] = b"votenet/closing-list/2\n"
    closes: Unsigned
    count: Unsigned
    height: Unsigned
    root: Hex32


AnyStatement = TypeVar("AnyStatement", bound=Statement)


class Signed(msgspec.Struct, Generic[AnyStatement], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement with its signature, as it is shown to others."""

    signature: Hex64
    statement: AnyStatement

    def check(self, network_hex: str, keys: Sequence[bytes]) -> None:
        """Check that a named node of this network signed it; `keys` are their statement keys by index.

        Raises:
            Rejected: bad-statement.
        """
        made = self.statement
        if made.network_id != network_hex:
            raise Rejected("bad-statement", "this was signed for another network")
        if made.node >= len(keys):
            raise Rejected("bad-statement", f"there is no named node {made.node}")
        if not made.holds(keys[made.node], self.signature):
            raise Rejected("bad-statement", f"this is not signed by named node {made.node}")


def signed(statement: AnyStatement, key: SigningKey) -> Signed[AnyStatement]:
    return Signed(signature=statement.sign(key), statement=statement)


class Commit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quorum of precommits of one round for one block: the block and all before it are decided.

    `signatures` maps the index of a named node, in decimal digits, to its signature.
    """

    round: Unsigned
    signatures: dict[str, Hex64]

    def check(
        self, network_hex: str, height: int, block_hex: str, keys: Sequence[bytes], quorum: int
    ) -> list[int]:
        """The indexes, in ascending order, of the nodes that have precommitted the block.

        Each signature must hold, so that a commit has no second spelling with rubbish in it. An index
        stands once: `keys` are different from each other, so no key counts twice.

        Raises:
            Rejected: bad-commit.
        """
        indexes = sorted(_index(text, len(keys)) for text in self.signatures)
        if len(indexes) < quorum:
            raise _bad_commit(f"{len(indexes)} of {len(keys)} named nodes have signed, {quorum} must")
        for index in indexes:
            precommit = PrecommitStatement(
                block=block_hex, height=height, network_id=network_hex, node=index, round=self.round
            )
            if not precommit.holds(keys[index], self.signatures[str(index)]):
                raise _bad_commit(f"named node {index} has not signed this block at height {height}")
        return indexes


def make_commit(round_number: int, signatures: Mapping[int, str]) -> Commit:
    """From the signatures (hexadecimal) of precommits by the index of the node."""
    return Commit(round=round_number, signatures={str(node): signatures[node] for node in sorted(signatures)})


def _index(text: str, nodes: int) -> int:
    """The index written as `text`; leading zeros and signs would let one node stand twice."""
    if not (text.isascii() and text.isdecimal() and str(int(text[:20])) == text and int(text) < nodes):
        raise _bad_commit(f"{text[:20]!r} is no index of {nodes} named nodes")
    return int(text)


def _bad_commit(what: str) -> Rejected:
    return Rejected("bad-commit", what)
