"""Canonical bytes: what is hashed and signed, and the hashes themselves.

A canonical record is JSON (RFC 8785) with its members in sorted order, no white space, UTF-8, and only
strings, integers within +-(2**53 - 1), lists, booleans, null and objects: any language with a JSON library
can rebuild the bytes. Member names are ASCII, where the order of bytes is RFC 8785's order of UTF-16
units. Everything signed or hashed starts with a domain prefix that names its kind, so that no signature
over one kind of record can be taken for another.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec

from votenet.core.limits import MAX_SAFE_INTEGER, MAX_VOTER_ID

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""32 bytes (a hash, a public key) in lower-case hexadecimal. (`$` would let a newline follow.)"""
Hex64 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]
"""64 bytes (an Ed25519 signature) in lower-case hexadecimal."""
VoterId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_VOTER_ID)]
Unsigned = Annotated[int, msgspec.Meta(ge=0, le=MAX_SAFE_INTEGER)]
"""A non-negative integer that every JSON reader keeps exact: a time in seconds, a height, a count."""

DOMAIN_VOTE: Final = b"votenet/vote/2\n"
DOMAIN_AMENDMENT: Final = b"votenet/amendment/2\n"
DOMAIN_GENESIS: Final = b"votenet/genesis/2\n"
DOMAIN_BELENIOS: Final = b"votenet/belenios/1\n"
DOMAIN_HELLO: Final = b"votenet/hello/2\n"
DOMAIN_ROLL: Final = b"votenet/roll/2\n"
DOMAIN_TIE: Final = b"votenet/tie/2\n"
DOMAIN_PEER_RECORD: Final = b"votenet/peer-record/1\n"
DOMAIN_PEER_REMOVAL: Final = b"votenet/peer-removal/1\n"

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of a msgspec Struct, dict, list, string or integer.

    Raises:
        UnicodeEncodeError: a string holds a lone surrogate, which UTF-8 cannot carry.
    """
    return _encoder.encode(value)


def domain_hash(domain: bytes, payload: bytes) -> bytes:
    """SHA-256 over a domain prefix and canonical bytes; 32 bytes."""
    return hashlib.sha256(domain + payload).digest()
