"""Options that several commands share."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from votenet.config import DEFAULT_INSTANCE, instance_names
from votenet.errors import Command, NextStep, Rejected
from votenet.protocol.wire.address import Address, parse_address


class FilePath(click.Path):
    """A file as an argument or option: `-` is standard input or output, `./-` a file of that name."""

    def __init__(self, *, exists: bool = False) -> None:
        super().__init__(exists=exists, dir_okay=False, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        return path.absolute() if path == Path("-") and os.fspath(value) != "-" else path


class FiniteRange(click.FloatRange):
    """A number in a range: `nan` is in none, though no comparison says so, nor is infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


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


def remember_instance(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Callback of `-i`: commands that are printed then name the same network, see `placed`."""
    ctx.meta[INSTANCE_META] = value
    return value


def instance_option(command: F) -> F:
    """`-i/--instance NAME`: which network on this machine."""
    return click.option(
        "-i",
        "--instance",
        default=DEFAULT_INSTANCE,
        show_default=True,
        envvar="VOTENET_INSTANCE",
        callback=remember_instance,
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


def _no_network_id(ctx: click.Context) -> str:
    """What is wrong; and, where a network elsewhere can be asked, with which option."""
    elsewhere = any("--node" in param.opts for param in ctx.command.params)
    return "a network id has 64 hexadecimal digits" + (
        "; a network elsewhere is asked with --node HOST:PORT" if elsewhere else ""
    )


def network_option(command: F) -> F:
    """`--network ID`: the network that a file must be of; in capitals it is the same id."""

    def lower(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None and re.fullmatch("[0-9a-fA-F]{64}", value.strip()) is None:
            raise click.BadParameter(_no_network_id(ctx), ctx, param)
        return None if value is None else value.strip().lower()

    return click.option(
        "--network",
        "network_hex",
        metavar="ID",
        callback=lower,
        help="Network id that it must be of, 64 hexadecimal digits.",
    )(command)


roll_option = click.option(
    "--roll",
    type=FilePath(),
    help="Roll file to check voters and weights by  [that of the network here, if it is of this election].",
)


given_roll_option = click.option(
    "--roll", "roll_file", type=FilePath(), help="The roll  [that of the network here]."
)


def timeout_option(seconds: float, help: str, least: float = 0.0) -> Callable[[F], F]:
    kind = FiniteRange(least, 86400)
    return click.option("--timeout", type=kind, default=seconds, show_default=True, help=help)


def address_or_any_port(ctx: click.Context, param: click.Parameter, value: str | None) -> Address | None:
    """Callback of an option HOST:PORT on which a program listens; port 0 is any free one."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    try:
        return Address(host, 0) if port == "0" and host else parse_address(value)
    except Rejected as error:
        raise click.BadParameter(error.message, ctx, param) from None


def addresses(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> tuple[Address, ...]:
    """Callback of an option HOST:PORT that may be repeated."""
    try:
        return tuple(parse_address(text) for text in value)
    except Rejected as error:
        raise click.BadParameter(error.message, ctx, param) from None


metrics_option = click.option(
    "--metrics",
    metavar="HOST:PORT",
    callback=address_or_any_port,
    help="Answer GET /metrics for Prometheus there, on loopback; port 0 takes any free one.",
)
log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is worth a line on stderr.",
)


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
    """Callback of `--node`: next steps name the same node (the first of several)."""
    found = value[0] if isinstance(value, tuple) and value else value
    if isinstance(found, str):
        ctx.meta[NODE_META] = found
    return value


def placed(step: str, instance: str, node: str | None = None) -> str:
    """A next step as it is printed: its commands name the instance, and the node, unless they are the usual.

    A command gets those of the two options that it has.
    """
    if not isinstance(step, NextStep) or (instance == DEFAULT_INSTANCE and node is None):
        return str(step)
    return step.with_commands(lambda command: _placed(command, instance, node))


def _placed(command: Command, instance: str, node: str | None) -> Command:
    depth, callbacks = _lookup(command)
    options: list[str] = []
    if remember_instance in callbacks and instance != DEFAULT_INSTANCE:
        options += ["-i", instance]
    if remember_node in callbacks and node is not None:
        options += ["--node", node]
    return Command(*command[:depth], *options, *command[depth:])


def _lookup(words: Command) -> tuple[int, list[Any]]:
    """Of a command: how many words its name has, and the callbacks of its options."""
    from votenet.cli.main import main

    found: click.Command = main
    depth = 0
    ctx = click.Context(main)
    while isinstance(found, click.Group) and (inner := found.get_command(ctx, (*words, "")[depth])):
        found, depth = inner, depth + 1
    return depth, [param.callback for param in found.params]


_SPAN: Final = re.compile(r"\+(?=\d)(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?")


def parse_span(text: str) -> int | None:
    """Seconds of `+2h`, `+1d12h` or `+30m`; None for any other text."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_hour(text: str, now: float) -> int:
    """`+2h`, `+1d12h`, `+30m` from now, or an ISO 8601 time with its zone, to Unix seconds.

    Raises:
        ValueError: it is neither; the text says what is missing.
    """
    later = parse_span(text)
    if later is not None:
        return int(now) + later
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
    """Callback of an option that takes a point in time: Unix seconds. (TOML's own times are fine.)

    All times of one command count from the same moment: `--opens +1h --closes +3h` is exactly two hours.
    """
    if value is None:
        return None
    try:
        return parse_hour(value, ctx.meta.setdefault(f"{__name__}.now", time.time()))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
