"""Every command that votenet prints is run as printed, in a shell, where it was printed.

What is printed by these is run in turn, until nothing new comes. A command that ends with a usage error, that
asks for something that is not there, or that runs anything but itself is a failure.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import PATIENCE, Votenet, wait_for

from support.elections import key_of
from support.printed_commands import command_of, commands_in

pytestmark = pytest.mark.e2e

DONE = subprocess.CompletedProcess[str]
ODD = 'it\'s; $(touch pwned) "x" *'
"""A name with everything that a shell takes for its own."""
PLACEHOLDER = re.compile(r"\b(?:VOTER_ID|FILE|OUT|DIR|HOST:PORT|NODE|ID)\b")


class Reader:
    """A reader who pastes printed commands into a shell, in a folder of their own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.seen, self.left = folder, list[str](), list[str]()
        tools = folder / "bin"
        tools.mkdir()
        (tools / "votenet").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m votenet "$@"\n')
        (tools / "votenet").chmod(0o755)
        self.cwd = folder / "here"
        self.cwd.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOTENET_", "XDG_"))}
        self.env = kept | {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder)} | env

    def __call__(self, line: str, code: int | None = 0) -> DONE:
        """A line as pasted."""
        done = subprocess.run(
            ["bash", "-c", line], env=self.env, cwd=self.cwd, capture_output=True, text=True, timeout=250,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert code in (None, done.returncode), f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, line: str) -> Any:
        return json.loads(self(f"{line} --json").stdout)

    def follow(self, done: DONE, **values: str) -> list[str]:
        """Run what was printed, and what that prints. What stops the network is left for the end."""
        printed = commands_in(done.stdout + done.stderr)
        for line in printed:
            filled = PLACEHOLDER.sub(lambda found: values[found[0].replace(":", "_")], line)
            if filled in self.seen or self._of_others(filled):
                continue
            self.seen.append(filled)
            found = command_of(filled)
            assert found is not None
            if found[0] == "down":
                self.left.append(filled)
            elif _endless(found[0], found[2]):
                self.look_in(filled)
            else:
                again = self(filled, None)
                repeated = again.returncode == 1 and "[already-voted]" in again.stderr
                assert again.returncode == 0 or repeated, f"{filled}: {again.stdout}\n{again.stderr}"
                self.follow(again, **values)
        assert not (self.cwd / "pwned").exists(), "a name was taken for a command"
        return printed

    def _of_others(self, line: str) -> bool:
        """`doctor` also names what runs elsewhere on this machine: that of other tests is left alone."""
        return line.startswith("VOTENET_HOME=") and str(self.folder) not in line

    def end(self) -> None:
        """Run what was left: afterwards nothing runs."""
        assert self.left
        for line in self.left:
            assert self(line).returncode == 0
        self.left.clear()

    def run(self, line: str) -> DONE:
        """A line as pasted, also one that goes on until it is interrupted."""
        found = command_of(line)
        assert found is not None
        if _endless(found[0], found[2]):
            self.look_in(line)
            return subprocess.CompletedProcess([line], 0, "", "")
        return self(line)

    def look_in(self, line: str) -> None:
        """A command that goes on until it is interrupted says something, and ends when it is."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], env=self.env, cwd=self.cwd, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        first = os.read(process.stdout.fileno(), 65536) if ready else b""
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, 130, -signal.SIGINT), (
            f"{line}: {process.returncode} {(first + rest).decode()}"
        )
        assert first, f"{line} says nothing"


def _endless(command: str, words: list[str]) -> bool:
    follows = {"-f", "--follow"} & set(words)
    if command == "up":
        return not {"-d", "--detach", "--dry-run"} & set(words)
    if command in ("logs", "results", "blocks"):
        return bool(follows)
    return command in ("events", "top", "watch") and "--once" not in words


@pytest.fixture
def reader() -> Iterator[Reader]:
    with tempfile.TemporaryDirectory(prefix="vp-") as folder:
        one = Reader(Path(folder), VOTENET_HOME=str(Path(folder, "home")), VOTENET_UP_WEB="false")
        yield one
        for row in one.json("votenet ls"):
            one(f"votenet down -i {row['instance']}", None)
        assert Votenet(Path(folder)).left_over() == []


def test_without_a_network_the_printed_command_starts_one(reader: Reader) -> None:
    lost = [reader(f"votenet {words}", 3) for words in ("vote ann Alice", "results", "ps", "receipt ann")]
    printed = [reader.follow(done) for done in lost]
    assert all(lines == ["votenet up --nodes 5 --detach"] for lines in printed)
    assert reader("votenet results").returncode == 0, "no circle"
    reader.end()


@pytest.mark.long
def test_with_own_candidates_another_instance_and_odd_names(reader: Reader) -> None:
    started = reader(
        f"votenet up -d -i a.b_1 --nodes 1 --difficulty 8 --no-named-nodes --candidate {shlex.quote(ODD)}"
        " --candidate Bo"
    )
    assert any("vote -i a.b_1 voter123 'it'" in line for line in reader.follow(started))
    voted = reader(f"votenet vote -i a.b_1 {shlex.quote(ODD)} Bo")
    (receipt,) = reader.follow(voted)
    assert receipt.startswith("votenet receipt -i a.b_1 ")
    assert any(line.startswith("votenet verify receipt.json --network ") for line in reader.seen)
    dashed = reader("votenet vote -i a.b_1 -- --voter Bo")
    assert reader.follow(dashed) == ["votenet receipt -i a.b_1 -o receipt.json -- --voter"]
    assert json.loads((reader.cwd / "receipt.json").read_text())["vote"]["voter_id"] == "--voter"
    quiet = reader("votenet vote -i a.b_1 late Bo --confirmations 1000 --wait 0.5", 5)
    assert reader.follow(quiet) == ["votenet status -i a.b_1 --voter late"]
    node = reader.json("votenet ps -i a.b_1")["programs"][1]["address"]
    exported = reader(f"votenet export -i a.b_1 -o {shlex.quote(ODD + '.jsonl')}")
    reader.follow(exported, HOST_PORT=node)
    reader.follow(reader(f"votenet keys show -i a.b_1 {shlex.quote('of ' + ODD)}", 1))
    assert len(reader.json(f"votenet keys show {shlex.quote('of ' + ODD)}")) == 1
    reader.follow(reader("votenet up -d -i a.b_1 --nodes 1 --candidate Cy", 78))
    reader("votenet stop -i a.b_1 node-1")
    reader.follow(reader("votenet kill -i a.b_1 node-1", 3))
    assert reader.json("votenet ps -i a.b_1")["programs"][1]["state"] in ("starting", "ready")
    reader.left = [line for line in reader.left if "--purge" not in line]
    reader.end()


def test_with_a_roll_the_vote_to_try_is_one_that_counts(reader: Reader) -> None:
    (reader.cwd / "members.csv").write_text("id\nann\nbo\n")
    made = reader("votenet voters import members.csv -o roll.json --make-keys")
    reader.follow(made)
    started = reader("votenet up -d --nodes 1 --difficulty 8 --roll roll.json")
    lines = reader.follow(started)
    assert lines[0] == "votenet vote ann Alice"
    assert reader.json("votenet results")["votes"] == 1
    stranger = reader("votenet vote cy Alice", 1)
    assert "[not-on-roll]" in stranger.stderr
    reader.end()


def test_what_is_refused_to_the_authority_leads_to_what_is_not(reader: Reader) -> None:
    (reader.cwd / "members.csv").write_text("id\nann\nbo\n")
    reader("votenet voters import members.csv -o roll.json --make-keys")
    reader.follow(reader("votenet up -d --nodes 1 --difficulty 8 --roll roll.json"))  # ann votes
    new, other = (one["public_key"] for one in reader.json("votenet keys make new other"))
    assert reader.follow(reader("votenet election extend +2h", 1)) == ["votenet election close +2h"]
    assert reader.follow(reader(f"votenet voters add bo {new}", 1)) == [
        f"votenet voters replace-key bo {new}"
    ]
    assert reader.follow(reader(f"votenet voters replace-key ann {other}", 1)) == [
        "votenet status --voter ann"
    ]
    short = reader(f"votenet voters add cy {other[1:]}", 1)
    assert reader.follow(short, VOTER_ID="cy") == ["votenet keys make VOTER_ID"]
    assert len(reader.json("votenet results")["amendments"]) == 2
    reader.end()


@pytest.mark.long
def test_a_member_elsewhere_is_sent_to_the_node_that_was_named(reader: Reader, tmp_path: Path) -> None:
    reader("votenet up -d --nodes 1 --difficulty 8 --no-named-nodes")
    address = reader.json("votenet ps")["programs"][1]["address"]
    member = Reader(tmp_path, VOTENET_HOME=str(tmp_path / "home"))
    nowhere = member("votenet vote ann Alice", 3)
    assert "--node HOST:PORT" in nowhere.stderr
    (receipt,) = member.follow(member(f"votenet vote --node {address} ann Alice"))
    assert receipt == f"votenet receipt --node {address} ann -o receipt.json"
    late = member(f"votenet vote --node {address} bo Bob --confirmations 1000 --wait 0.5", 5)
    assert member.follow(late) == [f"votenet status --node {address} --voter bo"]
    (member.cwd / "ballots.csv").write_text("first\nAlice\n")
    member(f"VOTENET_NODE={address} votenet results")
    member.follow(member(f"VOTENET_NODE={address} votenet vote cy Bob"))
    member.follow(member(f"votenet receipt --node {address} ann -o 'my receipt.json'"))
    member.follow(member(f"votenet export --node {address} -o e.jsonl"), HOST_PORT=address)
    assert member.left == []


@pytest.mark.long
def test_a_stopped_network_of_three_starts_again_with_three(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without VOTENET_HOME: the folders are those of XDG."""
    with tempfile.TemporaryDirectory(prefix="vp-") as name:
        folder = Path(name)
        reader = Reader(folder, XDG_STATE_HOME=str(folder / "s"), XDG_DATA_HOME=str(folder / "d"))
        reader("votenet up -d --nodes 3 --difficulty 8")
        stopped = reader("votenet down")
        reader.follow(stopped)
        for words in ("results", "vote ann Alice", "status", "ps", "scale 4", "top --once"):
            again = reader(f"votenet {words}", 3)
            assert "votenet up --nodes 3 --detach" in commands_in(again.stderr)
        reader.follow(again)
        assert len(reader.json("votenet ps")["nodes"]) == 3
        row = reader.json("votenet ls")[0]
        assert (row["state"], row["nodes"]) == ("running", 3)
        reader.end()
        assert Votenet(folder).left_over() == []


