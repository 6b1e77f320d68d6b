"""What a search refuses before any hashing is done."""

from __future__ import annotations

import pytest

from votenet.errors import PowError
from votenet.pow.request import check_bytes, check_header, check_search

HEADER = bytes(range(80))


def test_a_good_request_keeps_the_header_as_it_is() -> None:
    assert bytes(check_search(HEADER, 2**256 - 1, 0, 2**32)) == HEADER
    assert bytes(check_search(bytearray(HEADER), 0, 2**32 - 1, 1)) == HEADER
    assert bytes(check_search(memoryview(b"x" + HEADER)[1:], 1, 7, 0)) == HEADER


@pytest.mark.parametrize("size", [0, 79, 81, 160])
def test_header_of_another_length(size: int) -> None:
    with pytest.raises(PowError, match="80 bytes"):
        check_header(bytes(size))


@pytest.mark.parametrize("header", ["00" * 80, None, 80, [0] * 80])
def test_header_that_is_no_bytes(header: object) -> None:
    with pytest.raises(PowError, match="must be bytes"):
        check_header(header)  # type: ignore[arg-type]


def test_scattered_bytes() -> None:
    with pytest.raises(PowError, match="contiguous"):
        check_bytes("a header", memoryview(bytes(160))[::2])


@pytest.mark.parametrize(
    ("target", "start", "count", "reason"),
    [
        (-1, 0, 1, "target must not be negative"),
        (2**256, 0, 1, "below 2\\*\\*256"),
        (1, -1, 1, "start must not be negative"),
        (1, 2**32, 0, "start must be a nonce"),
        (1, 0, -1, "count must not be negative"),
        (1, 0, 2**32 + 1, "must not exceed"),
        (1, 2**32 - 1, 2, "must not exceed"),
        (1, 1, 2**64, "must not exceed"),
        (1.5, 0, 1, "target must be an integer"),
        (1, "0", 1, "start must be an integer"),
        (1, 0, None, "count must be an integer"),
    ],
)
def test_numbers_out_of_range(target: int, start: int, count: int, reason: str) -> None:
    with pytest.raises(PowError, match=reason):
        check_search(HEADER, target, start, count)
