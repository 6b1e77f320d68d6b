"""Several logs at once, over restarts."""

from __future__ import annotations

import pytest

from votenet.config import InstanceDirs
from votenet.errors import NoSuchNode, NotRunning
from votenet.processes import log_reader
from votenet.processes.instance import make_dirs
from votenet.processes.log_reader import Reader
from votenet.processes.logs import log_path


@pytest.fixture
def logged(dirs: InstanceDirs) -> InstanceDirs:
    make_dirs(dirs)
    log_path(dirs.logs, "node-1", 1).write_text("a\nb\n")
    log_path(dirs.logs, "node-1", 2).write_text("c\nd\nhalf")
    log_path(dirs.logs, "node-2", 1).write_text("x\n")
    return dirs


def test_selection(logged: InstanceDirs) -> None:
    assert log_reader.select(logged, ()) == ["node-1", "node-2"]
    assert log_reader.select(logged, ("node-2", "node-2")) == ["node-2"]
    assert log_reader.select(logged, ("node-2", "node-*")) == ["node-2", "node-1"]
    with pytest.raises(NoSuchNode, match=r"'node-9'.*node-1, node-2") as caught:
        log_reader.select(logged, ("node-9",))
    assert caught.value.exit_code == 4
    with pytest.raises(NoSuchNode):
        log_reader.select(logged, ("supervisor",))


def test_no_logs_at_all(dirs: InstanceDirs) -> None:
    with pytest.raises(NotRunning):
        log_reader.select(dirs, ())


@pytest.mark.parametrize(("lines", "found"), [(None, "abcd"), (3, "bcd"), (2, "cd"), (0, ""), (99, "abcd")])
def test_past_lines_reach_back_over_incarnations(logged: InstanceDirs, lines: int | None, found: str) -> None:
    reader = Reader(logged, ["node-1"])
    assert "".join(line for _, line in reader.past(lines, None)) == found
    assert list(reader.rests()) == [("node-1", "half")]
    reader.close()


def test_scenario_20_no_line_is_lost_or_repeated_over_a_restart(logged: InstanceDirs) -> None:
    reader = Reader(logged, ["node-1", "node-2"])
    assert list(reader.past(1, None)) == [("node-1", "d"), ("node-2", "x")]
    assert list(reader.news()) == []
    with log_path(logged.logs, "node-1", 2).open("a") as writer:
        writer.write(" done\nlast words")
    log_path(logged.logs, "node-1", 3).write_text("new life\n")
    assert list(reader.news()) == [("node-1", "half done"), ("node-1", "last words"), ("node-1", "new life")]
    log_path(logged.logs, "node-2", 2).write_text("y\n")
    assert list(reader.news()) == [("node-2", "y")]
    assert list(reader.news()) == []
    reader.close()


def test_the_supervisors_log(logged: InstanceDirs) -> None:
    (logged.logs / "supervisor.log").write_text("s\n")
    assert log_reader.select(logged, ("supervisor",)) == ["supervisor"]
    reader = Reader(logged, ["supervisor"])
    assert list(reader.past(5, None)) == [("supervisor", "s")]
    reader.close()
