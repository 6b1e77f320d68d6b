"""The door to the terminal: real descriptors, full disks, gone readers, hostile text; and no way round it."""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import votenet
from votenet.cli import ui

ROOT = Path(votenet.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*.py") if path.name != "ui.py")
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
        "import sys\nfrom votenet.cli import main, ui\n"
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
    ui.echo(HOSTILE, prefix="\x1b[36mnode-1 | \x1b[0m")
    ui.echo(HOSTILE, err=True)
    shown = capsys.readouterr()
    assert shown.out == "\x1b[36mnode-1 | \x1b[0m" + SHOWN + "\n"
    assert shown.err == SHOWN + "\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_the_same_document(capsys: pytest.CaptureFixture[str], indent: int | None) -> None:
    ui.echo_json({"title": HOSTILE, HOSTILE: ["Zoë"]}, indent=indent)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"title": HOSTILE, HOSTILE: ["Zoë"]}
    assert "Zoë" in shown
    assert not set(shown) & {"\x1b", "\u202e", "\x9b", "\udcff"}


def test_tables_and_texts_of_rich_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Group
    from rich.text import Text

    made = ui.table(HOSTILE, [("name", "left"), ("n", "right")])
    made.add_row(HOSTILE, Text(HOSTILE, style="red"))
    ui.console(width=500).print(Group(Text(HOSTILE), made, HOSTILE))
    shown = capsys.readouterr().out
    assert shown.count(SHOWN) == 5
    assert len(shown.splitlines()) == 5
    assert not set(shown) & {"\x1b", "\u202e", "\x9b", "\udcff"}


def test_colours_are_for_terminals_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ui.wants_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert ui.wants_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not ui.wants_colour()


@pytest.mark.parametrize("source", ["print(1)", "from rich import print", "sys.stdout.write('x')"])
def test_a_way_past_the_door_is_found(source: str) -> None:
    assert list(past_the_door(source))
    assert not list(past_the_door(f"if TYPE_CHECKING:\n    {source}"))


def past_the_door(source: str) -> Iterator[str]:
    """`print`, `click.echo`, a console or a table of its own, a write to sys.stdout or sys.stderr."""
    if not re.search(rf"\b(?:{'|'.join(name.rpartition('.')[2] for name in FORBIDDEN)})\b", source):
        return
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]  # names for types make nothing
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (f"{node.lineno} imports {name}" for name in names & FORBIDDEN)
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in FORBIDDEN:
            yield f"{node.lineno} prints past the door: {called}"


def test_nothing_prints_but_the_door() -> None:
    for path in SOURCES:
        found = list(past_the_door(path.read_text(encoding="utf-8")))
        assert not found, f"{path.name}: {found}: see cli/ui.py"


# -- streams ---------------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_however_little_was_said() -> None:
    for text in ("ui.echo('x')", "sys.stdout.write('x')", "sys.stdout.buffer.write(b'x')"):
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
        for text in ("ui.echo('x')", "sys.stdout.write('x')", "ui.console().print('x')"):
            done = program(text, stdout=writing)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        os.close(writing)


def test_another_pipe_that_breaks_is_an_error() -> None:
    done = program("raise BrokenPipeError(32, 'Broken pipe')")
    assert done.returncode == ui.DEFECT
    assert "BrokenPipeError" in done.stderr


def test_stderr_that_takes_nothing_changes_nothing() -> None:
    for where in ("/dev/full", "closed"):
        script = "from votenet.cli import main, ui\nmain.main.main = lambda **_: ui.echo('x', err=True)\n"
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
        "import os, subprocess, sys\nfrom votenet.cli import main, ui\n"
        "def work(**_):\n"
        "    file = open(sys.argv[1], 'w'); assert file.fileno() > 2\n"
        "    assert sys.stdin.read() == ''\n"
        "    ui.echo('said'); ui.echo('said', err=True)\n"
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


def test_characters_that_a_terminal_cannot_show_are_escaped() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = program("ui.echo('Zoë 徐'); ui.echo_json(['Zoë 徐 🗳'])", env=env, encoding="latin-1")
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
        "from votenet.cli import main, ui\n"
        "main.main.main = lambda **_: [ui.echo('x' * 999) for _ in range(1000)] and 0\nmain.run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert len(pipe.read()) == 1_000_000
    assert process.wait(timeout=150) == 0


