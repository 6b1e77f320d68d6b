"""Text and tables out of status dicts."""

from __future__ import annotations

import io

import pytest

from votenet.cli import network_view


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.9, "0s"), (59, "59s"), (190, "3m10s"), (7500, "2h05m"), (273_600, "3d4h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert network_view.duration(seconds) == text


def test_prefixes_line_up() -> None:
    names = ["bootstrap", "node-1"]
    assert network_view.log_prefix("node-1", names, colour=False) == "node-1    | "
    assert network_view.log_prefix("node-1", names, colour=True) == "\x1b[33mnode-1    | \x1b[0m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert network_view.wants_colour(Terminal())
    assert not network_view.wants_colour(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not network_view.wants_colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not network_view.wants_colour(Terminal())


def test_troubles_name_cause_problem_and_last_lines() -> None:
    program = {
        "name": "node-1",
        "state": "removed",
        "cause": "exit 1",
        "says": None,
        "problem": "port 3000 is still held",
        "last_lines": ["boom"],
        "log": "/l",
        "cut_off": None,
    }
    ready = {**program, "state": "ready"}
    assert list(network_view.troubles({"instance": "default", "programs": [ready, program]})) == [
        "node-1 is removed: exit 1",
        "  port 3000 is still held",
        "  | boom",
        "  whole log: /l",
    ]


def test_what_to_do_next_depends_on_instance_and_mode() -> None:
    status = {"instance": "default", "supervisor": {"detached": True}}
    assert list(network_view.how_to_vote(status))[-1] == "Stop:    votenet down"
    status = {"instance": "b", "supervisor": {"detached": False}}
    lines = list(network_view.how_to_vote(status))
    assert lines[0] == "Vote:    votenet vote -i b voter123 Alice"
    assert lines[-1] == "Stop:    Ctrl-C"


def test_a_log_line_as_json() -> None:
    found = network_view.log_fields("node-1", "2026-01-01T00:00:00.500Z INFO ü", 7.5)
    assert found == {
        "program": "node-1",
        "time": 7.5,
        "own_time": 1767225600.5,
        "line": "2026-01-01T00:00:00.500Z INFO ü",
    }
    past = network_view.log_fields("node-1", "no time", None)
    assert (past["time"], past["own_time"]) == (None, None)


def _program(**fields: object) -> dict[str, object]:
    program = {
        "name": "node-1", "state": "ready", "address": "127.0.0.1:3000", "pid": 4000000, "uptime": 700,
        "height": 12345, "peers": 4, "waiting": 12345, "cpu": 100.0, "memory": 50 * 2**20, "restarts": 12,
        "cause": None, "problem": "", "alert": "", "next_try_in": None, "links": None, "cut_off": None,
    }  # fmt: skip
    return {**program, **fields}


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_nothing_is_cut_off_on_a_terminal_of_any_usual_width(width: int) -> None:
    from rich.console import Console

    cause = "exit 1 (a failure); next try in 4m59s"
    programs = [_program(), _program(name="bootstrap", state="stopping", cause="exit 1 (a failure)")]
    status = {
        "programs": [*programs, _program(name="node-64", state="removed", next_try_in=299, cause=cause)]
    }
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(network_view.status_table(status, width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in ("bootstrap", "stopping", "3000", "4000000", "11m40s", "12345", "100%", "50M", "RESTARTS"):
        assert word in text
    assert "exit 1" in text
    assert ("127.0.0.1:3000" in text) == (width >= 140)
