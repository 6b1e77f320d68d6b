"""Commands about nodes of a running network: start, stop, restart, kill, pause, resume, scale.

What lives here: options, what is said, exit codes. What must not: anything about processes; the
supervisor does the work (`votenet.processes.requests`).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from votenet.cli.network_view import say
from votenet.cli.options import instance_option, json_option
from votenet.cli.output import echo_json
from votenet.config import MAX_NODES, InstanceDirs, instance_dirs
from votenet.errors import SomeFailed, VotenetError, WaitTimedOut

F = TypeVar("F", bound=Callable[..., Any])
MARGIN: Final = 10.0
"""Seconds for an answer beyond what the supervisor itself may wait."""
PATTERNS: Final = "NODE is a name (see: votenet ps), or a pattern in quotes such as 'node-*'."
EXITS: Final = "Exit codes: 0 done, 3 nothing runs, 4 no such node"


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names for a shell's completion: the programs that this instance has or had."""
    from votenet.processes.identity import read_identities

    names = read_identities(instance_dirs(ctx.params.get("instance") or "default"))
    return [name for name in names if name.startswith(incomplete)]


def nodes_argument(*, required: bool = True) -> Callable[[F], F]:
    """`NODE...`"""
    metavar = "NODE..." if required else "[NODE]..."
    return click.argument(
        "names", nargs=-1, required=required, metavar=metavar, shell_complete=complete_nodes
    )


def timeout_option(seconds: float, what: str) -> Callable[[F], F]:
    """`--timeout SECONDS`"""
    return click.option(
        "--timeout", type=click.FloatRange(0, 86400), default=seconds, show_default=True, help=what
    )


# -- start, stop, restart ---------------------------------------------------------------------------


@click.command(
    epilog=f"""\b
Examples:
  votenet start node-3          also one that was removed or failed; its data is still there
  votenet start 'node-*'

{PATTERNS}

{EXITS}, 5 not ready in time, 6 it failed."""
)
@nodes_argument()
@timeout_option(60.0, "Seconds to wait for ready.")
@instance_option
@json_option
def start(names: tuple[str, ...], timeout: float, instance: str, as_json: bool) -> None:
    """Start nodes that are stopped, removed or failed, with the data they had.

    Their failures so far are forgiven. Nodes that run are left alone.
    """
    _programs(instance_dirs(instance), "start", names, as_json, wait=timeout)


@click.command(
    epilog=f"""\b
Examples:
  votenet stop node-3
  votenet stop node-1 node-2 --timeout 2     killed if they do not stop within two seconds

{PATTERNS} The others go on. The whole network stops with: votenet down

{EXITS}, 1 something is left, 5 not stopped in time."""
)
@nodes_argument()
@timeout_option(10.0, "Seconds a node has to stop before it is killed.")
@instance_option
@json_option
def stop(names: tuple[str, ...], timeout: float, instance: str, as_json: bool) -> None:
    """Stop nodes, with proof: no process, port or lock of theirs is left."""
    _programs(instance_dirs(instance), "stop", names, as_json, grace=timeout)


@click.command(
    epilog=f"""\b
Examples:
  votenet restart node-3
  votenet restart --rolling              all, one after the other, the bootstrap server last
  votenet restart --rolling 'node-*'

With --rolling the next is restarted only when the last is ready and has caught up, and it ends at the
first that does not come back. {PATTERNS}

{EXITS}, 5 not ready in time, 6 one failed, 75 other planned work is under way."""
)
@nodes_argument(required=False)
@click.option("--rolling", is_flag=True, help="One at a time; without NODE all programs.")
@timeout_option(60.0, "Seconds to wait for ready; with --rolling each has 60.")
@instance_option
@json_option
def restart(names: tuple[str, ...], rolling: bool, timeout: float, instance: str, as_json: bool) -> None:
    """Restart nodes; those that are stopped are started."""
    from votenet.cli.network_up import follow

    dirs = instance_dirs(instance)
    if not rolling:
        if not names:
            raise click.UsageError("Name the nodes to restart, or add --rolling for all of them.")
        _programs(dirs, "restart", names, as_json, wait=timeout)
        return
    answer = follow(dirs, {"command": "rolling", "names": list(names)})
    if as_json:
        echo_json({"restarted": answer["restarted"]})


# -- faults -----------------------------------------------------------------------------------------


