"""Every reader takes what the programs really make: defaults untouched, real processes, real files.

Audit, verify, import, the second verifier, the sync of a fresh node, the restart of the nodes: each on the
output of `up`, of `up --roll`, of each method, and of `demo`.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
VERIFIER = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"
RUNOFF = ("--method", "instant-runoff", "--candidate", "Ann", "--candidate", "Bo", "--candidate", "Çelik")
APPROVAL = ("--method", "approval", "--candidate", "علی\u200cرضا", "--candidate", "山田\u3000太郎")


class Readers:
    """All readers of one network of a user, and what its nodes say that they must find."""

    def __init__(self, user: Votenet, folder: Path, roll: Path | None = None) -> None:
        self.user, self.folder = user, folder
        self.roll = () if roll is None else ("--roll", str(roll))
        wait_for(lambda: not self.waiting(), "every vote is in a block")
        self.results = user.json("results")
        self.network = ("--network", self.results["network_id"])
        self.counts = self.results["counts"]
        self.archive = str(folder / "election.jsonl.xz")

    def waiting(self) -> int:
        return int(self.user.json("results")["waiting"])

    def verifier(self, kind: str, file: str) -> Any:
        done = subprocess.run(
            [sys.executable, str(VERIFIER), kind, file, *self.network, *self.roll, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(done.stdout)
        assert (done.returncode, found["holds"]) == (0, True), found
        return found

    def archives(self) -> None:
        self.user("export", "-o", self.archive)
        ours = self.user.json("audit", self.archive, *self.network, *self.roll)
        theirs = self.verifier("archive", self.archive)
        assert dict(ours["counts"]) == dict(theirs["counts"]) == self.counts
        assert ours["outcome"]["winners"] == theirs["winners"] == self.results["outcome"]["winners"]
        assert ours["tip"] == theirs["tip"] == self.results["tip"]

    def receipts(self, voter: str) -> None:
        file = str(self.folder / "receipt.json")
        self.user("receipt", voter, "-o", file)
        ours = self.user.json("verify", file, *self.network, *self.roll)
        theirs = self.verifier("receipt", file)
        for name in ("voter_id", "choices", "vote_id", "block", "height", "position", "work"):
            assert ours[name] == theirs[name]

    def imports(self) -> Path:
        """Reads the archive into a folder that a node starts from."""
        data = self.folder / "imported"
        done = self.user.json("import", self.archive, "--data-dir", str(data), *self.network, *self.roll)
        assert done["votes"] == self.results["votes"]
        again = self.folder / "again.jsonl.xz"
        self.user(
            "export", "--data-dir", str(data), "--genesis", str(data / "genesis.json"), "-o", str(again)
        )
        assert again.read_bytes() == Path(self.archive).read_bytes()
        return data

    def node(self, data: Path, genesis: Path, *options: str) -> Any:
        """What a node of its own tells, once it has every vote."""
        with _running(self.user, data, genesis, *self.roll, *options) as address:
            found: list[Any] = []

            def has_all() -> bool:
                done = self.user("results", "--node", address, "--json", exit_code=None)
                found[:] = [json.loads(done.stdout)] if done.returncode == 0 else []
                return bool(found) and found[0]["votes"] == self.results["votes"]

            wait_for(has_all, f"a node at {address} has all votes", 60)
            return found[0]

    def restart(self) -> None:
        self.user("down")
        self.user("up", "--detach")
        after = self.user.json("results")
        assert (after["counts"], after["tip"]) == (self.counts, self.results["tip"])

    def all_of_them(self, voter: str) -> None:
        self.archives()
        self.receipts(voter)
        data = self.imports()
        fresh = self.folder / "fresh"
        peers = [p["address"] for p in self.user.programs().values() if p["role"] == "node"]
        for folder, options in ((fresh, ("--peer", peers[0])), (data, ("--no-mine",))):
            assert self.node(folder, data / "genesis.json", *options)["counts"] == self.counts
        self.restart()


@contextlib.contextmanager
def _running(user: Votenet, data: Path, genesis: Path, *options: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ("--data-dir", str(data), "--genesis", str(genesis), "--port", str(port))
    with (data.parent / f"{data.name}.log").open("wb") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "votenet", "node", *where, *options], env=user.env, stderr=log
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            node.terminate()
            assert node.wait(timeout=30) == 0, (data.parent / f"{data.name}.log").read_text()


def test_what_up_makes_untouched_is_taken_by_every_reader(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--detach")
    votenet("vote", "voter123", "Alice")
    votenet("vote", "voter 2", "Bob")
    Readers(votenet, tmp_path).all_of_them("voter123")


@pytest.mark.parametrize(
    ("options", "votes"),
    [
        (RUNOFF, (("v1", "Çelik", "Ann"), ("v2", "Ann"), ("v3", "Bo", "Ann"))),
        (APPROVAL, (("v1", "علی\u200cرضا", "山田\u3000太郎"), ("v2", "山田\u3000太郎"))),
    ],
    ids=["instant-runoff", "approval"],
)
def test_each_method_is_taken_by_every_reader(
    votenet: Votenet, tmp_path: Path, options: tuple[str, ...], votes: tuple[tuple[str, ...], ...]
) -> None:
    votenet("up", "--detach", "--nodes", "2", *options)
    for vote in votes:
        votenet("vote", *vote)
    Readers(votenet, tmp_path).all_of_them("v1")


def test_an_election_with_a_roll_is_taken_by_every_reader(votenet: Votenet, tmp_path: Path) -> None:
    members, roll = tmp_path / "members.csv", tmp_path / "roll.json"
    members.write_text("id\nann\nbo\ncy\n", encoding="utf-8")
    votenet("roll", "create", str(members), "-o", str(roll), "--make-keys")
    votenet("up", "--detach", "--nodes", "2", "--roll", str(roll))
    votenet("vote", "ann", "Alice")
    votenet("vote", "bo", "Charlie")
    readers = Readers(votenet, tmp_path, roll)
    assert readers.results["registered"] == 3
    readers.all_of_them("ann")
    bare = votenet("import", readers.archive, "--data-dir", str(tmp_path / "bare"), exit_code=78)
    assert "[roll-missing]" in bare.stderr


@pytest.mark.timeout(600)  # 5,000 votes on five nodes, six times over: half a minute on an idle machine
def test_what_demo_makes_untouched_is_taken_by_every_reader(votenet: Votenet, tmp_path: Path) -> None:
    done = votenet("demo", "--keep", "--json", exit_code=None, seconds=300)
    home = Path(re.findall("chains and logs are in (.+)", done.stderr)[0])
    user = Votenet(home)
    try:
        assert sum(line["votenet"] for line in json.loads(done.stdout)["counts"]) == 5000
        user("up", "--detach")
        readers = Readers(user, tmp_path)
        assert readers.results["votes"] == 5000
        readers.all_of_them("mpls-000001")
    finally:
        user("down", exit_code=None)
        left = user.left_over()
        shutil.rmtree(home, ignore_errors=True)
    assert left == []
