"""Wrong configuration, wrong names, foreign and broken state: told, with a next step; nothing by half."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

from votenet.storage.blocks.tables import DATABASE_NAME

pytestmark = pytest.mark.e2e

STRANGER = """
import socket
listener = socket.socket(fileno={fd})
while True:
    link, _ = listener.accept()
    link.recv(9999)
    link.sendall(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
    link.close()
"""
UP = ("up", "--nodes", "1", "--detach", "--difficulty", "8")


def refused(votenet: Votenet, code: int, *args: str) -> dict[str, str]:
    """The error of a command that must not leave anything running."""
    done = votenet(*args, "--json", exit_code=code)
    error: dict[str, str] = json.loads(done.stdout)["error"]
    assert error["message"]
    assert error["next_step"]
    assert votenet.left_over() == []
    return error


@pytest.mark.parametrize(
    "text",
    ["[up", "[up]\nnodes = 0\n", "[up]\nnods = 3\n", "[pu]\n", "[up]\nrestart_limit = 90\n", "nodes = 3\n"],
)
def test_a_broken_configuration(votenet: Votenet, text: str) -> None:
    (votenet.home / "votenet.toml").write_text(text)
    refused(votenet, 78, *UP)
    assert not (votenet.home / "default" / "genesis.json").exists()


def test_options_that_contradict_each_other(votenet: Votenet, tmp_path: Path) -> None:
    genesis = tmp_path / "g.json"
    genesis.write_text("{}")
    refused(votenet, 78, *UP, "--genesis", str(genesis), "--title", "x")
    refused(votenet, 78, *UP, "--candidate", "A", "--candidates-from", "minneapolis-2013")
    refused(votenet, 78, "up", "--nodes", "5", "-d", "--bootstrap-port", "3002", "--node-port", "3000")
    assert "--rolling" in votenet("restart", exit_code=2).stderr
    assert not (votenet.home / "default" / "network.json").exists()


def test_scenario_19_state_of_another_user_or_broken_state(votenet: Votenet, tmp_path: Path) -> None:
    state = votenet.home / "default"
    state.symlink_to(tmp_path)
    assert refused(votenet, 78, *UP)["code"] == "bad-directory"
    state.unlink()
    state.write_text("a file")
    assert refused(votenet, 78, *UP)["code"] == "bad-directory"
    state.unlink()
    state.mkdir(mode=0o700)
    (state / "genesis.json").write_text("{")
    (state / "node-1").mkdir(mode=0o700)
    (state / "node-1" / DATABASE_NAME).touch()  # perhaps with votes: then no other election is made here
    refused(votenet, 78, *UP)
    (state / "genesis.json").unlink()
    (state / "node-1" / DATABASE_NAME).unlink()
    for broken in ("{", '{"instance": 5}', "[]", "\0" * 100):
        (state / "network.json").write_text(broken)
        assert "write it anew with: votenet up --detach" in votenet("supervise", exit_code=78).stderr
    (state / "programs").mkdir()
    (state / "programs" / "node-1.json").write_text('{"v":1,"insta')
    votenet(*UP)
    assert votenet.programs()["node-1"]["state"] == "ready", "what is only a memory is made anew"


def test_scenario_19_a_socket_that_is_not_ours(votenet: Votenet) -> None:
    run = votenet.home / "default" / "run"
    run.mkdir(parents=True, mode=0o700)
    run.parent.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(run / "control.sock"))
        stranger.listen()
        code = STRANGER.format(fd=stranger.fileno())
        with subprocess.Popen([sys.executable, "-c", code], pass_fds=[stranger.fileno()]) as answering:
            try:
                error = json.loads(votenet("ps", "--json", exit_code=1).stdout)["error"]
                assert error["code"] == "bad-json"
                assert json.loads(votenet(*UP, "--json", exit_code=1).stdout)["error"]["code"] == "bad-json"
            finally:
                answering.kill()
    votenet(*UP)
    assert votenet.json("ps")["phase"] == "running", "the stale socket is replaced"


def test_unknown_names(votenet: Votenet) -> None:
    votenet(*UP)
    for command in ("start", "stop", "restart", "kill", "pause", "resume"):
        error = json.loads(votenet(command, "node-7", "--json", exit_code=4).stdout)["error"]
        assert error["code"] == "no-such-node"
        assert "votenet ps" in error["next_step"]
    votenet("scale", "1", "-i", "nobody", exit_code=3)
    votenet("up", "-i", "../x", exit_code=78)
    votenet("logs", "node-7", exit_code=4)


def test_scenario_18_a_supervisor_that_hangs_is_told_apart_from_none(votenet: Votenet) -> None:
    votenet(*UP)
    pid = votenet.json("ps")["supervisor"]["pid"]
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGSTOP)
        assert json.loads(votenet("ps", "--json", exit_code=5).stdout)["error"]["code"] == "timed-out"
        done = votenet("supervise", exit_code=75)
        assert f"pid {pid}" in done.stderr
    finally:
        signal.pidfd_send_signal(handle, signal.SIGCONT)
        os.close(handle)
    assert votenet.programs()["node-1"]["state"] == "ready"
