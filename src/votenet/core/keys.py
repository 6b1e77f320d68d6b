"""Ed25519 keys and signatures (RFC 8032), by libsodium; the four keys of a node."""

from __future__ import annotations

from typing import Final, NamedTuple

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError, CryptoError

from votenet.derive import hkdf

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PUBLIC_KEY_BYTES: Final = 32

Claim = tuple[bytes, bytes, bytes]
"""Public key, message, signature."""


class SigningKey:
    """An Ed25519 key pair; `public` is 32 bytes."""

    __slots__ = ("_secret", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        """From a 32-byte seed. Raises ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    @property
    def public_hex(self) -> str:
        return self.public.hex()

    def sign(self, message: bytes) -> bytes:
        return crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public_hex})"


class NodeKeys(NamedTuple):
    """The four keys of a node, which all follow from one seed."""

    node: SigningKey
    statement: SigningKey
    cosign: SigningKey
    log: SigningKey


def node_keys(seed: bytes) -> NodeKeys:
    """The keys of the node with this 32-byte seed."""
    infos = (b"votenet/statement/1", b"votenet/cosign/1", b"votenet/log/1")
    return NodeKeys(SigningKey(seed), *(SigningKey(hkdf(seed, info, SEED_BYTES)) for info in infos))


def is_public_key(key: str) -> bool:
    """Whether these are the 64 lower-case hexadecimal digits of a key that can sign: a point of the curve."""
    if len(key) != 2 * PUBLIC_KEY_BYTES or not set(key) <= set("0123456789abcdef"):
        return False
    return crypto_core_ed25519_is_valid_point(bytes.fromhex(key))


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made by the holder of `public` (32 bytes).

    libsodium refuses non-canonical signatures and keys of small order, so that all nodes agree.
    """
    if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except (BadSignatureError, CryptoError):
        return False
    return True
