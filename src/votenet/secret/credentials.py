"""Voters' credentials (specification 4.8): a secret of 22 base58 characters, its exponent, its public key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from votenet.derive import BASE58, hkdf
from votenet.secret.documents import encode
from votenet.secret.group import BASE, GROUP_ORDER, Point, Scalar, multiply
from votenet.secret.refusals import refusal

CREDENTIAL_CHARACTERS: Final = 22
MAX_TOTAL_WEIGHT: Final = 10**11
"""Of all voters, as Belenios' server has it: a count is a logarithm, which takes its square root of steps."""
_GROUPS: Final = (5, 6, 5, 6)
_WRITTEN: Final = re.compile("-".join(f"[{BASE58}]{{{count}}}" for count in _GROUPS) + r"\Z")
_CREDENTIAL_INFO: Final = b"votenet/credential/1"
_DERIVED_BYTES: Final = 255
"""Bytes of which 22 are used, on average after 24: that too few of them are below 232 never happens."""


def base58_characters(random: Iterable[int], count: int) -> str:
    """`count` characters, all equally likely, from random bytes: those from 232 on are left out."""
    fair = (BASE58[byte % 58] for byte in random if byte < 4 * 58)
    return "".join(character for _, character in zip(range(count), fair, strict=False))


def credential_of_code(code: str, uuid: str) -> str:
    """The credential of the voter with this code (without hyphens) in the election with this uuid."""
    random = hkdf(code.encode(), _CREDENTIAL_INFO, _DERIVED_BYTES, salt=uuid.encode())
    return written_credential(base58_characters(random, CREDENTIAL_CHARACTERS))


def written_credential(characters: str) -> str:
    """22 characters as XXXXX-XXXXXX-XXXXX-XXXXXX."""
    first, second, third = _GROUPS[0], sum(_GROUPS[:2]), sum(_GROUPS[:3])
    return "-".join(
        (characters[:first], characters[first:second], characters[second:third], characters[third:])
    )


def secret_exponent(credential: str, uuid: str) -> Scalar:
    """The specification's secret(c), from two SHA-256 of 512 bits together. Raises NotProven."""
    if not _WRITTEN.match(credential):
        raise refusal("bad-credential", "a credential is written XXXXX-XXXXXX-XXXXX-XXXXXX in base58")
    halves = (f"derive_credential|{uuid}|{half}|{credential}" for half in range(2))
    digests = b"".join(hashlib.sha256(half.encode()).digest() for half in halves)
    return Scalar(int.from_bytes(digests) % GROUP_ORDER)


def public_credential(credential: str, uuid: str) -> Point:
    """The specification's public(c)."""
    return Point(multiply(BASE, secret_exponent(credential, uuid)))


def write_public_credentials(weights: dict[Point, int]) -> bytes:
    """`public_credentials`, with weights where any is not 1."""
    if set(weights.values()) <= {1}:
        return encode([credential.written() for credential in weights])
    return encode([f"{credential.written()},{weight}" for credential, weight in weights.items()])
