"""`votenet doctor`: what this machine can do, and what stands in the way.

What lives here: program, kernels, folders, and the table. What must not: repairs; it only looks.
`doctor_network.py` looks at networks and at what they left.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from votenet.cli.doctor_network import Finding, examine
from votenet.cli.options import instance_option, json_option
from votenet.cli.output import echo


@click.command(
    epilog="""
Examples:

\b
  votenet doctor
  votenet doctor --json
  VOTENET_KERNEL=generic votenet up --nodes 3     (force one of the kernels it lists)

Exit code 1 when something stands in the way.
"""
)
@instance_option
@json_option
def doctor(instance: str, as_json: bool) -> None:
    """Look at program, kernels, folders and the running network, and explain what is wrong."""
    from votenet.cli import render
    from votenet.errors import VotenetError

    findings = [*_program(), *_kernels(), *_folders(instance), *examine(instance)]
    if as_json:
        render.print_json([finding._asdict() for finding in findings])
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            echo(f"{finding.state:7}  {finding.what:{width}}  {finding.found}")
            if finding.next_step:  # in one line, however long: commands in it are pasted
                echo(f"{'':7}  {'':{width}}  -> {finding.next_step}")
    problems = [finding for finding in findings if finding.state == "problem"]
    if problems:
        error = VotenetError(
            f"{render.count_of(len(problems), 'problem')} found",
            code="problems-found",
            next_step="What to do about each stands below it.",
        )
        raise render.reported(error)


def _program() -> Iterator[Finding]:
    import platform
    import sqlite3
    import sys

    from votenet import __version__
    from votenet.errors import VotenetError
    from votenet.processes.signals import need_pidfds

    yield Finding("votenet", "ok", f"{__version__}, Python {platform.python_version()}, {sys.executable}")
    yield Finding("SQLite", "ok", sqlite3.sqlite_version)
    try:
        need_pidfds()
        yield Finding("processes", "ok", "can be watched and signalled (pidfd)")
    except VotenetError as error:
        yield Finding("processes", "problem", error.message, error.next_step)


def _kernels() -> Iterator[Finding]:
    """Every nonce search kernel of this build with its measured rate on one thread."""
    import time

    from votenet.pow import PYTHON, available_kernels, kernel_states, measure_rate, select_fastest

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
    import shutil

    from votenet.config import instance_dirs, private_dir
    from votenet.errors import ConfigError

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
        low = free < 512 * 1024 * 1024
        yield Finding(
            f"folder of {what}",
            "problem" if low else "ok",
            f"{path}, {free / 2**30:.1f} GiB free",
            "Free some space: a full disk stops a node." if low else "",
        )
