"""`votenet keys` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from support.elections import key_of
from votenet.cli.election.roll import roll_path, write_roll
from votenet.config import instance_dirs
from votenet.core.election.roll import Roll
from votenet.storage.key_store import KeyStore


def test_keys_are_made_once_listed_and_shown(cli: Callable[..., CommandResult]) -> None:
    made = json.loads(cli("keys", "make", "anna", "berta/2", "--json").out)
    assert [key["voter_id"] for key in made] == ["anna", "berta/2"]
    assert json.loads(cli("keys", "make", "anna", "--json").out)[0] == made[0]
    listed = json.loads(cli("keys", "list", "--json").out)
    assert sorted(key["voter_id"] for key in listed) == ["anna", "berta/2"]
    (shown,) = json.loads(cli("keys", "show", "berta/2", "--json").out)
    assert shown == made[1]
    assert Path(shown["file"]).stat().st_mode & 0o777 == 0o600
    assert made[0]["public_key"] in cli("keys", "list").out


def test_where_no_terminal_is_no_key_is_folded(cli: Callable[..., CommandResult]) -> None:
    names = [f"a voter with a long id, number {number}: " + "x" * 80 for number in range(3)]
    made = json.loads(cli("keys", "make", *names, "--json").out)
    heading, *rows = cli("keys", "list").out.splitlines()
    assert heading.split() == ["voter", "public", "key", "file"]
    assert [key["public_key"] in row and key["file"] in row for key, row in zip(made, rows, strict=True)]


def test_a_key_that_is_not_there(cli: Callable[..., CommandResult]) -> None:
    done = cli("keys", "show", "nobody")
    assert done.code == 1
    assert "votenet keys make nobody" in done.err


@pytest.mark.parametrize("refused", ["", " x", "a\nb", "x" * 129, "a\u202eb"])
def test_an_id_that_no_election_takes_leaves_no_key(cli: Callable[..., CommandResult], refused: str) -> None:
    done = cli("keys", "make", "anna", refused)
    assert (done.code, "[bad-vote]" in done.err) == (1, True)
    assert json.loads(cli("keys", "list", "--json").out) == [], "all or nothing"


def test_a_broken_key_file_is_told_and_kept(cli: Callable[..., CommandResult]) -> None:
    (key,) = json.loads(cli("keys", "make", "carla", "--json").out)
    Path(key["file"]).write_text("{}")
    done = cli("keys", "show", "carla")
    assert done.code == 78
    assert "bad-key" in done.err
    assert Path(key["file"]).read_text() == "{}"


def test_keys_are_taken_in_all_or_none(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    handed = KeyStore(tmp_path / "handed")
    files = [str(handed.get_or_make(name).path) for name in ("ann", "bo")]
    (tmp_path / "bad.json").write_text("{}")
    refused = cli("keys", "import", *files, str(tmp_path / "bad.json"))
    assert (refused.code, "[bad-key]" in refused.err) == (78, True)
    assert json.loads(cli("keys", "list", "--json").out) == []
    taken = json.loads(cli("keys", "import", *files, "--json").out)
    assert [(key["voter_id"], key["on_roll"]) for key in taken] == [("ann", None), ("bo", None)]
    assert json.loads(cli("keys", "import", *files, "--json").out) == taken, "a second time nothing changes"
    other = KeyStore(tmp_path / "other").get_or_make("ann").path
    refused = cli("keys", "import", str(other))
    assert (refused.code, "[key-exists]" in refused.err) == (78, True)


def test_the_list_says_which_keys_are_on_the_roll_here(cli: Callable[..., CommandResult]) -> None:
    made = json.loads(cli("keys", "make", "ann", "bo", "eve", "--json").out)
    instance_dirs().state.mkdir(parents=True, exist_ok=True)
    roll = Roll([("ann", made[0]["public_key"]), ("bo", key_of("bo").public_hex)])
    write_roll(roll_path(instance_dirs()), roll)
    listed = json.loads(cli("keys", "list", "--json").out)
    assert {key["voter_id"]: key["on_roll"] for key in listed} == {"ann": True, "bo": False, "eve": False}
    Path(made[0]["file"]).unlink()
    lost = cli("keys", "show", "ann").err
    assert ("votenet keys import" in lost, "keys make" in lost) == (True, False), "a new one could not vote"
    rows = ["", *cli("keys", "list").out.splitlines()]
    assert [row.split(".json")[-1].strip() for row in rows[2:]] == ["no: another key is", "no"]
