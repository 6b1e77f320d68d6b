"""`votenet events` and `wait`: what happens in a running network, for scripts.

What lives here: options, lines, conditions. What must not: watching processes (the supervisor tells).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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
    from votenet.cli.render import when
    from votenet.processes.control import converse

    asked = {"command": "events"}
    for event in converse(instance_dirs(instance), asked, timeout=FOREVER, idle=output.stop_if_unread):
        if event.get("event") != "state":
            continue
        if as_json:
            echo_json({key: value for key, value in event.items() if key not in ("v", "event")})
            continue
        why = f"  ({event['cause']})" if event["cause"] else ""
        echo(f"{when(int(event['time']))} {event['name']:<10} {event['state']}{why}")


def condition(ctx: click.Context, param: click.Parameter, value: str) -> Condition:
    """Callback of an option that takes `ready`, `height=H` or `results`."""
    if value == "ready":
        return lambda status: all(program["state"] == "ready" for program in status["programs"])
    if value == "results":
        return lambda status: _every(status, lambda node: node["waiting"] == 0 and node["height"])
    word, _, number = value.partition("=")
    if word == "height" and number.isascii() and number.isdigit() and len(number) < 10:
        height = int(number)
        return lambda status: _every(status, lambda node: (node["height"] or 0) >= height)
    raise click.BadParameter(f"{value!r} is neither ready, results nor like height=3", ctx, param)


def named_condition(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, Condition]:
    """The same with its name."""
    return value, condition(ctx, param, value)


def _every(status: Mapping[str, Any], holds: Callable[[Mapping[str, Any]], object]) -> bool:
    """Whether it holds for all nodes that anything can be expected of, and there are such."""
    out = ("removed", "failed", "stopped")
    nodes = [p for p in status["programs"] if p["role"] == "node" and p["state"] not in out]
    return bool(nodes) and all(map(holds, nodes))


def _fresh(status: Mapping[str, Any], since: float) -> bool:
    """Whether what nodes have said is younger than `since` seconds: they report once a second."""
    ready = [p for p in status["programs"] if p["role"] == "node" and p["state"] == "ready"]
    return all(p["heard_ago"] is not None and p["heard_ago"] <= since for p in ready)


def hindrances(status: Mapping[str, Any]) -> Iterator[str]:
    """Programs that nothing but a person brings back, with the command that does, and who is cut off."""
    from votenet.cli.hints import for_instance
    from votenet.cli.network_view import cut_off_lines

    yield from cut_off_lines(status)
    for program in status["programs"]:
        name, state = program["name"], program["state"]
        asked = state == "failed" or (state == "stopped" and program["cause"] is not None)
        if asked or state in ("paused", "removed"):
            step = f"votenet {'resume' if state == 'paused' else 'start'} {name}"
            yield f"{name} is {state}. It comes back with: {for_instance(step, status['instance'])}"


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
    "--for", "wanted", required=True, callback=named_condition, metavar="CONDITION",
    help="ready, height=H or results.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, 86400), default=60.0, show_default=True, help="Seconds to wait."
)
@instance_option
@json_option
def wait(wanted: tuple[str, Condition], timeout: float, instance: str, as_json: bool) -> None:
    """Wait until the running network is as wanted.

    `ready` waits for every program of it, also for one that was stopped on purpose, and says so. `height` and
    `results` are asked of the nodes that are not stopped, removed or failed.
    """
    from votenet.cli.network_view import say, show
    from votenet.processes.control import ask

    (what, holds), dirs = wanted, instance_dirs(instance)
    began, told = time.monotonic(), set[str]()
    while True:
        status = ask(dirs, {"command": "status"})
        waited = time.monotonic() - began
        if holds(status) and (what == "ready" or _fresh(status, waited)):
            break
        for line in hindrances(status):
            if line not in told:
                say(line)
                told.add(line)
        if waited > timeout:
            raise _too_late(status, what, timeout)
        time.sleep(POLL_SECONDS)
    if as_json:
        show(status, as_json)


def _too_late(status: Mapping[str, Any], what: str, timeout: float) -> WaitTimedOut:
    """What is in the way, and what to type."""
    states = [f"{p['name']} is {p['state']}" for p in status["programs"] if p["state"] != "ready"]
    heights = [f"{p['name']} has {p['height']}" for p in status["programs"] if p["height"] is not None]
    why = states or (heights if what.startswith("height") else [])
    first = next((p for p in status["programs"] if p["state"] != "ready"), None)
    step = {"stopped": "votenet start", "paused": "votenet resume"}.get(first["state"]) if first else None
    return WaitTimedOut(
        f"not {what} after {timeout:g} s" + (f": {', '.join(why)}" if why else ""),
        next_step=f"{step} {first['name']}" if first and step else "votenet ps",
    )
