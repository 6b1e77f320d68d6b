"""Compact targets, work, and the comparison of a hash with a target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import PowError
from votenet.pow import (
    bits_for_zero_bits,
    bits_to_target,
    hash_to_int,
    meets,
    target_to_bits,
    work_of,
)

VECTORS = Path(__file__).parents[1] / "vectors"
HEADERS = json.loads((VECTORS / "bitcoin_headers.json").read_text(encoding="utf-8"))["headers"]


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x01010000, 0x01),
        (0x01123456, 0x12),
        (0x02008000, 0x80),
        (0x02123456, 0x1234),
        (0x03123456, 0x123456),
        (0x04123456, 0x12345600),
        (0x05009234, 0x92340000),
        (0x1D00FFFF, 0xFFFF << 208),
        (0x1B0404CB, 0x0404CB << 192),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x2100FFFF, 0xFFFF << 240),
        (0x220000FF, 0xFF << 248),
    ],
)
def test_bits_to_target(bits: int, target: int) -> None:
    assert bits_to_target(bits) == target


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        (0x04923456, "negative"),
        (0x01FE0000, "negative"),
        (0x1D80FFFF, "negative"),
        (0x00000000, "zero"),
        (0x00123456, "zero"),
        (0x01003456, "zero"),
        (0x02000056, "zero"),
        (0x1D000000, "zero"),
        (0x04800000, "zero"),
        (0xFF123456, "256 bits"),
        (0x23000001, "256 bits"),
        (0x22000100, "256 bits"),
        (0x21010000, "256 bits"),
        (-1, "32-bit"),
        (1 << 32, "32-bit"),
    ],
)
def test_bits_that_are_no_target(bits: int, reason: str) -> None:
    with pytest.raises(PowError, match=reason):
        bits_to_target(bits)
    with pytest.raises(ValueError, match=reason):
        work_of(bits)


@given(st.integers(1, 2**256 - 1))
def test_compact_form_is_the_nearest_below(target: int) -> None:
    bits = target_to_bits(target)
    below = bits_to_target(bits)
    assert below <= target
    assert target - below < 1 << max(target.bit_length() - 15, 0)  # at least 15 bits survive
    assert target_to_bits(below) == bits


@pytest.mark.parametrize("target", [0, -1, 2**256])
def test_target_without_compact_form(target: int) -> None:
    with pytest.raises(PowError, match="target must be"):
        target_to_bits(target)


@pytest.mark.parametrize(
    ("n", "bits"),
    [
        (24, 0x1E00FFFF),
        (32, 0x1D00FFFF),
        (20, 0x1E0FFFFF),
        (16, 0x1F00FFFF),
        (1, 0x207FFFFF),
        (255, 0x01010000),
    ],
)
def test_bits_for_zero_bits(n: int, bits: int) -> None:
    assert bits_for_zero_bits(n) == bits


def test_every_difficulty_is_below_its_power_of_two() -> None:
    for n in range(1, 256):
        target = bits_to_target(bits_for_zero_bits(n))
        assert 2 ** (255 - n) <= target < 2 ** (256 - n)
        assert 2**n <= work_of(bits_for_zero_bits(n)) < 2 ** (n + 1)


@pytest.mark.parametrize("n", [0, -1, 256])
def test_impossible_difficulty(n: int) -> None:
    with pytest.raises(PowError, match="1 to 255"):
        bits_for_zero_bits(n)


def test_work_of_bitcoins_first_target() -> None:
    assert work_of(0x1D00FFFF) == 0x100010001
    assert work_of(0x207FFFFF) == 2


def test_hash_is_read_little_endian() -> None:
    assert hash_to_int(b"\x01" + bytes(31)) == 1
    assert hash_to_int(bytes(31) + b"\x01") == 1 << 248
    assert meets(b"\x05" + bytes(31), 5)
    assert not meets(b"\x06" + bytes(31), 5)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_hash_has_32_bytes(size: int) -> None:
    with pytest.raises(PowError, match="32 bytes"):
        hash_to_int(bytes(size))


def test_bitcoin_hashes_meet_their_targets() -> None:
    for vector in HEADERS:
        hash32 = bytes.fromhex(vector["hash"])[::-1]
        target = bits_to_target(vector["bits"])
        assert meets(hash32, target), vector
        assert target_to_bits(target) == vector["bits"]
