"""Checkpoints of a log (C2SP tlog-checkpoint): origin, size and root as the text of a signed note."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final, NamedTuple

from votenet.core.faults import fault
from votenet.core.log.signed_note import decode_base64

MAX_LOG_SIZE: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class Checkpoint(NamedTuple):
    """`root` has 32 bytes. `str()` gives the text of the note; lines of `extensions` come last."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in the text of a note. Raises NotProven bad-checkpoint."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise fault("bad-checkpoint", "a checkpoint is three lines or more, none of them empty")
    origin, size, root, *extensions = lines
    number = parse_size(size)
    if number is None:
        raise fault("bad-checkpoint", f"{size[:40]!r} is not the size of a log")
    raw = decode_base64(root)
    if raw is None or len(raw) != 32:
        raise fault("bad-checkpoint", f"{root[:100]!r} is no root: 32 bytes in base64")
    return Checkpoint(origin, number, raw, tuple(extensions))


def parse_size(text: str) -> int | None:
    """A decimal number without leading zeroes, at most MAX_LOG_SIZE; None for any other text."""
    number = int(text) if _DECIMAL.fullmatch(text) else None
    return number if number is not None and number <= MAX_LOG_SIZE else None
