"""`votenet roll` as typed, and a node that holds voters to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Outcome, node_of

from support import key_of, make_election
from votenet.cli.roll import read_roll


def make(cli: Callable[..., Outcome], folder: Path, text: str, *options: str) -> Outcome:
    (folder / "voters.csv").write_text(text)
    return cli("roll", "create", str(folder / "voters.csv"), "-o", str(folder / "roll.json"), *options)


def test_a_roll_from_keys_in_a_column(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    rows = "".join(f"Member,{name},{key_of(name).public_hex.upper()}\n" for name in ("ann", "bo"))
    done = make(
        cli, tmp_path, "kind,member,k\n" + rows, "--id-column", "member", "--key-column", "k", "--json"
    )
    roll = read_roll(tmp_path / "roll.json")
    assert json.loads(done.out) == {"voters": 2, "root": roll.root_hex}
    assert roll.keys == {name: key_of(name).public_hex for name in ("ann", "bo")}
    assert "The roll is in order." in cli("roll", "check", str(tmp_path / "roll.json"), "ann").out
    missing = cli("roll", "check", str(tmp_path / "roll.json"), "Ann")
    assert (missing.code, "[not-on-roll]" in missing.err) == (1, True)
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election(registration="roll", roll_root="00" * 32).to_file())
    other = cli("roll", "check", str(tmp_path / "roll.json"), "--genesis", str(genesis))
    assert (other.code, "[roll-mismatch]" in other.err) == (78, True)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("id\na\n", "no-such-column", "public_key"),
        ("id,public_key\na,\n", "bad-roll", "line 2 of"),
        ("id,public_key\n,ab\n", "bad-roll", "line 2 of"),
        ("id,public_key\na,ab\n", "bad-roll", "not valid"),
        ("id,public_key\n", "bad-roll", "empty"),
    ],
)
def test_lines_that_give_no_roll(
    cli: Callable[..., Outcome], tmp_path: Path, text: str, code: str, says: str
) -> None:
    done = make(cli, tmp_path, text)
    assert done.code == 78
    assert f"[{code}]" in done.err
    assert says in done.err
    assert not (tmp_path / "roll.json").exists()


def test_a_node_holds_voters_to_the_roll_and_wants_the_right_one(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert make(cli, tmp_path, "id\nann\nbo\n", "--make-keys").code == 0
    file = tmp_path / "roll.json"
    root = read_roll(file).root_hex
    election = make_election(created=int(time.time()), registration="roll", roll_root=root)
    with node_of(election, tmp_path, "--roll", str(file)) as node:
        where = ("--node", str(node.address))
        assert cli("vote", *where, "ann", "Bob").code == 0
        refused = json.loads(cli("vote", *where, "eve", "Bob", "--json").out)["error"]
        assert (refused["code"], refused["kind"]) == ("not-on-roll", "permanent")
        assert "Turnout: 1 of 2 registered (50.0%)" in cli("results", *where).out
        assert json.loads(cli("results", *where, "--json").out)["registered"] == 2
        genesis = str(node.genesis)
        assert cli("roll", "check", str(file), "--genesis", genesis).code == 0
    start = ("node", "--data-dir", str(tmp_path / "n2"), "--genesis", genesis)
    assert "[roll-missing]" in cli(*start).err
    assert make(cli, tmp_path, "id\nann\n", "--make-keys").code == 0
    done = cli(*start, "--roll", str(file))
    assert (done.code, "[roll-mismatch]" in done.err) == (78, True)
