"""`votenet voters` as typed, and a node that holds voters to the roll."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, node_of

from support.elections import key_of, make_election
from votenet.cli.election.roll import read_roll
from votenet.config import instance_dirs
from votenet.core.keys import SigningKey
from votenet.storage.key_store import KeyStore

Cli = Callable[..., CommandResult]


def make(cli: Cli, folder: Path, text: str, *options: str) -> CommandResult:
    (folder / "voters.csv").write_text(text)
    return cli("voters", "import", str(folder / "voters.csv"), "-o", str(folder / "roll.json"), *options)


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_roll_from_keys_in_a_column(cli: Cli, tmp_path: Path) -> None:
    rows = "".join(f"Member,{name},{key_of(name).public_hex.upper()},2\n" for name in ("ann", "bo"))
    columns = ("--id-column", "member", "--key-column", "k")
    done = make(cli, tmp_path, "kind,member,k,weight\n" + rows, *columns, "--json")
    roll = read_roll(tmp_path / "roll.json")
    assert json.loads(done.out) == {"voters": 2, "weight": 4, "root": roll.root_hex}
    assert roll.keys == {name: key_of(name).public_hex for name in ("ann", "bo")}
    assert roll.weights == {"ann": 2, "bo": 2}
    shown = cli("voters", "check", str(tmp_path / "roll.json"), "ann").out
    assert ("The roll is in order." in shown, "4 in all" in shown) == (True, True)
    missing = cli("voters", "check", str(tmp_path / "roll.json"), "Ann")
    assert (missing.code, "[not-on-roll]" in missing.err) == (1, True)
    assert "Did you mean ann?" in missing.err
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election(roll_root="00" * 32, roll_size=1).to_file())
    other = cli("voters", "check", str(tmp_path / "roll.json"), "--genesis", str(genesis))
    assert (other.code, "[roll-mismatch]" in other.err) == (78, True)


def test_lists_that_give_no_roll_leave_no_file_and_no_key(cli: Cli, tmp_path: Path) -> None:
    """More of them: tests/ballots/test_voter_list.py."""
    for text, options, code, says in (
        ("id\na\n", (), "no-such-column", "keys"),
        ("id,public_key\na,\n", (), "bad-roll", "line 2 of"),
        ("id,public_key\n", (), "bad-roll", "empty"),
        ("ann\nbo\n", ("--make-keys",), "no-clear-header", "--no-header"),
        ("id\nann\nANN\n", ("--make-keys",), "bad-roll", "'ann' (line 2) and 'ANN' (line 3)"),
    ):
        done = make(cli, tmp_path, text, *options)
        assert (done.code, f"[{code}]" in done.err, says in done.err) == (78, True, True), done.err
        assert not (tmp_path / "roll.json").exists()
        assert json.loads(cli("keys", "list", "--json").out) == []


def test_a_node_holds_voters_to_the_roll_and_wants_the_right_one(cli: Cli, tmp_path: Path) -> None:
    """The roll is not here: the node refuses. Then it is, and nothing is sent."""
    assert make(cli, tmp_path, "ann\nbo\n0017\n", "--make-keys", "--no-header").code == 0
    file = tmp_path / "roll.json"
    election = make_election(created=int(time.time()), roll=read_roll(file))
    keys = instance_dirs().keys
    with node_of(election, tmp_path, "--roll", str(file)) as node:
        where = ("--node", str(node.address))
        assert cli("vote", *where, "ann", "Bob").code == 0
        before = files_of(keys)
        for refused, code in (("eve", "no-key"), ("a\nb", "bad-vote")):
            done = cli("vote", *where, refused, "Bob", "--json")
            assert json.loads(done.out)["error"]["code"] == code
        assert json.loads(cli("vote", *where, "bo", "Nobody", "--json").out)["error"]["code"] == (
            "unknown-candidate"
        )
        assert files_of(keys) == before, "no key is made"
        assert cli("keys", "make", "eve").code == 0
        refusal = json.loads(cli("vote", *where, "eve", "Bob", "--json").out)["error"]
        assert (refusal["code"], refusal["kind"]) == ("not-on-roll", "permanent")
        assert "Turnout: 1 of 3 registered (33.3%)" in cli("results", *where).out
        assert json.loads(cli("results", *where, "--json").out)["registered"] == 3

        who = json.loads(cli("voters", "status", *where, "--roll", str(file), "--json").out)
        assert (who["registered"], who["voted"], who["node"]) == (3, 1, str(node.address))
        assert {row["voter_id"]: (row["key"], row["voted"]) for row in who["voters"]} == {
            "0017": ("yes", False), "ann": ("yes", True), "bo": ("yes", False)
        }  # fmt: skip
        shown = cli("voters", "status", *where, "--roll", str(file), "bo")
        assert f"Voted: 0 of 1, says {node.address}." in shown.out
        assert "Bob" not in shown.out
        unknown = cli("voters", "status", *where, "--roll", str(file), "17")
        assert (unknown.code, "Did you mean 0017?" in unknown.err) == (1, True)

        _the_key_of_a_file(cli, tmp_path, file, where)
        genesis = str(node.genesis)
        assert cli("voters", "check", str(file), "--genesis", genesis).code == 0
    start = ("node", "--data-dir", str(tmp_path / "n2"), "--genesis", genesis)
    assert "[roll-missing]" in cli(*start).err
    assert make(cli, tmp_path, "id\nann\n", "--make-keys", "--force").code == 0
    done = cli(*start, "--roll", str(file))
    assert (done.code, "[roll-mismatch]" in done.err) == (78, True)


def _the_key_of_a_file(cli: Cli, tmp_path: Path, roll: Path, where: tuple[str, str]) -> None:
    """Export, lose, vote with a file; another key or id goes nowhere once the roll is here."""
    exported = tmp_path / "handed"
    assert cli("voters", "keys", "bo", "0017", "--roll", str(roll), "--export", str(exported)).code == 0
    assert len(files_of(exported)) == 2
    store = KeyStore(instance_dirs().keys)
    file = KeyStore(exported).path_of("bo")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.path_of("bo").unlink()
    assert "Did you mean 0017?" in cli("vote", *where, "17", "Bob", "--roll", str(roll)).err
    state = instance_dirs().state
    state.mkdir(parents=True, exist_ok=True)
    (state / "roll.json").write_bytes(roll.read_bytes())
    assert "[no-key]" in cli("vote", *where, "bo", "Bob").err
    KeyStore(tmp_path / "strange").put("bo", SigningKey(bytes(32)))
    wrong = cli("vote", *where, "bo", "Bob", "--key", str(KeyStore(tmp_path / "strange").path_of("bo")))
    assert ("[wrong-key]" in wrong.err, "the roll has another key" in wrong.err) == (True, True)
    assert "Did you mean 0017?" in cli("vote", *where, "17", "Bob").err
    assert "[bad-key]" in cli("vote", *where, "ann", "Bob", "--key", str(file)).err
    assert not store.path_of("bo").exists()
    assert cli("vote", *where, "bo", "Bob", "--key", str(file)).code == 0
    assert not store.path_of("bo").exists(), "it stays where its owner keeps it"


def test_whose_keys_are_here(cli: Cli, tmp_path: Path) -> None:
    rows = "".join(f"{name},{key_of(name).public_hex}\n" for name in ("ann", "bo", "cy"))
    assert make(cli, tmp_path, rows).code == 0
    store = KeyStore(instance_dirs().keys)
    store.put("ann", key_of("ann"))
    store.put("bo", key_of("other"))
    missing = cli("voters", "keys")
    assert (missing.code, "[roll-missing]" in missing.err, "--roll" in missing.err) == (78, True, True)
    options = ("--roll", str(tmp_path / "roll.json"), "--export", str(tmp_path / "out"))
    for _ in range(2):
        done = json.loads(cli("voters", "keys", *options, "--json").out)
        assert [(row["voter_id"], row["key"]) for row in done] == [
            ("ann", "yes"), ("bo", "another"), ("cy", "no")
        ]  # fmt: skip
        assert len(files_of(tmp_path / "out")) == 1, "only what can vote"
    assert "Wrote 1 key file to" in cli("voters", "keys", *options).out
    assert "[not-on-roll]" in cli("voters", "keys", "dan", *options).err


def test_a_roll_that_is_there_is_not_replaced_without_a_word(cli: Cli, tmp_path: Path) -> None:
    """The old one may be that of an election: without it no voter can vote."""
    assert make(cli, tmp_path, "id\nann\n", "--make-keys").code == 0
    before = (tmp_path / "roll.json").read_bytes()
    refused = make(cli, tmp_path, "id\nbo\n", "--make-keys")
    assert (refused.code, "[file-exists]" in refused.err, "--force" in refused.err) == (78, True, True)
    assert (tmp_path / "roll.json").read_bytes() == before
    assert cli("keys", "show", "bo").code == 1, "no key is made for a roll that is refused"
    assert make(cli, tmp_path, "id\nbo\n", "--make-keys", "--force").code == 0
    assert list(read_roll(tmp_path / "roll.json").keys) == ["bo"]


def test_a_roll_for_standard_output_is_nothing_but_the_roll(tmp_path: Path) -> None:
    (tmp_path / "voters.csv").write_text("id\nann\n")
    script = f"exec {sys.executable} -m votenet voters import - -o - --make-keys < voters.csv > out.json"
    subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={**os.environ, "VOTENET_HOME": str(tmp_path)}, check=True
    )
    assert list(read_roll(tmp_path / "out.json").keys) == ["ann"]


@pytest.mark.parametrize("given", ["/dev/stdin", "-"])
def test_no_member_is_lost_in_a_pipe(tmp_path: Path, given: str) -> None:
    """19,946 of 20,000 were taken, with exit code 0: the pipe was opened twice."""
    keys = (SigningKey(number.to_bytes(32)).public_hex for number in range(20_000))
    rows = "".join(f"member-{number},{key}\n" for number, key in enumerate(keys))
    command = [
        sys.executable,
        "-m",
        "votenet",
        "voters",
        "import",
        given,
        "-o",
        str(tmp_path / "r"),
        "--json",
    ]
    done = subprocess.run(
        command,
        input="id,public_key\n" + rows,
        env={**os.environ, "VOTENET_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["voters"] == 20_000
