"""The extras of a block: its miner's signature, records that are no votes, the ids in closing lists.

An election without named nodes has none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from votenet.core.election.amendment import Amendment
from votenet.core.encoding import Hex32, Hex64, Unsigned, canonical
from votenet.core.ledger.vote import Vote
from votenet.core.log.merkle import leaf_hash


class Miner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The named node that found a block, and its signature over the block's hash and height."""

    node: Unsigned
    signature: Hex64


class ClosingIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ids of the votes in the closing lists of a block, and in which lists each stands; in base64."""

    bits: str
    ids: str


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A record of a block that is no vote."""


class ClosingList(_Record, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="closing-list"):
    """A named node's signed list of the votes that it holds in time and that are in no block.

    `closes`: the closing time; `height`: of the node's last block; `root`: RFC 6962, over the `count` ids in
    ascending order.
    """

    closes: Unsigned
    count: Unsigned
    height: Unsigned
    network_id: Hex32
    node: Unsigned
    root: Hex32
    signature: Hex64


class NotCounted(_Record, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="not-counted"):
    """A late vote of a voter who has a vote in a block already, or whom an amendment gave another key."""

    vote: Vote


BlockRecord = Amendment | ClosingList | NotCounted
"""Every kind of record that is no vote."""


class HashedRecord(NamedTuple):
    """A record that is no vote, with its kind, its canonical bytes and its id, their leaf hash (32 bytes)."""

    kind: str
    id: bytes
    record: bytes
    value: BlockRecord


class BlockExtras(NamedTuple):
    """What a block has beside its header and its votes.

    The header's Merkle root covers `records`. The signature of `miner` covers the header's hash. The roots of
    the closing lists in `records` cover `closing`.
    """

    miner: Miner | None = None
    records: tuple[HashedRecord, ...] = ()
    closing: ClosingIds | None = None


NO_EXTRAS: Final = BlockExtras()


class WrittenExtras(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Extras in JSON, as they are stored: members that are empty are left out."""

    miner: Miner | None = None
    records: tuple[BlockRecord, ...] = ()
    closing: ClosingIds | None = None


_decoder = msgspec.json.Decoder(WrittenExtras)


def hash_record(value: BlockRecord) -> HashedRecord:
    record = canonical(value)
    return HashedRecord(str(value.__struct_config__.tag), leaf_hash(record), record, value)


def amendments_in(records: Iterable[HashedRecord]) -> list[Amendment]:
    """Those of a block, in the order of their numbers."""
    found = [one.value for one in records if isinstance(one.value, Amendment)]
    return sorted(found, key=lambda one: one.number)


def order_records(records: Sequence[HashedRecord]) -> tuple[HashedRecord, ...]:
    """Block order: by kind, then by id."""
    return tuple(sorted(records, key=lambda hashed: hashed[:2]))


def make_extras(
    miner: Miner | None, records: Sequence[BlockRecord], closing: ClosingIds | None
) -> BlockExtras:
    if miner is None and not records and closing is None:
        return NO_EXTRAS
    return BlockExtras(miner, tuple(map(hash_record, records)), closing)


def encode_extras(extras: BlockExtras) -> bytes:
    """JSON of the extras; `{}` where there are none."""
    values = tuple([hashed.value for hashed in extras.records])
    return msgspec.json.encode(WrittenExtras(miner=extras.miner, records=values, closing=extras.closing))


def decode_extras(data: bytes) -> BlockExtras:
    """Raises ValueError (a msgspec.DecodeError)."""
    written = _decoder.decode(data)
    return make_extras(written.miner, written.records, written.closing)
