"""The work behind `votenet up`: claim, prepare, start in the foreground or detached, wait for ready.

What lives here: the order of these steps and what is said about them. What must not: options
(`network.py`), tables (`network_view.py`), processes (`votenet.processes`).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from votenet.cli.network_view import how_to_vote, say, show, stamped, troubles
from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_NODE_PORT, InstanceDirs
from votenet.errors import (
    ConfigError,
    Locked,
    NotRunning,
    SomeFailed,
    Unreachable,
    VotenetError,
    WaitTimedOut,
)
from votenet.processes import instance, ports
from votenet.processes.control import ask
from votenet.processes.detach import start_supervisor, watch_start
from votenet.processes.files import FileLock
from votenet.processes.instance import Claim
from votenet.processes.reconcile import end_leftovers
from votenet.processes.spec import NetworkSpec, votenet_program
from votenet.processes.supervisor import Supervisor


def up(
    dirs: InstanceDirs, *, detach: bool, timeout: float, as_json: bool, options: Mapping[str, Any]
) -> None:
    """Start a network, or show the one that runs.

    Raises:
        VotenetError: with the exit code that the help of `votenet up` lists.
    """
    status = _status_or_none(dirs)
    if status is None:
        try:
            lock = instance.claim(dirs)
        except Locked:
            status = _other_up(dirs, timeout)
        else:
            return _start(dirs, lock, detach, timeout, as_json, options)
    say(f"{dirs.instance!r} is already running with {len(status['nodes'])} nodes; nothing to start.")
    if status["phase"] == "stopping":
        raise Locked(
            f"{dirs.instance!r} is just stopping",
            next_step="Wait for it with: votenet down; then start again.",
        )
    if detach:
        status = _wait_ready(dirs, timeout, lambda: None if _status_or_none(dirs) else 1)
    show(status, as_json)


def _start(
    dirs: InstanceDirs,
    lock: FileLock,
    detach: bool,
    timeout: float,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
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
        held.hand_over()
    status = _wait_ready(dirs, timeout, process.poll)
    show(status, as_json)
    if _troubled(status):
        raise SomeFailed("not every program came up", next_step="Look with: votenet ps, votenet logs")
    for line in how_to_vote(status):
        say(line)


def _prepare(dirs: InstanceDirs, lock: FileLock, options: Mapping[str, Any]) -> tuple[NetworkSpec, Claim]:
    """Everything that can be refused is refused here, before anything runs."""
    _, problems = end_leftovers(dirs, 10.0, say)
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
    if lease.moved or lease.block.bootstrap != DEFAULT_BOOTSTRAP_PORT:
        why = lease.moved or "as asked, or as last time"
        say(f"ports: bootstrap {lease.block.bootstrap}, nodes from {lease.block.nodes[0]} ({why})")
    network = NetworkSpec(
        instance=dirs.instance,
        genesis=str(genesis),
        bootstrap_port=lease.block.bootstrap,
        node_ports=lease.block.nodes,
        node_args=(*(("--kernel", options["kernel"]) if options["kernel"] else ()), *roll_args(dirs)),
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
        method=options["method"],
        opens=options["opens"],
        closes=options["closes"],
        roll=options["roll"],
        genesis=options["genesis"],
        kernel=options["kernel"],
        say=say,
    )
    return path


def roll_args(dirs: InstanceDirs) -> tuple[str, ...]:
    """What tells a node where the roll is, if the election has one."""
    from votenet.cli.election_setup import roll_path

    return ("--roll", str(roll_path(dirs))) if roll_path(dirs).exists() else ()


def _last_block(dirs: InstanceDirs, nodes: int) -> ports.Block | None:
    """The ports of the last run: peers and scripts may remember them."""
    try:
        last = instance.load_network(dirs)
    except ConfigError:
        return None
    first = last.node_ports[0] if last.node_ports else DEFAULT_NODE_PORT
    return ports.Block(last.bootstrap_port, tuple(range(first, first + nodes)))


def _foreground(dirs: InstanceDirs, network: NetworkSpec, held: Claim, timeout: float, as_json: bool) -> None:
    def settled(status: dict[str, Any]) -> None:
        show(status, as_json)
        for line in how_to_vote(status):
            say(line)

    supervisor = Supervisor(network, dirs, say=stamped, settled=settled, lifeline=True)
    try:
        with asyncio.Runner() as runner:
            runner.get_loop().call_later(timeout, _say_late, supervisor, timeout)
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    say("stopped" if not problems else "stopped, but " + "; ".join(problems))
    if problems:
        sys.exit(1)
    if supervisor.stop_signal is not None:
        sys.exit(128 + supervisor.stop_signal)


def _say_late(supervisor: Supervisor, timeout: float) -> None:
    """Once, when a network in the foreground takes longer than its user wanted to wait."""
    if not supervisor.all_settled:
        say(f"not everything is ready after {timeout:g} s:")
        for line in troubles(supervisor.status()):
            say(line)


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
                    say(f"{program['name']}: {program['state']}")
    except WaitTimedOut:
        for line in troubles(status) if status else ():
            say(line)
        raise
    except KeyboardInterrupt:
        say("The network goes on in the background. Stop it with: votenet down")
        raise
    return status


def _troubled(status: Mapping[str, Any]) -> bool:
    return any(program["state"] != "ready" for program in status["programs"])


def run_supervisor(dirs: InstanceDirs, inherit: tuple[int, ...]) -> int:
    """Be the supervisor of a detached network; returns the exit code.

    Args:
        inherit: descriptors of the locks that `up --detach` took; without, they are taken here.
    """
    instance.make_dirs(dirs)
    network = instance.load_network(dirs)
    if inherit:
        held = instance.adopt(dirs, network, inherit)
    else:
        held = instance.claim_again(dirs, network, lambda: end_leftovers(dirs, network.grace, stamped))
    supervisor = Supervisor(network, dirs, say=stamped, lifeline=False)
    stamped(f"supervisor of {dirs.instance!r}, pid {os.getpid()}")
    try:
        with asyncio.Runner() as runner:
            problems = runner.run(supervisor.run())
    finally:
        held.release()
    stamped("stopped" if not problems else "stopped, but " + "; ".join(problems))
    return 1 if problems else 0