def test_a_follower_hears_that_its_reader_is_gone() -> None:
    loop = "\n    while True:\n        ui.stop_if_unread(); import time; time.sleep(0.05)"
    reading, writing = os.pipe()
    script = (
        "from votenet.cli import main, ui\n"
        f"def work(**_):\n    ui.echo('here'){loop}\nmain.main.main = work\nmain.run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writing)
    os.close(writing)
    assert os.read(reading, 10) == b"here\n"
    os.close(reading)
    assert process.wait(timeout=150) == 0
    own, other = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stdout=other)
    os.close(other)
    assert select.select([own], [], [], 60)[0]
    os.close(own)
    assert process.wait(timeout=150) == 0


# -- tables and words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "bar"), [(0.0, ""), (1.0, "█" * 30), (0.5, "█" * 15), (1 / 240, "▏")])
def test_bars(share: float, bar: str) -> None:
    assert ui.bar(share) == bar


def test_only_ranked_ballots_have_an_order() -> None:
    assert ui.preferences(("Ann", "Bo"), "instant-runoff") == "Ann > Bo"
    assert ui.preferences(("Ann", "Bo"), "approval") == "Ann, Bo"


def test_numbers_of_things() -> None:
    assert [ui.count_of(n, "block") for n in (0, 1, 2000)] == ["0 blocks", "1 block", "2,000 blocks"]


def test_json_keeps_unicode_and_takes_dataclasses(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Row:
        name: str

    ui.print_json(Row("Zoë"))
    out = capsys.readouterr().out
    assert "Zoë" in out
    assert json.loads(out) == {"name": "Zoë"}


def test_markup_in_a_name_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    made = ui.table("[bold]T[/]", [("name", "left")])
    made.add_row("[red]Eve[/red] :smile:")
    ui.print_table(made)
    assert "[red]Eve[/red] :smile:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.9, "0s"), (59, "59s"), (190, "3m10s"), (7500, "2h05m"), (273_600, "3d4h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert ui.duration(seconds) == text


def test_progress_in_tenths_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with ui.progress("a\x1b", 200) as report:
        for position in range(0, 201, 5):
            report(position, f"block {position}")
    assert capsys.readouterr().err.splitlines() == [
        rf"a\u001b: {10 * n}%, block {20 * n}" for n in range(1, 11)
    ]
    with ui.progress("cast", 5) as report:
        report(1)
        report(5)
    assert capsys.readouterr().err.splitlines() == ["cast: 1 of 5", "cast: 5 of 5"]
    with ui.progress("a pipe, of unknown length", None) as report:
        report(10, "block 1")
    assert capsys.readouterr().err == ""


def test_progress_as_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with ui.progress(HOSTILE, 2) as report:
        report(1, "block 7")
        report(2, "block 9")
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert "block 9" in shown
    assert "━━━" in shown
    assert "\u202e" not in shown


def test_where_no_terminal_is_nothing_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    made = ui.table("", [("name", "left")])
    made.add_row("x" * 5000)
    ui.print_table(made)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_narrow_table_goes_without_columns() -> None:
    rows = [
        {"NAME": "node-1", "TIP": "0123456789ab", "CPU": "100%"},
        {"NAME": "node-64", "TIP": "-", "CPU": "-"},
    ]

    def columns(width: int) -> list[object]:
        return [column.header for column in ui.fitting_table(rows, ("NAME",), ("CPU", "TIP"), width).columns]

    assert columns(27) == ["NAME", "TIP", "CPU"]
    assert columns(26) == ["NAME", "TIP"]
    assert columns(20) == ["NAME"]
    assert columns(3) == ["NAME"], "the rest is folded"
    assert ui.fitting_table([], (), (), 80).columns == []


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [ui.size(count) for count in (None, 0, 79_872, 39 * 2**20, 5 * 2**28)] == [
        "-",
        "0M",
        "78K",
        "39M",
        "1.2G",
    ]
