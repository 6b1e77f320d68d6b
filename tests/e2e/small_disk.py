"""A network on a disk that is full, then read-only: run by test_scenarios.py in a mount namespace of its own.

`python small_disk.py FOLDER` exits 0 when every promise was kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = "6m"
SCRIPT = 'mount -t tmpfs -o size=$2 none "$1" && exec "$3" "$4" "$1"'


def run_on_a_small_disk(folder: Path) -> subprocess.CompletedProcess[str]:
    argv = ["unshare", "-Urm", "sh", "-ec", SCRIPT, "sh", str(folder), SIZE, sys.executable, __file__]
    return subprocess.run(argv, capture_output=True, text=True, timeout=280, check=False)


def votenet(*args: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert code in (None, done.returncode), f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def node() -> dict[str, Any]:
    programs = json.loads(votenet("ps", "--json").stdout)["programs"]
    found: dict[str, Any] = next(program for program in programs if program["name"] == "node-1")
    return found


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what}: {node()}"
        time.sleep(0.05)


def fill(home: Path) -> None:
    with contextlib.suppress(OSError), (home / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def free(home: Path) -> None:
    (home / "ballast").unlink()


def remount(home: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", home], check=True)


def story(home: Path) -> None:
    votenet("keys", "make", "first", "full", "after", "read-only")
    votenet("up", "--detach", "--nodes", "1", "--difficulty", "8")
    votenet("vote", "first", "Alice")
    fill(home)
    refused = votenet("vote", "full", "Alice", code=None)
    assert refused.returncode, "nothing is acknowledged that is not on the disk"
    assert "disk is full" in refused.stderr, refused.stderr
    votenet("kill", "node-1")
    wait_for(lambda: "No space left" in (node()["cause"] or ""), "the cause is named")
    assert node()["state"] in ("backoff", "removed", "starting")
    free(home)
    votenet("start", "node-1")
    votenet("vote", "full", "Alice")
    votenet("vote", "after", "Bob")
    votenet("down")
    remount(home, "ro")
    refused = votenet("up", "--detach", "--nodes", "1", code=78)
    assert "read-only" in refused.stderr, refused.stderr
    remount(home, "rw")
    votenet("up", "--detach", "--nodes", "1")
    votenet("vote", "read-only", "Bob")
    assert dict(json.loads(votenet("results", "--json").stdout)["contests"][0]["counts"]) == {
        "Alice": 2,
        "Bob": 2,
        "Charlie": 0,
    }
    print("full, read-only, none lost")


if __name__ == "__main__":
    os.environ["VOTENET_HOME"] = sys.argv[1]
    try:
        story(Path(sys.argv[1]))
    finally:
        votenet("down", code=None)
