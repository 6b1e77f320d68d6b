"""`votenet keys` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome


def test_keys_are_made_once_listed_and_shown(cli: Callable[..., Outcome]) -> None:
    made = json.loads(cli("keys", "make", "anna", "berta/2", "--json").out)
    assert [key["voter_id"] for key in made] == ["anna", "berta/2"]
    assert json.loads(cli("keys", "make", "anna", "--json").out)[0] == made[0]
    listed = json.loads(cli("keys", "list", "--json").out)
    assert sorted(key["voter_id"] for key in listed) == ["anna", "berta/2"]
    (shown,) = json.loads(cli("keys", "show", "berta/2", "--json").out)
    assert shown == made[1]
    assert Path(shown["file"]).stat().st_mode & 0o777 == 0o600
    assert made[0]["public_key"] in cli("keys", "list").out


def test_a_key_that_is_not_there(cli: Callable[..., Outcome]) -> None:
    done = cli("keys", "show", "nobody")
    assert done.code == 1
    assert "votenet keys make nobody" in done.err


@pytest.mark.parametrize("refused", ["", " x", "a\nb", "x" * 129, "a\u202eb"])
def test_an_id_that_no_election_takes_leaves_no_key(cli: Callable[..., Outcome], refused: str) -> None:
    done = cli("keys", "make", "anna", refused)
    assert (done.code, "[bad-vote]" in done.err) == (1, True)
    assert json.loads(cli("keys", "list", "--json").out) == [], "all or nothing"


def test_a_broken_key_file_is_told_and_kept(cli: Callable[..., Outcome]) -> None:
    (key,) = json.loads(cli("keys", "make", "carla", "--json").out)
    Path(key["file"]).write_text("{}")
    done = cli("keys", "show", "carla")
    assert done.code == 78
    assert "bad-key" in done.err
    assert Path(key["file"]).read_text() == "{}"
