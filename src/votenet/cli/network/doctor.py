"""`votenet doctor`: what this machine can do, what stands in the way, and what supervisors left behind.

It only looks; each finding names the command that would do something.
"""

from __future__ import annotations

import asyncio
import platform
import shlex
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from votenet import __version__
from votenet.cli.network.finality_view import TOO_FEW, named_up, of_programs
from votenet.cli.network.finding import LEAVES_LISTS, LOW_DISK, Finding, by_warning, show_findings
from votenet.cli.options import instance_option, json_option, placed
from votenet.cli.where import look_at, need_network, where_option
from votenet.config import DEFAULT_INSTANCE, InstanceDirs, instance_dirs, private_dir
from votenet.errors import (
    Command,
    ConfigError,
    NextStep,
    NotProven,
    NotRunning,
    Unreachable,
    VotenetError,
)
from votenet.pow import PYTHON, available_kernels, kernel_states, measure_rate, select_fastest
from votenet.processes import procfs
from votenet.processes.control import ask, up_again
from votenet.processes.cut_off import way_back
from votenet.processes.identity import TAG_VARIABLE, leftovers, read_identities, records_dir
from votenet.processes.instance import load_network, network_file, supervisor_pid
from votenet.processes.reconcile import adoptable
from votenet.processes.signals import need_pidfds
from votenet.processes.spec import expand
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.env_file import joined_nodes
from votenet.storage.files import is_locked

ANSWER_SECONDS: Final = 2.0
"""For what a node warns of. The supervisor knows of one that hangs."""


@click.command(
    epilog="""
Examples:

\b
  votenet doctor
  votenet doctor --json
  VOTENET_KERNEL=generic votenet up --nodes 3     (force one of the kernels it lists)
  votenet doctor --network https://vote.example.org     (all nodes, from any machine)
  votenet doctor --network genesis.json --bootstrap boot.example.org:4000

Exit code 1 when something stands in the way.
"""
)
@where_option
@instance_option
@json_option
def doctor(where: str | None, bootstraps: tuple[Address, ...], instance: str, as_json: bool) -> None:
    """Look at program, kernels, folders and the running network, and explain what is wrong.

    With --network: look at all nodes of a network instead, wherever they run. Which answer and prove their
    key, versions, clocks, heights, what is final, disks, bootstrap servers, the page; and a sentence for each
    problem, with what to do about it.
    """
    need_network(where, bootstraps)
    if where is not None:
        show_findings(_of_network(where, bootstraps, instance), as_json)
        return
    findings = [*_program(), *_kernels(), *_folders(instance), *examine(instance)]
    show_findings(findings, as_json)


def _of_network(where: str, bootstraps: tuple[Address, ...], instance: str) -> list[Finding]:
    """Of a network wherever it is. A page that is the way in, and does not answer, is a problem of it."""
    from votenet.cli.network.network_doctor import network_findings, page_finding
    from votenet.cli.network.network_status import with_results

    try:
        way, view = look_at(where, bootstraps, instance)
    except (Unreachable, NotProven) as error:
        if "://" not in where:
            raise
        return [page_finding(where, error)]
    return network_findings(with_results(view), way.page)


def _program() -> Iterator[Finding]:
    yield Finding("votenet", "ok", f"{__version__}, Python {platform.python_version()}, {sys.executable}")
    yield Finding("SQLite", "ok", sqlite3.sqlite_version)
    try:
        need_pidfds()
        yield Finding("processes", "ok", "can be watched and signalled (pidfd)")
    except VotenetError as error:
        yield Finding("processes", "problem", error.message, error.next_step)


def _kernels() -> Iterator[Finding]:
    """Every nonce search kernel of this build with its measured rate on one thread."""
    if available_kernels() == (PYTHON,):
        yield Finding(
            "C core",
            "note",
            "not built: votenet mines with Python's hashlib, about forty times slower",
            "Install a C compiler and Python's headers (python3-dev), then install votenet again.",
        )
    chosen = select_fastest(time.thread_time)
    for name, state in kernel_states().items():
        if state != "ready":
            yield Finding(f"kernel {name}", "note", state)
            continue
        rate = measure_rate(time.perf_counter, kernel=name)
        used = ", used by default" if name == chosen else ""
        yield Finding(f"kernel {name}", "ok", f"{rate / 1e6:.2f} million nonces a second{used}")


def _folders(instance: str) -> Iterator[Finding]:
    dirs = instance_dirs(instance)
    for what, path in (("state", dirs.state), ("keys", dirs.keys)):
        if not path.exists():
            yield Finding(f"folder of {what}", "ok", f"{path} (not made yet)")
            continue
        try:
            private_dir(path)
        except ConfigError as error:
            yield Finding(f"folder of {what}", "problem", error.message, error.next_step)
            continue
        free = shutil.disk_usage(path).free
        low = free < LOW_DISK
        yield Finding(
            f"folder of {what}",
            "problem" if low else "ok",
            f"{path}, {free / 2**30:.1f} GiB free",
            "Free some space: a full disk stops a node." if low else "",
        )


# -- the network and what is left of others ---------------------------------------------------------


def examine(instance: str) -> Iterator[Finding]:
    """The network of an instance, running or not, then what belongs to no supervisor."""
    for finding in _examine(instance_dirs(instance)):
        yield finding._replace(next_step=placed(finding.next_step, instance))


def _examine(dirs: InstanceDirs) -> Iterator[Finding]:
    try:
        status = ask(dirs, {"command": "status"})
    except VotenetError as error:
        yield from _silent(dirs, error)
        yield from _leftovers(dirs)
    else:
        yield from _running(status["programs"])
        yield from _finality(status["programs"])
        yield from _warnings(status["programs"])
    yield from _records(dirs)
    yield from _elsewhere(dirs)


