"""`votenet events` and `wait`: what happens in a running network, for scripts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from votenet.cli import targets, ui
from votenet.cli.network.finality_view import named_up, of_programs
from votenet.cli.network.view import cut_off_lines, show
from votenet.cli.options import FiniteRange, instance_option, json_option, placed
from votenet.cli.targets import remedy
from votenet.config import instance_dirs
from votenet.core.election.quorum import NEVER_FINAL
from votenet.errors import Command, NextStep, NotRunning, Unreachable, VotenetError, WaitTimedOut
from votenet.processes.control import ask, converse

if TYPE_CHECKING:
    from votenet.core.election.definition import Election

FOREVER: Final = 365 * 86400.0
WAIT_POLL_SECONDS: Final = 0.1
FINAL_SECONDS: Final = 120
"""After closing the named nodes need a grace or two, 30 seconds each by default, and some blocks."""

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
    asked = {"command": "events"}
    for event in converse(instance_dirs(instance), asked, timeout=FOREVER, idle=ui.stop_if_unread):
        if event.get("event") != "state":
            continue
        if as_json:
            ui.echo_json({key: value for key, value in event.items() if key not in ("v", "event")})
            continue
        why = f"  ({event['cause']})" if event["cause"] else ""
        ui.echo(f"{ui.when(int(event['time']))} {event['name']:<10} {event['state']}{why}")


def condition(ctx: click.Context, param: click.Parameter, value: str) -> Condition:
    """Callback of an option that takes `ready`, `height=H`, `results` or `final`."""
    if value == "final":
        return lambda status: final_result_is_there(status["instance"])
    if value == "ready":
        return lambda status: all(program["state"] == "ready" for program in status["programs"])
    if value == "results":
        return lambda status: _every(status, lambda node: node["waiting"] == 0 and node["height"])
    word, _, number = value.partition("=")
    if word == "height" and number.isascii() and number.isdigit() and len(number) < 10:
        height = int(number)
        return lambda status: _every(status, lambda node: (node["height"] or 0) >= height)
    raise click.BadParameter(f"{value!r} is neither ready, results, final nor like height=3", ctx, param)


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


def final_result_is_there(instance: str) -> bool:
    """Whether a node has the final result, signed by named nodes.

    Raises:
        NotProven.
        VotenetError: cancelled; there will be none.
    """
    try:
        with targets.connect(instance) as election:
            found = election.results()
            if found.cancelled:
                raise _cancelled()
            return found.final
    except (NotRunning, Unreachable):  # nodes are starting, or paused: the caller says so
        return False


def check_will_be_final(election: Election) -> None:
    """Refuse to wait for what never comes. Raises VotenetError: never-final."""
    if not election.named:
        raise VotenetError(
            f"this election is {NEVER_FINAL}",
            code="never-final",
            next_step=NextStep(
                "Wait until every vote is in a block: {}", Command("wait", "--for", "results")
            ),
        )
    if election.cancelled:
        raise _cancelled()
    if election.closes is None:
        raise VotenetError(
            "this election has no closing time: single votes become final, the result never does",
            code="never-final",
            next_step=NextStep(
                "Wait until every vote is in a block: {}. To give it a closing time: {}",
                Command("wait", "--for", "results"),
                Command("election", "close", "+2h"),
            ),
        )


def _cancelled() -> VotenetError:
    return VotenetError(
        "this election is cancelled: it has no result",
        code="cancelled",
        next_step=NextStep("See why: {}", Command("results")),
    )


def hindrances(status: Mapping[str, Any]) -> Iterator[str]:
    """Programs that nothing but a person brings back, with the command that does, and who is cut off."""
    yield from cut_off_lines(status)
    for program in status["programs"]:
        name, state = program["name"], program["state"]
        asked = state == "failed" or (state == "stopped" and program["cause"] is not None)
        if asked or state in ("paused", "removed"):
            back = Command("resume" if state == "paused" else "start", name)
            step = NextStep("{} is {}. It comes back with: {}", name, state, back)
            yield placed(step, status["instance"])


@click.command(
    epilog="""\b
Examples:
  votenet wait --for ready
  votenet wait --for height=3 --timeout 60
  votenet wait --for results        every vote that nodes have taken is in a block
  votenet wait --for final --timeout 7200 && votenet results --final -o result.json

\b
Exit codes: 0 it is so, 1 it can never be so, 2 no such condition, 3 nothing runs, 5 not in time."""
)
@click.option(
    "--for", "wanted", required=True, callback=named_condition, metavar="CONDITION",
    help="ready, height=H, results or final.",
)  # fmt: skip
@click.option(
    "--timeout", type=FiniteRange(0, 86400), default=60.0, show_default=True, help="Seconds to wait."
)
@instance_option
@json_option
def wait(wanted: tuple[str, Condition], timeout: float, instance: str, as_json: bool) -> None:
    """Wait until the running network is as wanted.

    `ready` waits for every program of it, also for one that was stopped on purpose, and says so. `height` and
    `results` are asked of the nodes that are not stopped, removed or failed. `final` is the final result:
    voting is over, and a quorum of named nodes has signed the log with every vote that counts.
    """
    (what, holds), dirs = wanted, instance_dirs(instance)
    began, told = time.monotonic(), set[str]()
    if what == "final":
        check_will_be_final(_election_of(ask(dirs, {"command": "status"})))
    while True:
        status = ask(dirs, {"command": "status"})
        waited = time.monotonic() - began
        if holds(status) and (what in ("ready", "final") or _fresh(status, waited)):
            break
        for line in hindrances(status):
            if line not in told:
                ui.say(line)
                told.add(line)
        if waited > timeout:
            raise too_late(status, what, timeout)
        time.sleep(WAIT_POLL_SECONDS)
    if as_json:
        show(status, as_json)


def too_late(status: Mapping[str, Any], what: str, timeout: float) -> WaitTimedOut:
    """The obstacle, and the command that removes it."""
    if what == "final" and (closes := _closes_in(status)) > 0:
        longer = Command("wait", "--for", "final", "--timeout", f"{closes + FINAL_SECONDS:.0f}")
        return WaitTimedOut(
            f"voting goes on for {ui.duration(closes)}", next_step=NextStep("Wait longer: {}", longer)
        )
    states = [f"{p['name']} is {p['state']}" for p in status["programs"] if p["state"] != "ready"]
    heights = [f"{p['name']} has {p['height']}" for p in status["programs"] if p["height"] is not None]
    why = states or (heights if what.startswith("height") else [])
    up = named_up(of_programs(status["programs"]))
    if what in ("results", "final") and up is not None and up.too_few:
        why.append(str(up))
    first = next((p for p in status["programs"] if p["state"] != "ready"), None)
    words = {"results": "votes still wait for their block", "final": "the result is not final"}
    return WaitTimedOut(
        f"{words.get(what, f'not {what}')} after {timeout:g} s" + (f": {', '.join(why)}" if why else ""),
        next_step=remedy(first)
        if first and first["state"] in ("stopped", "paused")
        else NextStep("{}", Command("ps")),
    )


def _closes_in(status: Mapping[str, Any]) -> float:
    """Seconds until voting closes; negative when it has."""
    closes = _election_of(status).closes
    return 0.0 if closes is None else closes - time.time()


def _election_of(status: Mapping[str, Any]) -> Election:
    """As it is in force. Raises ConfigError."""
    from votenet.cli.election.in_force import amended_here
    from votenet.storage.genesis_file import read_genesis

    return amended_here(status["instance"], read_genesis(Path(status["genesis"])))
