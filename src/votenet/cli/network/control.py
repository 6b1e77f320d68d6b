"""Commands about nodes of a running network: start, stop, restart, kill, pause, resume, scale; and links.

The supervisor does the work (`votenet.processes`).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from votenet.cli import ui
from votenet.cli.network.named_programs import check_quorum
from votenet.cli.network.prepare import beyond, show_change
from votenet.cli.network.up import follow
from votenet.cli.network.view import show
from votenet.cli.options import FiniteRange, instance_option, json_option, timeout_option
from votenet.cli.targets import remedy
from votenet.config import MAX_NODES, InstanceDirs, instance_dirs
from votenet.errors import Command, NextStep, SomeFailed, VotenetError, WaitTimedOut
from votenet.processes.control import ask
from votenet.processes.identity import read_identities

F = TypeVar("F", bound=Callable[..., Any])
force_option: Final = click.option(
    "--force", is_flag=True, help="Also where fewer named nodes are left than must agree."
)
MARGIN: Final = 10.0
"""Seconds for an answer beyond what the supervisor itself may wait."""
PATTERNS: Final = "NODE is a name (see: votenet ps), or a pattern in quotes such as 'node-*'."
EXITS: Final = "Exit codes: 0 done, 3 nothing runs, 4 no such node"


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names for a shell's completion: the programs that this instance has or had."""
    names = read_identities(instance_dirs(ctx.params.get("instance") or "default"))
    return [name for name in names if name.startswith(incomplete)]


def nodes_argument(*, required: bool = True) -> Callable[[F], F]:
    metavar = "NODE..." if required else "[NODE]..."
    return click.argument(
        "names", nargs=-1, required=required, metavar=metavar, shell_complete=complete_nodes
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
  votenet stop node-3 --timeout 2            killed if it does not stop within two seconds
  votenet stop node-1 node-2 --force         also where too few are left to agree on what is final

{PATTERNS} The others go on. The whole network stops with: votenet down

{EXITS}, 1 something is left, 5 not stopped in time."""
)
@nodes_argument()
@timeout_option(10.0, "Seconds a node has to stop before it is killed.")
@force_option
@instance_option
@json_option
def stop(names: tuple[str, ...], timeout: float, force: bool, instance: str, as_json: bool) -> None:
    """Stop nodes, with proof: no process, port or lock of theirs is left.

    Refused where fewer named nodes would go on than must agree.
    """
    dirs = instance_dirs(instance)
    if not force:
        check_quorum(dirs, ask(dirs, {"command": "status"}), names, Command("stop", *names, "--force"))
    _programs(dirs, "stop", names, as_json, grace=timeout)


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
    dirs = instance_dirs(instance)
    if not rolling:
        if not names:
            raise click.UsageError("Name the nodes to restart, or add --rolling for all of them.")
        _programs(dirs, "restart", names, as_json, wait=timeout)
        return
    answer = follow(dirs, {"command": "rolling", "names": list(names)})
    if as_json:
        ui.echo_json({"restarted": answer["restarted"]})


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
  votenet kill -s TERM node-3          a clean end that was not asked for
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

{PATTERNS} A paused node keeps its port and its place in the registry, and does not answer.

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
  votenet scale 7               two more nodes beside five; they are relays
  votenet scale 5               node-6 and above stop and leave; their data stays
  votenet scale 3 --force       also where too few named nodes are left to agree
  votenet scale 7 --dry-run     what would be started or stopped

\b
Exit codes: 0 done, 1 something is left, 3 nothing runs, 5 not ready in time, 6 a node failed,
75 other planned work is under way, 78 no free ports."""
)
@click.argument("nodes", type=click.IntRange(1, MAX_NODES))
@click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing.")
@click.option(
    "--stop-timeout",
    type=FiniteRange(0, 86400),
    default=10.0,
    show_default=True,
    help="Seconds a node has to stop before it is killed.",
)
@force_option
@instance_option
@json_option
def scale(nodes: int, dry_run: bool, stop_timeout: float, force: bool, instance: str, as_json: bool) -> None:
    """Change the number of nodes of the running network.

    Nodes with the highest numbers go first. They leave the registry and every peer's list; ports and
    locks are free when the command ends. A node that comes again has the data that it had.

    New nodes are relays: the named nodes of an election never change. Refused where fewer of them would
    go on than must agree.
    """
    dirs = instance_dirs(instance)
    status = ask(dirs, {"command": "status"})
    if not force:
        check_quorum(dirs, status, beyond(status, nodes), Command("scale", str(nodes), "--force"))
    if dry_run:
        show_change(status, nodes, as_json)
        return
    follow(dirs, {"command": "change", "nodes": nodes, "grace": stop_timeout})
    show(ask(dirs, {"command": "status"}), as_json)


# -- links ------------------------------------------------------------------------------------------

_DELAY: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)|0")
_MAX_DELAY: Final = 60.0
"""As `network.link_faults` has it; not imported for a check of one option."""


def parse_groups(words: tuple[str, ...]) -> list[list[str]]:
    """`node-1,node-2 / node-3`, however spaced, to lists of names.

    Raises:
        ValueError: fewer than two groups, or an empty one.
    """
    groups = [re.findall(r"[^\s,]+", part) for part in " ".join(words).split("/")]
    if len(groups) < 2 or not all(groups):
        raise ValueError("name at least two groups with / between them: node-1,node-2 / node-3,node-4")
    return groups


