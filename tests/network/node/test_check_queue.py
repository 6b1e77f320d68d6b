"""Checks in threads: results come back in the loop, senders take turns, a new core hears no old result."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from support.elections import key_of, make_election
from votenet.network.node.check_queue import CHECKS_AT_ONCE, CheckQueue
from votenet.network.node.links import LinkTable
from votenet.protocol.node.events import Checked, CheckJob, Portions
from votenet.protocol.wire.connection import LocalNode

IDENTITY = LocalNode(key_of("us"), make_election().network_hex, "us:1")


def run(test: Callable[[CheckQueue, asyncio.Queue[Checked]], Any]) -> None:
    async def main() -> None:
        results: asyncio.Queue[Checked] = asyncio.Queue()
        links = LinkTable(IDENTITY, print, lambda: (0, 0), lambda: 0.0, print)
        queue = CheckQueue(links, results.put_nowait)
        with queue.started():
            async with asyncio.timeout(60):
                await test(queue, results)

    asyncio.run(main())


def test_every_job_is_run_and_its_result_comes_back() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        for number in range(50):
            queue.add(CheckJob(number, 1, lambda number=number: number * 2))  # type: ignore[misc]
        got = [await results.get() for _ in range(50)]
        assert {event.job.id: event.result for event in got} == {number: number * 2 for number in range(50)}

    run(test)


def test_a_link_with_many_jobs_holds_up_no_other() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        # Of link 1 only those run before it that were in the threads already, and one turn.
        first, rest = threading.Event(), threading.Event()
        for number in range(40):
            gate = first if number < 2 * CHECKS_AT_ONCE else rest
            queue.add(CheckJob(number, 1, lambda gate=gate: gate.wait(60)))  # type: ignore[misc]
        queue.add(CheckJob(99, 2, first.wait))
        first.set()
        while (await results.get()).job.id != 99:
            pass
        rest.set()

    run(test)


def test_between_the_portions_of_long_jobs_come_those_of_other_links() -> None:
    """A line of many secret ballots held a thread until the last of them was checked."""

    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        first, rest = threading.Event(), threading.Event()
        for number in range(CHECKS_AT_ONCE):
            gates = [first, *[rest] * 10]
            queue.add(CheckJob(number, 1, Portions([lambda gate=gate: [gate.wait(60)] for gate in gates])))  # type: ignore[misc]
        queue.add(CheckJob(99, 2, first.wait))
        first.set()
        assert (await results.get()).job.id == 99
        rest.set()
        found = [await results.get() for _ in range(CHECKS_AT_ONCE)]
        assert [event.result for event in found] == [[True] * 11] * CHECKS_AT_ONCE

    run(test)


def test_of_a_core_that_starts_over_no_further_portion_is_done() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        begun, gate, later = threading.Event(), threading.Event(), threading.Event()

        def first() -> list[bool]:
            begun.set()
            return [gate.wait(60)]

        queue.add(CheckJob(0, 1, Portions([first, lambda: [later.set()]])))
        await asyncio.to_thread(begun.wait, 60)
        queue.clear()
        gate.set()
        for number in range(1, 2 * CHECKS_AT_ONCE):  # each thread has given back what it had
            queue.add(CheckJob(number, 1, lambda: "new"))
            assert (await results.get()).result == "new"
        assert not later.is_set()

    run(test)


def test_an_urgent_job_comes_before_those_that_wait() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        first, rest = threading.Event(), threading.Event()
        for number in range(40):
            gate = first if number < CHECKS_AT_ONCE else rest
            queue.add(CheckJob(number, number % 2, lambda gate=gate: gate.wait(60)))  # type: ignore[misc]
        queue.add(CheckJob(99, 1, lambda: None, urgent=True))
        first.set()
        while (await results.get()).job.id != 99:
            pass
        rest.set()

    run(test)


def test_a_core_that_starts_over_hears_no_result_of_the_old_one() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        gate = threading.Event()
        for number in range(CHECKS_AT_ONCE + 3):
            queue.add(CheckJob(number, 1, gate.wait))
        queue.clear()
        queue.add(CheckJob(0, 1, lambda: "new"))
        gate.set()
        assert (await results.get()).result == "new"
        assert results.empty()

    run(test)


def test_a_defect_in_a_check_is_loud() -> None:
    async def test(queue: CheckQueue, results: asyncio.Queue[Checked]) -> None:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.put_nowait(context))
        queue.add(CheckJob(1, 1, lambda: 1 // 0))
        assert isinstance((await heard.get())["exception"], ZeroDivisionError)

    run(test)
