"""What the authority changes while an election runs, as typed, at a real node."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.amendments import AUTHORITY, amendable, amendment, roll_of
from support.elections import key_of
from votenet.client.connection import NodeConnection
from votenet.client.sync_client import ElectionClient
from votenet.core.keys import SigningKey
from votenet.errors import Rejected
from votenet.protocol.wire.client_messages import AmendmentTaken, SubmitAmendment
from votenet.storage.key_store import AUTHORITY as OWNER
from votenet.storage.key_store import KeyStore

Cli = Callable[..., CommandResult]
HOUR = 3600


class Evening(NamedTuple):
    """An election with a roll at one named node; `roll` and `key` are files, `where` the options of all."""

    node: RunningNode
    began: int
    roll: Path
    key: Path

    @property
    def where(self) -> tuple[str, ...]:
        return ("--node", str(self.node.address))

    @property
    def by(self) -> tuple[str, ...]:
        return (*self.where, "--authority-key", str(self.key), "--wait", "150")


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    now, folder = int(time.time()), tmp_path / "evening"
    roll = folder / "roll.json"
    folder.mkdir()
    roll.write_bytes(roll_of("ann", "bo", "0017").to_file())
    election = amendable("ann", "bo", "0017", nodes=1, created=now, closes=now + HOUR)
    with node_of(election, folder, "--roll", str(roll)) as node:
        yield Evening(node, now, roll, key_file(folder / "keys", OWNER, AUTHORITY))


def key_file(folder: Path, owner: str, key: SigningKey) -> Path:
    return KeyStore(folder).put(owner, key).path


def refused(done: CommandResult, said: str, code: str = "bad-amendment", exit_code: int = 1) -> None:
    assert (done.code, f"[{code}]" in done.err, said in done.err) == (exit_code, True, True), done.err


def public(name: str) -> str:
    return key_of(name).public_hex


def test_an_evening_with_a_late_member_a_lost_key_and_a_longer_hour(
    cli: Cli, evening: Evening, tmp_path: Path
) -> None:
    where, roll = evening.where, ("--roll", str(evening.roll))

    def vote(voter: str, key: str, *options: str) -> CommandResult:
        file = key_file(tmp_path / key, voter, key_of(key))
        return cli("vote", *where, voter, "Bob", "--key", str(file), "--wait", "150", *options)

    # 1. A late member: refused before, votes then.
    refused(vote("dan", "late dan"), "", "not-on-roll")
    done = cli("voters", "add", *evening.by, *roll, " dan ", public("late dan").upper(), "--reason", "paid")
    assert (done.code, done.out.splitlines()[0]) == (0, "Amendment 1 is final, signed by 1 of 1."), done.err
    assert "Ctrl-C ends the wait" in done.err
    assert "dan may vote with the key" in done.out
    assert vote("dan", "late dan", *roll).code == 0
    # 2. A lost key: the old one is refused here, where the roll is known, and there; the new one votes.
    cast = cli("voters", "replace-key", *evening.by, "ann", public("new ann"), "--json")
    told = json.loads(cast.out)
    assert (told["number"], told["action"], told["state"]) == (2, "replace-key", "final")
    for options in (roll, ()):
        refused(vote("ann", "ann", *options), "", "wrong-key")
    assert vote("ann", "new ann", *roll).code == 0
    refused(cli("voters", "replace-key", *evening.by, *roll, "ann", public("third")), "'ann' has voted")
    who = json.loads(cli("voters", "status", *where, *roll, "--json").out)
    assert (who["registered"], who["voted"], len(who["voters"])) == (4, 2, 4)
    # 3. The hour, and what people read about all of it.
    assert cli("election", "extend", *evening.by, "+2h", "--reason", "the hall was late").code == 0
    found = json.loads(cli("results", *where, "--json").out)
    assert (found["registered"], found["votes"], found["cancelled"]) == (4, 2, False)
    assert [one["action"] for one in found["amendments"]] == ["add-voter", "replace-key", "extend"]
    assert found["closes"] == evening.began + 3 * HOUR  # two more than the one before
    assert found["amendments"][-1]["closes"] == found["closes"]
    for command in ("results", "status"):
        shown = cli(command, *where).out
        for text in ("(extended from ", "1. add-voter: dan", "(paid)", "3. extend: ", "(the hall was late)"):
            assert text in shown, (command, shown)
    # 4. The proofs, and the archive.
    receipt, archive = str(tmp_path / "receipt.json"), str(tmp_path / "election.jsonl")
    network = ("--network", evening.node.election.network_hex)
    for voter in ("dan", "ann"):
        assert cli("receipt", *where, voter, "-o", receipt).code == 0
        verified = cli("verify", receipt, *network, *roll)
        assert verified.code == 0, verified.err
        assert "2. replace-key: ann" in verified.out
    assert cli("export", *where, "-o", archive).code == 0
    audited = cli("audit", archive, *network, *roll)
    assert audited.code == 0, audited.err
    assert "3. extend: voting closes" in audited.out
    assert "(extended from " in audited.out


def test_what_may_not_be_changed_is_refused_with_its_reason(
    cli: Cli, evening: Evening, tmp_path: Path
) -> None:
    roll = ("--roll", str(evening.roll))
    other = key_file(tmp_path / "other", OWNER, key_of("another authority"))
    of_a_voter = key_file(tmp_path / "voter", "ann", key_of("ann"))
    # 1. Who may.
    for file, code, status in ((other, "bad-amendment", 1), (of_a_voter, "bad-key", 78)):
        done = cli("election", "extend", *evening.where, "--authority-key", str(file), "+2h")
        refused(done, str(file), code, status)
    refused(cli("election", "extend", *evening.where, "+2h"), "--authority-key FILE", "no-key")
    for mode, warns in ((0o644, 1), (0o600, 0)):
        evening.key.chmod(mode)
        said = " ".join(cli("election", "extend", *evening.by, "+0m").err.split())
        assert said.count(f"To end that, type: chmod 600 {evening.key}") == warns
    # 2. Hours.
    for words, why in (
        (("extend", "+0m"), "does not extend"),
        (("extend", "2001-01-01T00:00Z"), "does not extend"),
        (("close", "+2h"), "as early"),
        (("close", "+30s"), "60 seconds before"),
        (("close", "2001-01-01T00:00Z"), "60 seconds before"),
    ):
        refused(cli("election", *words, *evening.by), why)
    assert cli("election", "extend", *evening.by, "tomorrow").code == 2
    # 3. The roll: with the file at hand here, without it at the node.
    for words, why in (
        (("add", "ann", public("x")), "votenet voters replace-key"),
        (("add", "ANN", public("x")), "people would take 'ANN' for 'ann'"),
        (("add", "eve", public("bo")), "this is the key of 'bo'"),
        (("add", "eve", "00" * 31), "no Ed25519 public key"),
        (("add", "eve", public("x"), "--weight", "2"), "each voter weighs 1"),
        (("add", "e\u200bve", public("x")), "cannot be seen"),
        (("replace-key", "17", public("x")), "Did you mean 0017?"),
        (("replace-key", "bo", public("bo")), "this is the key of 'bo'"),
    ):
        refused(cli("voters", *words, *evening.by, *roll), why)
    for words in (
        ("add", "ann", public("x")),
        ("add", "eve", public("bo")),
        ("replace-key", "17", public("x")),
    ):
        done = cli("voters", *words, *evening.by)
        refused(done, "roll")
        assert "Warning: the roll is not here" in done.err
    for weight in ("0", str(2**63)):
        assert cli("voters", "add", *evening.by, "eve", public("x"), "--weight", weight).code == 2
    # 4. Nothing of all that is on the chain; the record of one that is cannot be played again.
    assert json.loads(cli("results", *evening.where, "--json").out)["amendments"] == []
    assert cli("election", "extend", *evening.by, "+2h").code == 0
    election = evening.node.election
    closes = evening.began + 4 * HOUR
    for number, why in ((1, "next"), (300, "next")):
        record = amendment(election, "extend", closes=closes, number=number)
        with pytest.raises(Rejected, match=why) as again:
            hand_over(evening, record)
        assert again.value.code == "bad-amendment"


def hand_over(evening: Evening, record: Any) -> None:
    async def submit(node: NodeConnection) -> AmendmentTaken:
        return await node.ask(SubmitAmendment(amendment=record), AmendmentTaken)

    with ElectionClient(evening.node.address) as client:
        client.at_one_node(submit)


def test_a_cancelled_election_takes_and_counts_nothing(cli: Cli, evening: Evening, tmp_path: Path) -> None:
    where = evening.where
    ann, bo = (key_file(tmp_path / "k", name, key_of(name)) for name in ("ann", "bo"))
    assert cli("vote", *where, "ann", "Bob", "--key", str(ann)).code == 0
    asked = cli("election", "cancel", *evening.by)
    assert (asked.code, "add --yes" in asked.err) == (2, True)
    done = cli("election", "cancel", *evening.by, "--yes", "--reason", "a wrong ballot")
    assert (done.code, "the election is cancelled" in done.out) == (0, True), done.err
    refused(cli("vote", *where, "bo", "Bob", "--key", str(bo)), "", "cancelled")
    shown = cli("results", *where).out
    for text in (
        "Cancelled: nothing is counted. The authority of the election cancelled it at ",
        "by the clock of the node that made the block. Reason: a wrong ballot",
        "1. cancel: the election is cancelled (a wrong ballot)",
    ):
        assert text in " ".join(shown.split())
    for text in ("Winner", "candidate", "share", "0 ballots"):
        assert text not in shown
    found = json.loads(cli("results", *where, "--json").out)
    assert found["cancelled"] is True
    assert evening.began <= found["cancelled_at"] <= time.time() + 60
    refused(cli("election", "extend", *evening.by, "+2h"), "cancelled before")
    refused(cli("results", *where, "--final"), "", "cancelled")
    archive = str(tmp_path / "election.jsonl")
    assert cli("export", *where, "-o", archive).code == 0
    audited = cli("audit", archive, "--network", evening.node.election.network_hex)
    cancelled = "Cancelled: nothing is counted. The authority of the election cancelled it at"
    assert cancelled in " ".join(audited.out.split())
    assert "share" not in audited.out
    assert (audited.code, "1. cancel" in audited.out, "cancelled: signed by" in audited.out) == (
        0,
        True,
        True,
    )


def test_an_election_without_named_nodes_cannot_be_amended(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    key = key_file(tmp_path / "a", OWNER, AUTHORITY)
    done = cli("election", "cancel", "--node", str(node.address), "--authority-key", str(key), "--yes")
    refused(done, "names no nodes, or no authority")
