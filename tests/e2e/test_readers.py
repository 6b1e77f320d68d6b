"""Every reader takes what the programs really make: defaults untouched, real processes, real files.

Audit, verify, import, the second verifier, the sync of a fresh node, the restart of the nodes: each on the
output of `up`, of `up --roll` and of each method; on that of `demo` in test_readers_of_demo.py.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

from support.ports import free_port
from support.random_contests import election_of
from votenet.core.election.definition import Candidate, ChainParameters, Contest, Threshold
from votenet.core.election.roll import Roll
from votenet.pow import bits_for_zero_bits

pytestmark = pytest.mark.e2e
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
        self.archive = str(folder / "election.jsonl.xz")

    def waiting(self) -> int:
        return int(self.user.json("results")["waiting"])

    def verifier(self, kind: str, file: str, *options: str) -> Any:
        done = subprocess.run(
            [sys.executable, str(VERIFIER), kind, file, *self.network, *self.roll, *options, "--json"],
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
        assert ours["contests"] == self.results["contests"]
        for contest, found in zip(ours["contests"], theirs["contests"], strict=True):
            for name in ("id", "counts", "votes", "blank", "weight"):
                assert found[name] == contest[name], name
            assert found["state"] == contest["outcome"]["state"]
            assert found["winners"] == contest["outcome"].get("winners", [])
        assert ours["tip"] == theirs["tip"] == self.results["tip"]
        assert (ours["final"], ours["signed_by"]) == (theirs["final"], theirs["signed_by"])

    def receipts(self, voter: str) -> None:
        file = str(self.folder / "receipt.json")
        self.user("receipt", voter, "-o", file)
        ours = self.user.json("verify", file, *self.network, *self.roll)
        theirs = self.verifier("receipt", file)
        for name in ("voter_id", "choices", "vote_id", "final"):
            assert ours[name] == theirs[name]
        for name in ("block", "height", "position", "work", "index"):  # of the chain, or of the log
            assert ours.get(name) == theirs.get(name)
        for name in ("signed_by", "received_by"):
            assert ours[name] == theirs.get(name, [])

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

            wait_for(has_all, f"a node at {address} has all votes", 120)
            return found[0]

    def restart(self) -> None:
        self.user("down")
        self.user("up", "--detach")
        after = self.user.json("results")
        assert (after["contests"], after["tip"]) == (self.results["contests"], self.results["tip"])

    def all_of_them(self, voter: str) -> None:
        self.archives()
        self.receipts(voter)
        data = self.imports()
        fresh = self.folder / "fresh"
        peers = [p["address"] for p in self.user.programs().values() if p["role"] == "node"]
        for folder, options in ((fresh, ("--peer", peers[0])), (data, ("--no-mine",))):
            assert self.node(folder, data / "genesis.json", *options)["contests"] == self.results["contests"]
        self.restart()


@contextlib.contextmanager
def _running(user: Votenet, data: Path, genesis: Path, *options: str) -> Iterator[str]:
    port = free_port()
    where = ("--data-dir", str(data), "--genesis", str(genesis), "--port", str(port))
    with (data.parent / f"{data.name}.log").open("wb") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "votenet", "node", *where, *options], env=user.env, stderr=log
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            node.terminate()
            assert node.wait(timeout=150) == 0, (data.parent / f"{data.name}.log").read_text()


def test_every_reader_accepts_files_of_a_default_up(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--detach")
    votenet("vote", "voter123", "Alice")
    votenet("vote", "voter 2", "Bob")
    Readers(votenet, tmp_path).all_of_them("voter123")


@pytest.mark.long
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


@pytest.mark.long
def test_an_election_with_a_roll_is_taken_by_every_reader(votenet: Votenet, tmp_path: Path) -> None:
    members, roll = tmp_path / "members.csv", tmp_path / "roll.json"
    members.write_text("id\nann\nbo\ncy\n", encoding="utf-8")
    votenet("voters", "import", str(members), "-o", str(roll), "--make-keys")
    votenet("up", "--detach", "--nodes", "2", "--roll", str(roll))
    votenet("vote", "ann", "Alice")
    votenet("vote", "bo", "Charlie")
    readers = Readers(votenet, tmp_path, roll)
    assert readers.results["registered"] == 3
    readers.all_of_them("ann")
    bare = votenet("import", readers.archive, "--data-dir", str(tmp_path / "bare"), exit_code=78)
    assert "[roll-missing]" in bare.stderr


@pytest.mark.long
def test_contests_and_weights_are_taken_by_every_reader(votenet: Votenet, tmp_path: Path) -> None:
    genesis, roll_path = tmp_path / "genesis.json", tmp_path / "roll.json"
    keys = {voter: votenet.json("keys", "make", voter)[0]["public_key"] for voter in ("ann", "bo")}
    roll = Roll([("ann", keys["ann"], 70), ("bo", keys["bo"], 30)])
    names = tuple(Candidate(name=name) for name in ("Ann", "Bo", "Cy"))
    two_thirds = Threshold(basis="roll", share="two-thirds")
    contests = [
        Contest(candidates=names, id="chair", max=3, method="instant-runoff", title="Chair"),
        Contest(candidates=names, id="board", max=3, method="stv", seats=2, blank=True, title="Board"),
        Contest(candidates=names, id="budget", method="motion", threshold=two_thirds, title="Budget"),
    ]
    chain = ChainParameters(bits=bits_for_zero_bits(16))
    held = election_of(contests, roll, weighted=True, created=int(time.time()), chain=chain)
    genesis.write_bytes(held.to_file())
    roll_path.write_bytes(roll.to_file())
    votenet("up", "--detach", "--nodes", "2", "--genesis", str(genesis), "--roll", str(roll_path))
    votenet("vote", "ann", "--in", "chair=Cy,Ann", "--in", "board=Ann,Bo", "--in", "budget=Ann")
    votenet("vote", "bo", "--in", "chair=Ann", "--in", "budget=Bo")  # the board is left blank
    readers = Readers(votenet, tmp_path, roll_path)
    chair, board, budget = readers.results["contests"]
    assert (chair["counts"], chair["weight"]) == ([["Cy", 70], ["Ann", 30], ["Bo", 0]], 100)
    assert (board["votes"], board["blank"], board["outcome"]["winners"]) == (2, 1, ["Ann", "Bo"])
    assert budget["outcome"]["state"] == "carried"
    readers.archives()
    readers.receipts("ann")
    readers.imports()
    readers.restart()


@pytest.mark.long
def test_every_reader_accepts_files_of_named_nodes(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--detach", "--nodes", "4", "--named-nodes")
    votenet("vote", "voter123", "Alice")
    votenet("vote", "voter 2", "Bob")
    readers = Readers(votenet, tmp_path)
    readers.archives()
    readers.receipts("voter123")
    report = votenet.json("verify", str(tmp_path / "receipt.json"), *readers.network)
    assert (report["final"], len(report["signed_by"]) >= 3) == (True, True)
    readers.all_of_them("voter123")


@pytest.mark.long
def test_every_reader_agrees_on_an_amended_election_and_its_final_result(
    votenet: Votenet, tmp_path: Path
) -> None:
    members, roll, other = tmp_path / "members.csv", tmp_path / "roll.json", Votenet(tmp_path / "other")
    members.write_text("id\nann\nbo\ncy\n", encoding="utf-8")
    votenet("voters", "import", str(members), "-o", str(roll), "--make-keys")
    votenet("up", "--detach", "--nodes", "3", "--roll", str(roll))
    votenet("vote", "bo", "Bob")
    # 1. A voter is added, another gets a new key, and voting gets an end: each is final before the next.
    wait = ("--wait", "200")
    votenet("voters", "add", "di", votenet.json("keys", "make", "di")[0]["public_key"], *wait)
    card = other.json("keys", "make", "ann")[0]
    votenet("voters", "replace-key", "ann", card["public_key"], "--reason", "card lost", *wait)
    votenet("vote", "di", "Alice")
    votenet("vote", "ann", "Alice", exit_code=1)
    votenet("vote", "ann", "Alice", "--key", card["file"])
    votenet("election", "close", "+150s", *wait)  # what follows up to 3. takes a busy machine a minute
    # 2. While it is open: archive, receipts, import, a fresh node.
    readers = Readers(votenet, tmp_path, roll)
    assert (readers.results["registered"], len(readers.results["amendments"])) == (4, 3)
    readers.archives()
    readers.receipts("bo")
    readers.receipts("di")
    readers.imports()
    # 3. The end.
    votenet("wait", "--for", "final", "--timeout", "300")
    votenet("export", "-o", readers.archive)
    result, more = str(tmp_path / "result.json"), (*readers.network, *readers.roll)
    audited = votenet.json("audit", readers.archive, *more, "--result", result)
    assert (audited["final"], [one["action"] for one in audited["amendments"]]) == (
        True,
        ["add-voter", "replace-key", "close"],
    )
    votenet("audit", readers.archive, *more, "--compare", result)
    votenet("verify", result, *readers.network)
    found = readers.verifier("result", result, "--archive", readers.archive)
    assert (found["final"], found["votes"], found["amendments"]) == (True, 3, audited["amendments"])
    assert found["contests"][0]["counts"] == [["Alice", 2], ["Bob", 1], ["Charlie", 0]]


@pytest.mark.long
def test_every_reader_says_that_an_election_was_cancelled(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--detach", "--nodes", "2")
    votenet("vote", "ann", "Alice")
    votenet("election", "cancel", "--yes", "--reason", "the hall burnt down", "--wait", "200")
    assert "[cancelled]" in votenet("vote", "bo", "Bob", exit_code=None).stderr
    readers = Readers(votenet, tmp_path)
    readers.archives()
    readers.imports()
    for kind in ("audit", "verifier"):
        report = votenet.json("audit", readers.archive, *readers.network)
        if kind == "verifier":
            report = readers.verifier("archive", readers.archive)
        assert (report["cancelled"], report["final"]) == (True, True)
        assert [contest["counts"] for contest in report["contests"]] == [[]]
    done = votenet("audit", readers.archive, *readers.network, "--result", str(tmp_path / "r"), exit_code=1)
    assert "[cancelled]" in done.stderr
