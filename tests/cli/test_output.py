"""The door to the terminal: real descriptors, full disks, gone readers, hostile text; and no way round it."""

from __future__ import annotations

import ast
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

import votenet
from votenet.cli import output

ROOT = Path(votenet.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*.py") if path.name != "output.py")
FORBIDDEN = {
    *("print", "pprint.pprint", "click.echo", "click.secho", "click.echo_via_pager", "click.style"),
    *("rich.print", "rich.console.Console", "rich.table.Table", "rich.get_console"),
    *("sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write", "sys.stderr.buffer.write"),
}
HOSTILE = "A\x1b[31m\n2026-01-01T00:00:00.000Z INFO forged [bold]B[/bold] \u202eC\x9b \udcff"
SHOWN = r"A\u001b[31m\n2026-01-01T00:00:00.000Z INFO forged [bold]B[/bold] \u202eC\u009b \udcff"


def program(text: str, stdout: int = subprocess.PIPE, **options: object) -> subprocess.CompletedProcess[str]:
    """A program whose command is `text`."""
    script = (
        "import sys\nfrom votenet.cli import main, output\n"
        f"def work(**_):\n    {text}\nmain.main.main = work\nmain.run()\n"
    )
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-c", script],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


# -- words -----------------------------------------------------------------------------------------


def test_a_line_is_one_line_and_a_prefix_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo(HOSTILE, prefix="\x1b[36mnode-1 | \x1b[0m")
    output.echo(HOSTILE, err=True)
    shown = capsys.readouterr()
    assert shown.out == "\x1b[36mnode-1 | \x1b[0m" + SHOWN + "\n"
    assert shown.err == SHOWN + "\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_the_same_document(capsys: pytest.CaptureFixture[str], indent: int | None) -> None:
    output.echo_json({"title": HOSTILE, HOSTILE: ["Zoë"]}, indent=indent)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"title": HOSTILE, HOSTILE: ["Zoë"]}
    assert "Zoë" in shown
    assert not set(shown) & {"\x1b", "\u202e", "\x9b", "\udcff"}


def test_tables_and_texts_of_rich_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Group
    from rich.text import Text

    made = output.table(HOSTILE, [("name", "left"), ("n", "right")])
    made.add_row(HOSTILE, Text(HOSTILE, style="red"))
    output.console(width=500).print(Group(Text(HOSTILE), made, HOSTILE))
    shown = capsys.readouterr().out
    assert shown.count(SHOWN) == 5
    assert len(shown.splitlines()) == 5
    assert not set(shown) & {"\x1b", "\u202e", "\x9b", "\udcff"}


def test_colours_are_for_terminals_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not output.wants_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.wants_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.wants_colour()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_prints_but_the_door(path: Path) -> None:
    """`print`, `click.echo`, a console or a table of its own, a write to sys.stdout or sys.stderr."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # names for types make nothing
    for node in ast.walk(tree):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            assert not names & FORBIDDEN, f"{where} imports {names & FORBIDDEN}: see cli/output.py"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in FORBIDDEN, f"{where} prints past the door: {called}"


# -- streams ---------------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_however_little_was_said() -> None:
    for text in ("output.echo('x')", "sys.stdout.write('x')", "sys.stdout.buffer.write(b'x')"):
        with open("/dev/full", "wb") as full:
            done = program(text, stdout=full.fileno())
        assert done.returncode == 74, done.stderr
        assert "cannot write to standard output: No space left on device [output-failed]" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_failed_command_keeps_its_code_on_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        done = program("sys.stdout.write('x'); sys.exit(5)", stdout=full.fileno())
    assert done.returncode == 5


def test_a_reader_that_is_gone_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for text in ("output.echo('x')", "sys.stdout.write('x')", "output.console().print('x')"):
            done = program(text, stdout=writing)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        os.close(writing)


def test_another_pipe_that_breaks_is_an_error() -> None:
    done = program("raise BrokenPipeError(32, 'Broken pipe')")
    assert done.returncode == output.DEFECT
    assert "BrokenPipeError" in done.stderr


def test_stderr_that_takes_nothing_changes_nothing() -> None:
    for where in ("/dev/full", "closed"):
        script = (
            "from votenet.cli import main, output\nmain.main.main = lambda **_: output.echo('x', err=True)\n"
        )
        redirect = "2>&-" if where == "closed" else f"2>{where}"
        line = f'"$0" -c "$1" {redirect}; echo $?'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable, script + "main.run()"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "0\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_opened_on_nothing(tmp_path: Path, closed: str) -> None:
    """Else the first file opened is descriptor 1, and gets what is printed."""
    file = tmp_path / "file"
    script = (
        "import os, subprocess, sys\nfrom votenet.cli import main, output\n"
        "def work(**_):\n"
        "    file = open(sys.argv[1], 'w'); assert file.fileno() > 2\n"
        "    assert sys.stdin.read() == ''\n"
        "    output.echo('said'); output.echo('said', err=True)\n"
        "    assert subprocess.run(['true']).returncode == 0\n"
        "    assert all(os.get_inheritable(n) for n in range(3))\n"
        "    file.write('whole'); file.close(); sys.exit(7)\n"
        "main.main.main = work\nmain.run()\n"
    )
    line = f'"$0" -c "$1" "$2" {closed}; echo $? >&9'
    done = subprocess.run(
        ["bash", "-c", f"exec 9>&1 </dev/null; {line}", sys.executable, script, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "7", done.stderr
    assert file.read_text() == "whole"


def test_what_a_terminal_cannot_say_is_escaped() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = program("output.echo('Zoë 徐'); output.echo_json(['Zoë 徐 🗳'])", env=env, encoding="latin-1")
    plain, document = done.stdout.splitlines()
    assert (done.returncode, plain) == (0, "Zoë \\u5f90")
    assert json.loads(document) == ["Zoë 徐 🗳"]


def test_a_defect_is_no_answer_and_its_trace_forges_no_line() -> None:
    done = program(r"raise ValueError('x\n2026-01-01 INFO forged')")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("2026")]


def test_a_non_blocking_pipe_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    script = (
        "from votenet.cli import main, output\n"
        "main.main.main = lambda **_: [output.echo('x' * 999) for _ in range(1000)] and 0\nmain.run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert len(pipe.read()) == 1_000_000
    assert process.wait(timeout=20) == 0


def test_a_follower_hears_that_its_reader_is_gone() -> None:
    loop = "\n    while True:\n        output.stop_if_unread(); import time; time.sleep(0.05)"
    reading, writing = os.pipe()
    script = (
        "from votenet.cli import main, output\n"
        f"def work(**_):\n    output.echo('here'){loop}\nmain.main.main = work\nmain.run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writing)
    os.close(writing)
    assert os.read(reading, 10) == b"here\n"
    os.close(reading)
    assert process.wait(timeout=20) == 0
    own, other = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stdout=other)
    os.close(other)
    assert select.select([own], [], [], 20)[0]
    os.close(own)
    assert process.wait(timeout=20) == 0
