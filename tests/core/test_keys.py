"""Ed25519 against RFC 8032's vectors, and what a careless verifier would let through."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from votenet.core import keys
from votenet.core.keys import Claim, SigningKey, verify, verify_all

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


def _claims() -> list[Claim]:
    """Good and bad ones of every kind above, in turn."""
    signature = KEY.sign(b"vote")
    good: Claim = (KEY.public, b"vote", signature)
    s = int.from_bytes(signature[32:], "little")
    forged = BASE_POINT + (1).to_bytes(32, "little")
    bad: list[Claim] = [
        (KEY.public, b"vote", signature[:32] + (s + ORDER).to_bytes(32, "little")),
        (KEY.public, b"vote", _flip(signature, 300)),
        (KEY.public, b"votes", signature),
        (KEY.public, b"", signature),
        (SigningKey(bytes(32)).public, b"vote", signature),
        (KEY.public[:31], b"vote", signature),
        (b"", b"", b""),
        (KEY.public, b"te", signature + b"vo"),  # the same bytes, cut elsewhere
        (KEY.public, b"", signature + b"vote"),
        (KEY.public, signature[63:] + b"vote", signature[:63]),
        *((public, b"%d" % n, forged) for public in SMALL_ORDER.values() for n in range(16)),
    ]
    vectors: list[Claim] = [
        (bytes.fromhex(v["public"]), bytes.fromhex(v["message"]), bytes.fromhex(v["signature"]))
        for v in VECTORS
    ]
    return [*vectors, *(claim for one in bad for claim in (one, good)), bad[0]]


class TestBatch:
    """`verify_all`, in one call where the C core is built, and one by one where it is not."""

    @pytest.fixture(params=["in one call", "one by one"], autouse=True)
    def _way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        keys.native_batches.cache_clear()
        if request.param == "one by one":
            monkeypatch.setitem(sys.modules, "votenet.core.native", None)
        else:
            pytest.importorskip("votenet.core.native")
        monkeypatch.delattr("votenet.core.native", raising=False)
        assert (keys._verifier() is keys._one_by_one) is (request.param == "one by one")
        yield
        keys.native_batches.cache_clear()

    def test_it_says_what_verify_says(self) -> None:
        claims = _claims()
        answers = verify_all(claims)
        assert answers == [verify(*claim) for claim in claims]
        assert answers.count(True) > 100
        assert answers.count(False) > 100

    def test_each_alone_gets_the_same_answer_as_in_company(self) -> None:
        claims = _claims()
        assert [verify_all([claim])[0] for claim in claims] == verify_all(claims)

    def test_nothing_is_asked_nothing_is_answered(self) -> None:
        assert verify_all([]) == []

    def test_none_of_many_slips(self) -> None:
        signed = [(KEY.public, b"%d" % n, KEY.sign(b"%d" % n)) for n in range(300)]
        for bad in (0, 150, 299):
            claims = list(signed)
            claims[bad] = (KEY.public, b"x", claims[bad][2])
            assert verify_all(claims) == [n != bad for n in range(300)]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(bytes(length))


def test_a_key_does_not_print_its_secret() -> None:
    assert KEY.public_hex in repr(KEY)
    assert KEY.seed.hex() not in repr(KEY)
    assert KEY.seed.hex() not in str(KEY)


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
