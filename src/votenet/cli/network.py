"""`up`, `down`, `ps`, `logs` and the hidden `supervise`: one network on this machine.

What lives here: options and the order of steps. What must not: tables (`network_view.py`), anything
about processes (`votenet.processes`); heavy modules are imported where a command needs them.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from votenet.cli.options import instance_option, json_option
from votenet.config import MAX_NODES, InstanceDirs, instance_dirs
from votenet.errors import (
    ConfigError,
    Locked,
    NotRunning,
    SomeFailed,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)

if TYPE_CHECKING:
    from votenet.processes.instance import Claim
    from votenet.processes.spec import NetworkSpec


def _say(text: str) -> None:
    click.echo(text, err=True)


def _stamped(text: str) -> None:
    _say(f"{time.strftime('%H:%M:%S')} {text}")


# -- up -------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet up                              five nodes in the foreground; Ctrl-C stops them
  votenet up --nodes 5 --detach           in the background; returns when all are ready
  votenet up -d --title "Board 2026" --candidate Ann --candidate Bo
  votenet up -d -i second                 a second network beside the first, on its own ports

\b
Exit codes: 0 ready (or already running), 5 timed out, 6 some programs failed,
75 another `up` is at work, 78 bad configuration, 130 stopped by Ctrl-C.
Data, logs and locks live in the state folder of this user, or below VOTENET_HOME."""
)
@click.option(
    "--nodes", type=click.IntRange(1, MAX_NODES), default=5, show_default=True, help="How many nodes."
)
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when all are ready.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds to wait for ready.",
)
@click.option("--bootstrap-port", type=click.IntRange(1, 65535), help="Port of the bootstrap server [4000].")
@click.option("--node-port", type=click.IntRange(1, 65535), help="Port of node-1; the others follow [3000].")
@click.option("--title", help="Title of the election.")
@click.option(
    "--candidate", "candidates", multiple=True, metavar="NAME", help="A candidate; give it several times."
)
@click.option(
    "--candidates-from",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take the candidates from a CSV file of ballots (with --choice-column).",
)
@click.option("--choice-column", metavar="COL", help="Column of that file which holds the choice.")
@click.option(
    "--difficulty", type=click.IntRange(0, 64), metavar="BITS", help="Leading zero bits of a block hash."
)
@click.option("--max-choices", type=click.IntRange(1), metavar="N", help="Choices on one ballot.")
@click.option(
    "--genesis",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Join the election that this file defines instead of making one.",
)
@click.option("--kernel", metavar="NAME", help="Mining kernel of the nodes, e.g. generic.")
@click.option(
    "--give-up", is_flag=True, help="Do not retry a program that was removed for failing too often."
)
@click.option(
    "--program", envvar="VOTENET_PROGRAM", hidden=True, help="Command to run instead of votenet itself."
)
@instance_option
@json_option
def up(instance: str, detach: bool, timeout: float, as_json: bool, **options: Any) -> None:
    """Start a network: a bootstrap server and its nodes.

    Makes an election on first use (candidates Alice, Bob and Charlie unless told otherwise) and
    reuses it, with its votes, afterwards. Crashed programs are started again. If a port of the
    usual block (4000, 3000, 3001, …) is taken, the whole block moves and this is said.
    """
    dirs = instance_dirs(instance)
    status = _status_or_none(dirs)
    if status is None:
        try:
            return _up(dirs, detach, timeout, as_json, options)
        except Locked:
            status = _other_up(dirs, timeout)
    _say(f"{instance!r} is already running; nothing to start.")
    if status["phase"] == "stopping":
        raise Locked(
            f"{instance!r} is just stopping", next_step="Wait for it with: votenet down; then start again."
        )
    if detach:
        status = _wait_ready(dirs, timeout, lambda: None if _status_or_none(dirs) else 1)
    _show(status, as_json)


def _up(dirs: InstanceDirs, detach: bool, timeout: float, as_json: bool, options: Mapping[str, Any]) -> None:
    from votenet.processes.detach import start_supervisor
    from votenet.processes.instance import claim

    lock = claim(dirs)
    try:
        network, held = _prepare(dirs, lock, options)
    except BaseException:
        lock.release()
        raise
    if not detach:
        return _foreground(dirs, network, held, timeout, as_json)
    try:
        process = start_supervisor(dirs, held)
    finally:
        held.release()
    status = _wait_ready(dirs, timeout, process.poll)
    _show(status, as_json)
    if _troubled(status):
        raise SomeFailed("not every program came up", next_step="Look with: votenet ps, votenet logs")
    _advise(status)