def _running(programs: list[dict[str, Any]]) -> Iterator[Finding]:
    for program in programs:
        name, state, cut_off = program["name"], program["state"], program.get("cut_off")
        good = state in ("ready", "stopped") and not program["alert"] and not cut_off
        why = cut_off["message"] if cut_off else program["alert"] or program["problem"] or program["cause"]
        step = way_back(name, cut_off["code"]) if cut_off else NextStep("{}", Command("logs", name))
        if state == "paused":
            step = NextStep("{}", Command("resume", name))
        yield Finding(
            name,
            "ok" if good else "problem",
            f"{'cut off' if cut_off else state} at {program['address']}" + (f", {why}" if why else ""),
            "" if good else step,
        )


def _finality(programs: list[dict[str, Any]]) -> Iterator[Finding]:
    if (up := named_up(of_programs(programs))) is not None:
        enough = not up.too_few
        yield Finding(
            "named nodes",
            "ok" if enough else "problem",
            str(up) if enough else f"{up}. {TOO_FEW}",
            "" if enough else NextStep("See which are away with: {}", Command("ps")),
        )


def _warnings(programs: list[dict[str, Any]]) -> Iterator[Finding]:
    """What nodes themselves say is wrong: clocks, links. What stands in other findings is left out."""
    from votenet.client.failover import ask_each
    from votenet.protocol.wire.client_messages import CUT_OFF, NO_QUORUM, GetStatus, NodeStatus

    asked = [parse_address(p["address"]) for p in programs if p["role"] == "node" and p["state"] == "ready"]
    answers = asyncio.run(
        ask_each(asked, lambda node: node.ask(GetStatus(), NodeStatus, timeout=ANSWER_SECONDS))
    )
    found = [answer for _, answer in answers if isinstance(answer, NodeStatus)]
    told = (
        (one.name, warning.message)
        for one in found
        for warning in one.warnings
        if warning.code not in (CUT_OFF, NO_QUORUM)
    )
    yield from (Finding(names, "problem", text) for names, text in by_warning(told))
    for one in found:
        if one.finality is not None and one.finality.leaves_lists:
            yield Finding(one.name, "note", LEAVES_LISTS)


def _joined_elsewhere(dirs: InstanceDirs) -> str:
    """Where nodes of this machine have joined a network: the command that looks at that."""
    names = joined_nodes() if dirs.instance == DEFAULT_INSTANCE else []
    look = Command("doctor", "--network")
    return f"; look at the network that {', '.join(names)} joined with: {look}" if names else ""


def _silent(dirs: InstanceDirs, error: VotenetError) -> Iterator[Finding]:
    if isinstance(error, NotRunning):
        yield Finding("network", "ok", error.message + _joined_elsewhere(dirs))
        if dirs.control_socket.is_socket():
            yield Finding(
                "socket",
                "note",
                f"{dirs.control_socket} is of a supervisor that was killed",
                "The next start replaces it.",
            )
        return
    held = f"; pid {supervisor_pid(dirs)} holds its lock" if is_locked(dirs.supervisor_lock) else ""
    yield Finding("network", "problem", error.message + held, error.next_step)


def _leftovers(dirs: InstanceDirs) -> Iterator[Finding]:
    if is_locked(dirs.supervisor_lock):  # one is starting or stopping: they are its own
        return
    try:
        may_go_on = {record.pid for record in adoptable(dirs, expand(load_network(dirs), dirs)).values()}
    except VotenetError:
        may_go_on = set()
    for left in leftovers(dirs):
        again = left.pid in may_go_on
        yield Finding(
            left.name,
            "problem",
            f"pid {left.pid} runs, but its supervisor is gone",
            NextStep("Go on with it: {}; or stop it: {}", up_again(dirs), Command("down"))
            if again
            else NextStep("Nothing can go on with it. Stop it with: {}", Command("down")),
        )


def _records(dirs: InstanceDirs) -> Iterator[Finding]:
    for name, record in read_identities(dirs).items():
        if record is None:
            yield Finding(
                f"record of {name}",
                "note",
                f"{records_dir(dirs) / name}.json cannot be read: a crash, or another program",
                "The next start of that program writes it anew; until then it is not adopted.",
            )
    if network_file(dirs).exists():
        try:
            load_network(dirs)
        except ConfigError as error:
            yield Finding("network file", "problem", error.message, error.next_step)


def _elsewhere(dirs: InstanceDirs) -> Iterator[Finding]:
    """Programs of other instances of this user that no supervisor holds."""
    found: dict[str, list[int]] = {}
    for stat in procfs.all_processes():
        folder, _, name = procfs.environment(stat.pid).get(TAG_VARIABLE, "").rpartition(":")
        if folder and name and not stat.dead and folder != str(dirs.state):
            found.setdefault(folder, []).append(stat.pid)
    for folder, pids in found.items():
        if not is_locked(Path(folder) / dirs.supervisor_lock.name):
            listed = ", ".join(map(str, pids))
            home, _, instance = folder.rpartition("/")
            yield Finding(
                "other instance",
                "note",
                f"programs of {folder} run without a supervisor: pids {listed}",
                f"Stop them with: {_down(home, instance)}",
            )


def _down(home: str, instance: str) -> str:
    """The command that stops another instance, wherever its files are."""
    try:
        where = (
            ""
            if instance_dirs(instance).state == Path(home, instance)
            else f"VOTENET_HOME={shlex.quote(home)} "
        )
    except VotenetError:
        where = f"VOTENET_HOME={shlex.quote(home)} "
    return f"{where}votenet down -i {shlex.quote(instance)}"
