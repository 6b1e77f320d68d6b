"""Ed25519 keys and signatures (RFC 8032), by libsodium.

What lives here: making a key pair from a seed, signing, verifying. What must not: randomness
(seeds are an argument), files, the records that are signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Final

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError, CryptoError

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PUBLIC_KEY_BYTES: Final = 32

Claim = tuple[bytes, bytes, bytes]
"""Public key, message, signature: what somebody says that they have signed."""


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
        """The 64-byte signature of `message`."""
        return crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        """Never shows the secret half."""
        return f"SigningKey(public={self.public_hex})"


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


def verify_all(claims: Sequence[Claim]) -> list[bool]:
    """What `verify` says of each claim. About 60 microseconds each, in one call without the GIL.

    Where the C core is not built, libsodium is asked about one at a time: the answers are the same.
    """
    fit = [len(claim[0]) == PUBLIC_KEY_BYTES and len(claim[2]) == SIGNATURE_BYTES for claim in claims]
    answers = iter(_verifier()([claim for claim, fits in zip(claims, fit, strict=True) if fits]))
    return [fits and next(answers) for fits in fit]


@cache
def native_batches() -> ModuleType | None:
    """The module that checks many signatures in one call, None where the C core is not built."""
    try:
        from votenet.core import native
    except ImportError:
        return None
    return native


def _verifier() -> Callable[[Sequence[Claim]], list[bool]]:
    native = native_batches()
    if native is None:
        return _one_by_one

    def in_one_call(claims: Sequence[Claim]) -> list[bool]:
        found: list[bool] = native.verify_batch(
            [public for public, _, _ in claims], [signature + message for _, message, signature in claims]
        )
        return found

    return in_one_call


def _one_by_one(claims: Sequence[Claim]) -> list[bool]:
    return [verify(public, message, signature) for public, message, signature in claims]
