"""How results look: tables for people, JSON for programs.

What lives here: printing. What must not: asking nodes, deciding anything. rich is imported when a
table is drawn, so that `--json` and errors stay fast.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from votenet.cli import output
from votenet.cli.output import echo, echo_json
from votenet.errors import VotenetError

if TYPE_CHECKING:
    from rich.table import Table

BAR_WIDTH: Final = 30


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    echo_json(_plain(value), indent=2)


def reported(error: VotenetError) -> VotenetError:
    """Mark an error that is raised after the command has printed what it found."""
    error.reported = True
    return error


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return msgspec.to_builtins(value)


def wants_colour() -> bool:
    return output.wants_colour()


def table(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """An empty table; columns are (heading, "left" or "right")."""
    return output.table(title, columns)


def print_table(made: Table) -> None:
    output.console(width=160).print(made)


def when(seconds: int) -> str:
    """A Unix time in the zone of this machine, with the zone's name and offset.

    A number that is no point in time here (a file or a node may say any) is shown as it is.
    """
    try:
        local = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return f"{seconds} seconds after 1970"
    offset = time.strftime("%z", local)
    zone = f"UTC{offset[:3]}:{offset[3:5]}"
    name = time.strftime("%Z", local)
    if name == "UTC":
        zone = name
    elif name.isalpha():
        zone = f"{name} ({zone})"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', local)} {zone}"


def preferences(choices: Sequence[str], method: str) -> str:
    """The choices of a ballot: in order of preference where the method looks at it, else side by side."""
    return (" > " if method == "instant-runoff" else ", ").join(choices)


def anchors(**given: object) -> dict[str, str]:
    """What a file was compared with that does not come out of the file itself, of what could be given."""
    return {name: str(value) for name, value in given.items() if value is not None}


def compared_with(found: Mapping[str, str], could: str) -> str:
    """Anchors in words; and in plain words that there were none, and which options give one."""
    words = {"network_id": "the network id given", "roll": "the roll {}", "node": "the node {}"}
    said = [words[name].format(value) for name, value in found.items()]
    return ", ".join(said) or f"nothing: give {could}"


def count_of(number: int, one: str) -> str:
    """`1 confirmation`, `2 confirmations`."""
    return f"{number:,} {one}" + ("" if number == 1 else "s")


def print_fields(heading: str, fields: Sequence[tuple[str, Any]]) -> None:
    """A heading and aligned name-value lines."""
    echo(heading)
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        echo(f"  {name:<{width}}  {value}")


def bar(share: float) -> str:
    """A share from 0 to 1 as a bar of block characters."""
    eighths = round(share * BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
