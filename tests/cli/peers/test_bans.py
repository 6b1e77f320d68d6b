"""Bans by hand at a real node, through its socket."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from votenet.cli.peers import bans

KEY = "5b" * 32


def folder(node: RunningNode) -> tuple[str, str]:
    return "--data-dir", str(node.genesis.parent / "data")


def test_a_ban_is_made_listed_and_lifted(cli: Callable[..., CommandResult], node: RunningNode) -> None:
    where = folder(node)
    made = cli("peers", "ban", "203.0.113.7", "--for", "1h", *where)
    assert made.code == 0
    assert made.out.startswith("data  address:203.0.113.7  until 20")
    assert cli("peers", "ban", KEY, *where).code == 0
    listed = cli("peers", "list", "--banned", "--json", *where)
    assert {ban["subject"] for ban in json.loads(listed.out)["data"]} == {f"key:{KEY}", "address:203.0.113.7"}
    assert cli("peers", "unban", "203.0.113.7", *where).code == 0
    assert cli("peers", "unban", f"key:{KEY}", *where).out == "data  unbanned\n"
    again = cli("peers", "unban", KEY, *where)
    assert (again.code, again.out) == (4, "data  had no such ban\n")
    step = again.err.rstrip().rpartition("Those there are: votenet ")[2]
    assert cli(*shlex.split(step)).code == 0, "it asks the same node, not those of the default network"
    assert json.loads(cli("peers", "list", "--banned", "--json", *where).out) == {"data": []}


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("ban", "nonsense"), 1, "bad-address"),
        (("ban", "127.0.0.1"), 1, "bad-address"),
        (("ban", "203.0.113.7", "--for", "soon"), 2, "not like 30m"),
        (("ban", "203.0.113.7", "--for", "999d"), 1, "bad-message"),
        (("unban", "nonsense"), 1, "bad-address"),
    ],
)
def test_mistakes_are_told(
    cli: Callable[..., CommandResult], node: RunningNode, arguments: tuple[str, ...], code: int, what: str
) -> None:
    done = cli("peers", *arguments, *folder(node))
    assert done.code == code
    assert what in done.err


def test_where_no_node_runs_it_says_so(cli: Callable[..., CommandResult], tmp_path: Path) -> None:
    assert cli("peers", "ban", KEY, "--data-dir", str(tmp_path)).code == 3
    assert cli("peers", "unban", KEY).code == 3


def test_help_teaches(cli: Callable[..., CommandResult]) -> None:
    assert "votenet peers ban 203.0.113.7 --for 7d" in cli("peers", "ban", "--help").out


def test_a_node_that_has_joined_is_asked_by_its_name(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home/nodes/north"
    folder.mkdir(parents=True)
    assert cli("peers", "ban", KEY, "--node", "north").code == 3, "no network runs, and it has not joined"
    (folder / "node.env").touch()
    asked = []
    monkeypatch.setattr(bans, "ask_node", lambda place, request: asked.append(place) or {"bans": []})
    assert cli("peers", "ban", KEY, "--node", "north").code == 0
    assert asked == [folder]
