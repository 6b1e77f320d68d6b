"""Ed25519 by RFC 8032, and signatures that a careless verifier would accept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from votenet.core.keys import SigningKey, is_public_key, node_keys, verify
from votenet.derive import hkdf

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "ed25519.json").read_text())["vectors"]

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the base point's group: RFC 8032, section 5.1."""
BASE_POINT = bytes([0x58]) + bytes([0x66] * 31)

SMALL_ORDER = {
    "order 1": (1).to_bytes(32, "little"),
    "order 2": (FIELD - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 4, negative": bytes(31) + b"\x80",
    "order 8, a": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 8, b": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    "order 8, c": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order 8, d": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    "order 4, written as p": FIELD.to_bytes(32, "little"),
    "order 1, written as p + 1": (FIELD + 1).to_bytes(32, "little"),
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_rfc_8032(vector: dict[str, Any]) -> None:
    key = SigningKey(bytes.fromhex(vector["secret"]))
    message, signature = bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
    assert key.public.hex() == key.public_hex == vector["public"]
    assert key.sign(message) == signature
    assert verify(key.public, message, signature)


KEY = SigningKey(bytes(range(32)))


@given(st.binary(max_size=40), st.integers(0, 40 * 8 - 1), st.integers(0, 511))
@settings(max_examples=60)
def test_a_signature_holds_for_its_message_only(message: bytes, in_message: int, in_signature: int) -> None:
    signature = KEY.sign(message)
    assert verify(KEY.public, message, signature)
    assert not verify(KEY.public, message, _flip(signature, in_signature))
    assert not verify(KEY.public, message + b"\x00", signature)
    if message:
        assert not verify(KEY.public, _flip(message, in_message % (len(message) * 8)), signature)


def test_another_key_does_not_verify() -> None:
    other = SigningKey(bytes(32))
    assert not verify(other.public, b"vote", KEY.sign(b"vote"))


def test_a_signature_has_one_form_only() -> None:
    # S and S + ORDER satisfy the same equation: a second form would give a vote a second id.
    signature = KEY.sign(b"vote")
    s = int.from_bytes(signature[32:], "little")
    assert s < ORDER
    twin = signature[:32] + (s + ORDER).to_bytes(32, "little")
    assert verify(KEY.public, b"vote", signature)
    assert not verify(KEY.public, b"vote", twin)


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(name: str) -> None:
    # With S = 1 and R = the base point the equation holds whenever the challenge is a multiple of
    # the key's order: at least one message in eight, for anybody and without a secret.
    forged = BASE_POINT + (1).to_bytes(32, "little")
    assert not any(verify(SMALL_ORDER[name], b"%d" % n, forged) for n in range(64))


@pytest.mark.parametrize("public", [b"", KEY.public[:31], KEY.public + b"\x00"])
def test_a_key_of_another_length_verifies_nothing(public: bytes) -> None:
    assert not verify(public, b"vote", KEY.sign(b"vote"))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_holds_for_nothing(length: int) -> None:
    # 65 bytes: the last one must not slide into the message.
    assert not verify(KEY.public, b"vote", (KEY.sign(b"\x00vote") + b"\x00")[:length])


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(length))


def test_a_key_does_not_print_its_secret() -> None:
    assert KEY.public_hex in repr(KEY)
    assert KEY.seed.hex() not in repr(KEY)
    assert KEY.seed.hex() not in str(KEY)


def test_a_node_has_four_keys_that_follow_from_its_seed() -> None:
    keys = node_keys(KEY.seed)
    assert [key.seed for key in keys] == [key.seed for key in node_keys(KEY.seed)]
    assert keys.node.public == KEY.public
    assert len({key.public for key in keys}) == 4
    assert keys.statement.seed == hkdf(KEY.seed, b"votenet/statement/1", 32)
    assert keys.cosign.seed == hkdf(KEY.seed, b"votenet/cosign/1", 32)
    assert keys.log.seed == hkdf(KEY.seed, b"votenet/log/1", 32)


def test_only_points_of_the_curve_that_can_sign_are_public_keys() -> None:
    assert is_public_key(KEY.public_hex)
    small_order = (
        "01" + "00" * 31,
        "00" * 32,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    )
    for wrong in (
        "",
        "ab",
        KEY.public_hex.upper(),
        KEY.public_hex + "00",
        "ff" * 32,
        "zz" * 32,
        *small_order,
    ):
        assert not is_public_key(wrong), wrong


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
