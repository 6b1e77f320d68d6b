"""`demo` and `chaos` stop the network that they started, however they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
PATIENCE = 90.0


def programs(folder: Path) -> dict[int, str]:
    """Processes whose environment names the folder, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.fsencode(folder) in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "command",
    [("demo", "--nodes", "2", "--ballots", "20000"), ("chaos", "--nodes", "3", "--duration", "60")],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_ends_its_network_too(
    command: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "votenet", *command],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + PATIENCE
    while sum(" node --name " in line for line in programs(tmp_path).values()) < 2:
        assert process.poll() is None
        assert time.monotonic() < end, programs(tmp_path)
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 128 + number
    end = time.monotonic() + PATIENCE
    while left := programs(tmp_path):
        assert time.monotonic() < end, left
        time.sleep(0.05)
