"""The door of the program: the command table, help, errors and exit codes."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tests.cli.conftest import CommandResult

from votenet.cli.main import COMMANDS, GROUPS, HIDDEN


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_its_help_teaches(cli: Callable[..., CommandResult], name: str) -> None:
    command = getattr(importlib.import_module(COMMANDS[name][0]), name)
    assert isinstance(command, click.Command)
    shown = cli(name, "--help")
    assert shown.code == 0
    assert len(shown.out.splitlines()) >= 5


def test_help_lists_the_commands_in_order_and_how_to_start(cli: Callable[..., CommandResult]) -> None:
    shown = cli("--help").out
    listed = re.findall(
        r"^  ([a-z]+)  ", shown.partition("Vote:")[2].partition("Start here")[0], re.MULTILINE
    )
    assert listed == [name for name in COMMANDS if name not in HIDDEN]
    places = [shown.index(f"\n{heading}:\n") for heading in GROUPS]
    assert places == sorted(places)
    assert "votenet up --nodes 5 --detach" in shown


def test_the_version_is_told(cli: Callable[..., CommandResult]) -> None:
    from votenet import __version__

    assert __version__ in cli("--version").out


@pytest.mark.parametrize("command", ["ls", "ps", "down", "up", "results", "doctor", "keys list", "vote a b"])
def test_a_home_with_a_name_that_is_too_long_is_an_error_with_a_next_step(
    cli: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / ("x" * 300)))
    done = cli(*command.split())
    assert done.code == 78
    assert "[name-too-long]" in done.err
    assert "VOTENET_HOME" in done.err


def test_an_output_with_a_name_that_is_too_long_is_an_error_with_a_next_step(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "members.csv").write_text("voter_id,public_key\n")
    done = cli("voters", "import", str(tmp_path / "members.csv"), "-o", str(tmp_path / ("x" * 300)))
    assert done.code == 78
    assert "[name-too-long]" in done.err


def test_a_mistyped_command_is_guessed(cli: Callable[..., CommandResult]) -> None:
    done = cli("resluts")
    assert done.code == 2
    assert "Did you mean 'results'?" in done.err


def test_a_name_that_begins_with_a_dash_is_told_its_place(cli: Callable[..., CommandResult]) -> None:
    done = cli("vote", "-bob", "Alice")
    assert done.code == 2
    told = "If -bob is a name, give it behind --: votenet vote [OPTIONS] -- [VOTER_ID] [CANDIDATE]..."
    assert done.err.splitlines()[-1] == told
    assert "behind --" not in cli("ls", "--bob").err, "a command without names"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("export", "election.jsonl"), "-o election.jsonl"),
        (("election", "new", "election.toml"), "-o election.toml"),
        (("up", "election.toml"), "-f election.toml"),
        (("status", "127.0.0.1:9000"), "--node 127.0.0.1:9000"),
        (("receipt", "ann", "receipt.json"), "-o receipt.json"),
        (("status", "node-1"), None),
        (("export", "one", "two"), None),
        (("version", "now"), None),
    ],
)
def test_a_word_without_a_place_is_told_its_option(
    cli: Callable[..., CommandResult], words: tuple[str, ...], meant: str | None
) -> None:
    result = cli(*words)
    assert result.code == 2
    assert "Got unexpected extra argument" in result.err
    assert (f"Did you mean '{meant}'?" in result.err) == (meant is not None)
    assert ("Did you mean" in result.err) == (meant is not None)


def test_errors_have_a_code_a_next_step_and_a_json_form(cli: Callable[..., CommandResult]) -> None:
    done = cli("results")
    assert (done.code, done.out) == (3, "")
    assert "[not-running]" in done.err
    assert "votenet up" in done.err
    assert json.loads(cli("results", "--json").out)["error"]["code"] == "not-running"


def test_a_configuration_file_gives_defaults_and_flags_win(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    config = tmp_path / "votenet.toml"
    config.write_text('[results]\nnode = "127.0.0.1:1"\n')
    assert "127.0.0.1:1 " in cli("--config", str(config), "results").err
    assert "127.0.0.1:2 " in cli("--config", str(config), "results", "--node", "127.0.0.1:2").err
    config.write_text("[results\n")
    broken = cli("--config", str(config), "results")
    assert broken.code == 78
    assert "TOML" in broken.err
    for text, command in (("results = 5\n", ("results",)), ("[peers]\nlist = 5\n", ("peers", "list"))):
        config.write_text(text)  # found by fuzzing: a trace
        broken = cli("--config", str(config), *command)
        assert broken.code == 78
        assert "table" in broken.err


def test_help_loads_neither_network_nor_database_nor_tables() -> None:
    script = (
        "import sys; sys.argv = ['votenet', '--help']\n"
        "from votenet.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'sqlite3', 'rich', 'nacl', 'psutil', 'msgspec'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_no_command_compiles_large_sets_of_characters_before_it_needs_them() -> None:
    """A set of many ranges takes milliseconds, and an expression with several as long as all imports."""
    script = (
        "import re, re._compiler as compiler\n"
        "compile, long = compiler.compile, []\n"
        "def noted(pattern, flags=0):\n"
        "    if '\\\\U' in str(pattern): long.append(pattern)\n"
        "    return compile(pattern, flags)\n"
        "compiler.compile = noted\n"
        "import votenet.client.api, votenet.cli.votes.vote, votenet.cli.election.results\n"
        "from votenet.core.text import is_plain, skeleton, text_fault\n"
        "from votenet.protocol.wire.fields import as_line\n"
        "names = is_plain('Ann'), text_fault('Ann'), skeleton('Ann'), as_line('gone')\n"
        "print(len(long), names); is_plain('Zo\\xeb'); print(len(long))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    counted, later = done.stdout.splitlines()
    # One, of the texts of messages, which msgspec compiles when they are declared.
    assert (counted, later) == ("1 (True, '', 'Ann', 'gone')", "2"), done.stderr


HUNG_UP = """
import sys
from votenet.cli import main

