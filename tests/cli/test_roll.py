"""`votenet roll` as typed, and a node that holds voters to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
        assert json.loads(cli("vote", *where, "eve", "Bob", "--json").out)["error"]["code"] == "no-key"
        assert cli("keys", "make", "eve").code == 0
        refused = json.loads(cli("vote", *where, "eve", "Bob", "--json").out)["error"]
        assert (refused["code"], refused["kind"]) == ("not-on-roll", "permanent")
        assert "Turnout: 1 of 2 registered (50.0%)" in cli("results", *where).out
        assert json.loads(cli("results", *where, "--json").out)["registered"] == 2
        genesis = str(node.genesis)
        assert cli("roll", "check", str(file), "--genesis", genesis).code == 0
    start = ("node", "--data-dir", str(tmp_path / "n2"), "--genesis", genesis)
    assert "[roll-missing]" in cli(*start).err
    assert make(cli, tmp_path, "id\nann\n", "--make-keys", "--force").code == 0
    done = cli(*start, "--roll", str(file))
    assert (done.code, "[roll-mismatch]" in done.err) == (78, True)


def test_a_roll_that_is_there_is_not_replaced_without_a_word(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The old one may be that of an election: without it nobody can vote."""
    assert make(cli, tmp_path, "id\nann\n", "--make-keys").code == 0
    before = (tmp_path / "roll.json").read_bytes()
    refused = make(cli, tmp_path, "id\nbo\n", "--make-keys")
    assert (refused.code, "[file-exists]" in refused.err, "--force" in refused.err) == (78, True, True)
    assert (tmp_path / "roll.json").read_bytes() == before
    assert cli("keys", "show", "bo").code == 1, "no key is made for a roll that is refused"
    assert make(cli, tmp_path, "id\nbo\n", "--make-keys", "--force").code == 0
    assert list(read_roll(tmp_path / "roll.json").keys) == ["bo"]


def test_a_roll_for_standard_output_is_nothing_but_the_roll(
    cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "voters.csv").write_text("id\nann\n")
    script = f"exec {sys.executable} -m votenet roll create - -o - --make-keys < voters.csv > out.json"
    subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={**os.environ, "VOTENET_HOME": str(tmp_path)}, check=True
    )
    assert list(read_roll(tmp_path / "out.json").keys) == ["ann"]


@pytest.mark.parametrize("given", ["/dev/stdin", "-"])
def test_no_member_is_lost_in_a_pipe(tmp_path: Path, given: str) -> None:
    """19,946 of 20,000 were taken, with exit code 0: the pipe was opened twice."""
    rows = "".join(f"member-{n},{n:064x}\n" for n in range(1, 20_001))
    command = [sys.executable, "-m", "votenet", "roll", "create", given, "-o", str(tmp_path / "r"), "--json"]
    done = subprocess.run(
        command,
        input="id,public_key\n" + rows,
        env={**os.environ, "VOTENET_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["voters"] == 20_000