def _prepare(dirs: InstanceDirs, lock: Any, options: Mapping[str, Any]) -> tuple[NetworkSpec, Claim]:
    """Everything that can be refused is refused here, before anything runs."""
    from votenet.processes import instance, ports
    from votenet.processes.reconcile import end_leftovers
    from votenet.processes.spec import NetworkSpec, votenet_program

    _, problems = end_leftovers(dirs, 10.0, _say)
    if problems:
        raise VotenetError(
            "; ".join(problems), code="leftovers", next_step="End these processes, then try again."
        )
    genesis = prepare_genesis(dirs, options)
    lease = ports.choose(
        options["nodes"],
        bootstrap_port=options["bootstrap_port"],
        node_port=options["node_port"],
        preferred=_last_block(dirs, options["nodes"]),
    )
    if lease.moved:
        _say(f"{lease.moved}: using {lease.block.bootstrap} and {lease.block.nodes[0]}, … instead")
    network = NetworkSpec(
        instance=dirs.instance,
        genesis=str(genesis),
        bootstrap_port=lease.block.bootstrap,
        node_ports=lease.block.nodes,
        node_args=("--kernel", options["kernel"]) if options["kernel"] else (),
        program=tuple(shlex.split(options["program"])) if options["program"] else votenet_program(),
        give_up=options["give_up"],
    )
    try:
        instance.save_network(dirs, network)
    except BaseException:
        lease.release()
        raise
    return network, instance.Claim(lock, lease.locks)


def prepare_genesis(dirs: InstanceDirs, options: Mapping[str, Any]) -> Path:
    """Make or reuse the election of this instance."""
    from votenet.cli.election_setup import prepare_genesis as prepare

    path: Path = prepare(
        dirs,
        title=options["title"],
        candidates=options["candidates"],
        candidates_from=options["candidates_from"],
        choice_column=options["choice_column"],
        difficulty=options["difficulty"],
        max_choices=options["max_choices"],
        genesis=options["genesis"],
        nodes=options["nodes"],
        say=_say,
    )
    return path


def _last_block(dirs: InstanceDirs, nodes: int) -> Any:
    """The ports of the last run: peers and scripts may remember them."""
    from votenet.processes import instance, ports

    try:
        last = instance.load_network(dirs)
    except ConfigError:
        return None
    if len(last.node_ports) != nodes:
        return None
    return ports.Block(last.bootstrap_port, last.node_ports)


def _foreground(dirs: InstanceDirs, network: NetworkSpec, held: Claim, timeout: float, as_json: bool) -> None:
    import asyncio

    from votenet.processes.supervisor import Supervisor

    def settled(status: dict[str, Any]) -> None:
        _show(status, as_json)
        _advise(status)

    supervisor = Supervisor(network, dirs, say=_stamped, settled=settled, lifeline=True)
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().call_later(timeout, _say_late, supervisor, timeout)
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    _say("stopped" if not problems else "stopped, but " + "; ".join(problems))
    if problems:
        sys.exit(1)
    if supervisor.stop_signal is not None:
        sys.exit(128 + supervisor.stop_signal)


def _say_late(supervisor: Any, timeout: float) -> None:
    from votenet.cli.network_view import troubles

    if not supervisor.all_settled:
        _say(f"not everything is ready after {timeout:g} s:")
        for line in troubles(supervisor.status()):
            _say(line)


def _other_up(dirs: InstanceDirs, timeout: float) -> dict[str, Any]:
    """Another `up` has the lock: wait until its supervisor answers."""
    deadline = time.monotonic() + min(timeout, 15.0)
    while time.monotonic() < deadline:
        status = _status_or_none(dirs)
        if status is not None:
            return status
        time.sleep(0.1)
    raise Locked(
        f"another `votenet up` of {dirs.instance!r} is at work and does not answer",
        next_step="Wait for it to end, or look what holds the lock: " + str(dirs.supervisor_lock),
    )


