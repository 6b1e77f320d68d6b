"""`votenet replay` as typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.elections import key_of, make_election
from support.lying_node import lying_node
from support.secret_definitions import SecretSetup
from votenet.cli.election.roll import write_roll
from votenet.cli.lab import replay as replay_command
from votenet.cli.lab.replay import show_summary
from votenet.cli.votes.ballot_options import SHOWN_FAULTS
from votenet.client.refusals import when
from votenet.config import instance_dirs
from votenet.core.election.definition import Candidate, Contest, Election, Threshold
from votenet.core.election.roll import Roll
from votenet.errors import VotenetError
from votenet.lab.replay_summary import Latencies, Summary
from votenet.lab.replayer import Replayer
from votenet.storage.key_store import KeyStore

NO_AMENDMENT: dict[str, int] = {"count": 0, "height": 0, "next": 1}


def test_a_file_is_cast_counted_and_summed_up(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("member,first\n" + "".join(f"p{n},{('Alice', 'Bob')[n % 2]}\n" for n in range(100)))
    options = (str(file), "--voter-column", "member", "--choice", "first", "--node", str(node.address))
    sample = json.loads(cli("replay", *options, "--sample", "10", "--json").out)
    assert (sample["read"], sample["accepted"], sample["all_in_blocks"]) == (10, 10, True)
    rest = cli("replay", *options)
    assert rest.code == 0
    assert "accepted" in rest.out
    assert "repeated" in rest.out
    assert "cast: 100 of 100" in rest.err
    assert json.loads(cli("replay", *options, "--limit", "5", "--json").out)["repeated"] == 5


def test_columns_that_are_not_read_are_named_before_ballots_are_cast(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("member,remark,note,vote\nq1,,late,Alice\nq2,,late,Bob\n")
    done = cli("replay", str(file), "--node", str(node.address))
    assert done.code == 0
    assert "Columns that are not read: remark, note." in done.err
    done = cli("replay", str(file), "--ignore", "remark", "--ignore", "note", "--node", str(node.address))
    assert "not read" not in done.err


def test_refused_ballots_end_in_exit_1_with_reasons(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("first\nAlice\nZorro\n")
    where = ("--prefix", "bad-", "--node", str(node.address))
    done = cli("replay", str(file), *where)
    assert (done.code, done.out) == (1, "")
    assert "nothing is cast: line 3, column 1: 'Zorro' is no candidate" in done.err
    done = cli("replay", str(file), *where, "--partial")
    assert done.code == 1
    assert "line 3: column 1: 'Zorro' is no candidate" in done.out
    assert "1 ballots were refused" in done.err


@pytest.mark.parametrize("senders", ["1", "2"])
def test_before_opening_it_says_so_at_once_and_since_when(
    cli: Callable[..., CommandResult], tmp_path: Path, senders: str
) -> None:
    """It used to offer the ballots again for a minute, and then called the node unreachable."""
    file = tmp_path / "ballots.csv"
    file.write_text("first\nAlice\nBob\n")
    now = int(time.time())
    with node_of(make_election(created=now, opens=now + 3600), tmp_path) as early:
        done = cli("replay", str(file), "--node", str(early.address), "--senders", senders)
    assert done.code == 1
    assert "[not-open]" in done.err
    assert f"it opens {when(now + 3600)}" in done.err
    assert "--presign OUT" in done.err


def test_a_file_is_known_by_its_hash_and_cast_with_the_same_ids(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("code,first\nk1,Alice\nk2,Bob\n")
    other.write_text("code,first\nk1,Bob\nk2,Bob\n")
    where = ("--ignore", "code", "--prefix", "known-", "--node", str(node.address))
    assert cli("replay", str(one), *where).code == 0
    again = cli("replay", str(one), *where, "--json")
    assert json.loads(again.out)["repeated"] == 2
    assert "This file was cast before" in again.err
    for file, options in ((other, where), (one, ("--voter-column", "code", "--node", str(node.address)))):
        refused = cli("replay", str(file), *options)
        assert refused.code == 78
        assert "[file-cast-before]" in refused.err


def test_with_a_roll_each_ballot_of_several_contests_is_signed_by_the_registered_key(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    roll = Roll([(voter, key_of(voter).public_hex) for voter in ("ann", "bo", "cy")])
    definition = make_election(created=int(time.time()), roll=roll).definition
    (chair,) = definition.contests
    options = tuple(Candidate(name=name) for name in ("Yes", "No", "Abstain"))
    threshold = Threshold(basis="cast", share="simple")
    motion = Contest(
        id="motion", title="New hall", method="motion", candidates=options, blank=True, threshold=threshold
    )
    chair = msgspec.structs.replace(chair, id="chair", title="Chair")
    election = Election(msgspec.structs.replace(definition, contests=(chair, motion)))
    here = instance_dirs("default")
    here.genesis.parent.mkdir(parents=True)
    here.genesis.write_bytes(election.to_file())
    roll_file = here.genesis.with_name("roll.json")
    write_roll(roll_file, roll)
    for voter in ("ann", "bo"):
        KeyStore(here.keys).put(voter, key_of(voter))
    file = tmp_path / "ballots.csv"
    file.write_text("id,chair,New hall\nann,Alice,Yes\nbo,Bob,\ncy,Bob,No\ndee,Bob,No\n")
    with node_of(election, tmp_path, "--roll", str(roll_file)) as node:
        typed = (str(file), "--node", str(node.address))
        refused = cli("replay", *typed)
        assert (refused.code, refused.out) == (1, "")
        assert "[ballots-refused]" in refused.err
        assert "line 4, column 1: there is no key for the voter id 'cy'" in refused.err
        assert "line 5, column 1: the voter id 'dee' is not on the roll" in refused.err
        checked = cli("ballots", "check", str(file), "--json")
        assert (checked.code, json.loads(checked.out)["castable"]) == (refused.code, 3), (
            "keys may be elsewhere"
        )
        done = json.loads(cli("replay", *typed, "--partial", "--json").out)
        assert (done["read"], done["accepted"], done["refused"]) == (4, 2, {"bad-ballot": 2})
        again = json.loads(cli("replay", *typed, "--partial", "--json", "--senders", "2", "--batch", "1").out)
        assert (again["repeated"], again["refused"]) == (2, {"bad-ballot": 2})
        file.write_text("id,chair,New hall\nbo,Bob,\nann,Bob,Yes\n")
        other = cli("replay", *typed)
        assert (other.code, "line 3, column 1: the voter id 'ann' has already voted" in other.err) == (
            1,
            True,
        )
        results = json.loads(cli("results", "--node", str(node.address), "--json").out)
    assert [dict(contest["counts"]) for contest in results["contests"]] == [
        {"Alice": 1, "Bob": 1, "Charlie": 0},
        {"Yes": 1, "No": 0, "Abstain": 0},
    ]


def test_ballots_that_the_election_leaves_out_are_named_and_it_ends(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_until_counted(*_: object) -> bool:
        raise VotenetError("the election is over", code="votes-not-counted")

    async def left_out(*_: object) -> list[tuple[int, str]]:
        return [(line, f"v{line}") for line in range(2, 2 + SHOWN_FAULTS + 3)]

    monkeypatch.setattr(Replayer, "wait_until_counted", wait_until_counted)
    monkeypatch.setattr(replay_command, "left_out", left_out)
    file = tmp_path / "ballots.csv"
    file.write_text("first\nAlice\nBob\n")
    done = cli("replay", str(file), "--prefix", "left-out-", "--node", str(node.address), "--json")
    assert done.code == 1
    assert json.loads(done.out)["all_in_blocks"] is False
    assert "line 2: the vote of 'v2' is not counted" in done.err
    assert "and 3 more votes" in done.err
    assert "[votes-not-counted]" in done.err


def test_help_teaches(cli: Callable[..., CommandResult]) -> None:
    assert "minneapolis-2013" in cli("replay", "--help").out


def test_ballots_signed_beforehand_are_cast_later(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file, signed = tmp_path / "ballots.csv", tmp_path / "signed.jsonl"
    file.write_text("first\n" + "Alice\n" * 40 + "Zorro\n")
    where = ("--prefix", "early-", "--node", str(node.address), "--json", "--partial")
    made = json.loads(cli("replay", str(file), *where, "--presign", str(signed)).out)
    assert (made["signed"], made["passed_over"]) == (40, 1)
    options = ("--batch", "5", "--confirmations", "1", "--rate", "400")
    done = json.loads(cli("replay", str(signed), *where, *options).out)
    assert (done["read"], done["accepted"], done["all_in_blocks"]) == (40, 40, True)
    assert done["latency_ms"]["accepted"]["count"] == 40
    assert done["latency_ms"]["confirmed"]["count"] == 8
    assert json.loads(cli("replay", str(signed), *where, "--sample", "8").out)["repeated"] == 8
    assert cli("replay", str(signed), *where, "--presign", str(signed)).code == 2


def test_a_bad_presigned_file_is_refused_before_anything_is_cast(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    file, signed = tmp_path / "ballots.csv", tmp_path / "signed.jsonl"
    file.write_text("first\nAlice\nBob\n")
    where = ("--prefix", "bad-file-", "--node", str(node.address))
    assert cli("replay", str(file), *where, "--presign", str(signed)).code == 0
    whole = signed.read_bytes()
    signed.write_bytes(whole[:-20])
    refused = cli("replay", str(signed), *where)
    assert refused.code == 78
    assert "[bad-presigned-file]" in refused.err
    signed.write_bytes(whole.replace(node.election.network_hex.encode(), b"ab" * 32))
    refused = cli("replay", str(signed), *where)
    assert refused.code == 78
    assert "[wrong-election]" in refused.err
    assert json.loads(cli("replay", str(file), *where, "--json").out)["accepted"] == 2, "nothing was cast"


def test_the_table_names_reasons_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(read=14, accepted=10, seconds=2.0, latency={"accepted": Latencies()})
    summary.refuse("unknown-candidate", "line 0")
    summary.latency["accepted"].add(2.0, 10)
    show_summary(summary)
    shown = capsys.readouterr().out
    assert "refused: unknown-candidate" in shown
    assert "line 0" in shown
    assert "2,000" in shown


def test_nothing_done_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(latency={"accepted": Latencies()})
    assert summary.rate == 0.0
    show_summary(summary)
    assert "p99" not in capsys.readouterr().out, "there is no time to speak of"


def test_a_file_of_open_ballots_is_not_cast_where_ballots_are_secret(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    """It signed nothing that a node takes, and said of each ballot that it is none."""
    setup = SecretSetup()
    file = tmp_path / "ballots.csv"
    file.write_text("member,first\nvoter-1,Alice\n")
    answers = {"get_amendments": lambda _: {"type": "amendments", "amendments": [], **NO_AMENDMENT}}
    with lying_node(setup.election, answers) as node:
        options = ("--voter-column", "member", "--choice", "first", "--node", str(node))
        for more in ((), ("--presign", str(tmp_path / "signed.jsonl"))):
            refused = cli("replay", str(file), *options, *more)
            assert refused.code == 1
            assert "the ballots of this election are secret" in refused.err
            assert "[no-credential]" in refused.err
            assert "votenet vote --node" in refused.err
    assert not (tmp_path / "signed.jsonl").exists()
