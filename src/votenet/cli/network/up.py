"""`votenet up`: start a network, in the foreground or detached, or change the one that runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import click
from click.core import ParameterSource

from votenet import __version__
from votenet.cli import ui
from votenet.cli.election.member_setup import cards_here
from votenet.cli.network.page import page_lines, page_options, page_url
from votenet.cli.network.prepare import as_last_time, change, lies_idle, prepare, show_dry_run
from votenet.cli.network.view import how_to_vote, show, troubles
from votenet.cli.options import (
    FilePath,
    FiniteRange,
    FlagOnly,
    hour,
    instance_option,
    json_option,
    placed,
    timeout_option,
)
from votenet.config import MAX_NODES, InstanceDirs, instance_dirs
from votenet.core.limits import MAX_CHOICES, MAX_GRACE_SECONDS
from votenet.core.methods.registry import METHODS
from votenet.errors import (
    Command,
    Locked,
    NextStep,
    NotRunning,
    SomeFailed,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)
from votenet.processes import instance
from votenet.processes.control import ask, converse
from votenet.processes.detach import UNSEEN, start_supervisor, watch_start
from votenet.processes.signals import reset_inherited
from votenet.storage.files import FileLock

PLAN_SECONDS: Final = 6 * 3600.0
"""For a whole plan; the supervisor bounds each of its steps."""
_PORT: Final = click.IntRange(1, 65535)


@click.command(
    epilog="""\b
Examples:
  votenet up                              five nodes in the foreground; Ctrl-C stops them
  votenet up --nodes 5 --detach           in the background; returns when all are ready
  votenet up -d --title "Board 2026" --candidate Ann --candidate Bo
  votenet up -d --method instant-runoff --closes +2h --candidate Ann --candidate Bo --candidate Cy
  votenet up -d -f election.toml          the election that this file describes
  votenet up -d -i second                 a second network beside the first, on its own ports
  votenet up -d --web-host 0.0.0.0        phones on the same network find the page
  votenet up -d --nodes 7 --dry-run       what would be started, where, with which commands

