"""Foreign text, made safe for a terminal and for a log.

Titles, candidates, voter ids, addresses, error texts and file names come from strangers. Printed raw they
could start a new line of a log, move a terminal's cursor or turn a line from right to left.
"""

from __future__ import annotations

import functools
import re
from typing import Final

Ranges = tuple[tuple[int, int], ...]

CONTROL: Final[Ranges] = ((0x0000, 0x001F), (0x007F, 0x009F), (0x2028, 0x2029))
"""C0, DEL and C1 (a terminal may take U+009B for ESC [), line and paragraph separator: never."""
INVISIBLE: Final[Ranges] = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x200B, 0x200B), (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFDD0, 0xFDEF), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFC), (0xFFFE, 0xFFFF)),
    *((0x13430, 0x13440), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0x1FFFE, 0x1FFFF), (0x2FFFE, 0x2FFFF)),
    *((0x3FFFE, 0x3FFFF), (0x4FFFE, 0x4FFFF), (0x5FFFE, 0x5FFFF), (0x6FFFE, 0x6FFFF), (0x7FFFE, 0x7FFFF)),
    *((0x8FFFE, 0x8FFFF), (0x9FFFE, 0x9FFFF), (0xAFFFE, 0xAFFFF), (0xBFFFE, 0xBFFFF), (0xCFFFE, 0xCFFFF)),
    *((0xDFFFE, 0xDFFFF), (0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF), (0xEFFFE, 0xEFFFF), (0xFFFFE, 0xFFFFF)),
    *((0x10FFFE, 0x10FFFF),),
)
"""Direction marks and overrides, zero width spaces, fillers, tags, no characters at all: never."""


def ranges_as_set(*ranges: Ranges) -> str:
    """The inside of a regular expression's set."""
    pairs = [pair for some in ranges for pair in some]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in pairs)


@functools.cache
def _acting(ascii_only: bool) -> re.Pattern[str]:
    """Characters that must not be printed, and half characters, which stand for bytes that are not UTF-8.

    Compiled when needed: the whole set takes as long as a command's start.
    """
    found = "\x00-\x1f\x7f" if ascii_only else ranges_as_set(CONTROL, INVISIBLE) + "\ud800-\udfff"
    return re.compile(f"[{found}]")


_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """The text on one line, with control and invisible characters as JSON writes them (`\\n`, `\\u001b`).

    A JSON document on one line stays the same document.
    """
    plain = text.isascii()
    return text if plain and text.isprintable() else _acting(plain).sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same for a text that keeps its line breaks (a JSON document, a trace)."""
    return "\n".join(map(visible, text.split("\n")))


def spoken(digest: str) -> str:
    """A SHA-256 in hexadecimal as people read it out: eight numbers of five digits, 132 bits of it."""
    digits = f"{int(digest, 16) % 10**40:040}"
    return " ".join(digits[place : place + 5] for place in range(0, 40, 5))


FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                  "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""How a cell begins that spreadsheets compute (OWASP, CSV injection)."""
BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Without it spreadsheets read UTF-8 as something else."""


@functools.cache
def _behind_semicolon() -> re.Pattern[str]:
    """A semicolon, quotes and spaces before a formula.

    In many countries spreadsheets split a line at semicolons, also in a quoted cell behind a comma.
    """
    return re.compile(rf'(;[\s"]*)(?=[{re.escape("".join(FORMULA))}])')


def spreadsheet_cell(cell: int | str) -> int | str:
    """The cell; a text, or a part behind a semicolon, that would be a formula with an apostrophe before it.

    Numbers stay numbers.
    """
    if isinstance(cell, int):
        return cell
    text = visible(cell)
    if ";" in text:
        text = _behind_semicolon().sub(r"\1'", text)
    return f"'{text}" if text.startswith(FORMULA) else text


def is_unicode(text: str) -> bool:
    """False where Python stands for bytes of a command line or a file name that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # as JSON does: two halves
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
