"""The code on a voter's card, and the key that follows from it; invitations to enrol have the same form.

A code has 21 random characters of Crockford's base32 (105 bits) in five groups, each with a check character.
`frontend/src/lib/voting_code.ts` reads the same codes.
"""

from __future__ import annotations

import hashlib
from typing import Final

from votenet.core.election.checked_code import ALPHABET as ALPHABET
from votenet.core.election.checked_code import CodeForm
from votenet.core.keys import SEED_BYTES, SigningKey
from votenet.derive import hkdf

RANDOM_BYTES: Final = 14
"""Bytes that a code is made from: 105 of their bits are used."""
CODE_FORM: Final = CodeForm("votenet/code/1\n", (5, 5, 5, 5, 6))
_DOMAIN_INVITATION: Final = b"votenet/invitation/1\n"
_KEY_INFO: Final = b"votenet/voter-key/1"


def code_from(random: bytes) -> str:
    """The code made of 14 random bytes, without hyphens."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a code is made of {RANDOM_BYTES} bytes, not {len(random)}")
    return CODE_FORM.of_number(int.from_bytes(random, "big"))


def groups_of(code: str) -> tuple[str, ...]:
    """The five groups of a code without hyphens."""
    return CODE_FORM.groups_of(code)


def shown_code(code: str) -> str:
    """A code as people read it, its groups with hyphens between them."""
    return CODE_FORM.shown(code)


def read_code(typed: str) -> str:
    """A typed or pasted code without hyphens. Blanks, hyphens and case are free; I and L are 1, O is 0.

    Raises:
        Rejected: bad-code; `details` has the first wrong group (1 to 5), or 0 where the length is wrong.
    """
    return CODE_FORM.read(typed)


def seed_of_code(code: str, uuid: str) -> bytes:
    """The Ed25519 seed of a voter: HKDF-SHA-256 over the code, with the election's `uuid` as salt."""
    return hkdf(code.encode(), _KEY_INFO, SEED_BYTES, salt=uuid.encode())


def key_of_code(code: str, uuid: str) -> SigningKey:
    """The voter's key in the election with this `uuid`."""
    return SigningKey(seed_of_code(code, uuid))


def invitation_hash(code: str) -> str:
    """What an enrolment folder keeps of an invitation, in hexadecimal: a code cannot be found from it."""
    return hashlib.sha256(_DOMAIN_INVITATION + code.encode()).hexdigest()
