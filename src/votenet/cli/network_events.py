"""`votenet events` and `wait`: what happens in a running network, for scripts.

What lives here: options, lines, conditions. What must not: watching processes (the supervisor tells).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from votenet.cli import output
from votenet.cli.options import instance_option, json_option
from votenet.cli.output import echo, echo_json
from votenet.config import instance_dirs
from votenet.errors import WaitTimedOut

FOREVER: Final = 365 * 86400.0
POLL_SECONDS: Final = 0.1

Condition = Callable[[Mapping[str, Any]], bool]


@click.command(
    epilog="""\b
Examples:
  votenet events
  votenet events --json | jq 'select(.state == "removed")'

\b
Exit codes: 0 the network was stopped, 3 none runs, 130 Ctrl-C."""
)
@instance_option
@json_option
def events(instance: str, as_json: bool) -> None:
    """Print every change of a program's state, as it happens; first how things are."""
    from votenet.processes.control import converse

    asked = {"command": "events"}
    for event in converse(instance_dirs(instance), asked, timeout=FOREVER, idle=output.stop_if_unread):
        if event.get("event") != "state":
            continue
        if as_json:
            echo_json({key: value for key, value in event.items() if key not in ("v", "event")})
            continue
        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        why = f"  ({event['cause']})" if event["cause"] else ""
        echo(f"{clock} {event['name']:<10} {event['state']}{why}")


def condition(ctx: click.Context, param: click.Parameter, value: str) -> Condition:
    """Callback of an option that takes `ready`, `height=H` or `results`."""
    if value == "ready":
        return lambda status: all(program["state"] == "ready" for program in status["programs"])
    if value == "results":
        return lambda status: all(node["waiting"] == 0 and node["height"] for node in _nodes(status))
    word, _, number = value.partition("=")
    if word == "height" and number.isascii() and number.isdigit() and len(number) < 10:
        height = int(number)
        return lambda status: all((node["height"] or 0) >= height for node in _nodes(status))
    raise click.BadParameter(f"{value!r} is neither ready, results nor like height=3", ctx, param)


def _nodes(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Nodes that anything can be expected of."""
    out = ("removed", "failed", "stopped")
    return [p for p in status["programs"] if p["role"] == "node" and p["state"] not in out]


@click.command(
    epilog="""\b
Examples:
  votenet wait --for ready
  votenet wait --for height=3 --timeout 60
  votenet wait --for results        every vote that nodes have taken is in a block

\b
Exit codes: 0 it is so, 2 no such condition, 3 nothing runs, 5 not in time."""
)
@click.option(
    "--for", "wanted", required=True, callback=condition, metavar="CONDITION",
    help="ready, height=H or results.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, 86400), default=60.0, show_default=True, help="Seconds to wait."
)
@instance_option
@json_option
def wait(wanted: Condition, timeout: float, instance: str, as_json: bool) -> None:
    """Wait until the running network is as wanted."""
    from votenet.cli.network_view import show
    from votenet.processes.control import ask

    dirs, deadline = instance_dirs(instance), time.monotonic() + timeout
    while not wanted(status := ask(dirs, {"command": "status"})):
        if time.monotonic() > deadline:
            raise WaitTimedOut(f"not so after {timeout:g} s", next_step="Look with: votenet ps")
        time.sleep(POLL_SECONDS)
    if as_json:
        show(status, as_json)
