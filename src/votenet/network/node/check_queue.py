"""Checks of signatures and blocks in threads: the senders take turns, also between portions of a check."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from votenet.network.node.links import LinkTable
from votenet.network.threads import start_threads
from votenet.protocol.node.events import Checked, CheckJob, Portions
from votenet.protocol.wire.fair_queue import FairQueue

T = TypeVar("T")
CHECKERS: Final = min(os.cpu_count() or 1, 4)
"""Threads that check. A fifth of a check holds the interpreter's lock: many would wait for each other."""
CHECKS_AT_ONCE: Final = CHECKERS + 1
"""Jobs given to the threads: those that run and one that follows. The others wait in their lanes."""


class CheckQueue:
    """Runs check jobs; `done` gets each result, in the event loop."""

    def __init__(self, links: LinkTable, done: Callable[[Checked], None]) -> None:
        self._links, self._done = links, done
        self._threads = ThreadPoolExecutor(CHECKERS, "checker")
        self._queue: FairQueue[CheckJob] = FairQueue()
        self._running = 0
        self._generation = 0

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Runs the threads until the block ends. Raises VotenetError: no-threads."""
        start_threads(self._threads, CHECKERS)
        with self._threads:
            yield

    def add(self, job: CheckJob) -> None:
        """Queue a job in the lane of its link; an urgent one comes next."""
        put = self._queue.put_first if job.urgent else self._queue.put
        put(self._links.lane(job.link), job)
        self._fill()

    def finished(self, job: CheckJob) -> None:
        """The core has taken the result of a job: its line no longer holds memory."""
        self._links.backpressure.job_done(job.link, job.size)

    def clear(self) -> None:
        """The core starts over: results of older jobs are dropped."""
        self._queue.clear()
        self._generation += 1

    def _fill(self) -> None:
        """Keep the threads busy, with one job that follows without a pause."""
        loop = asyncio.get_running_loop()
        while self._queue and self._running < CHECKS_AT_ONCE:
            self._running += 1
            self._start(self._queue.get(), loop)

    def _start(self, job: CheckJob, loop: asyncio.AbstractEventLoop) -> None:
        generation = self._generation

        def ended(event: Checked) -> None:
            self._running -= 1
            self._fill()
            if generation == self._generation:
                self._done(event)

        def again(job: CheckJob) -> None:
            self._running -= 1
            if generation == self._generation:
                self._queue.put(self._links.lane(job.link), job)
            self._fill()

        def run() -> None:
            if isinstance(job.run, Portions) and job.run.do_next():
                call_in(loop, again, job)
            else:
                call_in(loop, ended, Checked(job, job.run()))

        def tell(future: Future[None]) -> None:
            """A defect in a check must end the program loudly, not vanish in its thread."""
            failure = None if future.cancelled() else future.exception()
            if failure is not None:
                context = {"message": "a check failed", "exception": failure}
                call_in(loop, loop.call_exception_handler, context)

        self._threads.submit(run).add_done_callback(tell)


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[[T], None], value: T) -> None:
    """Call in the event loop from another thread; nothing once the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, value)
