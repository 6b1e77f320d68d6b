"""`votenet election` as typed: write a file, check it, show its ballot, make the genesis."""

from __future__ import annotations

import io
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from votenet.cli.election.election_from_file import SourcedElection
from votenet.cli.election.roll import write_roll
from votenet.core.election.roll import Roll
from votenet.errors import ConfigError
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import read_key

Cli = Callable[..., CommandResult]
ANN = "ab" * 32


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


def test_the_file_that_new_writes_is_in_order_and_shows_a_ballot(cli: Cli, here: Path) -> None:
    assert cli("election", "new").code == 0
    again = cli("election", "new")
    assert (again.code, "[file-exists]" in again.err) == (78, True)
    assert cli("election", "new", "--force").code == 0
    checked = cli("election", "check", "election.toml")
    assert checked.out == "The election is in order.\n  Start it with: votenet up -d -f election.toml\n"
    shown = cli("election", "show", "election.toml").out
    assert "[ ] Charlie" in shown
    assert "votes" not in shown
    as_json = json.loads(cli("election", "show", "election.toml", "--json").out)
    assert as_json["contests"][0]["candidates"][0]["name"] == "Alice"
    refused = cli("election", "new", "-o", "none/e.toml")
    assert (refused.code, "cannot write none/e.toml" in refused.err) == (78, True)


def test_check_says_everything_at_once_for_people_and_programs(cli: Cli, here: Path) -> None:
    (here / "e.toml").write_text(
        'title = "x"\nroll = "roll.json"\ncloses = 2001-01-01T00:00:00Z\n'
        '[[contests]]\ncandidates = ["A", "B"]\n'
    )
    told = cli("election", "check", "e.toml")
    assert told.code == 78
    assert "closes: it closes in the past\n  Give a later time." in told.err
    assert "roll: cannot read roll.json" in told.err
    assert "Error: e.toml has 2 faults [bad-genesis]\n" in told.err
    assert "  Mend what is named above, then: votenet election check e.toml" in told.err
    found = json.loads(cli("election", "check", "e.toml", "--json").out)
    assert (found["valid"], [fault["place"] for fault in found["faults"]]) == (False, ["closes", "roll"])
    assert {fault["code"] for fault in found["faults"]} == {"bad-genesis"}
    write_roll(here / "roll.json", Roll([("ann", ANN, 3)]))
    assert "has weights, the election has none" in cli("election", "check", "e.toml").err


def test_create_needs_nodes_and_keeps_the_key_of_the_authority_private(cli: Cli, here: Path) -> None:
    assert cli("election", "new").code == 0
    make = ("election", "create", "election.toml", "-o", "genesis.json")
    lone = cli(*make)
    assert (lone.code, "[no-nodes]" in lone.err) == (78, True)
    assert not (here / "authority.key").exists()
    init = ("node", "init", "--table", "--name")
    nodes = [cli(*init, f"node-{n}", "--data-dir", f"n{n}").out for n in (1, 2)]
    text = (here / "election.toml").read_text()
    (here / "election.toml").write_text(text + "".join(nodes))
    write_roll(here / "roll.json", Roll([("ann", ANN)]))
    told = cli("election", "check", "election.toml").out
    assert told.endswith("with: votenet election create election.toml -o genesis.json\n")
    (here / "sub").mkdir()
    (here / "sub/election.toml").write_text('roll = "../roll.json"\ndifficulty = 8\n' + text + "".join(nodes))
    done = cli("election", "create", "sub/election.toml", "-o", "genesis.json", "--json")
    made = read_genesis(here / "genesis.json")
    assert json.loads(done.out)["network_id"] == made.network_hex
    assert [node.name for node in made.definition.nodes] == ["node-1", "node-2"]
    assert made.definition.nodes[0].node_key == read_key(here / "n1/node.key", "node").public_hex
    assert made.definition.authority_key == read_key(here / "authority.key", "authority").public_hex
    assert stat.S_IMODE((here / "authority.key").stat().st_mode) == 0o600
    assert (made.definition.roll_size, made.definition.registration) == (1, "roll")
    assert cli("voters", "check", "roll.json", "--genesis", "genesis.json").code == 0
    refused = cli(*make)
    assert (refused.code, "[file-exists]" in refused.err) == (78, True)
    both = cli(*make, "--force", "--no-named-nodes")
    assert (both.code, "[contradiction]" in both.err) == (78, True)


def test_what_create_prints_works_as_it_stands(cli: Cli, here: Path) -> None:
    assert cli("election", "new").code == 0
    node = cli("node", "init", "--table", "--name", "north", "--data-dir", "north").out
    (here / "members.csv").write_text("id,name\n0001,Ann\n")
    text = 'members = "members.csv"\ndifficulty = 8\n' + (here / "election.toml").read_text() + node
    (here / "election.toml").write_text(text)
    told = cli("election", "create", "election.toml", "-o", "genesis.json").out
    assert "votenet web --genesis genesis.json --roll roll.json --bootstrap HOST:4000" in told
    forget = "votenet voters cards --genesis genesis.json --forget"
    assert forget in told
    assert forget in (here / "cards.html").read_text()
    assert cli(*forget.split()[1:]).code == 0
    assert not (here / "cards.html").exists()


def test_create_leaves_no_key_where_the_roll_is_refused(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise ConfigError("a key is on the roll twice", code="bad-roll")

    (here / "e.toml").write_text('title = "x"\ndifficulty = 8\n[[contests]]\ncandidates = ["A", "B"]\n')
    monkeypatch.setattr(SourcedElection, "made", refused)
    assert "[bad-roll]" in cli("election", "create", "e.toml", "--no-named-nodes", "-o", "genesis.json").err
    assert [path.name for path in here.iterdir() if path.is_file()] == ["e.toml"]


def test_create_leaves_nothing_where_the_genesis_cannot_be_written(cli: Cli, here: Path) -> None:
    (here / "e.toml").write_text('title = "x"\ndifficulty = 8\n[[contests]]\ncandidates = ["A", "B"]\n')
    make = ("election", "create", "e.toml", "--no-named-nodes", "--authority-key", "a.key", "-o")
    assert cli(*make, "none/genesis.json").code == 78
    assert not (here / "a.key").exists()
    done = cli(*make, "genesis.json")
    assert done.out.startswith("Genesis file written to genesis.json.")
    assert read_genesis(here / "genesis.json").named == 0
    assert read_key(here / "a.key", "authority")
