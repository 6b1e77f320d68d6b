"""`votenet report` as typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, node_of

from support.club_evening import club_evening
from support.elections import make_election
from votenet.storage.member_files import MemberFiles, MemberNote, MembersFile

Cli = Callable[..., CommandResult]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """The options that name the archive of a club's evening and its roll."""
    roll, file = club_evening()
    (tmp_path / "club.jsonl").write_bytes(file.pack())
    (tmp_path / "roll.json").write_bytes(roll.to_file())
    return "--archive", str(tmp_path / "club.jsonl"), "--roll", str(tmp_path / "roll.json")


def test_the_ending_of_the_file_says_its_kind(cli: Cli, tmp_path: Path, files: tuple[str, ...]) -> None:
    for name, begins in (("m.html", b"<!DOCTYPE html>"), ("m.CSV", b"\xef\xbb\xbfpart,"), ("m.json", b"{")):
        done = cli("report", "-o", str(tmp_path / name), *files)
        assert (done.code, done.out) == (0, f"Wrote {tmp_path / name}. The result is final.\n")
        assert (tmp_path / name).read_bytes().startswith(begins)
    refused = cli("report", "-o", str(tmp_path / "m.txt"), *files)
    assert refused.code == 2
    assert not (tmp_path / "m.txt").exists()
    assert cli("report", "-o", str(tmp_path / "m.txt"), "--format", "html", *files).code == 0


def test_it_goes_to_standard_output(cli: Cli, tmp_path: Path, files: tuple[str, ...]) -> None:
    done = cli("report", "-o", "-", "--format", "json", *files)
    told = json.loads(done.out)
    assert (told["final"], told["election"]["by_card"]) == (True, None)
    notes = (MemberNote("a", "", "card"), MemberNote("b", "", "own"))
    network_id = told["election"]["network_id"]
    kept = MembersFile(network_id=network_id, public_url="https://x", members=notes)
    MemberFiles(tmp_path).write_members(kept)
    with_members = (*files, "--members", str(tmp_path / "members.json"))
    shown = cli("report", "-o", "-", "--format", "html", *with_members).out
    assert "<dt>Keys of the voters</dt><dd>1 by card, " in shown
    assert cli("report", "-o", "-", *files).code == 2


def test_a_final_result_file_is_enough(cli: Cli, tmp_path: Path, files: tuple[str, ...]) -> None:
    archive, result = files[1], str(tmp_path / "result.json")
    assert cli("audit", archive, *files[2:], "--result", result).code == 0
    done = cli("report", "-o", "-", "--format", "json", "--result", result)
    told = json.loads(done.out)
    assert (told["source"], told["final"]) == ("result", True)
    assert told["contests"][0]["winners"]
    assert any(result in check["command"] for check in told["checks"])
    both = cli("report", "-o", "-", "--format", "json", "--result", result, *files)
    assert both.code == 2


def test_a_broken_archive_leaves_the_file_as_it_was(cli: Cli, tmp_path: Path, files: tuple[str, ...]) -> None:
    broken, minutes = tmp_path / "broken.jsonl", tmp_path / "m.html"
    broken.write_bytes(Path(files[1]).read_bytes().replace(b'"votes":35', b'"votes":36'))
    minutes.write_text("the minutes of last year")
    done = cli("report", "-o", str(minutes), "--archive", str(broken), *files[2:])
    assert (done.code, "[wrong-totals]" in done.err) == (1, True)
    assert minutes.read_text() == "the minutes of last year"


def test_from_a_network_every_vote_is_counted_again(cli: Cli, tmp_path: Path) -> None:
    election = make_election(created=int(time.time()))
    with node_of(election, tmp_path) as node:
        where = ("--node", str(node.address))
        assert cli("vote", *where, "ann", "Bob").code == 0
        done = cli("report", *where, "-o", str(tmp_path / "m.html"))
        assert done.out.endswith("The result is PROVISIONAL: this election has no closing time.\n")
        told = json.loads(cli("report", *where, "-o", "-", "--format", "json").out)
    assert (told["votes"], told["source"], told["final"]) == (1, "archive", False)
    assert told["contests"][0]["counts"][0] == {"candidate": "Bob", "votes": 1}
    assert f"votenet export --node {node.address}" in told["checks"][0]["command"]
