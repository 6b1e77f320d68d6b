"""`votenet top` as typed, without a terminal and in one."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.cli.conftest import Outcome, RunningNode

from votenet.cli import actions


@pytest.fixture
def one_node(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor's word about the node that runs: the rest of the command is real."""
    program: dict[str, Any] = {
        "name": "node-1",
        "role": "node",
        "state": "ready",
        "cut_off": None,
        "restarts": 0,
    }
    program |= {"address": str(node.address), "cpu": None, "memory": None}
    monkeypatch.setattr(actions, "network_status", lambda _: {"programs": [program]})


@pytest.mark.usefixtures("one_node")
def test_one_picture_for_people_and_for_programs(cli: Callable[..., Outcome]) -> None:
    shown = cli("top", "--once", "--interval", "0.1")
    assert shown.code == 0
    assert "node-1" in shown.out
    assert "VOTES/S" in shown.out
    assert "\x1b" not in shown.out
    found = json.loads(cli("top", "--once", "--json", "--interval", "0.1").out)
    assert found["nodes"][0]["state"] == "ready"
    assert found["agree"] is True


def test_without_a_network_it_says_so(cli: Callable[..., Outcome]) -> None:
    done = cli("top", "--once", "--json")
    assert done.code == 3
    assert json.loads(done.out)["error"]["code"] == "not-running"


FAKE_STATUS = """
import sys
from votenet.cli import actions, main
program = {"name": "node-1", "role": "node", "state": "ready", "restarts": 0, "cpu": None, "memory": None}
address = sys.argv[-1]
actions.network_status = lambda _: {"programs": [program | {"address": address}]}
sys.argv = ["votenet", "top", "--interval", "0.1"]
main.run()
"""


def test_in_a_terminal_it_draws_again_until_interrupted_and_leaves_the_screen_as_it_was(
    node: RunningNode,
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", FAKE_STATUS, str(node.address)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "160", "LINES": "40"},
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, lambda text: text.count(b"VOTES/S") >= 3)
        process.send_signal(signal.SIGINT)
        seen += _read_until(ours, lambda text: b"Interrupted" in text)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"\x1b[?1049h" in seen, "on a screen of its own"
    assert b"\x1b[?1049l" in seen, "which it leaves"
    assert b"\x1b[32m" not in seen, "NO_COLOR"


def _read_until(terminal: int, enough: Callable[[bytes], bool]) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while not enough(seen):
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536)
    return seen
