"""The extras of a block: their bytes, their order, and that elections without named nodes have none."""

from __future__ import annotations

import msgspec
import pytest

from votenet.core.encoding import canonical
from votenet.core.ledger.extras import (
    NO_EXTRAS,
    ClosingIds,
    ClosingList,
    Miner,
    decode_extras,
    encode_extras,
    hash_record,
    make_extras,
    order_records,
)
from votenet.core.log.merkle import leaf_hash


def closing_list(node: int) -> ClosingList:
    return ClosingList(
        closes=100, count=2, height=7, network_id="ab" * 32, node=node, root="cd" * 32, signature="ef" * 64
    )


MINER = Miner(node=3, signature="01" * 64)


def test_a_record_is_hashed_as_its_canonical_json_with_its_kind() -> None:
    hashed = hash_record(closing_list(1))
    assert hashed.kind == "closing-list"
    assert msgspec.json.decode(hashed.record)["kind"] == "closing-list"
    assert hashed.record == canonical(msgspec.json.decode(hashed.record))
    assert hashed.id == leaf_hash(hashed.record)


def test_records_stand_in_the_order_of_kind_and_id() -> None:
    records = [hash_record(closing_list(node)) for node in range(5)]
    ordered = order_records(records)
    assert list(ordered) == sorted(records, key=lambda hashed: hashed.id)
    assert order_records(list(reversed(records))) == ordered


def test_no_extras_are_two_bytes() -> None:
    assert encode_extras(NO_EXTRAS) == b"{}"
    assert decode_extras(b"{}") is NO_EXTRAS
    assert make_extras(None, (), None) is NO_EXTRAS


@pytest.mark.parametrize(
    "extras",
    [
        make_extras(MINER, (), None),
        make_extras(MINER, [closing_list(1), closing_list(2)], ClosingIds(bits="Aw==", ids="A" * 44)),
    ],
)
def test_extras_are_read_as_they_were_written(extras: object) -> None:
    assert decode_extras(encode_extras(extras)) == extras  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"miner":{"node":-1}}', b'{"records":[{"kind":"other"}]}'])
def test_what_no_store_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_extras(data)
