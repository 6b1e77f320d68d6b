"""The nonce search in plain Python: slow, and right by definition.

What lives here: SHA-256d and the search with hashlib. What must not: anything for speed's sake beyond
copying a hash state. The C core must agree with this file; where it is not built, this is what runs.
"""

from __future__ import annotations

import hashlib

from votenet.pow.request import NONCE_OFFSET, BytesLike, check_search
from votenet.pow.target import meets


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
