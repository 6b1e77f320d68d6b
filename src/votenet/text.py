"""Text from others, made fit for a terminal and for a log.

What lives here: which characters may be shown as they are. What must not: printing, logging.

Titles, candidates, voter ids, addresses, error texts and file names come from strangers. Shown raw they
could start a new line of a log, move a terminal's cursor or turn a line from right to left.
"""

from __future__ import annotations

import re
from typing import Final

_HOSTILE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 with newline, tab and escape; delete; C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"  # direction of writing; line and paragraph separators
    "\ufeff\ufff9-\ufffb\ud800-\udfff"  # byte order mark; annotations; half characters
    "\U000e0000-\U000e007f]"  # tags: invisible
)
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """The text on one line, each character that acts instead of being seen written as JSON writes it.

    `\\n`, `\\u001b`, `\\u202e`: a JSON document on one line stays the same document.
    """
    return _HOSTILE.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same for a text whose line breaks are meant (a JSON document, a trace)."""
    return "\n".join(map(visible, text.split("\n"))) if _HOSTILE.search(text) else text


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
