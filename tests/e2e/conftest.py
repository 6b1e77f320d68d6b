"""Fixtures for end-to-end tests: the installed program, driven only through its commands.

What lives here: Votenet, a user with a home of its own. What must not: imports of votenet's code.
"""

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

PATIENCE = 30.0


class Votenet:
    """A user of the command line with an own VOTENET_HOME."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("VOTENET_", "BOOTSTRAP_PORT"))}
        self.env["VOTENET_HOME"] = str(home)

    def __call__(
        self, *args: str, exit_code: int | None = 0, seconds: float = 100
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

    def programs(self) -> dict[str, dict[str, Any]]:
        """Programs of the network by name, as `ps` tells."""
        return {program["name"]: program for program in self.json("ps")["programs"]}

    def left_over(self) -> list[int]:
        """Pids of processes that work in our home."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                try:
                    command = Path(f"/proc/{name}/cmdline").read_bytes()
                except OSError:
                    continue
                if str(self.home).encode() in command:
                    found.append(int(name))
        return found

    def kill(self, name: str) -> int:
        """kill -9 of one program, through a handle on the process that works in our home."""
        pid: int = self.programs()[name]["pid"]
        handle = os.pidfd_open(pid)
        try:
            assert str(self.home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
            import signal

            signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)
        return pid


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until `condition` holds; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in {seconds:g} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def votenet() -> Iterator[Votenet]:
    """A user with an empty home; whatever it leaves running is stopped, and is a failure."""
    with tempfile.TemporaryDirectory(prefix="votenet-e2e-") as folder:
        user = Votenet(Path(folder))
        yield user
        user("down", exit_code=None)
        assert user.left_over() == []
