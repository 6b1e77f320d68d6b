"""The demo's election is one that people could write, and its hours fit the machine."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from votenet.core.election.election_file import read_election_file
from votenet.errors import VotenetError
from votenet.lab import demo_run
from votenet.lab.demo_network import TooLate
from votenet.lab.demo_record import record_ballots
from votenet.lab.demo_run import Demo, election_file

MakeDemo = Callable[..., Demo]


@pytest.fixture
def make_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeDemo:
    """A demonstration of two nodes that is not started."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda ballots, seconds: Demo(record_ballots(ballots), 2, seconds, lambda text: None)


def test_the_election_has_the_record_and_a_motion() -> None:
    found, faults = read_election_file(election_file(2_000_000_000).encode())
    assert (found is not None, faults) == (True, [])
    assert found is not None
    mayor, motion = found.definition.contests
    assert (mayor.method, len(mayor.candidates), mayor.max, mayor.blank) == ("instant-runoff", 35, 3, True)
    assert (motion.method, found.definition.closes) == ("motion", 2_000_000_000)


def test_the_ballots_of_the_smallest_and_of_the_usual_demo_are_spread_over_a_part_of_the_hours(
    make_demo: MakeDemo,
) -> None:
    assert make_demo(200, 16)._pace()[-4:] == ["--batch", "4", "--rate", "100"]
    assert make_demo(5000, 40)._pace()[-4:] == ["--batch", "100", "--rate", "1000"]


@pytest.mark.parametrize(("seconds", "raised"), [(0, TooLate), (3000, VotenetError)])
def test_a_step_that_fails_is_a_fault_while_voting_is_open_and_else_calls_for_longer_hours(
    make_demo: MakeDemo, monkeypatch: pytest.MonkeyPatch, seconds: int, raised: type[Exception]
) -> None:
    def fails(*command: str, **given: Any) -> None:
        raise VotenetError("not in time", code="command-failed")

    demo = make_demo(10, seconds)
    monkeypatch.setattr(demo, "_command", fails)
    with pytest.raises(raised):
        demo._vote()


@pytest.mark.parametrize(("killed_at", "is_late"), [(None, True), (5, False)])
def test_a_replay_that_was_over_before_the_kill_calls_for_longer_hours(
    make_demo: MakeDemo, monkeypatch: pytest.MonkeyPatch, killed_at: int | None, is_late: bool
) -> None:
    summary = {"accepted": 10, "repeated": 0, "refused": {}, "votes_per_second": 9.0}
    program = [sys.executable, "-c", f"print({json.dumps(json.dumps(summary))})"]
    monkeypatch.setattr(demo_run, "votenet_program", lambda: program)
    demo = make_demo(10, 3000)
    demo._closes = int(time.time()) + 3000
    monkeypatch.setattr(demo, "_kill_in_the_middle", lambda replay: killed_at)
    if is_late:
        with pytest.raises(TooLate):
            demo._cast()
    else:
        demo._cast()
        assert [check.passed for check in demo._checks] == [True, True]
