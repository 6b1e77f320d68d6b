"""Secrets that follow from secrets, and the alphabet in which people write them."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Bitcoin's alphabet: no 0, O, I or l."""


def hkdf(secret: bytes, info: bytes, length: int, *, salt: bytes = b"") -> bytes:
    """`length` bytes derived from a secret by HKDF-SHA-256 (RFC 5869)."""
    extracted = hmac.digest(salt or bytes(hashlib.sha256().digest_size), secret, hashlib.sha256)
    made = block = b""
    counter = 1
    while len(made) < length:
        block = hmac.digest(extracted, block + info + bytes([counter]), hashlib.sha256)
        made += block
        counter += 1
    return made[:length]