def _status_or_none(dirs: InstanceDirs) -> dict[str, Any] | None:
    from votenet.processes.control import ask

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
    from votenet.cli.network_view import troubles
    from votenet.processes.detach import watch_start

    shown: dict[str, str] = {}
    status: dict[str, Any] = {}
    try:
        for status in watch_start(dirs, timeout, alive):
            for program in status["programs"]:
                if shown.get(program["name"], "stopped") != program["state"]:
                    shown[program["name"]] = program["state"]
                    _say(f"{program['name']}: {program['state']}")
    except WaitTimedOut:
        for line in troubles(status) if status else ():
            _say(line)
        raise
    return status


def _troubled(status: Mapping[str, Any]) -> bool:
    return any(program["state"] != "ready" for program in status["programs"])


def _show(status: Mapping[str, Any], as_json: bool) -> None:
    from votenet.cli import network_view

    if as_json:
        click.echo(json.dumps(status, ensure_ascii=False))
        return
    network_view.print_table(status)
    if status["phase"] != "stopping":
        for line in network_view.troubles(status):
            _say(line)


def _advise(status: Mapping[str, Any]) -> None:
    from votenet.cli.network_view import how_to_vote

    for line in how_to_vote(status):
        _say(line)


# -- supervise ------------------------------------------------------------------------------------


@click.command(hidden=True)
@click.option("--inherit", type=int, multiple=True, metavar="FD", help="Lock inherited from `up --detach`.")
@instance_option
def supervise(instance: str, inherit: tuple[int, ...]) -> None:
    """Run the supervisor of a detached network: what `up --detach` starts.

    Without inherited locks it starts the network of the last `up` again, e.g. from systemd.
    """
    import asyncio

    from votenet.processes import instance as claims
    from votenet.processes.reconcile import end_leftovers
    from votenet.processes.supervisor import Supervisor

    dirs = instance_dirs(instance)
    claims.make_dirs(dirs)
    network = claims.load_network(dirs)
    if inherit:
        held = claims.adopt(dirs, network, inherit)
    else:
        held = claims.claim_again(dirs, network)
        end_leftovers(dirs, network.grace, _stamped)
    supervisor = Supervisor(network, dirs, say=_stamped, lifeline=False)
    _stamped(f"supervisor of {instance!r}, pid {os.getpid()}")
    try:
        with asyncio.Runner() as runner:
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    _stamped("stopped" if not problems else "stopped, but " + "; ".join(problems))
    sys.exit(1 if problems else 0)


# -- down -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet down                 stop; chains, votes and logs stay for the next `up`
  votenet down --purge         and remove this network's chains, logs and election
  votenet down --timeout 2     kill what has not stopped after two seconds

