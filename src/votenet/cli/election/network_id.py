"""The network id of an election as people pass it on: in hexadecimal, read aloud, as a QR code."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

from votenet.cli import ui
from votenet.core.election.definition import Election
from votenet.text import spoken

_QUIET = 2
"""Modules around a code that stay light."""
_INK, _PAPER, _PLAIN = "\x1b[30m", "\x1b[107m", "\x1b[0m"


def id_fields(election: Election) -> list[tuple[str, str]]:
    """The id in hexadecimal, and as eight numbers that two people read to each other."""
    return [("network", election.network_hex), ("read aloud", spoken(election.network_hex))]


def show_code(election: Election) -> None:
    """Print the id as a QR code, dark on light, where standard output is a terminal with colours."""
    if not (sys.stdout.isatty() and ui.wants_colour()):
        return
    ui.echo("The network id as a QR code, for those who compare it with a camera:")
    for line in code_lines(election.network_hex):
        ui.echo(prefix=f"{_INK}{_PAPER}{line}{_PLAIN}")


def code_lines(text: str) -> Iterator[str]:
    """The lines of a QR code, two of its rows in one: a full block is dark above and below."""
    import segno  # here: most commands draw none

    made = segno.make(text, error="m", micro=False)
    rows = [[bool(module) for module in row] for row in made.matrix_iter(border=_QUIET)]
    rows.append([False] * len(rows[0]))
    for upper, lower in zip(rows[::2], rows[1::2], strict=False):
        yield "".join(" ▄▀█"[2 * above + below] for above, below in zip(upper, lower, strict=True))


def code_svg(election: Election) -> bytes:
    """The QR code as a picture, to print or to put on a page."""
    import segno

    out = io.BytesIO()
    segno.make(election.network_hex, error="m", micro=False).save(out, kind="svg", border=4, scale=8)
    return out.getvalue()