def parse_delay(text: str) -> float:
    """`200ms`, `1.5s`, `0` to seconds. Raises ValueError."""
    found = _DELAY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no delay; such as 200ms or 1.5s, 0ms to end it")
    delay = float(found[1] or 0) / (1000 if found[2] == "ms" else 1)
    if delay > _MAX_DELAY:
        raise ValueError(
            f"{text!r} is longer than {_MAX_DELAY:g} s: nodes give such a peer up; use partition"
        )
    return delay


@click.command(
    epilog=f"""\b
Examples:
  votenet partition node-1,node-2 / node-3,node-4,node-5
  votenet partition node-5 / 'node-[1-4]'
  votenet heal

Nodes that no group names reach everybody; so do voters, and the bootstrap server. It holds for nodes
that are started again, until the network is started anew, or until: votenet heal.
{PATTERNS}

{EXITS}, 2 groups that make no sense, 5 not in force in time."""
)
@click.argument("groups", nargs=-1, required=True, shell_complete=complete_nodes, metavar="A,B / C,D")
@instance_option
@json_option
def partition(groups: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Cut the links between groups of nodes, as if a cable was pulled.

    Nothing gets through, and no node is told. What was under way arrives when the links are healed in time.
    """
    try:
        found = parse_groups(groups)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _change_links(instance_dirs(instance), {"command": "partition", "groups": found}, as_json)


@click.command(
    epilog=f"""\b
Examples:
  votenet heal

{EXITS}, 5 not in force in time."""
)
@instance_option
@json_option
def heal(instance: str, as_json: bool) -> None:
    """End a partition: every node reaches every other one again."""
    _change_links(instance_dirs(instance), {"command": "heal"}, as_json)


@click.command(
    epilog=f"""\b
Examples:
  votenet slow node-3 200ms
  votenet slow 'node-*' 1.5s
  votenet slow node-3 0ms        as fast as before

{PATTERNS}

{EXITS}, 2 no such delay, 5 not in force in time."""
)
@nodes_argument()
@click.argument("delay", metavar="DELAY")
@instance_option
@json_option
def slow(names: tuple[str, ...], delay: str, instance: str, as_json: bool) -> None:
    """Delay each line between nodes and their peers, in both directions."""
    try:
        seconds = parse_delay(delay)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="DELAY") from None
    _change_links(
        instance_dirs(instance), {"command": "slow", "names": list(names), "delay": seconds}, as_json
    )


def _change_links(dirs: InstanceDirs, request: dict[str, Any], as_json: bool) -> None:
    """Raises WaitTimedOut: some nodes do not follow yet; VotenetError, exit 2: names that make no sense."""
    try:
        answer = ask(dirs, request, timeout=2 * MARGIN)
    except VotenetError as error:
        if error.code == "bad-message":
            error.exit_code = 2
        raise
    show({"instance": dirs.instance, "phase": "running", "programs": answer["programs"]}, as_json)
    if answer["late"]:
        raise WaitTimedOut(
            f"not yet in force at {', '.join(answer['late'])}",
            next_step=NextStep("Look with: {}, {}", Command("ps"), Command("logs", answer["late"][0])),
            reported=as_json,
        )


# -- the work ---------------------------------------------------------------------------------------

_WANTED: Final = {
    "start": ("ready",),
    "restart": ("ready",),
    "stop": ("stopped",),
    "pause": ("paused",),
    "resume": ("ready", "unready", "starting"),
}
_OUT: Final = ("failed", "removed", "backoff")


def _programs(dirs: InstanceDirs, command: str, names: Sequence[str], as_json: bool, **fields: Any) -> None:
    patience = float(fields.get("wait", 0.0)) + 2 * float(fields.get("grace", 0.0)) + 2 * MARGIN
    answer = ask(dirs, {"command": command, "names": list(names), **fields}, timeout=patience)
    programs = answer["programs"]
    signals = {"signals": answer["signals"]} if "signals" in answer else {}
    calm = ("ready", "starting", "stopping", *_WANTED.get(command, ()))
    shown = {"instance": dirs.instance, "phase": "running", "programs": programs, **signals}
    show(shown, as_json, calm=calm)
    for line in _signalled(programs, answer.get("signals", ()), fields.get("signal", 0)):
        ui.say(line)
    if error := _shortfall(command, answer):
        error.reported = as_json
        raise error


def _signalled(
    programs: Sequence[Mapping[str, Any]], signals: Sequence[Mapping[str, Any]], number: int
) -> Iterator[str]:
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
        yield f"{text}, which ended: {one['cause'] or 'cause unknown'}. It is {program['state']}{again}."


def _shortfall(command: str, answer: Mapping[str, Any]) -> VotenetError | None:
    programs = answer["programs"]
    if unsent := [one for one in answer.get("signals", ()) if not one["sent"]]:
        words = ", ".join(f"{one['name']} (pid {one['pid']})" for one in unsent)
        return VotenetError(
            f"no signal could be sent to {words}", code="not-sent", next_step=NextStep("{}", Command("ps"))
        )
    others = [p for p in programs if p["state"] not in _WANTED.get(command, (p["state"],))]
    if others:
        first = others[0]
        text = ", ".join(f"{p['name']} is {p['state']}" for p in others)
        failed = any(p["state"] in _OUT for p in others)
        if failed:
            return SomeFailed(text, next_step=NextStep("{}", Command("logs", first["name"])))
        starting = NextStep("{}", Command("wait", "--for", "ready"))
        return WaitTimedOut(text, next_step=starting if first["state"] == "starting" else remedy(first))
    if command == "stop" and (left := [f"{p['name']}: {p['problem']}" for p in programs if p["problem"]]):
        return VotenetError(
            f"stopped, but something is left: {'; '.join(left)}",
            code="not-clean",
            next_step="End what is named; until then the node cannot be started again.",
        )
    return None