\b
Exit codes: 0 nothing runs any more (or nothing ran), 1 something is left, 5 timed out."""
)
@click.option(
    "--purge", is_flag=True, help="Also remove its data: chains, logs, election. Voters' keys stay."
)
@click.option("--yes", is_flag=True, help="Do not ask before --purge.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds a program has to stop before it is killed.",
)
@instance_option
@json_option
def down(instance: str, purge: bool, yes: bool, timeout: float, as_json: bool) -> None:
    """Stop the network, cleanly and with proof.

    Nodes stop first, the bootstrap server last. It is over when no process is left, the ports are
    free and the data is unlocked. Also ends what a supervisor that died has left behind.
    """
    dirs = instance_dirs(instance)
    if purge and not yes and sys.stdin.isatty():
        click.confirm(f"Remove all chains, votes and logs of {instance!r}?", abort=True, err=True)
    ran = _ask_down(dirs, timeout)
    left = _end_for_good(dirs, timeout, purge)
    removed = f"{dirs.state}" if purge else None
    if as_json:
        click.echo(
            json.dumps({"instance": instance, "was_running": ran, "leftovers": left, "removed": removed})
        )
    if not ran and not left:
        _say(f"{instance!r} is not running; nothing to stop.")
    else:
        _say(f"{instance!r} is stopped: no process left, ports and data free.")
    if purge:
        _say(f"Removed {dirs.state}.")


def _ask_down(dirs: InstanceDirs, grace: float) -> bool:
    """Let a living supervisor stop its network. Returns whether there was one."""
    from votenet.processes.control import converse

    try:
        for answer in converse(dirs, {"command": "down", "grace": grace}, timeout=2 * grace + 15.0):
            if answer.get("event") == "state":
                _say(f"{answer['name']}: {answer['state']}")
    except NotRunning:
        return False
    except Unreachable as error:
        if error.code in ("version-mismatch", "foreign-socket"):
            raise
        return True  # it is starting, or ended under our hands: the lock tells when it is gone
    if answer["problems"]:
        raise VotenetError("; ".join(answer["problems"]), code="not-clean")
    return True


def _end_for_good(dirs: InstanceDirs, grace: float, purge: bool) -> int:
    """With the lock in our hands: end leftovers, remove the data if asked. Returns how many were left."""
    from votenet.processes.instance import supervisor_pid
    from votenet.processes.reconcile import end_leftovers

    if not dirs.supervisor_lock.exists() and not dirs.state.exists():
        return 0
    deadline = time.monotonic() + 2 * grace + 15.0
    while (lock := _try_claim(dirs)) is None:
        if time.monotonic() > deadline:
            raise WaitTimedOut(
                f"the supervisor (pid {supervisor_pid(dirs)}) does not end",
                next_step="See what it does: " + str(dirs.logs / "supervisor.log"),
            )
        if _ask_down(dirs, grace) is False:
            time.sleep(0.02)
    with lock:
        count, problems = end_leftovers(dirs, grace, _say)
        if problems:
            raise VotenetError("; ".join(problems), code="not-clean")
        for socket_file in (dirs.control_socket, dirs.notify_socket):
            socket_file.unlink(missing_ok=True)
        if purge:
            _remove_data(dirs)
    return count


def _try_claim(dirs: InstanceDirs) -> Any:
    from votenet.processes.instance import claim

    try:
        return claim(dirs)
    except Locked:
        return None


def _remove_data(dirs: InstanceDirs) -> None:
    import shutil

    for folder in (dirs.run, dirs.state):
        if folder.is_symlink():
            raise ConfigError(f"{folder} is a link; remove it by hand", code="bad-directory")
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise VotenetError(f"cannot remove {folder}: {error}", code="storage-failed") from error


# -- ps -------------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet ps
  votenet ps --json | jq '.programs[] | {name, state, height}'

\b
Exit codes: 0 a network runs, 3 none runs."""
)
@instance_option
@json_option
def ps(instance: str, as_json: bool) -> None:
    """Show the programs of the network and their state.

    \b
    starting   begun, not yet listening, connected and caught up
    ready      all of that
    unready    was ready, is not now (catching up, no peer)
    backoff    died; waits before it is started again
    removed    failed too often; out of the network, tried again every five minutes
    failed     cannot work as configured; not started again
    paused     stopped by a signal (SIGSTOP)
    stopping, stopped
    """
    from votenet.processes.control import ask

    _show(ask(instance_dirs(instance), {"command": "status"}), as_json)


# -- logs -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  votenet logs                    the last 20 lines of every program
  votenet logs -f node-1 node-2   follow two nodes
  votenet logs --since 10m        what was said in the last ten minutes
  votenet logs -n 100 supervisor  what the supervisor of a detached network did

\b
Exit codes: 0 ok, 3 no logs yet, 4 no such node."""
)
@click.argument("names", nargs=-1, metavar="[NODE]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "-n",
    "--tail",
    "lines",
    type=click.IntRange(min=0),
    default=None,
    help="Lines of each program [20, or all of --since].",
)
@click.option("--since", metavar="T", help="Only lines since then: 90s, 10m, 2h, or an ISO time.")
@click.option("--no-prefix", is_flag=True, help="Without the program's name before each line.")
@instance_option
def logs(
    instance: str, names: tuple[str, ...], follow: bool, lines: int | None, since: str | None, no_prefix: bool
) -> None:
    """Show or follow the logs of the nodes.

    Works also after `down`: logs of the last six incarnations of each program are kept.
    """
    from votenet.cli import network_view
    from votenet.processes import log_reader
    from votenet.processes.logs import parse_since

    dirs = instance_dirs(instance)
    try:
        start = None if since is None else parse_since(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    programs = log_reader.select(dirs, names)
    colour = network_view.wants_colour(sys.stdout)
    prefixes = {n: "" if no_prefix else network_view.log_prefix(n, programs, colour) for n in programs}
    if lines is None and start is None:
        lines = 20
    reader = log_reader.Reader(dirs, programs)
    for name, line in reader.past(lines, start):
        click.echo(prefixes[name] + line)
    if follow:
        for name, line in _forever(reader):
            click.echo(prefixes[name] + line)


def _forever(reader: Any) -> Iterator[tuple[str, str]]:
    while True:
        yield from reader.news()
        time.sleep(0.1)