def signal_number(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Callback of an option that takes `KILL`, `SIGKILL` or `9`."""
    text = value.strip().upper()
    try:
        if text.isascii() and text.isdigit():
            return signal.Signals(int(text)).value
        return signal.Signals["SIG" + text.removeprefix("SIG")].value
    except (ValueError, KeyError):
        raise click.BadParameter(
            f"{value!r} is no signal; such as KILL, TERM, INT, HUP", ctx, param
        ) from None


@click.command(
    epilog=f"""\b
Examples:
  votenet kill node-3                  as kill -9 would: it comes back
  votenet kill -s TERM node-3          a clean end that nobody asked for
  votenet kill bootstrap               the network goes on without it

{PATTERNS} To stop a node for good: votenet stop NODE

{EXITS} or it does not run, 1 a signal could not be sent."""
)
@nodes_argument()
@click.option(
    "-s", "--signal", "number", default="KILL", show_default=True, callback=signal_number, metavar="SIG",
    help="Which signal.",
)  # fmt: skip
@instance_option
@json_option
def kill(names: tuple[str, ...], number: int, instance: str, as_json: bool) -> None:
    """Send a signal to nodes, to see that the network stands it; say what came of it.

    Not a request to stop: what dies of it counts as failed and is started again.
    """
    _programs(instance_dirs(instance), "signal", names, as_json, signal=number)


@click.command(
    epilog=f"""\b
Examples:
  votenet pause node-3
  votenet resume node-3

{PATTERNS} A paused node keeps its port and its place in the registry, and answers nobody.

{EXITS} or it does not run, 5 not paused in time."""
)
@nodes_argument()
@instance_option
@json_option
def pause(names: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Stop nodes where they stand (SIGSTOP), as a machine does that hangs."""
    _programs(instance_dirs(instance), "pause", names, as_json)


@click.command(
    epilog=f"""\b
Examples:
  votenet resume node-3
  votenet resume 'node-*'

{PATTERNS}

{EXITS} or it does not run, 5 not going on in time."""
)
@nodes_argument()
@instance_option
@json_option
def resume(names: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Let paused nodes go on (SIGCONT)."""
    _programs(instance_dirs(instance), "resume", names, as_json)


# -- scale ------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet scale 7               two more nodes beside five
  votenet scale 3               node-4 and above stop and leave; their data stays
  votenet scale 7 --dry-run     what would be started or stopped

\b
Exit codes: 0 done, 1 something is left, 3 nothing runs, 5 not ready in time, 6 a node failed,
75 other planned work is under way, 78 no free ports."""
)
@click.argument("nodes", type=click.IntRange(1, MAX_NODES))
@click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing.")
@click.option(
    "--stop-timeout",
    type=click.FloatRange(0, 86400),
    default=10.0,
    show_default=True,
    help="Seconds a node has to stop before it is killed.",
)
@instance_option
@json_option
def scale(nodes: int, dry_run: bool, stop_timeout: float, instance: str, as_json: bool) -> None:
    """Change the number of nodes of the running network.

    Nodes with the highest numbers go first. They leave the registry and every peer's list; ports and
    locks are free when the command ends. A node that comes again has the data that it had.
    """
    from votenet.cli import network_plan, network_up
    from votenet.cli.network_view import show
    from votenet.processes.control import ask

    dirs = instance_dirs(instance)
    if dry_run:
        network_plan.scale(ask(dirs, {"command": "status"}), nodes, as_json)
        return
    network_up.follow(dirs, {"command": "change", "nodes": nodes, "grace": stop_timeout})
    show(ask(dirs, {"command": "status"}), as_json)


# -- the work ---------------------------------------------------------------------------------------

_WANTED: Final = {
    "start": ("ready",),
    "restart": ("ready",),
    "stop": ("stopped",),
    "pause": ("paused",),
    "resume": ("ready", "unready", "starting"),
}
_OUT: Final = ("failed", "removed", "backoff")
_NEXT: Final = {
    "paused": "votenet resume",
    "stopped": "votenet start",
    "starting": "votenet wait --for ready",
}
"""What to type about a program that is not as wanted, by its state."""


def _programs(dirs: InstanceDirs, command: str, names: Sequence[str], as_json: bool, **fields: Any) -> None:
    """One request about some programs; prints them as they are then.

    Raises:
        SomeFailed: some failed or were removed.
        WaitTimedOut: some are not yet as wanted.
        VotenetError: not-clean, when something of one that was stopped is left.
    """
    from votenet.cli.network_view import show
    from votenet.processes.control import ask

    patience = float(fields.get("wait", 0.0)) + 2 * float(fields.get("grace", 0.0)) + 2 * MARGIN
    answer = ask(dirs, {"command": command, "names": list(names), **fields}, timeout=patience)
    programs = answer["programs"]
    signals = {"signals": answer["signals"]} if "signals" in answer else {}
    calm = ("ready", "starting", "stopping", *_WANTED.get(command, ()))
    shown = {"instance": dirs.instance, "phase": "running", "programs": programs, **signals}
    show(shown, as_json, calm=calm)
    for line in _signalled(programs, answer.get("signals", ()), fields.get("signal", 0)):
        say(line)
    if error := _shortfall(command, answer):
        error.reported = as_json
        raise error


def _signalled(
    programs: Sequence[Mapping[str, Any]], signals: Sequence[Mapping[str, Any]], number: int
) -> Iterator[str]:
    """What became of each process that got a signal."""
    now = {program["name"]: program for program in programs}
    for one in signals:
        program = now[one["name"]]
        text = f"{one['name']}: {signal.Signals(number).name} sent to pid {one['pid']}"
        if not one["sent"]:
            continue
        if not one["ended"]:
            yield f"{text}, which {'is paused' if program['state'] == 'paused' else 'goes on'}."
            continue
        again = f", pid {program['pid']}" if program["pid"] else ""
        yield f"{text}, which ended: {one['cause'] or 'nobody knows why'}. It is {program['state']}{again}."


def _shortfall(command: str, answer: Mapping[str, Any]) -> VotenetError | None:
    """In which way the programs are not as wanted."""
    programs = answer["programs"]
    if unsent := [one for one in answer.get("signals", ()) if not one["sent"]]:
        words = ", ".join(f"{one['name']} (pid {one['pid']})" for one in unsent)
        return VotenetError(f"no signal could be sent to {words}", code="not-sent", next_step="votenet ps")
    others = [p for p in programs if p["state"] not in _WANTED.get(command, (p["state"],))]
    if others:
        first = others[0]
        text = ", ".join(f"{p['name']} is {p['state']}" for p in others)
        failed = any(p["state"] in _OUT for p in others)
        step = "votenet logs" if failed else _NEXT.get(first["state"], "votenet logs")
        step = step if "--" in step else f"{step} {first['name']}"
        return (SomeFailed if failed else WaitTimedOut)(text, next_step=step)
    if command == "stop" and (left := [f"{p['name']}: {p['problem']}" for p in programs if p["problem"]]):
        return VotenetError(
            f"stopped, but something is left: {'; '.join(left)}",
            code="not-clean",
            next_step="End what is named; until then the node cannot be started again.",
        )
    return None
