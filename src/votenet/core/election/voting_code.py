"""The code on a voter's card, and the key that follows from it; invitations to enrol have the same form.

A code has 21 random characters of Crockford's base32 (105 bits) in five groups, each with a check character.
`frontend/src/lib/voting_code.ts` reads the same codes.
"""

from __future__ import annotations

import hashlib
import unicodedata
from itertools import accumulate, pairwise
from typing import Final

from votenet.core.keys import SEED_BYTES, SigningKey
from votenet.derive import hkdf
from votenet.errors import Rejected

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O, U."""
RANDOM_BYTES: Final = 14
"""Bytes that a code is made from: 105 of their bits are used."""
CODE_LENGTH: Final = 26
_GROUP_LENGTHS: Final = (5, 5, 5, 5, 6)
_PAYLOAD: Final = CODE_LENGTH - len(_GROUP_LENGTHS)
_DOMAIN_CODE: Final = "votenet/code/1\n"
_DOMAIN_INVITATION: Final = b"votenet/invitation/1\n"
_KEY_INFO: Final = b"votenet/voter-key/1"
_FORGIVEN: Final = str.maketrans("ILO", "110")
_BLANKS: Final = frozenset("\t\n\v\f\r\ufeff")
_BLANK_KINDS: Final = ("Pd", "Zs", "Zl", "Zp")
"""Unicode's categories of hyphens and blanks."""


def code_from(random: bytes) -> str:
    """The code made of 14 random bytes, without hyphens."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a code is made of {RANDOM_BYTES} bytes, not {len(random)}")
    bits = int.from_bytes(random, "big")
    payload = "".join(ALPHABET[bits >> 5 * place & 31] for place in reversed(range(_PAYLOAD)))
    lengths = [length - 1 for length in _GROUP_LENGTHS]
    ends = pairwise(accumulate(lengths, initial=0))
    parts = (payload[start:end] for start, end in ends)
    return "".join(part + _check_character(group, part) for group, part in enumerate(parts, start=1))


def groups_of(code: str) -> tuple[str, ...]:
    """The five groups of a code without hyphens."""
    ends = pairwise(accumulate(_GROUP_LENGTHS, initial=0))
    return tuple(code[start:end] for start, end in ends)


def shown_code(code: str) -> str:
    """A code as people read it, its groups with hyphens between them."""
    return "-".join(groups_of(code))


def read_code(typed: str) -> str:
    """A typed or pasted code without hyphens. Blanks, hyphens and case are free; I and L are 1, O is 0.

    Raises:
        Rejected: bad-code; `details` has the first wrong group (1 to 5), or 0 where the length is wrong.
    """
    kept = (one for one in typed if one not in _BLANKS and unicodedata.category(one) not in _BLANK_KINDS)
    code = "".join(kept).upper().translate(_FORGIVEN)
    if len(code) != CODE_LENGTH:
        raise Rejected("bad-code", f"a code has {CODE_LENGTH} characters, this has {len(code)}", group=0)
    for number, group in enumerate(groups_of(code), start=1):
        if group[-1] != _check_character(number, group[:-1]):
            raise Rejected("bad-code", f"group {number} of the code is wrong", group=number)
    return code


def seed_of_code(code: str, uuid: str) -> bytes:
    """The Ed25519 seed of a voter: HKDF-SHA-256 over the code, with the election's `uuid` as salt."""
    return hkdf(code.encode(), _KEY_INFO, SEED_BYTES, salt=uuid.encode())


def key_of_code(code: str, uuid: str) -> SigningKey:
    """The voter's key in the election with this `uuid`."""
    return SigningKey(seed_of_code(code, uuid))


def invitation_hash(code: str) -> str:
    """What an enrolment folder keeps of an invitation, in hexadecimal: a code cannot be found from it."""
    return hashlib.sha256(_DOMAIN_INVITATION + code.encode()).hexdigest()


def _check_character(group: int, payload: str) -> str:
    """The last character of group 1 to 5; empty where the group has a character that no code has."""
    if not set(payload) <= set(ALPHABET):
        return ""
    digest = hashlib.sha256(f"{_DOMAIN_CODE}{group}{payload}".encode()).digest()
    return ALPHABET[digest[0] % len(ALPHABET)]
