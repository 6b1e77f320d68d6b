"""Running a network under a stream of votes: another size, rolling restarts, adoption. Nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e
BATCH = 60


class Load:
    """Ballots cast one file after the other, over all nodes there are, by `votenet replay`."""

    def __init__(self, votenet: Votenet, folder: Path) -> None:
        self._votenet, self._folder = votenet, folder
        self._stop = threading.Event()
        self.rounds = threading.Semaphore(0)
        self.summaries: list[dict[str, Any]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop.is_set():
                self.summaries.append(self._round(len(self.summaries)))
                self.rounds.release()
        except BaseException as error:
            self.failure = error
            self.rounds.release()

    def _round(self, number: int) -> dict[str, Any]:
        ballots = self._folder / f"{number}.csv"
        lines = [f"v{number}-{voter},{'Alice' if voter % 3 else 'Bob'}" for voter in range(BATCH)]
        ballots.write_text("member,choice\n" + "\n".join(lines) + "\n")
        summary: dict[str, Any] = self._votenet.json(
            "replay", str(ballots), "--voter-column", "member", "--choice", "choice"
        )
        return summary

    def stop(self) -> None:
        self._stop.set()

    @property
    def votes(self) -> int:
        return BATCH * len(self.summaries)


@contextlib.contextmanager
def load(votenet: Votenet, folder: Path) -> Iterator[Load]:
    """Votes keep coming for the length of the block; none of them may be refused."""
    found = Load(votenet, folder)
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        assert found.rounds.acquire(timeout=200), "the first round"
        yield found
        assert found.rounds.acquire(timeout=200), "votes came all the time"
    finally:
        found.stop()
        thread.join(200)
    if found.failure is not None:
        raise found.failure
    assert all(one["accepted"] + one["repeated"] == BATCH for one in found.summaries), found.summaries
    assert not any(one["refused"] for one in found.summaries)


def all_count(votenet: Votenet, votes: int) -> bool:
    """Whether every node counts all of them, at the same tip."""
    done = votenet("results", "--all-nodes", "--json", exit_code=None)
    return done.returncode == 0 and f'"votes": {votes}' in done.stdout


def test_scenario_12_scale_5_3_7_under_load(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--nodes", "5", "--detach", "--difficulty", "8")
    before = votenet.programs()
    with load(votenet, tmp_path) as votes:
        votenet("scale", "3", "--force")  # fewer than must agree: votes are saved
        gone = [before[name]["address"] for name in ("node-4", "node-5")]
        wait_for(
            lambda: not {peer["address"] for peer in votenet.json("peers", "list")} & set(gone),
            "the registry has dropped them",
        )
        for address in gone:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address.split(":")[0], int(address.split(":")[1])))
        wait_for(
            lambda: [votenet.programs()[f"node-{n}"]["peers"] for n in (1, 2, 3)] == [2, 2, 2],
            "no ghost peers",
        )
        votenet("scale", "7")
        now = votenet.programs()
        assert [program["state"] for program in now.values()] == ["ready"] * 8
        assert len({program["address"] for program in now.values()}) == 8
        assert [now[f"node-{n}"]["pid"] == before[f"node-{n}"]["pid"] for n in (1, 2, 3)] == [True] * 3
    wait_for(lambda: all_count(votenet, votes.votes), "seven nodes count every acknowledged vote")


@pytest.mark.long
def test_scenario_20_a_rolling_restart_under_load_refuses_nothing_and_loses_no_line(
    votenet: Votenet, tmp_path: Path
) -> None:
    votenet("up", "--nodes", "3", "--detach", "--difficulty", "8")
    before = votenet.programs()
    followed = (tmp_path / "followed").open("w")
    argv = [sys.executable, "-m", "votenet", "logs", "-f", "-n", "10000"]
    with followed, subprocess.Popen(argv, env=votenet.env, stdout=followed) as follower:
        try:
            with load(votenet, tmp_path) as votes:
                votenet("restart", "--rolling")
            now = votenet.programs()
            assert all(now[name]["pid"] != before[name]["pid"] for name in before)
            assert {program["restarts"] for program in now.values()} == {1}
            assert {program["cause"] for program in now.values()} == {"exit 0, as asked"}
            wait_for(lambda: all_count(votenet, votes.votes), "every node counts every vote")
            whole = votenet("logs", "-n", "10000", "node-1", "--no-prefix").stdout.splitlines()[:-5]

            def seen() -> list[str]:
                lines = (tmp_path / "followed").read_text().splitlines()
                return [line.partition(" | ")[2] for line in lines if line.startswith("node-1")]

            wait_for(lambda: len(seen()) > len(whole), "it has as many lines")
            assert seen()[: len(whole)] == whole
        finally:
            follower.send_signal(signal.SIGINT)
            follower.wait(60)


def test_scenario_03_a_detached_network_outlives_its_supervisor(votenet: Votenet) -> None:
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    before = votenet.programs()
    pid = votenet.json("ps")["supervisor"]["pid"]
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    wait_for(lambda: votenet("ps", exit_code=None).returncode == 3, "the supervisor is gone")
    address = before["node-1"]["address"]
    votenet("vote", "--node", address, "orphan", "Alice")
    found = {line["what"]: line for line in votenet.json("doctor", exit_code=1)}
    assert found["node-1"]["state"] == "problem"
    assert "votenet up --nodes 2 --detach" in found["node-1"]["next_step"]
    votenet("up", "--nodes", "2", "--detach")
    now = votenet.programs()
    assert {name: program["pid"] for name, program in now.items()} == {
        name: program["pid"] for name, program in before.items()
    }
    assert {program["state"] for program in now.values()} == {"ready"}
    assert votenet.json("results")["votes"] == 1
    votenet("stop", "node-2", "--force")
    wait_for(  # how one that was adopted has ended, nobody knows: its supervisor says that it is gone, too
        lambda: before["node-2"]["address"] not in {one["address"] for one in votenet.json("peers", "list")},
        "the registry has dropped it",
    )


@pytest.mark.long
def test_an_upgrade_with_changed_settings_restarts_one_by_one(votenet: Votenet) -> None:
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    votenet("vote", "before", "Alice")
    before = votenet.programs()
    (votenet.home / "votenet.toml").write_text('[up]\nnodes = 3\nkernel = "python"\n')
    done = votenet("up", "--detach")
    assert "changed: node-3, node-1, node-2" in done.stderr
    now = votenet.programs()
    assert now["bootstrap"]["pid"] == before["bootstrap"]["pid"]
    assert now["node-1"]["pid"] != before["node-1"]["pid"]
    kernels = {node["kernel"] for node in votenet.json("status")}
    assert kernels == {"python"}
    wait_for(lambda: votenet.json("results")["votes"] == 1, "the vote is counted")
    assert "nothing to change" in votenet("up", "--detach").stderr
