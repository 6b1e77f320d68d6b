"""Every command with a full disk, a gone reader or nothing at all behind its descriptors."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from tests.e2e.conftest import Votenet, wait_for

from support.elections import make_election, named_nodes
from support.evidence_files import GOOD
from support.ports import free_port
from votenet.cli.main import main
from votenet.core.records.evidence import encode_evidence
from votenet.storage.key_store import KeyStore

pytestmark = pytest.mark.e2e
TIMEOUT = 250

COMMANDS = {
    # Each is run several times, in this order; {n} is another number each time.
    "vote": "voter-{n} Alice",
    "results": "--all-nodes",
    "report": "-o - --format html",
    "receipt": "voter",
    "keys list": "",
    "keys make": "key-{n}",
    "keys show": "voter",
    "keys import": "ann.json",
    "up": "--dry-run -i other",
    "ls": "",
    "ps": "",
    "status": "",
    "top": "--once --interval 0.1",
    "blocks": "--all-nodes",
    "logs": "",
    "wait": "--for ready --json",
    "voters import": "members.csv -o - --make-keys",
    "voters check": "roll.json",
    "voters keys": "--roll roll.json",
    "voters cards": "--genesis club/genesis.json",
    "voters invite": "members.csv -f election.toml -o invitations-{n}.csv --enrolment enrolment-{n}",
    "election new": "-o election-{n}.toml",
    "election check": "election.toml",
    "election show": "election.toml",
    "election create": "election.toml -o genesis-{n}.json --no-named-nodes",
    "node init": "--data-dir north --name north",
    "node join": "club/genesis.json --roll club/roll.json --data-dir relay --relay --yes --no-start"
    " --bootstrap 127.0.0.1:1",
    "election extend": "+{n}0h --wait 0",
    "trustee init": "secret/election.toml",
    "trustee join": "secret/ceremony Citra",
    "trustee status": "secret/ceremony",
    "ballots check": "ballots.csv",
    "verify": "receipt.json",
    "evidence list": "",
    "evidence show": "0 two-prevotes",
    "evidence make": "receipt.json --archive archive.jsonl",
    "evidence verify": "evidence.json",
    "export": "",
    "audit": "archive.jsonl",
    "import": "archive.jsonl --data-dir import-{n}",
    "backup": "node-1 -o node-1-{n}.backup",
    "restore": "node-1.backup --data-dir restored-{n}",
    "compare": "receipt.json receipt.json",
    "watch": "--once",
    "doctor": "",
    "peers register": "127.0.0.1:1",
    "peers list": "",
    "peers ping": "--timeout 0.5",
    "peers export": "",
    "peers import": "peers.json",
    "peers remove": "127.0.0.1:1",
    "peers ban": "2001:db8::{n} --for 1m",
    "peers unban": "127.0.0.1",
    "replay": "ballots.csv --prefix r{n}- --wait 0",
    "pause": "node-2",
    "resume": "node-2",
    "slow": "node-1 1ms",
    "partition": "'node-1 / node-2'",
    "heal": "",
    "start": "node-2",
    "restart": "node-2",
    "scale": "2",
    "kill": "node-2",
    "stop": "node-2 --force",
    "help": "",
    "version": "",
    "config show": "up",
    "completion": "bash",
    "down": "--dry-run-is-no-option",
}
ELSEWHERE = {
    *("node", "node run", "bootstrap", "witness", "web", "events", "demo", "chaos"),
    *("voters status", "voters add", "voters replace-key", "voters approve"),
    *("election close", "election cancel"),
    *("trustee rehearse", "trustee recover", "trustee decrypt", "trustee submit"),
}
"""Programs and followers, below; `demo` and `chaos` take minutes, those of `voters` want an election with a
roll, and those of `trustee` a card or encrypted votes: they print as the others do. So do `election close`
and `cancel`, which only go once."""
SECRET_ELECTION = """
title = "Board"
secrecy = "secret"
members = "members.csv"
closes = 2100-01-01T00:00:00+00:00

[trustees]
names = ["Citra", "Dewi", "Eko"]
threshold = 2
folder = "ceremony"

