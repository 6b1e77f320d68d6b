"""The nonce search in plain Python: slow, and right by definition.

The C core must agree with this file, which runs where the C core is not built.
"""

from __future__ import annotations

import hashlib

from votenet.errors import PowError
from votenet.pow.request import (
    HEADER_SIZE,
    NONCE_OFFSET,
    BytesLike,
    HeaderCheck,
    HeaderFault,
    check_headers,
    check_search,
)
from votenet.pow.target import bits_to_target, meets


def sha256d(data: BytesLike) -> bytes:
    """SHA-256 of the SHA-256 of `data`: 32 bytes, in the order SHA-256 gives them."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def search(header: BytesLike, target: int, start: int, count: int) -> int | None:
    """The first nonce in [start, start + count) whose header meets `target`, or None.

    `header` has 80 bytes; the nonce in it is ignored. Raises PowError as `check_search` does.
    """
    prefix = hashlib.sha256(check_search(header, target, start, count)[:NONCE_OFFSET])
    for nonce in range(start, start + count):
        first = prefix.copy()
        first.update(nonce.to_bytes(4, "little"))
        if meets(hashlib.sha256(first.digest()).digest(), target):
            return nonce
    return None


def verify_headers(headers: BytesLike, first_prev: bytes | None = None) -> HeaderCheck:
    """Check headers (80 bytes each, joined) that should follow each other: links, targets, work.

    `first_prev` is the hash that the first must name; None: any. Raises PowError as `check_headers` does.
    """
    view, prev, hashes = check_headers(headers, first_prev), first_prev, list[bytes]()
    for at in range(0, len(view), HEADER_SIZE):
        header = bytes(view[at : at + HEADER_SIZE])
        hash32 = sha256d(header)
        fault = _fault_of(header, hash32, prev)
        if fault is not None:
            return HeaderCheck(hashes, fault)
        hashes.append(hash32)
        prev = hash32
    return HeaderCheck(hashes, None)


def _fault_of(header: bytes, hash32: bytes, prev: bytes | None) -> HeaderFault | None:
    if prev is not None and header[4:36] != prev:
        return HeaderFault.LINK
    try:
        target = bits_to_target(int.from_bytes(header[72:76], "little"))
    except PowError:
        return HeaderFault.BITS
    return None if meets(hash32, target) else HeaderFault.WORK
