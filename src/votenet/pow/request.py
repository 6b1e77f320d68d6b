"""Arguments and results that the C core and the Python reference share."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from votenet.errors import PowError
from votenet.pow.target import HASH_SIZE, TARGET_LIMIT

HEADER_SIZE: Final = 80
"""Bitcoin's block header: version, previous hash, Merkle root, time, bits, nonce."""
NONCE_OFFSET: Final = 76
"""The nonce is the last field: 4 bytes, little-endian."""
NONCE_LIMIT: Final = 1 << 32
"""Nonces are below this."""

BytesLike = bytes | bytearray | memoryview


class HeaderFault(Enum):
    """Why a header does not hold; checked in this order."""

    LINK = "link"
    """It does not name the hash of the header before it."""
    BITS = "bits"
    """Its bits stand for no target."""
    WORK = "work"
    """Its hash does not meet the target in its bits."""


class HeaderCheck(NamedTuple):
    """The hashes of the headers that hold, from the start; why the next one does not, or None if all do."""

    hashes: list[bytes]
    fault: HeaderFault | None


def check_bytes(what: str, data: BytesLike) -> memoryview:
    """`data` as a flat view of its bytes, without copying. Raises PowError if it is no buffer of bytes."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise PowError(f"{what} must be bytes, not {type(data).__name__}")
    view = memoryview(data)
    if not view.c_contiguous:
        raise PowError(f"{what} must be one contiguous piece of memory")
    return view.cast("B")


def check_header(header: BytesLike) -> memoryview:
    """The header as a view of 80 bytes. Raises PowError if it is anything else."""
    view = check_bytes("a header", header)
    if len(view) != HEADER_SIZE:
        raise PowError(f"a header has {HEADER_SIZE} bytes, not {len(view)}")
    return view


def check_headers(headers: BytesLike, first_prev: bytes | None) -> memoryview:
    """The headers of a batch as a view of whole headers.

    Raises PowError unless `headers` is a multiple of 80 bytes and `first_prev` None or 32 bytes.
    """
    view = check_bytes("headers", headers)
    if len(view) % HEADER_SIZE:
        raise PowError(f"headers have {HEADER_SIZE} bytes each: {len(view)} is no multiple of it")
    if first_prev is not None and len(check_bytes("the previous hash", first_prev)) != HASH_SIZE:
        raise PowError(f"the previous hash must have {HASH_SIZE} bytes, not {len(first_prev)}")
    return view


def check_search(header: BytesLike, target: int, start: int, count: int) -> memoryview:
    """The header of a search that can be carried out.

    Raises PowError unless `header` has 80 bytes, 0 <= target < 2**256, 0 <= start < 2**32,
    0 <= count and start + count <= 2**32.
    """
    view = check_header(header)
    for name, value in (("target", target), ("start", start), ("count", count)):
        if not isinstance(value, int):
            raise PowError(f"{name} must be an integer, not {type(value).__name__}")
        if value < 0:
            raise PowError(f"{name} must not be negative")
    if target >= TARGET_LIMIT:
        raise PowError("target must be below 2**256")
    if start >= NONCE_LIMIT:
        raise PowError(f"start must be a nonce, below 2**32, not {start}")
    if start + count > NONCE_LIMIT:
        raise PowError(f"start + count must not exceed 2**32: {start} + {count} does")
    return view
