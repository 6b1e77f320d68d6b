"""How results look: tables for people, JSON for programs.

What lives here: printing. What must not: asking nodes, deciding anything. rich is imported when a
table is drawn, so that `--json` and errors stay fast.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from votenet.errors import VotenetError

if TYPE_CHECKING:
    from rich.table import Table

BAR_WIDTH: Final = 30


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def reported(error: VotenetError) -> VotenetError:
    """Mark an error that is raised after the command has printed what it found."""
    error.reported = True
    return error


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return msgspec.to_builtins(value)


def wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def table(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """An empty table; columns are (heading, "left" or "right")."""
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading, justify in columns:
        made.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return made


def print_table(made: Table) -> None:
    from rich.console import Console

    colour = wants_colour()
    width = None if sys.stdout.isatty() else 160
    Console(no_color=not colour, highlight=False, width=width, emoji=False, markup=False).print(made)


def when(seconds: int) -> str:
    """A Unix time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def print_fields(heading: str, fields: Sequence[tuple[str, Any]]) -> None:
    """A heading and aligned name-value lines."""
    click.echo(heading)
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"  {name:<{width}}  {value}")


def bar(share: float) -> str:
    """A share from 0 to 1 as a bar of block characters."""
    eighths = round(share * BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
