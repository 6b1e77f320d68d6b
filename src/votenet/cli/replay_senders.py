"""A replay by several processes at once: one Python process signs and sends some thousand votes a second.

What lives here: ReplayPlan, what is to be cast, as it is handed to a process; cast(), which runs it in this
process or in several. What must not: how one process sends (`replayer.py`), options, tables.

All processes read the same file, and each casts every N-th batch of it. They begin together, once each has
reached a node. A process whose parent is gone finds its pipe closed and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeVar

from votenet.cli.ballots import BadLine, Ballot, BallotColumns, BallotFile
from votenet.cli.presigned import PresignedFile, SignedBallot
from votenet.cli.replay_summary import Summary
from votenet.cli.replayer import Pace, Replayer
from votenet.errors import VotenetError, votenet_error_in
from votenet.protocol.address import Address
from votenet.storage.input_file import InputFile

REPORT_SECONDS: Final = 0.1
"""Between two reports of a sender to its parent."""

Row = Ballot | SignedBallot | BadLine
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to cast: a presigned file (`columns` None) or a CSV file, all of it or some.

    `file` is open in the process that made the plan; another one is told where it reads the same.

    `wanted` rows from the start of the file, or `sample` of them, evenly spread.
    """

    file: InputFile | Path
    columns: BallotColumns | None
    wanted: int
    sample: int | None = None

    def elsewhere(self) -> ReplayPlan:
        """The plan for a child of this process."""
        return self if isinstance(self.file, Path) else replace(self, file=self.file.elsewhere)

    @property
    def total(self) -> int:
        return min(self.wanted, self.sample or self.wanted)

    def rows(self) -> Iterator[Row]:
        """The ballots to cast and the lines that are none, read anew."""
        if self.columns is None:
            return self._some(PresignedFile(self.file).ballots())
        return self._some(BallotFile(self.file).ballots(self.columns))

    def _some(self, rows: Iterator[R]) -> Iterator[R]:
        if self.total == self.wanted:
            return islice(rows, self.wanted)
        picked = {index * self.wanted // self.total for index in range(self.total)}
        return (row for index, row in enumerate(rows) if index in picked)


def cast(
    plan: ReplayPlan,
    addresses: tuple[Address, ...],
    secret: bytes,
    pace: Pace,
    senders: int,
    report: Callable[[int], None],
) -> Summary:
    """Cast the ballots of a plan from so many processes; `report` is told how many are done.

    Raises:
        VotenetError: as Replayer.run, or code sender-died.
    """
    if senders == 1:
        replayer = Replayer(addresses, secret, pace)
        return asyncio.run(replayer.run(plan.rows(), lambda done, _: report(done), plan.total))
    rate = None if pace.rate is None else pace.rate / senders
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pipes = []
        for number in range(senders):
            ours, theirs = context.Pipe()
            stack.callback(ours.close)
            share = replace(pace, share=(number, senders), rate=rate)
            process = context.Process(
                target=_sender, args=(theirs, plan.elsewhere(), addresses, secret, share), daemon=True
            )
            process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(process.terminate)
            pipes.append(ours)
        for pipe in pipes:
            _received(pipe)
        for pipe in pipes:
            pipe.send(True)
        return _gathered(pipes, report)


def _gathered(pipes: list[Connection], report: Callable[[int], None]) -> Summary:
    done, open_pipes, total = dict.fromkeys(map(id, pipes), 0), list(pipes), Summary()
    while open_pipes:
        for pipe in multiprocessing.connection.wait(open_pipes):
            assert isinstance(pipe, Connection)
            news = _received(pipe)
            if isinstance(news, Summary):
                total.merge(news)
                open_pipes.remove(pipe)
            else:
                done[id(pipe)] = news
                report(sum(done.values()))
    return total


def _received(pipe: Connection) -> bool | int | Summary:
    try:
        found = pipe.recv()
    except EOFError as error:
        raise VotenetError(
            "a sending process ended before its work was done",
            code="sender-died",
            next_step="What was accepted is saved. Run the same replay again.",
        ) from error
    if isinstance(found, VotenetError):
        raise found
    assert isinstance(found, (int, Summary))
    return found


def _sender(
    pipe: Connection, plan: ReplayPlan, addresses: tuple[Address, ...], secret: bytes, pace: Pace
) -> None:
    """One process: says that it is ready, waits for the word, casts its share, sends its Summary."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    try:
        result: Summary | VotenetError = _work(pipe, plan, Replayer(addresses, secret, pace))
    except Exception as failure:
        known = votenet_error_in(failure)
        if known is None:
            raise
        result = VotenetError(known.message, code=known.code, next_step=known.next_step)
        result.exit_code = known.exit_code
    _tell(pipe, result)


def _tell(pipe: Connection, news: bool | int | Summary | VotenetError) -> None:
    try:
        pipe.send(news)
    except BrokenPipeError:
        raise SystemExit(1) from None  # nobody is there to send for


def _work(pipe: Connection, plan: ReplayPlan, replayer: Replayer) -> Summary:
    asyncio.run(replayer.election())
    _tell(pipe, True)
    try:
        pipe.recv()
    except EOFError:
        raise SystemExit(1) from None
    told = 0.0

    def report(done: int, _: int) -> None:
        nonlocal told
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            _tell(pipe, done)

    return asyncio.run(replayer.run(plan.rows(), report, plan.total))
