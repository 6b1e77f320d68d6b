"""One program as the supervisor holds it."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.processes.conftest import is_paused

from votenet.config import InstanceDirs
from votenet.processes.child import Child
from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.heartbeat import Heartbeat
from votenet.processes.machine import Hung, PauseChanged, Phase, ProgramState, RestReason
from votenet.processes.managed_program import JOIN_SECONDS, PAGE_SECONDS, ManagedProgram, ProcessSample
from votenet.processes.procfs import ProcessStat
from votenet.processes.spec import ProgramRole, ProgramSpec
from votenet.protocol.wire.address import Address

SPEC = ProgramSpec("node-1", ProgramRole.NODE, Address("127.0.0.1", 3000), Path("/d"), ("x",))
ALIVE = ProgramState(incarnation=3, phase=Phase.ALIVE, ready=True)
DIRS = InstanceDirs("t", Path("/s/t"), Path("/r/t"), Path("/k"))


def test_a_look_measures_and_tells_pauses_and_hangs(tmp_path: Path) -> None:
    async def play() -> None:
        program = "import time; print('up', flush=True); time.sleep(60)"
        child = Child.start([sys.executable, "-c", program], os.environ, tmp_path / "l")
        program = ManagedProgram(SPEC, ALIVE, child)
        try:
            async with asyncio.timeout(60):
                while not (tmp_path / "l").read_bytes():  # noqa: ASYNC110 - in the middle of an exec it has no memory
                    await asyncio.sleep(0.01)
            assert program.look(100.0) == []
            assert program.judge_silence(100.0, 10.0, 0.0) == []
            assert (program.sample.cpu, program.heartbeat.beat_at) == (None, None), (
                "not watched: it sends no heartbeat"
            )
            program.heartbeat.update({"WATCHDOG": "1"}, 100.0)
            assert program.look(109.0) == []
            assert program.sample.cpu is not None
            assert program.sample.memory
            assert program.look(1000.0) == [], "a look alone judges no program"
            assert program.judge_silence(110.0, 10.0, math.inf) == [], "we were late ourselves"
            assert program.judge_silence(119.0, 10.0, 0.0) == []
            assert program.judge_silence(120.5, 10.0, 0.75) == [], "a little late: that much longer"
            assert program.judge_silence(121.0, 10.0, 0.0) == [Hung(3)]
            child.send(signal.SIGSTOP)
            async with asyncio.timeout(60):
                while not is_paused(child.pid):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert program.look(130.0) == [PauseChanged(3, True)]
            assert program.judge_silence(132.0, 10.0, 0.0) == [], "paused, not hung"
        finally:
            child.kill_and_reap()

    asyncio.run(play())


def test_what_has_ended_leaves_its_height_and_its_last_words() -> None:
    program = ManagedProgram(SPEC, ALIVE)
    program.heartbeat.update({"X_HEIGHT": "5", "X_TIP": "ff", "X_PEERS": "3", "WATCHDOG": "1"}, 1.0)
    program.sample.pid, program.sample.memory, program.sample.log = 7, 8, Path("/l")
    program.ended(["bye"])
    beat = program.heartbeat
    assert (beat.height, beat.tip, beat.peers, beat.beat_at) == (5, "ff", None, None)
    assert (program.sample.pid, program.sample.memory, program.sample.log) == (None, None, Path("/l"))
    assert program.sample.last_lines == ("bye",)
    assert program.look(1.0) == []


def test_its_record() -> None:
    record = ManagedProgram(SPEC, ALIVE).identity(DIRS, "stopped")
    assert (record.instance, record.name, record.incarnation, record.intent) == ("t", "node-1", 3, "stopped")
    assert (record.address, record.pid, record.supervisor) == ("127.0.0.1:3000", 0, os.getpid())


def test_programs_that_need_no_waiting() -> None:
    def settled(**fields: Any) -> bool:
        return ManagedProgram(SPEC, ProgramState(**fields)).settled

    assert settled(phase=Phase.ALIVE, ready=True, wanted=True, epoch=1)
    assert not settled(phase=Phase.ALIVE, wanted=True, epoch=1)
    assert settled(rest_reason=RestReason.REMOVED, wanted=True, epoch=1)
    assert not settled(), "no peer has come to it yet"
    assert not settled(phase=Phase.STOPPING, epoch=2)
    assert settled(epoch=2), "stopped, as asked"


def test_a_network_waits_for_the_first_start_of_its_page_until_it_is_known_how_that_went() -> None:
    spec = ProgramSpec("web", ProgramRole.WEB, Address("127.0.0.1", 8080), Path("/d"), ("x",))

    def waits(now: float = 10.5, **fields: Any) -> bool:
        program = ManagedProgram(spec, ProgramState(wanted=True, epoch=1, **fields))
        program.sample.started_at = 10.0
        return program.keeps_waiting(now)

    assert waits(), "it is not started yet"
    assert waits(starts=1, phase=Phase.ALIVE)
    assert waits(starts=1, phase=Phase.ENDED), "it died, and why is not written down yet"
    assert not waits(starts=1, rest_reason=RestReason.FAILED)
    assert not waits(starts=1, phase=Phase.ALIVE, ready=True)
    assert not waits(starts=1, phase=Phase.ENDED, was_ready=True)
    assert not waits(starts=2, phase=Phase.ENDED)
    assert not waits(10.0 + PAGE_SECONDS, starts=1, phase=Phase.ALIVE)


def test_a_node_that_was_ready_first_is_alone_for_a_moment() -> None:
    program = ManagedProgram(SPEC, ALIVE)
    program.sample.ready_at = 10.0
    assert not program.alone(10.5), "it tells nothing of peers"
    program.heartbeat.update({"X_PEERS": "0"}, 10.5)
    assert program.alone(10.5)
    assert not program.alone(10.0 + JOIN_SECONDS), "cut off: no program waits for it"
    program.heartbeat.update({"X_PEERS": "1"}, 10.6)
    assert not program.alone(10.6)


def test_a_ready_node() -> None:
    program = ProgramState(incarnation=4, starts=2, phase=Phase.ALIVE, ready=True, was_ready=True)
    heartbeat = Heartbeat()
    heartbeat.update(
        {"X_HEIGHT": "12", "X_PEERS": "4", "X_WAITING": "0", "X_TIP": "ff", "STATUS": "fine"}, 99.0
    )
    sample = ProcessSample(pid=7, started_at=90.0, ready_at=91.0, log=Path("/l"), last_lines=("old",))
    assert ManagedProgram(SPEC, program, sample=sample, heartbeat=heartbeat).status(100.0) == {
        "name": "node-1",
        "role": "node",
        "state": "ready",
        "pid": 7,
        "address": "127.0.0.1:3000",
        "incarnation": 4,
        "restarts": 1,
        "outdated": False,
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
        "finality": None,
        "links": None,
        "says": "fine",
        "heard_ago": 1.0,
        "data_dir": "/d",
        "log": "/l",
        "last_lines": [],
    }


def test_a_removed_node_shows_cause_next_try_and_last_lines() -> None:
    cause = ExitCause(ExitKind.EXITED, 1)
    program = ProgramState(
        wanted=True, rest_reason=RestReason.REMOVED, retry_at=130.0, exit_cause=cause, problem="left"
    )
    status = ManagedProgram(SPEC, program, sample=ProcessSample(last_lines=("boom",))).status(100.0)
    assert status["state"] == "removed"
    assert status["cause"] == "exit 1 (a failure)"
    assert (status["next_try_in"], status["problem"], status["last_lines"]) == (30.0, "left", ["boom"])
    assert status["uptime"] is None


def test_use_of_the_processor_is_measured_over_a_second() -> None:
    def stat(ticks: int) -> ProcessStat:
        return ProcessStat(
            pid=1, state="S", parent=0, group=1, session=1, start_ticks=1, cpu_ticks=ticks, rss_pages=256
        )

    sample = ProcessSample()
    seen = []
    for ticks, now in ((500, 10.0), (520, 10.5), (550, 11.0), (550, 11.2), (550, 12.0)):
        sample.measure(stat(ticks), now)
        seen.append(sample.cpu)
    assert seen == [None, None, 50.0, 50.0, 0.0]
    assert sample.memory == 1024 * 1024