[[contests]]
title = "Chair"
candidates = ["Ann", "Bo"]
"""
WITHOUT_JSON = {
    "receipt",
    "report",
    "export",
    "help",
    "version",
    "completion",
    "voters import",
    "wait",
}
DISTURBING = {"pause", "partition", "kill", "stop", "slow", "restart"}
UNDECIDED = {"vote", "replay", "election extend"}
"""After them one node may for a moment know more than the other."""
OTHERWISE = {
    "peers ping": {0, 6},  # 6 if an address that another command registered is in the list
    "peers remove": {0, 4},  # the second time it is not there
}
USAGE = 2
SAYS_NOTHING = {"down", "election new"}
"""On stdout, that is: the first is a usage error here."""


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield name
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from leaves(found, f"{name} {inner}".strip())
    else:
        yield name


def test_every_command_is_run_here() -> None:
    assert sorted(leaves(main)) == sorted([*COMMANDS, *ELSEWHERE])


def options_of(name: str) -> tuple[str, ...]:
    return () if name in WITHOUT_JSON | SAYS_NOTHING else ("--json",)


class Shell:
    """A user's shell in the folder of the test, with a network that runs."""

    def __init__(self, votenet: Votenet, folder: Path) -> None:
        self.votenet, self.folder, self._number = votenet, folder, 0
        self.disturbed = self.undecided = False
        self._usual: dict[str, subprocess.CompletedProcess[str]] = {}

    def usual(self, name: str) -> subprocess.CompletedProcess[str]:
        """What the command does with the descriptors of a shell: run once, compared with often."""
        if name not in self._usual:
            self._usual[name] = done = self(name, "", *options_of(name))
            assert (done.returncode == USAGE) == (name == "down"), (
                f"a usage error tells nothing: {done.stderr}"
            )
        return self._usual[name]

    def __call__(self, name: str, redirection: str, *options: str) -> subprocess.CompletedProcess[str]:
        self._number += 1
        self.disturbed |= name in DISTURBING
        self.undecided |= name in UNDECIDED
        arguments = [*shlex.split(COMMANDS[name].format(n=self._number)), *options]
        line = shlex.join([sys.executable, "-m", "votenet", *name.split(), *arguments])
        # The code goes to descriptor 9: the others may be closed.
        script = f"exec 9>code; {line} {redirection}; echo $? >&9"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.votenet.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        done.returncode = int((self.folder / "code").read_text())
        return done


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with tempfile.TemporaryDirectory(prefix="votenet-streams-") as folder:
        user = Votenet(Path(folder) / "home")
        work = Path(folder)
        (work / "ballots.csv").write_text("choice\nAlice\n")
        (work / "members.csv").write_text("id\nann\n")
        (work / "evidence.json").write_bytes(encode_evidence(GOOD["two-prevotes"]))
        (work / "peers.json").write_text('[{"address":"127.0.0.1:2"}]')
        try:
            user("up", "--nodes", "2", "--detach", "--difficulty", "8", "--closes", "+1h")
            user("vote", "voter", "Alice")
            user("receipt", "voter", "-o", str(work / "receipt.json"))
            user("export", "-o", str(work / "archive.jsonl"))
            user("backup", "node-1", "-o", str(work / "node-1.backup"))
            user("election", "new", "-o", str(work / "election.toml"))
            user("voters", "import", str(work / "members.csv"), "--make-keys", "-o", str(work / "roll.json"))
            (work / "secret").mkdir()
            (work / "secret" / "election.toml").write_text(SECRET_ELECTION)
            (work / "club").mkdir()
            (work / "club.toml").write_text(
                'members = "members.csv"\n' + (work / "election.toml").read_text()
            )
            made = ("-o", str(work / "club" / "genesis.json"), "--no-named-nodes")
            user("election", "create", str(work / "club.toml"), *made)
            KeyStore(user.home / "keys").path_of("ann").rename(work / "ann.json")
            yield Shell(user, work)
        finally:
            user("down", exit_code=None)
        assert user.left_over() == []


def nodes_of(votenet: Votenet) -> list[dict[str, Any]]:
    return [one for one in votenet.programs().values() if one["role"] == "node"]


