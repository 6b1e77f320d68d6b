"""Log files: bounded, readable to the last word."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from votenet.config import InstanceDirs
from votenet.errors import NoSuchNode, NotRunning
from votenet.processes import logs
from votenet.processes.instance import make_dirs
from votenet.processes.logs import Follower, LogFile, LogReader, log_path, select_logs


def test_names_sort_as_people_count(tmp_path: Path) -> None:
    for name in ("node-10.1", "node-2.10", "node-2.9", "bootstrap.1", "supervisor", "x.y"):
        (tmp_path / f"{name}.log").touch()
    assert [f"{log.name}.{log.incarnation}" for log in logs.list_logs(tmp_path)] == [
        "bootstrap.1",
        "node-2.9",
        "node-2.10",
        "node-10.1",
    ]
    assert logs.list_logs(tmp_path / "nothing") == []


def test_only_the_last_incarnations_are_kept(tmp_path: Path) -> None:
    for number in range(1, 13):
        logs.log_path(tmp_path, "node-1", number).touch()
    logs.log_path(tmp_path, "node-10", 1).touch()
    logs.prune(tmp_path, "node-1", 3)
    assert [log.incarnation for log in logs.list_logs(tmp_path, "node-1")] == [10, 11, 12]
    assert len(logs.list_logs(tmp_path, "node-10")) == 1


def test_a_flood_is_bounded_and_keeps_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 400_000)
    path = logs.log_path(tmp_path, "node-1", 1)
    with path.open("a") as writer:
        for number in range(40_000):
            writer.write(f"line {number} {'x' * 60}\n")
            if number % 10_000 == 0:
                writer.flush()
                logs.trim(path)
        writer.flush()
        logs.trim(path)
        assert os.stat(path).st_blocks * 512 <= 400_000
        writer.write("the end\n")
    assert logs.tail(path, 2)[1] == "the end"
    assert logs.tail(path, 2)[0].startswith("line 39999 ")
    follower = Follower(LogFile("node-1", 1, path))
    found = list(follower.lines())
    follower.close()
    assert found[-1] == "the end"
    assert 1000 < len(found) < 10_000


def test_without_holes_there_is_still_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "punch_hole", lambda fd, length: False)
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 10_000)
    path = tmp_path / "a.1.log"
    path.write_text("x" * 100_000)
    logs.trim(path)
    assert path.stat().st_size == 0


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_tail(tmp_path: Path, count: int) -> None:
    path = tmp_path / "log"
    lines = [f"{number} {'y' * 500}" for number in range(500)]
    path.write_text("\n".join(lines))
    assert logs.tail(path, count) == (lines[-count:] if count else [])
    assert logs.tail(tmp_path / "nothing", 5) == []


def test_a_follower_holds_back_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntw")
    follower = Follower(LogFile("n", 1, path))
    assert list(follower.lines()) == ["one"]
    with path.open("a") as writer:
        writer.write("o\nthree")
    assert list(follower.lines()) == ["two"]
    assert follower.rest() == "three"
    follower.close()
    follower.close()


def test_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"z" * 300_000 + b"\xff\0\nlast\n")
    follower = Follower(LogFile("n", 1, path))
    found = list(follower.lines())
    follower.close()
    assert found[-1] == "last"
    assert sum(map(len, found)) == 300_000 + 1 + 4


def test_since(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        "2025-01-01T10:00:00+00:00 old\n  its second line\n"
        "2025-01-01 10:30:00,123+00:00 new\n  and its second\n"
    )
    follower = Follower(LogFile("n", 1, path))
    found = follower.skip_to_end(None, logs.parse_since("2025-01-01T10:15:00+00:00"))
    follower.close()
    assert found == ["2025-01-01 10:30:00,123+00:00 new", "  and its second"]


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)])
def test_times_ago(text: str, ago: float) -> None:
    assert logs.parse_since(text, now=1_000_000.0) == 1_000_000.0 - ago


@pytest.mark.parametrize("text", ["", "soon", "10", "-5m", "2025-13-01"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        logs.parse_since(text)


def test_the_supervisors_own_line(tmp_path: Path) -> None:
    path = tmp_path / "node-1.1.log"
    logs.note(path, "node-1: exit 1")
    (line,) = logs.tail(path, 5)
    assert line.endswith(" supervisor: node-1: exit 1")
    assert logs.line_time(line) is not None
    assert line.split()[0].endswith("Z"), "UTC, as in all logs"
    assert logs.line_time("no time here") is None
    logs.note(tmp_path / "no" / "folder", "a full disk is no reason to stop")


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("WIB-7", "2026-11-28T10:06:13.632+07:00"), ("UTC0", "2026-11-28T03:06:13.632+00:00")],
)
def test_a_line_for_people_has_the_time_of_this_machine_with_the_zone(
    monkeypatch: pytest.MonkeyPatch, zone: str, shown: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        found = logs.in_local_time("2026-11-28T03:06:13.632Z INFO votenet: x 2026-01-01T00:00:00Z")
        assert found == f"{shown} INFO votenet: x 2026-01-01T00:00:00Z"
        assert logs.in_local_time("  no time") == "  no time"
    time.tzset()


def test_a_log_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "n.1.log").symlink_to(tmp_path / "elsewhere")
    logs.note(tmp_path / "n.1.log", "ours")
    with pytest.raises(OSError, match="symbolic links"):
        logs.open_for_append(tmp_path / "n.1.log")
    assert (tmp_path / "elsewhere").read_text() == "theirs"


@pytest.fixture
def logged(dirs: InstanceDirs) -> InstanceDirs:
    make_dirs(dirs)
    log_path(dirs.logs, "node-1", 1).write_text("a\nb\n")
    log_path(dirs.logs, "node-1", 2).write_text("c\nd\nhalf")
    log_path(dirs.logs, "node-2", 1).write_text("x\n")
    return dirs


def test_selection(logged: InstanceDirs) -> None:
    assert select_logs(logged, ()) == ["node-1", "node-2"]
    assert select_logs(logged, ("node-2", "node-2")) == ["node-2"]
    assert select_logs(logged, ("node-2", "node-*")) == ["node-2", "node-1"]
    with pytest.raises(NoSuchNode, match=r"'node-9'.*node-1, node-2") as caught:
        select_logs(logged, ("node-9",))
    assert caught.value.exit_code == 4
    with pytest.raises(NoSuchNode):
        select_logs(logged, ("supervisor",))


def test_no_logs_at_all(dirs: InstanceDirs) -> None:
    with pytest.raises(NotRunning):
        select_logs(dirs, ())


@pytest.mark.parametrize(("lines", "found"), [(None, "abcd"), (3, "bcd"), (2, "cd"), (0, ""), (99, "abcd")])
def test_past_lines_reach_back_over_incarnations(logged: InstanceDirs, lines: int | None, found: str) -> None:
    reader = LogReader(logged, ["node-1"])
    assert "".join(line for _, line in reader.past(lines, None)) == found
    assert list(reader.rests()) == [("node-1", "half")]
    reader.close()


def test_scenario_20_no_line_is_lost_or_repeated_over_a_restart(logged: InstanceDirs) -> None:
    reader = LogReader(logged, ["node-1", "node-2"])
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
    assert select_logs(logged, ("supervisor",)) == ["supervisor"]
    reader = LogReader(logged, ["supervisor"])
    assert list(reader.past(5, None)) == [("supervisor", "s")]
    reader.close()