def test_in_a_partition_the_printed_command_ends_it(reader: Reader) -> None:
    """Both halves take votes: a count of one half says whose votes are missing."""
    reader("votenet up -d --nodes 2 --difficulty 8 --no-named-nodes")
    reader("votenet partition node-1 / node-2")
    voted = reader("votenet vote ann Alice")
    counted = reader("votenet results")
    compared = reader("votenet results --all-nodes", 1)
    for done in (voted, counted):
        assert "it is cut off" in done.stderr
    assert "votenet heal" in reader.follow(voted)
    assert "votenet heal" in reader.follow(counted)
    reader.follow(compared)
    wait_for(lambda: "cut off" not in reader("votenet results").stderr, "it is over")


def test_after_the_death_of_the_supervisor_the_printed_command_continues(reader: Reader) -> None:
    reader("votenet up -d --nodes 2 --difficulty 8")
    before = {one["name"]: one["pid"] for one in reader.json("votenet ps")["programs"]}
    pid = reader.json("votenet ps")["supervisor"]["pid"]
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    wait_for(lambda: "gone" in reader("votenet ps", None).stderr, "the supervisor is gone")
    reader.follow(reader("votenet doctor", None))
    reader.follow(reader("votenet ps", None))
    assert {one["name"]: one["pid"] for one in reader.json("votenet ps")["programs"]} == before
    reader.end()


def test_files_that_are_not_there(reader: Reader) -> None:
    reader("votenet up -d --nodes 1 --difficulty 8")
    reader("votenet vote ann Alice")
    (reader.cwd / "VOTERS.csv").write_text(f"id,public_key\nann,{key_of('ann').public_hex}\n")
    (reader.cwd / "broken.json").write_text("no")
    node = reader.json("votenet ps")["programs"][1]["address"]
    values = {"FILE": "made.json", "VOTER_ID": "ann", "OUT": "out", "HOST_PORT": node}
    for words in ("verify none", "audit none", "voters check none", "voters check broken.json"):
        done = reader(f"votenet {words}", None)
        assert done.returncode not in (0, 2)
        assert reader.follow(done, **values), f"{words} names nothing to do: {done.stderr}"
    lost = reader("votenet node --data-dir n --genesis none", 78)
    assert set(reader.follow(lost)) == {"votenet ls"}
    assert str(Path(reader.folder, "home", "default", "genesis.json")) in reader("votenet ls").stdout.replace(
        "\n", ""
    )
