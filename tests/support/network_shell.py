"""votenet typed at a shell, over scripted programs, in a home of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from support.ports import first_of_block
from votenet.cli import main
from votenet.cli.network import down
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import ConfigError
from votenet.processes import ports, procfs
from votenet.processes.control import ask
from votenet.processes.identity import leftovers
from votenet.processes.signals import signal_exactly
from votenet.storage.files import is_locked

BAD_CHILD = Path(__file__).parents[1] / "processes" / "bad_child.py"


class Shell:
    """Runs votenet with a home of its own; networks are without a page unless a test wants one."""

    def __init__(self, home: Path, dirs: InstanceDirs) -> None:
        self.home, self.dirs = home, dirs
        first = self._free_ports()
        self.ports = ("--bootstrap-port", str(first), "--node-port", str(first + 1))
        self.page = ("--web", "--web-port", str(first + 6))
        self.env = {
            **os.environ,
            "VOTENET_HOME": str(home),
            "VOTENET_INSTANCE": dirs.instance,
            "BAD_CHILD": str(home / "plan.json"),
            "NO_COLOR": "1",
        }
        self.program = ("--program", f"{sys.executable} {BAD_CHILD}")
        self.plan({})

    def _free_ports(self) -> int:
        while True:
            first = first_of_block(7)
            with contextlib.suppress(ConfigError):
                ports.choose(6, bootstrap_port=first, node_port=first + 1).release()
                return first

    def plan(self, plans: dict[str, Any]) -> None:
        """What the programs do from their next start on. One may read it now, so the file changes at once."""
        fresh = self.home / "plan.new"
        fresh.write_text(json.dumps(plans))
        fresh.replace(self.home / "plan.json")

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "votenet", *args],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=150)
        assert process.returncode == code, f"{args}: exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return subprocess.CompletedProcess(args, code, out, err)

    def call(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """The same in this process, without the start of an interpreter: for commands that only ask."""
        out, err = io.StringIO(), io.StringIO()
        argv = ["votenet", *args]
        with (
            mock.patch.dict(os.environ, self.env),
            mock.patch.object(sys, "argv", argv),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main.run()
            except SystemExit as stopped:
                found = stopped.code
        assert found == code, f"{args}: exit {found}\n{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())

    def up_args(self, *args: str, nodes: int = 2) -> tuple[str, ...]:
        """Without named nodes: any of these scripted programs may stop."""
        size = ("--nodes", str(nodes), "--difficulty", "8", "--no-named-nodes")
        return ("up", *size, *self.program, *self.ports, *args)

    def up(self, *args: str, nodes: int = 2, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run(*self.up_args("--detach", *args, nodes=nodes), code=code)

    def status(self) -> dict[str, Any]:
        """What `ps --json` prints, without its start."""
        return ask(self.dirs, {"command": "status"}, timeout=60.0)

    def kill_supervisor(self) -> None:
        """kill -9, and the moment until the kernel has let go of its lock."""
        os.kill(self.status()["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: not is_locked(self.dirs.supervisor_lock))

    def pids_left(self) -> list[int]:
        """Of the programs that run, with a supervisor or without."""
        return [left.pid for left in leftovers(self.dirs)]

    def pids(self) -> list[int]:
        status = self.status()
        return [status["supervisor"]["pid"], *(program["pid"] for program in status["programs"])]


def end(dirs: InstanceDirs) -> None:
    """What `down --timeout 1 --purge` does, without its start."""
    down.stop_network(dirs, grace=1.0, purge=True, as_json=False)


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.dead


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def open_shell(home: Path) -> Iterator[Shell]:
    """A shell below `home` (a short path: sockets lie there); fails if a process outlives it.

    VOTENET_HOME must be set to `home` in this process too.
    """
    dirs = instance_dirs("t")
    yield Shell(home, dirs)
    end(dirs)
    left = leftovers(dirs)
    for process in left:
        signal_exactly(process.pid, process.start_ticks, signal.SIGKILL)
    assert not left, "processes outlived the test"
