"""Which characters a title, a candidate or a voter id may have: fixed ranges of code points.

A name must not break a line, steer a terminal, turn the direction of other text or look like another
name. The ranges are written out here, in docs/audit.md and in the second verifier, because Unicode's own
categories change from version to version and every reader must give the same answer.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from votenet.core.limits import MAX_VOTER_ID
from votenet.errors import Rejected
from votenet.text import CONTROL, INVISIBLE, Ranges, ranges_as_set

MAX_COMPARED: Final = 20_000
JOINERS: Final[Ranges] = ((0x200C, 0x200D),)
"""Zero width (non-)joiner: right after a letter of a script that joins; U+200D also after a picture."""
JOINING: Final[Ranges] = (
    *((0x0620, 0x109F), (0x1780, 0x17B3), (0x17B6, 0x180A), (0x1810, 0x18AF), (0x1900, 0x1C7F)),
    *((0x1CD0, 0x1CFF), (0xA800, 0xA95F), (0xA980, 0xAB2F), (0xABC0, 0xABFF), (0xFB50, 0xFDCF)),
    *((0xFDF0, 0xFDFF), (0xFE70, 0xFEFC), (0x10A00, 0x11FFF), (0x1E900, 0x1E95F)),
)
"""Arabic, Syriac, the scripts of India and South East Asia, Tibetan, Mongolian, and their descendants."""
MONGOLIAN_SELECTORS: Final[Ranges] = ((0x180B, 0x180F),)
"""Free variation selectors and the vowel separator: right after a Mongolian letter."""
MONGOLIAN: Final[Ranges] = ((0x1800, 0x180A), (0x1810, 0x18AF))
SELECTORS: Final[Ranges] = ((0xFE00, 0xFE0F),)
"""Variation selectors: right after an ideograph, a Myanmar or Phags-pa letter, or a picture."""
PICTURES: Final[Ranges] = (
    *((0x00A9, 0x00A9), (0x00AE, 0x00AE), (0x203C, 0x203C), (0x2049, 0x2049), (0x2100, 0x214F)),
    *((0x2190, 0x27FF), (0x2900, 0x2BFF), (0x3030, 0x3030), (0x303D, 0x303D), (0x3297, 0x3297)),
    *((0x3299, 0x3299), (0x1F000, 0x1FAFF)),
)
IDEOGRAPHS: Final[Ranges] = (
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FFFD), (0x30000, 0x3FFFD)),
)
SELECTABLE: Final[Ranges] = ((0x1000, 0x109F), (0xA840, 0xA87F))
IDEOGRAPH_SELECTORS: Final[Ranges] = ((0xE0100, 0xE01EF),)
"""Ideographic variation selectors, which Japanese family names need: right after an ideograph."""
BLANKS: Final[Ranges] = (
    *((0x0020, 0x0020), (0x00A0, 0x00A0), (0x1680, 0x1680), (0x2000, 0x200A), (0x202F, 0x202F)),
    *((0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000)),
)
"""Spaces of every kind: not first, not last."""

_ASCII_RUN: Final = re.compile(" +")
NEVER: Final = ranges_as_set(CONTROL, INVISIBLE)
"""The inside of a character set: what no text of another program may hold."""


@functools.cache
def _refused() -> re.Pattern[str]:
    """Matches what no name may hold. Compiled for the first name that is not ASCII: it takes as long as a
    command's imports, and most commands see none."""
    return re.compile(
        f"[{NEVER}]"
        f"|(?<![{ranges_as_set(JOINING)}])\u200c"
        f"|(?<![{ranges_as_set(JOINING, PICTURES, SELECTORS)}])\u200d"
        f"|(?<![{ranges_as_set(MONGOLIAN)}])[{ranges_as_set(MONGOLIAN_SELECTORS)}]"
        f"|(?<![{ranges_as_set(IDEOGRAPHS, SELECTABLE, PICTURES)}])[{ranges_as_set(SELECTORS)}]"
        f"|(?<![{ranges_as_set(IDEOGRAPHS)}])[{ranges_as_set(IDEOGRAPH_SELECTORS)}]"
        f"|\\A[{ranges_as_set(BLANKS)}]|[{ranges_as_set(BLANKS)}]\\Z"
    )


@functools.cache
def _set_of(*ranges: Ranges) -> re.Pattern[str]:
    return re.compile(f"[{ranges_as_set(*ranges)}]+")


def is_plain(name: str) -> bool:
    """Whether a name has only allowed characters. Quick for ASCII: every vote is asked."""
    if name.isascii():
        return name.isprintable() and name[:1] != " " and name[-1:] != " "
    return _refused().search(name) is None


def text_fault(name: str) -> str:
    """Names the first character of a name that is not allowed and where it is; empty if all are."""
    wrong = None if is_plain(name) else _refused().search(name)
    if wrong is None:
        return ""
    character, place = wrong[0], wrong.start() + 1
    code = f"U+{ord(character):04X}"
    if _set_of(BLANKS).match(character):
        kind = "a space" if character == " " else f"a blank ({code})"
        return f"{kind} at its {'beginning' if wrong.start() == 0 else 'end'}"
    if _set_of(CONTROL).match(character):
        return f"a control character ({code}) in place {place}"
    return f"a character that cannot be seen ({code}) in place {place}"


def skeleton(name: str) -> str:
    """A name without its invisible characters: two candidates must differ in more than those."""
    if name.isascii():
        return _ASCII_RUN.sub(" ", name)
    unseen = _set_of(JOINERS, MONGOLIAN_SELECTORS, SELECTORS, IDEOGRAPH_SELECTORS)
    return _set_of(BLANKS).sub(" ", unseen.sub("", name))


def folded(name: str) -> str:
    """A name without case, compatibility forms, blanks and invisible characters: as people may mistake it."""
    plain = unicodedata.normalize("NFKC", skeleton(name)).casefold()
    return "".join(unicodedata.normalize("NFKC", plain).split())


def twins(names: Iterable[str]) -> tuple[int, int] | None:
    """The places of the first two names that are equal when `folded`."""
    seen = dict[str, int]()
    for place, name in enumerate(names):
        first = seen.setdefault(folded(name), place)
        if first != place:
            return first, place
    return None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: equal when `folded`, or but for zeros in front, or near.

    Among more than MAX_COMPARED names none is looked for that is only near: of a million it takes a minute.
    """
    from difflib import get_close_matches

    by_form = {folded(one): one for one in known}
    wanted = folded(name)
    if wanted in by_form:
        return by_form[wanted]
    without_zeros = {form.lstrip("0"): one for form, one in by_form.items()}
    if (number := wanted.lstrip("0")) in without_zeros:
        return without_zeros[number]
    if len(by_form) > MAX_COMPARED:
        return None
    near = get_close_matches(wanted, by_form, n=1, cutoff=0.8)
    return by_form[near[0]] if near else None


def check_voter_id(voter_id: str) -> None:
    """Raises Rejected bad-vote."""
    if not 1 <= len(voter_id) <= MAX_VOTER_ID:
        raise Rejected("bad-vote", f"a voter id has 1 to {MAX_VOTER_ID} characters")
    if not is_plain(voter_id):
        raise Rejected("bad-vote", f"the voter id {voter_id!r} has {text_fault(voter_id)}")
