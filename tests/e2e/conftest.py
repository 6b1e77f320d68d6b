"""Fixtures for end-to-end tests: the installed program, driven only through its commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0


class Votenet:
    """A user of the command line with an own VOTENET_HOME; networks are without a page unless asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("VOTENET_", "BOOTSTRAP_PORT"))}
        self.env["VOTENET_HOME"] = str(home)
        self.env["VOTENET_UP_WEB"] = "false"

    def __call__(
        self, *args: str, exit_code: int | None = 0, seconds: float = 250
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, for so long at most; by default it must succeed. `exit_code=None` takes any."""
        done = subprocess.run(
            [sys.executable, "-m", "votenet", *args],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if exit_code is not None:
            assert done.returncode == exit_code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *args: str, exit_code: int | None = 0) -> Any:
        return json.loads(self(*args, "--json", exit_code=exit_code).stdout)

    def counts(self, *options: str) -> dict[str, int]:
        """The votes of each candidate of an election with one contest."""
        return dict(self.json("results", *options)["contests"][0]["counts"])

    def programs(self) -> dict[str, dict[str, Any]]:
        """Programs of the network by name, as `ps` tells."""
        return {program["name"]: program for program in self.json("ps")["programs"]}

    def left_over(self) -> list[int]:
        """Pids of processes that work in our home."""
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())
        return [pid for pid in pids if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        """Whether it names our home in its command, or works in a folder below it, as the page does."""
        try:
            folder = Path(os.readlink(f"/proc/{pid}/cwd"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return str(self.home).encode() in command or self.home in folder.parents

    def kill(self, name: str) -> int:
        """kill -9 of one program, through a handle on the process that works in our home."""
        pid: int = self.programs()[name]["pid"]
        handle = os.pidfd_open(pid)
        try:
            assert self._is_ours(pid)
            import signal

            signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
        return pid


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until `condition` holds; fails the test when it does not come. A slow look is rarer."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if condition():
            return
        assert time.monotonic() < deadline, f"did not happen in {seconds:g} s: {what}"
        time.sleep(max(0.05, time.monotonic() - asked))


@pytest.fixture
def votenet() -> Iterator[Votenet]:
    """A user with an empty home; whatever it leaves running is stopped, and is a failure."""
    with tempfile.TemporaryDirectory(prefix="votenet-e2e-") as folder:
        user = Votenet(Path(folder))
        yield user
        down = user("down", exit_code=None)
        assert user.left_over() == [], f"down ended with {down.returncode}:\n{down.stdout}\n{down.stderr}"
