"""Every command with a full disk, a gone reader or nothing at all behind its descriptors.

What lives here: one network, and each command of the table on it, as a person or a script types it.
"""

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

import click
import pytest
from tests.e2e.conftest import Votenet, wait_for

from votenet.cli.main import main

pytestmark = pytest.mark.e2e
TIMEOUT = 100

COMMANDS = {
    # Each is run several times, in this order; {n} is another number each time.
    "vote": "voter-{n} Alice",
    "results": "--all-nodes",
    "receipt": "voter",
    "keys list": "",
    "keys make": "key-{n}",
    "keys show": "voter",
    "up": "--dry-run -i other",
    "ls": "",
    "ps": "",
    "status": "",
    "top": "--once --interval 0.1",
    "logs": "",
    "wait": "--for ready --json",
    "roll create": "members.csv -o - --make-keys",
    "roll check": "roll.json",
    "verify": "receipt.json",
    "export": "",
    "audit": "archive.jsonl",
    "import": "archive.jsonl --data-dir import-{n}",
    "doctor": "",
    "peers register": "127.0.0.1:1",
    "peers list": "",
    "peers ping": "--timeout 0.5",
    "peers export": "",
    "peers import": "peers.json",
    "peers remove": "127.0.0.1:1",
    "peers ban": "127.0.0.{n} --for 60",
    "peers unban": "127.0.0.1",
    "replay": "ballots.csv --prefix r{n}- --wait 0",
    "pause": "node-2",
    "resume": "node-2",
    "slow": "node-1 0.001",
    "partition": "'node-1 / node-2'",
    "heal": "",
    "start": "node-2",
    "restart": "node-2",
    "scale": "2",
    "kill": "node-2",
    "stop": "node-2",
    "help": "",
    "version": "",
    "config show": "up",
    "completion": "bash",
    "down": "--dry-run-is-no-option",
}
ELSEWHERE = {"node", "bootstrap", "events", "demo", "chaos"}
"""Programs and followers, below; `demo` and `chaos` take minutes and print as the others do."""
WITHOUT_JSON = {"receipt", "export", "help", "version", "completion", "roll create", "wait"}
DISTURBING = {"pause", "partition", "kill", "stop", "slow", "restart"}
OTHERWISE = {
    "peers ping": {0},  # a peer that does not answer is 6, but to whom?
    "peers remove": {0, 4},  # the second time it is not there
}
SAYS_NOTHING = {"down"}
"""On stdout, that is: it is a usage error here."""


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
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
        self.disturbed = False
        self._usual: dict[str, subprocess.CompletedProcess[str]] = {}

    def usual(self, name: str) -> subprocess.CompletedProcess[str]:
        """What the command does with the descriptors of a shell: run once, compared with often."""
        if name not in self._usual:
            self._usual[name] = self(name, "", *options_of(name))
        return self._usual[name]

    def __call__(self, name: str, redirection: str, *options: str) -> subprocess.CompletedProcess[str]:
        self._number += 1
        self.disturbed |= name in DISTURBING
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
        (work / "peers.json").write_text('[{"address":"127.0.0.1:2"}]')
        try:
            user("up", "--nodes", "2", "--detach", "--difficulty", "8")
            user("vote", "voter", "Alice")
            user("receipt", "voter", "-o", str(work / "receipt.json"))
            user("export", "-o", str(work / "archive.jsonl"))
            user("roll", "create", str(work / "members.csv"), "--make-keys", "-o", str(work / "roll.json"))
            yield Shell(user, work)
        finally:
            user("down", exit_code=None)
        assert user.left_over() == []


@pytest.fixture
def ready(shell: Shell) -> Shell:
    """All nodes run, nothing keeps them apart."""
    if shell.disturbed:
        shell.votenet("resume", "node-*", exit_code=None)
        shell.votenet("heal", exit_code=None)
        shell.votenet("start", "node-*", exit_code=None)
        shell.votenet("wait", "--for", "ready")
        shell.disturbed = False
    return shell


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SAYS_NOTHING])
def test_what_cannot_be_written_is_an_error_and_no_trace(ready: Shell, name: str) -> None:
    """Two commands ended with 0 and an empty file, fifteen with a trace."""
    usual = ready.usual(name)
    assert usual.stdout, usual.stderr
    full = ready(name, ">/dev/full", *options_of(name))
    assert "Traceback" not in full.stderr
    assert full.returncode in (usual.returncode or 74, 74), full.stderr
    if full.returncode == 74:
        said = "cannot write to standard output: No space left on device [output-failed]"
        assert full.stderr.count(said) == 1, full.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_is_gone_is_no_error(ready: Shell, name: str) -> None:
    usual = ready.usual(name)
    gone = ready(name, "> >(exec <&-)")
    assert "Traceback" not in gone.stderr
    assert "Broken pipe" not in gone.stderr
    assert gone.returncode in {usual.returncode, *OTHERWISE.get(name, ())}, gone.stderr


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


@pytest.mark.parametrize("program", ["node", "bootstrap"])
def test_a_program_starts_without_descriptors(ready: Shell, program: str, tmp_path: Path) -> None:
    """Its database, its lock or its socket would else be what its log is written to."""
    genesis = next((ready.votenet.home / "default").glob("genesis.json"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"--data-dir {tmp_path}/data --port {port} --genesis {genesis}"
    line = f"exec {shlex.quote(sys.executable)} -m votenet {program} {options} <&- >&- 2>&-"
    process = subprocess.Popen(["bash", "-c", line], env=ready.votenet.env)
    try:
        wait_for(lambda: process.poll() is not None or _listens(port), "it listens")
        open_files = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in range(3)]
        assert open_files == ["/dev/null"] * 3
    finally:
        process.terminate()
    assert process.wait(timeout=30) == 0


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
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
