"""A replay by several processes: one Python process signs and sends some thousand votes a second.

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
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, TypeVar

from votenet.ballots.check import ReadingOptions, check_ballots
from votenet.ballots.paper import BadLine, Ballot
from votenet.client.answers import election_at
from votenet.core.election.definition import Contest
from votenet.errors import VotenetError, votenet_error_in
from votenet.lab.presigned import PresignedFile
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import Replayer, Row, SendingPace
from votenet.lab.voter_keys import Fault, VoterKeys
from votenet.protocol.wire.address import Address
from votenet.storage.ballot_source import read_ballot_file
from votenet.storage.input_file import InputFile

REPORT_SECONDS: Final = 0.1
"""Between two reports of a sender to its parent."""

R = TypeVar("R")


def _no_fault(voter_id: str) -> Fault | None:
    return None


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to cast: a presigned file (`options` None) or a file of ballots, all of it or some.

    `file` is open in the process that made the plan; `elsewhere` gives a child the path instead. `wanted`
    rows from the start of the file are cast, or `sample` of them, evenly spread.
    """

    file: InputFile | Path
    options: ReadingOptions | None
    wanted: int
    sample: int | None = None
    contests: tuple[Contest, ...] = ()
    voter_fault: Callable[[str], Fault | None] = field(default=_no_fault)
    read: tuple[Ballot | BadLine, ...] | None = None
    """The rows of the file, once it was read; a child reads it again."""

    def elsewhere(self) -> ReplayPlan:
        """The plan for a child of this process."""
        path = self.file if isinstance(self.file, Path) else self.file.elsewhere
        return replace(self, file=path, read=None)

    @property
    def total(self) -> int:
        return min(self.wanted, self.sample or self.wanted)

    def rows(self) -> Iterator[Row]:
        """The ballots to cast and the lines that cannot be read, from the start of the file."""
        if self.options is None:
            return self._some(PresignedFile(self.file).ballots())
        if self.read is None:
            data = read_ballot_file(self.file)
            found = check_ballots(data, self.options, self.contests, self.voter_fault)
            return self._some(iter(found.rows))
        return self._some(iter(self.read))

    def _some(self, rows: Iterator[R]) -> Iterator[R]:
        if self.total == self.wanted:
            return islice(rows, self.wanted)
        picked = {index * self.wanted // self.total for index in range(self.total)}
        return (row for index, row in enumerate(rows) if index in picked)


def cast(
    plan: ReplayPlan,
    addresses: tuple[Address, ...],
    keys: VoterKeys,
    pace: SendingPace,
    senders: int,
    report: Callable[[int], None],
) -> Summary:
    """Cast the ballots of a plan from `senders` processes. `report` is called with the number done.

    Raises:
        VotenetError: as Replayer.run, or code sender-died.
    """
    if senders == 1:
        replayer = Replayer(addresses, keys, pace)
        return asyncio.run(replayer.run(plan.rows(), report))
    rate = None if pace.rate is None else pace.rate / senders
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pipes = []
        for number in range(senders):
            ours, theirs = context.Pipe()
            stack.callback(ours.close)
            share = replace(pace, share=(number, senders), rate=rate)
            process = context.Process(
                target=_sender, args=(theirs, plan.elsewhere(), addresses, keys, share), daemon=True
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
        news = pipe.recv()
    except EOFError as error:
        raise VotenetError(
            "a sending process ended before its work was done",
            code="sender-died",
            next_step="What was accepted is saved. Run the same replay again.",
        ) from error
    if isinstance(news, VotenetError):
        raise news
    assert isinstance(news, (int, Summary))
    return news


def _sender(
    pipe: Connection, plan: ReplayPlan, addresses: tuple[Address, ...], keys: VoterKeys, pace: SendingPace
) -> None:
    """One process: reports that it is ready, waits for the start, casts its share, sends its Summary."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it ends us
    try:
        asyncio.run(election_at(addresses))
        result: Summary | VotenetError = _work(pipe, plan, Replayer(addresses, keys, pace))
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
        raise SystemExit(1) from None  # the parent is gone


def _work(pipe: Connection, plan: ReplayPlan, replayer: Replayer) -> Summary:
    _tell(pipe, True)
    try:
        pipe.recv()
    except EOFError:
        raise SystemExit(1) from None
    told = 0.0

    def report(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            _tell(pipe, done)

    return asyncio.run(replayer.run(plan.rows(), report))
