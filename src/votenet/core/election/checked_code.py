"""Codes that people type: Crockford's base32 in groups, each with a check character of its own."""

from __future__ import annotations

import hashlib
import unicodedata
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from votenet.errors import Rejected

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: no I, L, O, U."""
_FORGIVEN: Final = str.maketrans("ILO", "110")
_BLANKS: Final = frozenset("\t\n\v\f\r\ufeff")
_BLANK_KINDS: Final = ("Pd", "Zs", "Zl", "Zp")
"""Unicode's categories of hyphens and blanks."""


class CodeForm(NamedTuple):
    """How a kind of code is written. `domain`: so that a code of one kind is wrong as one of another kind."""

    domain: str
    lengths: tuple[int, ...]
    """Characters of each group, its check character among them."""

    @property
    def characters(self) -> int:
        """Those that are typed."""
        return sum(self.lengths)

    @property
    def payload(self) -> int:
        """Characters without those that check, 5 bits each."""
        return self.characters - len(self.lengths)

    def of_number(self, number: int) -> str:
        """The code of the lowest 5 bits times `payload` of a number, without hyphens."""
        payload = "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(self.payload)))
        parts = _split(payload, [length - 1 for length in self.lengths])
        return "".join(part + self._check_character(group, part) for group, part in enumerate(parts, start=1))

    def number_of(self, code: str) -> int:
        """The number in a code that was read."""
        number = 0
        for group in self.groups_of(code):
            for character in group[:-1]:
                number = number << 5 | ALPHABET.index(character)
        return number

    def groups_of(self, code: str) -> tuple[str, ...]:
        """The groups of a code without hyphens."""
        return _split(code, self.lengths)

    def shown(self, code: str) -> str:
        """A code as people read it, its groups with hyphens between them."""
        return "-".join(self.groups_of(code))

    def read(self, typed: str) -> str:
        """A typed or pasted code without hyphens. Blanks, hyphens and case are free; I and L are 1, O is 0.

        Raises:
            Rejected: bad-code; `details` has the first wrong group (from 1 on), or 0 where the length is
                wrong.
        """
        kept = (one for one in typed if one not in _BLANKS and unicodedata.category(one) not in _BLANK_KINDS)
        code = "".join(kept).upper().translate(_FORGIVEN)
        if len(code) != self.characters:
            has = f"a code has {self.characters} characters, this has {len(code)}"
            raise Rejected("bad-code", has, group=0)
        for number, group in enumerate(self.groups_of(code), start=1):
            if group[-1] != self._check_character(number, group[:-1]):
                raise wrong_group(number)
        return code

    def _check_character(self, group: int, payload: str) -> str:
        """The last character of a group; empty where the group has a character that no code has."""
        if not set(payload) <= set(ALPHABET):
            return ""
        digest = hashlib.sha256(f"{self.domain}{group}{payload}".encode()).digest()
        return ALPHABET[digest[0] % len(ALPHABET)]


def wrong_group(number: int) -> Rejected:
    """The error about a code with a wrong group, from 1 on."""
    return Rejected("bad-code", f"group {number} of the code is wrong", group=number)


def _split(text: str, lengths: tuple[int, ...] | list[int]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in pairwise(accumulate(lengths, initial=0)))