def leave(**_):
    print("here", flush=True)
    sys.stdin.readline()        # until the terminal is gone
    sys.stdout.write("no newline: still in the buffer")
    sys.exit(129)

main.main.main = leave
main.run()
"""


def test_text_left_for_a_closed_terminal_does_not_change_the_exit_code() -> None:
    """Python exits with 120 when it cannot flush; the waiting program wants to know of the signal."""
    own, other = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", HUNG_UP], env=env, stdin=subprocess.PIPE, stdout=other, stderr=subprocess.PIPE
    )
    os.close(other)
    shown = b""
    while not shown.endswith(b"\n"):  # a terminal may hand over a line in pieces
        shown += os.read(own, 100)
    assert shown == b"here\r\n"
    os.close(own)
    _, errors = process.communicate(b"\n", timeout=150)
    assert (process.returncode, errors) == (129, b"")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("vote", "Zo\udceb", "Alice"), "VOTER_ID"),
        (("vote", "--node", "h\udceb:1", "x", "Alice"), "--node"),
        (("keys", "make", "a", "b\udceb"), "VOTER_ID"),
        (("up", "--title", "\udceb"), "--title"),
        (("up", "--candidate", "a", "--candidate", "\udceb"), "--candidate"),
        (("results", "-i", "\udceb"), "--instance"),
        (("re\udceb",), ""),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_name(
    cli: Callable[..., CommandResult], arguments: tuple[str, ...], named: str
) -> None:
    """They were a trace and exit 1; of `audit`, 1 says that it does not hold."""
    done = cli(*arguments)
    assert done.code == 2
    assert named in done.err
    assert "\\udceb" in done.err
    assert "\udceb" not in done.err


def test_a_group_without_a_command_shows_its_help(cli: Callable[..., CommandResult]) -> None:
    done = cli("config")
    assert done.code == 2
    assert done.err.startswith("Usage: votenet config")
    assert "Error:" not in done.err
    assert "\\t" not in cli("completion").err
