"""Signed peer records: a node says where it listens, and later that it is gone.

Signed bytes are a domain prefix and the canonical JSON of the inner record, so that any language can make or
check them. `sequence` must grow with every record that a key signs for an address (milliseconds since 1970
serve well), so that old records cannot be replayed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from votenet.core.encoding import DOMAIN_PEER_RECORD, DOMAIN_PEER_REMOVAL, Hex32, Hex64, Unsigned, canonical
from votenet.core.keys import SigningKey, verify
from votenet.errors import Rejected
from votenet.protocol.wire.address import parse_address, parse_peer_address

DEFAULT_LIFETIME: Final = 2 * 3600
"""Seconds a record lives unless renewed: a dead peer is forgotten in two hours at the latest."""
MAX_LIFETIME: Final = 72 * 3600
"""Longest life a record may claim: bounds how long a stolen or forgotten one can be used."""


class PeerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node listens. `expires` is in seconds since 1970."""

    address: str
    expires: Unsigned
    network_id: Hex32
    node_key: Hex32
    sequence: Unsigned


class SignedRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer record and the node key's signature over it."""

    record: PeerRecord
    signature: Hex64


class PeerRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node takes its address out of the registry."""

    address: str
    node_key: Hex32
    sequence: Unsigned


class SignedRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A removal and the node key's signature over it."""

    removal: PeerRemoval
    signature: Hex64


def sign_record(
    key: SigningKey, address: str, network_id: str, *, sequence: int, expires: int
) -> SignedRecord:
    """The record a node registers with. `network_id` is 64 hexadecimal digits, `expires` a unix time."""
    record = PeerRecord(address, expires, network_id, key.public_hex, sequence)
    return SignedRecord(record, key.sign(DOMAIN_PEER_RECORD + canonical(record)).hex())


def sign_removal(key: SigningKey, address: str, *, sequence: int) -> SignedRemoval:
    """The removal a stopping node sends; `sequence` above that of its last record."""
    removal = PeerRemoval(address, key.public_hex, sequence)
    return SignedRemoval(removal, key.sign(DOMAIN_PEER_REMOVAL + canonical(removal)).hex())


def check_record(signed: SignedRecord, now: int) -> str:
    """The record's address in its normal form, if the record is sound by itself at unix time `now`.

    Raises:
        Rejected: bad-address, expired-record, bad-record.
    """
    record = signed.record
    address = str(parse_peer_address(record.address))
    if address != record.address:
        raise Rejected("bad-address", f"write the address as {address}")
    if record.expires <= now:
        raise Rejected("expired-record", "this record has already expired")
    if record.expires > now + MAX_LIFETIME:
        raise Rejected("expired-record", "this record claims to live for more than 72 hours")
    _check_signature(record.node_key, DOMAIN_PEER_RECORD + canonical(record), signed.signature)
    return address


def check_removal(signed: SignedRemoval) -> str:
    """The removal's address, if its signature holds. Raises Rejected: bad-address, bad-record."""
    removal = signed.removal
    address = str(parse_address(removal.address))
    _check_signature(removal.node_key, DOMAIN_PEER_REMOVAL + canonical(removal), signed.signature)
    return address


def _check_signature(key: str, message: bytes, signature: str) -> None:
    if not verify(bytes.fromhex(key), message, bytes.fromhex(signature)):
        raise Rejected("bad-record", "the signature is not that of the key in the record")
