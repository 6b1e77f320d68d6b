"""Each invariant, where it holds and where it does not: a check that cannot fail shows nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.elections import as_stored, make_election, make_votes, mine_block
from support.ports import free_port
from votenet.config import InstanceDirs, instance_dirs
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import archive_lines
from votenet.lab import chaos_checks as checks
from votenet.lab.chaos_checks import Broken, End
from votenet.processes import logs
from votenet.processes.identity import TAG_VARIABLE, tag
from votenet.processes.instance import make_dirs
from votenet.processes.spec import ProgramRole, ProgramSpec
from votenet.protocol.wire.address import Address
from votenet.storage.files import FileLock

TIP = "ab" * 32


@pytest.fixture
def dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceDirs:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    found = instance_dirs("c")
    make_dirs(found)
    return found


@pytest.fixture
def stray(dirs: InstanceDirs) -> Iterator[int]:
    """The pid of a process that carries the tag of node-1."""
    env = {**os.environ, TAG_VARIABLE: tag(dirs, "node-1")}
    argv = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def program(name: str, pid: int | None, incarnation: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "pid": pid, "incarnation": incarnation, "cause": None, **more}


def test_one_incarnation(dirs: InstanceDirs, stray: int) -> None:
    checks.one_incarnation(dirs, [program("node-1", stray), program("node-2", None)])
    with pytest.raises(Broken, match=f"{checks.ONE_INCARNATION}.*node-1: pid {stray}"):
        checks.one_incarnation(dirs, [])
    with pytest.raises(Broken, match=r"told node-1: pid 1$"):
        checks.one_incarnation(dirs, [program("node-1", stray), program("node-1", 1)])


def test_no_other_restart() -> None:
    before = {"a": program("a", 1, 1), "b": program("b", 2, 5)}
    checks.no_other_restart(before, [program("a", 1, 1), program("b", 3, 6), program("new", 4, 1)], ("b",))
    with pytest.raises(Broken, match=r"a: incarnation 1 became 2"):
        checks.no_other_restart(before, [program("a", 1, 2)], ("b",))
    with pytest.raises(Broken, match=r"b: incarnation 5 became 5"):
        checks.no_other_restart(before, [program("b", 2, 5)], ("b",))
    with pytest.raises(Broken, match=r"b: incarnation 5 became 7"):
        checks.no_other_restart(before, [program("b", 2, 7)], ("b",))


def log(dirs: InstanceDirs, name: str, incarnation: int, *causes: str) -> None:
    path = logs.log_path(dirs.logs, name, incarnation)
    logs.note(path, f"{name}, incarnation {incarnation}: python -m votenet node")
    with path.open("a") as file:
        file.write("INFO ready\nnode-1, incarnation 1, pid 7: boasts\n")
    logs.note(path, f"{name}, incarnation {incarnation}, pid 7: adopted")
    for cause in causes:
        logs.note(path, f"{name}, incarnation {incarnation}, pid 7: {cause}")


def test_one_cause(dirs: InstanceDirs) -> None:
    log(dirs, "node-1", 1, "killed by SIGKILL")
    log(dirs, "node-1", 2)
    ends = checks.one_cause(dirs.logs, [program("node-1", 7, 2)])
    assert [(end.name, end.incarnation, end.cause) for end in ends] == [("node-1", 1, "killed by SIGKILL")]
    assert ends[0].at > 0
    with pytest.raises(Broken, match=r"incarnation 1 runs, 1 causes"):
        checks.one_cause(dirs.logs, [program("node-1", 7, 1)])
    with pytest.raises(Broken, match=r"incarnation 2 ended, 0 causes"):
        checks.one_cause(dirs.logs, [])
    log(dirs, "node-1", 2, "exit 0, as asked", "exit 0, as asked")
    with pytest.raises(Broken, match=r"incarnation 2 ended, 2 causes"):
        checks.one_cause(dirs.logs, [])


@pytest.mark.parametrize(
    "cause", ["exit 1 (a failure)", "killed by SIGSEGV", "its main loop hung; killed by SIGABRT"]
)
def test_an_exit_cause_that_chaos_did_not_make(dirs: InstanceDirs, cause: str) -> None:
    log(dirs, "node-1", 1, cause)
    with pytest.raises(Broken, match="no step made this"):
        checks.one_cause(dirs.logs, [])


def test_one_that_had_to_be_killed(dirs: InstanceDirs) -> None:
    log(dirs, "node-1", 1, "killed by SIGKILL, as asked")
    with pytest.raises(Broken) as caught:
        checks.one_cause(dirs.logs, [])
    assert caught.value.invariant == checks.STOPS_IN_TIME


def test_restart_limit() -> None:
    ends = [End("a", n, 30.0 * n, "killed by SIGKILL") for n in range(4)]
    ends += [End("a", 9, 31.0, "exit 0, as asked"), End("b", 1, 31.0, "killed by SIGKILL")]
    checks.restart_limit(ends, 5, 120.0)
    checks.restart_limit([*ends, End("a", 5, 120.0, "killed by SIGKILL")], 5, 120.0)
    with pytest.raises(Broken, match="a failed 5 times within 120 s"):
        checks.restart_limit([*ends, End("a", 5, 119.0, "killed by SIGKILL")], 5, 120.0)


def test_agreement() -> None:
    assert checks.agreement({"a": (5, TIP, 0), "b": (5, TIP, 0)}, 5) == ""
    assert checks.agreement({"a": (5, TIP, 0), "b": None}, 5) == "no answer from b"
    assert checks.agreement({"a": (5, TIP, 0), "b": (5, "cd" * 32, 0)}, 5) == "2 different tips"
    assert checks.agreement({"a": (4, TIP, 1), "b": (4, TIP, 1)}, 5) == "votes wait"
    assert checks.agreement({"a": (4, TIP, 0), "b": (4, TIP, 0)}, 5) == "4 votes counted of 5 acknowledged"
    assert checks.agreement({"a": (6, TIP, 0), "b": (6, TIP, 0)}, 5) == "6 votes counted of 5 acknowledged"


def archive(path: Path, votes: list[HashedVote]) -> Path:
    election = make_election()
    block = mine_block(election, votes=votes)
    path.write_bytes(b"".join(archive_lines(election, [as_stored(block)])))
    return path


def test_no_vote_lost(tmp_path: Path) -> None:
    votes = make_votes(make_election(), 5)
    told = {hashed.voter_id: hashed.id.hex() for hashed in votes}
    assert checks.no_vote_lost(archive(tmp_path / "a.jsonl", votes), told) == 5
    assert checks.no_vote_lost(archive(tmp_path / "a.jsonl", votes), {}) == 5
    with pytest.raises(Broken, match=f"1 are missing, such as {votes[4].voter_id}"):
        checks.no_vote_lost(archive(tmp_path / "b.jsonl", votes[:4]), told)
    with pytest.raises(Broken, match="1 are missing"):
        checks.no_vote_lost(archive(tmp_path / "c.jsonl", votes), {**told, votes[0].voter_id: TIP})
    twice = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "d.jsonl").write_bytes(b"".join([*twice[:3], *twice[2:]]))
    with pytest.raises(Broken, match="counted twice"):
        checks.no_vote_lost(tmp_path / "d.jsonl", told)


def test_nothing_left(dirs: InstanceDirs, stray: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        spec = ProgramSpec(
            "node-1", ProgramRole.NODE, Address("127.0.0.1", port), dirs.data_dir("node-1"), ()
        )
        dirs.control_socket.touch()
        with (
            FileLock.acquire(dirs.supervisor_lock),
            pytest.raises(Broken, match=checks.NOTHING_LEFT) as caught,
        ):
            checks.nothing_left(dirs, [spec])
    for found in (f"node-1 (pid {stray})", f"port {port} is still held", "lock ", "socket "):
        assert found in caught.value.message


def test_nothing_is_left_where_nothing_is_left(dirs: InstanceDirs) -> None:
    address = Address("127.0.0.1", free_port())
    checks.nothing_left(dirs, [ProgramSpec("node-1", ProgramRole.NODE, address, dirs.data_dir("node-1"), ())])