\b
Exit codes: 0 ready (or already running), 5 timed out, 6 some programs failed,
75 another `up` is at work, 78 bad configuration, 130 stopped by Ctrl-C.
Data, logs and locks live in the state folder of this user, or below VOTENET_HOME."""
)
@click.option(
    "--nodes", type=click.IntRange(1, MAX_NODES), default=5, help="How many nodes  [as last time; else 5]."
)
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when all are ready.")
@timeout_option(60.0, "Seconds to wait for ready.", least=0.1)
@click.option("--bootstrap-port", type=_PORT, help="Port of the bootstrap server [4000].")
@click.option("--node-port", type=_PORT, help="Port of node-1; the others follow [3000].")
@page_options
@click.option(
    "-f",
    "--file",
    type=FilePath(exists=True),
    help="Hold the election that this file describes; see: votenet help election",
)
@click.option("--title", help="Title of the election.")
@click.option(
    "--candidate", "candidates", multiple=True, metavar="NAME", help="A candidate, may be repeated."
)
@click.option(
    "--candidates-from",
    type=FilePath(),
    help="Take the candidates from a CSV file of ballots, or from minneapolis-2013.",
)
@click.option(
    "--choice-column",
    metavar="COL",
    help="Column of that file with the choices.  [default: the only one, or those named rank or choice]",
)
@click.option(
    "--difficulty", type=click.IntRange(1, 64), metavar="BITS", help="Leading zero bits of a block hash."
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    help="How ballots are counted  [plurality]; see docs/elections.md.",
)
@click.option(
    "--roll",
    type=FilePath(exists=True),
    help="Only those on this roll may vote; see: votenet help voters import",
)
@click.option(
    "--max-choices",
    type=click.IntRange(1, MAX_CHOICES),
    metavar="N",
    help="Choices on one ballot [plurality: 1; else the number of candidates].",
)
@click.option(
    "--opens", callback=hour, metavar="TIME", help="Refuse votes before: +30m, 2027-05-31T08:00+02:00."
)
@click.option(
    "--closes", callback=hour, metavar="TIME", help="Refuse votes from then on: +2h, or as --opens."
)
@click.option(
    "--grace",
    type=click.IntRange(0, MAX_GRACE_SECONDS),
    metavar="SECONDS",
    help="For so long after closing named nodes still count votes that came in time  [30].",
)
@click.option(
    "--witness",
    "witnesses",
    nargs=3,
    multiple=True,
    metavar="NAME VKEY URL",
    help="An outsider who cosigns the log; may be repeated. See: votenet help witness",
)
@click.option(
    "--genesis",
    type=FilePath(exists=True),
    help="Join the election that this file defines instead of making one.",
)
@click.option(
    "--named-nodes/--no-named-nodes",
    default=None,
    help="Whether the election names these nodes, and they decide what is final  [they do]. Without named"
    " nodes the chain with most work counts, and is never final: anybody may rewrite it. For courses.",
)
@click.option(
    "--kernel",
    metavar="NAME",
    envvar="VOTENET_KERNEL",
    help="Nonce search kernel of the nodes, e.g. generic; see: votenet doctor",
)
@click.option(
    "--give-up/--no-give-up",
    default=False,
    help="Whether a program that failed too often stays out  [it is tried again now and then].",
)
@click.option("--restart-limit", type=int, metavar="N", help="Failures that remove a program [5].")
@click.option("--restart-window", type=float, metavar="S", help="Seconds within which they count [120].")
@click.option("--restart-max-delay", type=float, metavar="S", help="Longest pause before a restart [30].")
@click.option(
    "--hang-timeout",
    type=FiniteRange(1, 86400),
    default=20.0,
    show_default=True,
    help="Seconds without a heartbeat after which a program is taken to hang, and restarted.",
)
@click.option(
    "--force", cls=FlagOnly, is_flag=True, help="Also with fewer nodes than must agree on what is final."
)
@click.option("--dry-run", is_flag=True, help="Show ports, folders and commands; start nothing.")
@click.option("--program", cls=FlagOnly, hidden=True, help="Command to run instead of votenet itself.")
@instance_option
@json_option
@click.pass_context
def up(
    ctx: click.Context,
    /,
    instance: str,
    detach: bool,
    timeout: float,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Start a network: a bootstrap server, its nodes, and a page on which people vote.

    Makes an election on first use (candidates Alice, Bob and Charlie unless told otherwise) and
    reuses it, with its votes, afterwards. Crashed programs are started again. If a port of the
    usual block (4000, 3000, 3001, …) is taken, the whole block moves and this is said.

    If the network runs already, it is made as the options and the configuration say: another number
    of nodes, other settings, one program restarted after the other; what was stopped, removed or has
    failed is started. With --detach, programs that a supervisor left when it died go on; in the
    foreground they are stopped and started anew.
    """
    dirs = instance_dirs(instance)
    given = {name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if dry_run:
        show_dry_run(dirs, detach=detach, as_json=as_json, options=options, given=given)
    else:
        bring_up(dirs, detach=detach, timeout=timeout, as_json=as_json, options=options, given=given)


def bring_up(
    dirs: InstanceDirs,
    *,
    detach: bool,
    timeout: float,
    as_json: bool,
    options: Mapping[str, Any],
    given: Collection[str],
) -> None:
    """The work of `up`; `given` are the options that the user wrote."""
    reset_inherited()
    status = status_or_lock(dirs, timeout)
    if isinstance(status, FileLock):
        merged, kept = as_last_time(dirs, options, given)
        if kept:
            ui.say(f"as last time: {', '.join(kept)}")
        return _start(dirs, status, detach, timeout, as_json, merged)
    if status["phase"] == "stopping":
        raise Locked(
            f"{dirs.instance!r} is just stopping",
            next_step=NextStep("Start again once it has ended; wait for that with: {}", Command("down")),
        )
    ui.say(f"{dirs.instance!r} is already running with {len(status['nodes'])} nodes.")
    if status["version"] != __version__:
        ui.say(f"Its supervisor is votenet {status['version']}, this is {__version__}.")
    if request := change(dirs, status, options, given):
        own = _settings_changed(status["settings"], request.get("settings", {}))
        follow(dirs, {"command": "change", **request}, tuple(own))
        status = ask(dirs, {"command": "status"})
    if idle := lies_idle(status["programs"]):
        ui.say(f"starting again what was out: {', '.join(idle)}")
        ask(dirs, {"command": "start", "names": idle, "wait": 0})
    if detach or request:
        status = _wait_ready(dirs, timeout, lambda: None if _status_or_none(dirs) else UNSEEN)
    show(status, as_json)
    if "web" in request.get("settings", {}):
        for line in page_lines(status):
            ui.say(line)
    if detach:
        _all_ready(status)


def _settings_changed(before: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Settings of the supervisor itself, which need no program to be started again."""
    if (patience := asked.get("hang_seconds")) not in (None, before["hang_seconds"]):
        yield f"hang timeout from {before['hang_seconds']:g} to {patience:g} s"
    policy = asked.get("policy", before["policy"])
    for name in ("limit", "window", "max_delay"):
        value = policy.get(name)
        if value != before["policy"][name]:
            yield f"restart {name} from {before['policy'][name]} to {value}"
    if (pause := policy["retry_removed"]) != before["policy"]["retry_removed"]:
        yield "removed programs " + ("stay out" if pause is None else f"are tried again every {pause:g} s")


def follow(dirs: InstanceDirs, request: Mapping[str, Any], also: Sequence[str] = ()) -> dict[str, Any]:
    """The answer to a planned change of the running network; says what happens, and `also`.

    Raises:
        VotenetError: the cause that stopped it; not-clean when something was left behind.
    """
    try:
        for answer in converse(dirs, request, timeout=PLAN_SECONDS):
            if answer.get("event") == "state":
                ui.say(f"{answer['name']}: {answer['state']}")
    except KeyboardInterrupt:
        look = NextStep("It goes on in the background. Look with: {}", Command("ps"))
        ui.say(placed(look, dirs.instance))
        raise
    if answer["problems"]:
        raise VotenetError(
            "; ".join(answer["problems"]),
            code="not-clean",
            next_step=NextStep("End what is named. See: {}", Command("ps")),
        )
    if "changed" in answer:
        changed = [*answer["changed"], *also]
        ui.say(f"changed: {', '.join(changed)}" if changed else "nothing to change")
    return answer


def _start(
    dirs: InstanceDirs,
    lock: FileLock,
    detach: bool,
    timeout: float,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
    try:
        network, held = prepare(dirs, lock, options, adopt=detach)
    except BaseException:
        lock.release()
        raise
    if not detach:
        from votenet.cli.network.run import foreground

        return foreground(dirs, network, held, timeout=timeout, as_json=as_json)
    try:
        process = start_supervisor(dirs, held)
    finally:
        held.hand_over()
    status = _wait_ready(dirs, timeout, process.poll)
    show(status, as_json)
    _all_ready(status)
    for line in (*how_to_vote(status), *cards_here(dirs, page_url(status))):
        ui.say(line)


def status_or_lock(dirs: InstanceDirs, timeout: float) -> dict[str, Any] | FileLock:
    """The status of the network that runs, or the lock that lets us start it.

    The holder of the lock may not answer: another `up` at work, a supervisor about to die.

    Raises:
        Locked: that does not change in time.
    """
    deadline = time.monotonic() + min(timeout, 30.0)
    while True:
        if (status := _status_or_none(dirs)) is not None:
            return status
        try:
            return instance.claim(dirs)
        except Locked:
            if time.monotonic() > deadline:
                raise Locked(
                    f"another `votenet up` of {dirs.instance!r} is at work and does not answer",
                    next_step=f"Wait for it to end, or look what holds the lock: {dirs.supervisor_lock}",
                ) from None
        time.sleep(0.1)


def _status_or_none(dirs: InstanceDirs) -> dict[str, Any] | None:
    try:
        return ask(dirs, {"command": "status"})
    except NotRunning:
        return None
    except Unreachable as error:
        if error.code == "supervisor-busy":
            return None
        raise


def _wait_ready(dirs: InstanceDirs, timeout: float, alive: Callable[[], int | None]) -> dict[str, Any]:
    """Show each change until all is settled. Raises what `watch_start` raises, after saying why."""
    shown: dict[str, str] = {}
    status: dict[str, Any] = {}
    try:
        for status in watch_start(dirs, timeout, alive):
            for program in status["programs"]:
                if shown.get(program["name"], "stopped") != program["state"]:
                    shown[program["name"]] = program["state"]
                    ui.say(f"{program['name']}: {program['state']}")
    except WaitTimedOut:
        for line in troubles(status) if status else ():
            ui.say(line)
        raise
    except KeyboardInterrupt:
        step = NextStep("The network goes on in the background. Stop it with: {}", Command("down"))
        ui.say(placed(step, dirs.instance))
        raise
    return status


def _all_ready(status: Mapping[str, Any]) -> None:
    """Raises SomeFailed. Without its page a network takes votes all the same, which `page_lines` says."""
    if any(program["state"] != "ready" for program in status["programs"] if program["role"] != "web"):
        raise SomeFailed(
            "not every program came up",
            next_step=NextStep("Look with: {}, {}", Command("ps"), Command("logs")),
            reported=True,
        )
