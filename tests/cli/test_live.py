"""What a person sees while a network runs in the foreground."""

from __future__ import annotations

from pathlib import Path

import pytest

from votenet.cli.live import MAX_LINES, View, matters, open_view
from votenet.config import InstanceDirs
from votenet.processes.logs import log_path

STATUS = {"programs": [{"name": "node-1"}]}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("2026-01-01T00:00:00.000Z WARNING votenet.node: disk nearly full", True),
        ("2026-01-01T00:00:00.000Z ERROR votenet.node: cannot save", True),
        ("2026-01-01T00:00:00.000Z INFO votenet.node: joined peer", False),
        ("Traceback (most recent call last):", True),
        ('  File "x.py", line 3, in f', False),
        ("votenet.errors.StorageError: no", True),
        ("Fatal Python error: Aborted", True),
    ],
)
def test_what_matters(line: str, wanted: bool) -> None:
    assert matters(line) is wanted


@pytest.fixture
def dirs(tmp_path: Path) -> InstanceDirs:
    found = InstanceDirs("t", tmp_path, tmp_path, tmp_path)
    found.logs.mkdir()
    return found


def test_only_news_and_never_a_flood(dirs: InstanceDirs, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_path(dirs.logs, "node-1", 1)
    log.write_text("ERROR old\n")
    with open_view(dirs, live=False) as view:
        assert type(view) is View
        view.refresh(STATUS)
        assert capsys.readouterr().err == ""
        with log.open("a") as file:
            file.write("INFO calm\nERROR new\n" + "ERROR flood\n" * 100)
        view.refresh(STATUS)
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "node-1 | ERROR new"
        assert len(lines) == MAX_LINES + 1
        assert lines[-1] == "… and 81 more lines; see: votenet logs"
        log_path(dirs.logs, "node-1", 2).write_text("ERROR of the next incarnation\n")
        view.refresh(STATUS)
        assert capsys.readouterr().err == "node-1 | ERROR of the next incarnation\n"
