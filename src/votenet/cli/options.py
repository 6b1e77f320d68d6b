"""Options that several commands share.

What lives here: click decorators and types. What must not: work.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from votenet.config import DEFAULT_INSTANCE, instance_names


class FilePath(click.Path):
    """A file as an argument or option: `-` is standard input or output, `./-` a file of that name."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        return path.absolute() if path == Path("-") and os.fspath(value) != "-" else path


F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
INSTANCE_META: Final = "votenet.instance"
"""Key of click's `ctx.meta`: the instance that a command was called for."""
NODE_META: Final = "votenet.node"
"""The same for the node that it was told to ask."""


class FlagOnly(click.Option):
    """An option that neither a file nor the environment can set: it names a program, or destroys something.

    Hidden options are of this class, all of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.allow_from_autoenv = False


def instance_option(command: F) -> F:
    """`-i/--instance NAME`: which network on this machine. Errors learn of it: see `INSTANCE_META`."""

    def remember(ctx: click.Context, param: click.Parameter, value: str) -> str:
        ctx.meta[INSTANCE_META] = value
        return value

    return click.option(
        "-i",
        "--instance",
        default=DEFAULT_INSTANCE,
        show_default=True,
        envvar="VOTENET_INSTANCE",
        callback=remember,
        shell_complete=lambda ctx, param, incomplete: [
            name for name in instance_names() if name.startswith(incomplete)
        ],
        help="Name of the network on this machine; several can run side by side.",
    )(command)


def json_option(command: F) -> F:
    """`--json`: stable output for programs, on stdout; and `--no-color` for people."""
    with_colour = click.option(
        "--no-color", is_flag=True, expose_value=False, callback=no_color, help="As with NO_COLOR=1."
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(with_colour)


def no_color(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Callback of `--no-color`: whatever draws looks at NO_COLOR."""
    if value:
        os.environ["NO_COLOR"] = "1"


def network_option(command: F) -> F:
    """`--network ID`: the network that a file must be of; in capitals it is the same id."""

    def lower(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None and re.fullmatch("[0-9a-fA-F]{64}", value.strip()) is None:
            raise click.BadParameter("a network id has 64 hexadecimal digits", ctx, param)
        return None if value is None else value.strip().lower()

    return click.option(
        "--network",
        "network_hex",
        metavar="ID",
        callback=lower,
        help="Network id that it must be of, 64 hexadecimal digits.",
    )(command)


def node_option(command: F) -> F:
    """`--node HOST:PORT`: ask this node instead of one of the running instance."""
    return click.option(
        "--node",
        metavar="HOST:PORT",
        envvar="VOTENET_NODE",
        callback=remember_node,
        help="Ask this node instead of one of the network running here.",
    )(command)


def remember_node(ctx: click.Context, param: click.Parameter, value: T) -> T:
    """Callback of `--node`: what is said to type next names the same node (the first, of several)."""
    found = value[0] if isinstance(value, tuple) and value else value
    if isinstance(found, str):
        ctx.meta[NODE_META] = found
    return value


_RELATIVE: Final = re.compile(r"\+(?=\d)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?")


def parse_hour(text: str, now: float) -> int:
    """`+2h`, `+1d12h`, `+30m` from now, or an ISO 8601 time with its zone, to Unix seconds.

    Raises:
        ValueError: it is neither; the text says what is missing.
    """
    relative = _RELATIVE.fullmatch(text.strip())
    if relative:
        days, hours, minutes, seconds = (int(part or 0) for part in relative.groups())
        return int(now) + ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither like +2h nor like 2027-05-31T18:00+02:00") from None
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: end it with Z, or with an offset such as +02:00")
    if found.timestamp() < 0:
        raise ValueError(f"{text!r} is before 1970")
    return int(found.timestamp())


def hour(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Callback of an option that takes a point in time: Unix seconds. (TOML's own times are fine.)"""
    if value is None:
        return None
    try:
        return parse_hour(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
