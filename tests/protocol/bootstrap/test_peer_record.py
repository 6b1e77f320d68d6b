"""Signed records: sound, expired, forged, and the canonical bytes that any language can rebuild."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from votenet.core.keys import SigningKey, verify
from votenet.errors import Rejected
from votenet.protocol.bootstrap.peer_record import (
    MAX_LIFETIME,
    SignedRecord,
    SignedRemoval,
    check_record,
    check_removal,
    sign_record,
    sign_removal,
)

NOW = 1_700_000_000
KEY = SigningKey(bytes(range(32)))
OTHER = SigningKey(bytes(32))
NETWORK = hashlib.sha256(b"an election").hexdigest()


def record(address: str = "10.0.0.5:3000", *, sequence: int = 1, expires: int = NOW + 60) -> SignedRecord:
    return sign_record(KEY, address, NETWORK, sequence=sequence, expires=expires)


def test_a_sound_record_gives_its_address() -> None:
    assert check_record(record(), NOW) == "10.0.0.5:3000"
    assert check_removal(sign_removal(KEY, "10.0.0.5:3000", sequence=2)) == "10.0.0.5:3000"


def test_the_signed_bytes_are_sorted_json_after_a_domain() -> None:
    signed = record()
    fields = {
        "address": "10.0.0.5:3000",
        "expires": NOW + 60,
        "network_id": NETWORK,
        "node_key": KEY.public_hex,
        "sequence": 1,
    }
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert verify(KEY.public, b"votenet/peer-record/1\n" + text.encode(), bytes.fromhex(signed.signature))


@pytest.mark.parametrize("expires", [0, NOW - 1, NOW, NOW + MAX_LIFETIME + 1])
def test_expiry_is_in_the_future_and_within_72_hours(expires: int) -> None:
    with pytest.raises(Rejected) as caught:
        check_record(record(expires=expires), NOW)
    assert caught.value.code == "expired-record"


def test_the_longest_life_is_72_hours() -> None:
    assert check_record(record(expires=NOW + MAX_LIFETIME), NOW)


@pytest.mark.parametrize("address", ["", "nowhere", "10.0.0.5:0", "10.0.0.5:03000"])
def test_the_address_must_be_one_in_its_normal_form(address: str) -> None:
    with pytest.raises(Rejected) as caught:
        check_record(record(address), NOW)
    assert caught.value.code == "bad-address"


@pytest.mark.parametrize(
    "change",
    [
        {"address": "10.0.0.6:3000"},
        {"expires": NOW + 61},
        {"network_id": "00" * 32},
        {"node_key": OTHER.public_hex},
        {"sequence": 2},
    ],
)
def test_any_changed_field_breaks_the_signature(change: dict[str, object]) -> None:
    signed = record()
    forged = SignedRecord(msgspec.structs.replace(signed.record, **change), signed.signature)
    with pytest.raises(Rejected) as caught:
        check_record(forged, NOW)
    assert caught.value.code == "bad-record"


def test_a_records_signature_is_not_a_removals() -> None:
    removal = sign_removal(KEY, "10.0.0.5:3000", sequence=1)
    with pytest.raises(Rejected) as caught:
        check_removal(SignedRemoval(removal.removal, record().signature))
    assert caught.value.code == "bad-record"


@pytest.mark.parametrize(
    "line",
    [
        b'{"record":{"address":"a:1"},"signature":""}',
        b'{"record":{"address":"a:1","expires":-1,"network_id":"00","node_key":"","sequence":0}}',
        b"[]",
    ],
)
def test_records_of_another_shape_do_not_decode(line: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=SignedRecord)
