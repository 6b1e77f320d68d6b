"""One program as the supervisor holds it."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

from votenet.config import InstanceDirs
from votenet.processes.child import Child
from votenet.processes.machine import Hung, PauseChanged, Phase, Program, Verdict
from votenet.processes.slot import JOIN_SECONDS, Slot
from votenet.processes.spec import ProgramSpec, Role
from votenet.protocol.address import Address

SPEC = ProgramSpec("node-1", Role.NODE, Address("127.0.0.1", 3000), Path("/d"), ("x",))
ALIVE = Program(incarnation=3, phase=Phase.ALIVE, ready=True)
DIRS = InstanceDirs("t", Path("/s/t"), Path("/r/t"), Path("/k"))


def test_a_look_measures_and_tells_pauses_and_hangs(tmp_path: Path) -> None:
    async def play() -> None:
        program = "import time; print('up', flush=True); time.sleep(60)"
        child = Child.start([sys.executable, "-c", program], os.environ, tmp_path / "l")
        slot = Slot(SPEC, ALIVE, child)
        try:
            async with asyncio.timeout(10):
                while not (tmp_path / "l").read_bytes():  # noqa: ASYNC110 - in the middle of an exec it has no memory
                    await asyncio.sleep(0.01)
            assert slot.look(100.0) == []
            assert slot.judge_silence(100.0, 10.0, 0.0) == []
            assert (slot.sight.cpu, slot.vitals.beat_at) == (None, None), "not watched: it sends no heartbeat"
            slot.vitals.hear({"WATCHDOG": "1"}, 100.0)
            assert slot.look(109.0) == []
            assert slot.sight.cpu is not None
            assert slot.sight.memory
            assert slot.look(1000.0) == [], "whoever only looks judges nobody"
            assert slot.judge_silence(110.0, 10.0, math.inf) == [], "we were late ourselves"
            assert slot.judge_silence(119.0, 10.0, 0.0) == []
            assert slot.judge_silence(120.5, 10.0, 0.75) == [], "a little late: that much longer"
            assert slot.judge_silence(121.0, 10.0, 0.0) == [Hung(3)]
            child.send(signal.SIGSTOP)
            async with asyncio.timeout(10):
                while not child.paused:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert slot.look(130.0) == [PauseChanged(3, True)]
            assert slot.judge_silence(132.0, 10.0, 0.0) == [], "paused, not hung"
        finally:
            child.kill_and_reap()

    asyncio.run(play())


def test_what_has_ended_leaves_its_height_and_its_last_words() -> None:
    slot = Slot(SPEC, ALIVE)
    slot.vitals.hear({"X_HEIGHT": "5", "X_TIP": "ff", "X_PEERS": "3", "WATCHDOG": "1"}, 1.0)
    slot.sight.pid, slot.sight.memory, slot.sight.log = 7, 8, Path("/l")
    slot.ended(["bye"])
    assert (slot.vitals.height, slot.vitals.tip, slot.vitals.peers, slot.vitals.beat_at) == (
        5,
        "ff",
        None,
        None,
    )
    assert (slot.sight.pid, slot.sight.memory, slot.sight.log) == (None, None, Path("/l"))
    assert slot.sight.last_lines == ("bye",)
    assert slot.look(1.0) == []


def test_its_record() -> None:
    record = Slot(SPEC, ALIVE).identity(DIRS, "stopped")
    assert (record.instance, record.name, record.incarnation, record.intent) == ("t", "node-1", 3, "stopped")
    assert (record.address, record.pid, record.supervisor) == ("127.0.0.1:3000", 0, os.getpid())


def test_what_nobody_needs_to_wait_for() -> None:
    def settled(**fields: Any) -> bool:
        return Slot(SPEC, Program(**fields)).settled

    assert settled(phase=Phase.ALIVE, ready=True, wanted=True, epoch=1)
    assert not settled(phase=Phase.ALIVE, wanted=True, epoch=1)
    assert settled(verdict=Verdict.REMOVED, wanted=True, epoch=1)
    assert not settled(), "nobody has come to it yet"
    assert not settled(phase=Phase.STOPPING, epoch=2)
    assert settled(epoch=2), "stopped, as asked"


def test_a_node_that_was_ready_first_is_alone_for_a_moment() -> None:
    slot = Slot(SPEC, ALIVE)
    slot.sight.ready_at = 10.0
    assert not slot.alone(10.5), "it tells nothing of peers"
    slot.vitals.hear({"X_PEERS": "0"}, 10.5)
    assert slot.alone(10.5)
    assert not slot.alone(10.0 + JOIN_SECONDS), "cut off: nobody waits for it"
    slot.vitals.hear({"X_PEERS": "1"}, 10.6)
    assert not slot.alone(10.6)
