"""`votenet replay` as typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome, RunningNode, node_of

from support import make_election
from votenet.cli.render import when


def test_s10_a_file_is_cast_counted_and_summed_up(
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
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


def test_refused_ballots_end_in_exit_1_with_reasons(
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
) -> None:
    file = tmp_path / "ballots.csv"
    file.write_text("first\nAlice\nZorro\n")
    done = cli("replay", str(file), "--prefix", "bad-", "--node", str(node.address))
    assert done.code == 1
    assert "refused: unknown-candidate" in done.out
    assert "1 ballots were refused" in done.err


@pytest.mark.parametrize("senders", ["1", "2"])
def test_before_opening_it_says_so_at_once_and_since_when(
    cli: Callable[..., Outcome], tmp_path: Path, senders: str
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


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    assert "minneapolis-2013" in cli("replay", "--help").out


def test_ballots_signed_beforehand_are_cast_later(
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
) -> None:
    file, signed = tmp_path / "ballots.csv", tmp_path / "signed.jsonl"
    file.write_text("first\n" + "Alice\n" * 40 + '"broken\n')
    where = ("--prefix", "early-", "--node", str(node.address), "--json")
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
    cli: Callable[..., Outcome], node: RunningNode, tmp_path: Path
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
