"""The files of a log, read as another program would (C2SP tlog-tiles)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from votenet.core.faults import fault
from votenet.core.log.tiles import TILE_WIDTH

_LENGTH: Final = struct.Struct(">H")


def tile_widths(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, number and width of each tile of a log of `size` leaves."""
    level = 0
    while size:
        whole, width = divmod(size, TILE_WIDTH)
        yield from ((level, number, TILE_WIDTH) for number in range(whole))
        if width:
            yield level, whole, width
        size, level = whole, level + 1


def decode_bundle(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises NotProven bad-tile where a length leads past its end."""
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        start = at + _LENGTH.size
        end = start + (_LENGTH.unpack_from(bundle, at)[0] if start <= len(bundle) else 1)
        if end > len(bundle):
            raise fault("bad-tile", f"entry {len(entries)} of the bundle is cut")
        entries.append(bundle[start:end])
        at = end
    return entries
