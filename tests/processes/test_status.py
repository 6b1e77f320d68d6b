"""Programs as plain data."""

from __future__ import annotations

from pathlib import Path

import pytest

from votenet.processes.cause import Cause, Kind
from votenet.processes.machine import Phase, Program, Verdict
from votenet.processes.procfs import ProcessStat
from votenet.processes.spec import ProgramSpec, Role
from votenet.processes.status import Sight, Vitals, program_status
from votenet.protocol.address import Address

SPEC = ProgramSpec("node-1", Role.NODE, Address("127.0.0.1", 3000), Path("/d"), ("x",))


def test_a_ready_node() -> None:
    program = Program(incarnation=4, starts=2, phase=Phase.ALIVE, ready=True, was_ready=True)
    vitals = Vitals()
    vitals.hear({"X_HEIGHT": "12", "X_PEERS": "4", "X_WAITING": "0", "X_TIP": "ff", "STATUS": "fine"}, 99.0)
    sight = Sight(pid=7, started_at=90.0, ready_at=91.0, log=Path("/l"), last_lines=("old",))
    assert program_status(SPEC, program, sight, vitals, 100.0) == {
        "name": "node-1",
        "role": "node",
        "state": "ready",
        "pid": 7,
        "address": "127.0.0.1:3000",
        "incarnation": 4,
        "restarts": 1,
        "uptime": 10.0,
        "ready_for": 9.0,
        "cause": None,
        "problem": None,
        "next_try_in": None,
        "cpu": None,
        "memory": None,
        "alert": None,
        "height": 12,
        "peers": 4,
        "waiting": 0,
        "tip": "ff",
        "links": None,
        "says": "fine",
        "heard_ago": 1.0,
        "data_dir": "/d",
        "log": "/l",
        "last_lines": [],
    }


def test_a_removed_node_shows_cause_next_try_and_last_lines() -> None:
    cause = Cause(Kind.EXITED, 1)
    program = Program(wanted=True, verdict=Verdict.REMOVED, retry_at=130.0, cause=cause, problem="left")
    status = program_status(SPEC, program, Sight(last_lines=("boom",)), Vitals(), 100.0)
    assert status["state"] == "removed"
    assert status["cause"] == "exit 1 (a failure)"
    assert (status["next_try_in"], status["problem"], status["last_lines"]) == (30.0, "left", ["boom"])
    assert status["uptime"] is None


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "9" * 30, "٣"])
def test_values_of_the_wrong_form_are_left_out(value: str) -> None:
    vitals = Vitals(height=3)
    vitals.hear({"X_HEIGHT": value}, 1.0)
    assert vitals.height == 3


def test_use_of_the_processor_is_measured_over_a_second() -> None:
    def stat(ticks: int) -> ProcessStat:
        return ProcessStat(
            pid=1, state="S", parent=0, group=1, session=1, start_ticks=1, cpu_ticks=ticks, rss_pages=256
        )

    sight = Sight()
    seen = []
    for ticks, now in ((500, 10.0), (520, 10.5), (550, 11.0), (550, 11.2), (550, 12.0)):
        sight.measure(stat(ticks), now)
        seen.append(sight.cpu)
    assert seen == [None, None, 50.0, 50.0, 0.0]
    assert sight.memory == 1024 * 1024


def test_waiting_votes_without_a_block_are_an_alert() -> None:
    vitals = Vitals()
    vitals.hear({"X_HEIGHT": "3", "X_WAITING": "5"}, 100.0)
    assert vitals.alert(219.0) == ""
    assert vitals.alert(220.0) == "no block for 120 s while 5 votes wait"
    vitals.hear({"X_HEIGHT": "4", "X_WAITING": "2"}, 230.0)
    assert vitals.alert(230.0) == ""
    vitals.hear({"X_HEIGHT": "4", "X_WAITING": "0"}, 300.0)
    assert vitals.alert(900.0) == ""