@pytest.fixture
def ready(shell: Shell) -> Shell:
    """All nodes run, nothing keeps them apart, and they know the same."""
    if shell.disturbed:
        shell.votenet("resume", "node-*", exit_code=None)
        shell.votenet("heal", exit_code=None)
        shell.votenet("start", "node-*", exit_code=None)
        shell.votenet("wait", "--for", "ready")
        wait_for(lambda: all(one["peers"] for one in nodes_of(shell.votenet)), "they have found each other")
    if shell.disturbed or shell.undecided:
        shell.votenet("wait", "--for", "results")
    shell.disturbed = shell.undecided = False
    return shell


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SAYS_NOTHING])
def test_a_failed_write_is_an_error_without_a_trace(ready: Shell, name: str) -> None:
    """Two commands ended with 0 and an empty file, fifteen with a trace."""
    usual = ready.usual(name)
    assert usual.stdout, usual.stderr
    full = ready(name, ">/dev/full", *options_of(name))
    assert "Traceback" not in full.stderr
    assert full.returncode in (usual.returncode or 74, 74), full.stderr
    if full.returncode == 74:
        said = "cannot write to standard output: No space left on device [output-failed]"
        assert full.stderr.count(said) == 1, full.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_is_gone_is_no_error(ready: Shell, name: str) -> None:
    usual = ready.usual(name)
    gone = ready(name, "> >(exec <&-)")
    assert "Traceback" not in gone.stderr
    assert "Broken pipe" not in gone.stderr
    assert gone.returncode in {usual.returncode, *OTHERWISE.get(name, ())}, gone.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "closed"),
    [(name, "<&- >&- 2>&-") for name in COMMANDS]
    + [(name, one) for one in ("<&-", ">&-", "2>&-") for name in ("vote", "ps", "audit", "config show")],
)
def test_closed_descriptors_change_nothing(ready: Shell, name: str, closed: str) -> None:
    """With `>&-` every command ended with 1, its work done; `up -d <&-` could not start."""
    usual = ready.usual(name)
    done = ready(name, closed)
    assert done.returncode in {usual.returncode, *OTHERWISE.get(name, ())}, done.stderr
    assert "Traceback" not in done.stderr


def test_a_network_starts_and_stops_without_descriptors(tmp_path: Path, votenet: Votenet) -> None:
    up = "up --nodes 1 --detach --difficulty 8"
    for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
        for command in (up, "down"):
            line = f"{shlex.quote(sys.executable)} -m votenet {command} {closed}"
            done = subprocess.run(["bash", "-c", line], env=votenet.env, check=False, timeout=TIMEOUT)
            assert done.returncode == 0, (command, closed)


@pytest.mark.parametrize("program", ["node", "bootstrap", "witness", "web"])
def test_a_program_starts_without_descriptors(ready: Shell, program: str, tmp_path: Path) -> None:
    """Its database, its lock or its socket would else be what its log is written to."""
    genesis = next((ready.votenet.home / "default").glob("genesis.json"))
    port = free_port()
    options = f"--data-dir {tmp_path}/data --port {port} --genesis {genesis}"
    if program == "witness":
        (tmp_path / "named.json").write_bytes(make_election(nodes=named_nodes(1)).to_file())
        options = f"--data-dir {tmp_path}/data --listen 127.0.0.1:{port} --genesis {tmp_path}/named.json"
    if program == "web":
        options = f"--port {port}"
    line = f"exec {shlex.quote(sys.executable)} -m votenet {program} {options} <&- >&- 2>&-"
    process = subprocess.Popen(["bash", "-c", line], env=ready.votenet.env)
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), "it listens")
        open_files = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in range(3)]
        assert open_files == ["/dev/null"] * 3
    finally:
        process.terminate()
    assert process.wait(timeout=150) == 0


@pytest.mark.long
@pytest.mark.parametrize(
    "command", ["events", "events --json", "logs -f", "logs -f --json", "top --json", "results -f", "top"]
)
def test_a_follower_ends_when_its_reader_does(ready: Shell, command: str) -> None:
    """`votenet events | head -1` waited for the next event, for ever on a quiet network."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "votenet", *command.split()],
        env=ready.votenet.env,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)
    _, errors = process.communicate(timeout=150)
    assert (process.returncode, errors) == (0, b"")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
