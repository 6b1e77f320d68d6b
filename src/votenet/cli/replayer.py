"""Casting many ballots over many nodes.

What lives here: Replayer: batching, pacing, retrying, counting what became of each ballot. What must
not: reading files (`ballots.py`, `presigned.py`), options, progress bars (the caller's `report`).

Every node has a few workers on connections of their own. A batch that got no answer goes to
whichever node takes it next: the votes in it are signed already, so none can be counted twice.

Closed loop: a worker sends its next batch when the one before is answered. Open loop (`rate`): batches fall
due by the clock, whatever the nodes do. Latencies are counted from the first sending, or from when it was
due: a batch that had to wait for its turn has waited (else a stalled node would hide the votes it holds up).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Final

import msgspec

from votenet.cli.actions import fetch_election, rejected_from, wrong_answer
from votenet.cli.ballots import BadLine, Ballot
from votenet.cli.latency import Latencies
from votenet.cli.presigned import SignedBallot, sign_ballot
from votenet.cli.replay_summary import Summary
from votenet.cli.vote import for_people
from votenet.cli.vote_follower import VoteFollower
from votenet.core.election import Election
from votenet.errors import Kind, Rejected, Unreachable, VotenetError
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.framing import MAX_CLIENT_LINE
from votenet.protocol.messages import GetResults, Results, SubmitVotes, VotesTaken

DEFAULT_BATCH: Final = 200
WORKERS_PER_NODE: Final = 2
"""One batch is being checked while the next is on its way."""
BATCHES_PER_NODE: Final = 4
"""Signed batches in flight or waiting: bounds memory however long the file is."""
ENVELOPE_BYTES: Final = 256
"""Of a line to a node, beside the votes: type, id, brackets."""
RETRY_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0
"""How long a batch that nobody takes is offered again before its ballots are refused."""
SILENCE_SECONDS: Final = 20.0
"""Longer than a supervisor takes to bring all nodes back."""
SETTLE_SECONDS: Final = 0.1

Report = Callable[[int, int], None]
"""Called with (ballots done, ballots in all or 0 when not known)."""


@dataclass(slots=True)
class _Batch:
    ballots: list[SignedBallot]
    began: float | None = None
    """When it was due, or first sent."""
    failing_since: float | None = None

    def gives_up(self) -> bool:
        """Note one more failure; whether this has gone on for too long."""
        now = time.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        return now - self.failing_since > PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class Pace:
    """How votes are sent. `rate` in votes a second (None: closed loop); `clients` connections to each node.

    `share` is (n, of): this sender casts every `of`-th batch, from batch n on. With `confirmations` one
    vote of each batch is followed until it has so many.
    """

    batch: int = DEFAULT_BATCH
    clients: int = WORKERS_PER_NODE
    rate: float | None = None
    share: tuple[int, int] = (0, 1)
    confirmations: int = 0
    follow_seconds: float = 300.0
    """How long, after the last vote was sent, followed votes may take into a block."""


class Replayer:
    """One replay. Voters' keys follow from `secret` (32 bytes) and the voter id."""

    def __init__(self, addresses: Sequence[Address], secret: bytes, pace: Pace = Pace()) -> None:
        self._addresses, self._secret, self._pace = tuple(addresses), secret, pace
        self.summary = Summary()
        self._accepted = self.summary.latency["accepted"] = Latencies()
        self._follower: VoteFollower | None = None
        if pace.confirmations:
            self._follower = VoteFollower(addresses, pace.confirmations)
            self.summary.latency |= {
                "in_block": self._follower.in_block,
                "confirmed": self._follower.confirmed,
            }

    async def run(
        self, rows: Iterable[Ballot | SignedBallot | BadLine], report: Report, total: int = 0
    ) -> Summary:
        """Cast every ballot; returns when each was accepted or refused, and followed ones are in blocks.

        Raises:
            Unreachable: no node could be reached at all.
            Rejected: not-open; voting has not begun.
        """
        election = await self.election()
        began = time.monotonic()
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._room = asyncio.Semaphore(max(BATCHES_PER_NODE, 2 * self._pace.clients) * len(self._addresses))
        self._report, self._total, self._done = report, total, 0
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._work(address))
                for address in self._addresses
                for _ in range(self._pace.clients)
            ]
            if self._follower is not None:
                workers.append(tasks.create_task(self._follower.run()))
            for number, batch in enumerate(self._batches(rows, election)):
                await self._room.acquire()
                await self._wait_until_due(batch, began, number)
                self._queue.put_nowait(batch)
            await self._queue.join()
            self.summary.seconds = time.monotonic() - began
            if self._follower is not None:
                await self._follower.settle(self._pace.follow_seconds)
            for worker in workers:
                worker.cancel()
        return self.summary

    async def _wait_until_due(self, batch: _Batch, began: float, number: int) -> None:
        if self._pace.rate is not None:
            batch.began = began + number * self._pace.batch / self._pace.rate
            await asyncio.sleep(max(0.0, batch.began - time.monotonic()))

    async def wait_until_counted(self, report: Callable[[int], None], timeout: float) -> bool:
        """Until no node that answers has a vote waiting; whether that came within `timeout` seconds.

        Raises:
            Unreachable: no node has answered for SILENCE_SECONDS.
        """
        heard = time.monotonic()
        deadline = heard + timeout
        while time.monotonic() < deadline:
            waiting = [await self._waiting(address) for address in self._addresses]
            known = [count for count in waiting if count is not None]
            if known:
                heard = time.monotonic()
                if not any(known):
                    return True
                report(max(known))
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise Unreachable(
                    "no node answers any more: nobody can say whether every vote is in a block",
                    next_step="What was accepted is saved. Start the nodes, then run the same replay again.",
                )
            await asyncio.sleep(SETTLE_SECONDS)
        return False

    # -- making votes --------------------------------------------------------------------------

    def _batches(
        self, rows: Iterable[Ballot | SignedBallot | BadLine], election: Election
    ) -> Iterator[_Batch]:
        """Our share of the rows. Only our own are signed and counted."""
        number, (ours, of) = 0, self._pace.share
        rows = iter(rows)
        while portion := list(islice(rows, self._pace.batch)):
            if number % of == ours:
                yield _Batch([*self._signed(portion, election)])
            number += 1

    def _signed(
        self, portion: Iterable[Ballot | SignedBallot | BadLine], election: Election
    ) -> Iterator[SignedBallot]:
        for row in portion:
            self.summary.read += 1
            if isinstance(row, SignedBallot):
                yield row
            elif isinstance(row, Ballot):
                try:
                    yield sign_ballot(row, election, self._secret)
                except Rejected as error:
                    self._refuse(error.code, row.line, error.message)
            else:
                self._refuse("bad-csv-line", row.line, row.reason)

    def _refuse(self, code: str, line: int, why: str) -> None:
        self.summary.refuse(code, f"line {line}: {why}")
        self._advance(1)

    # -- sending votes -------------------------------------------------------------------------

    async def _work(self, address: Address) -> None:
        while True:
            batch = await self._queue.get()
            try:
                async with NodeClient(address, dial_timeout=2.0) as client:
                    while True:
                        await self._send(client, batch)
                        self._finish()
                        batch = await self._queue.get()
            except VotenetError as error:
                if error.code == "not-open":  # it is for all of them, and for longer than anybody waits
                    raise
                await self._again(batch, error)

    async def _send(self, client: NodeClient, batch: _Batch) -> None:
        """One batch to one node, in as many requests as it needs. What it refuses for now is sent again
        after a pause."""
        while batch.ballots:
            if batch.began is None:
                batch.began = time.monotonic()
            sent, left = _in_one_line(batch.ballots)
            taken = await client.ask(_request(sent), VotesTaken)
            if len(taken.outcomes) != len(sent):
                raise wrong_answer(client.address, "what became of other votes")
            later: list[SignedBallot] = []
            accepted = [
                ballot
                for ballot, outcome in zip(sent, taken.outcomes, strict=True)
                if self._accepts(ballot, outcome.error, later)
            ]
            self._note(client.address, accepted, batch.began)
            self._advance(len(sent) - len(later))
            batch.ballots = left + later
            if later:
                if batch.gives_up():
                    raise Unreachable(f"{client.address} refused votes for now, too often")
                await asyncio.sleep(RETRY_SECONDS)

    def _accepts(
        self, ballot: SignedBallot, error: dict[str, object] | None, later: list[SignedBallot]
    ) -> bool:
        """Whether the node accepted this ballot. Counts what else became of it."""
        if error is None:
            return True
        if error.get("code") == "duplicate-vote":
            self.summary.repeated += 1
        elif error.get("code") == "not-open":
            raise for_people(rejected_from(error), "")
        elif error.get("kind") == Kind.TEMPORARY.value:
            later.append(ballot)
        else:
            self.summary.refuse(str(error.get("code")), f"line {ballot.line}: {error.get('message')}")
        return False

    def _note(self, address: Address, accepted: Sequence[SignedBallot], began: float) -> None:
        if accepted:
            self.summary.accepted += len(accepted)
            self.summary.by_node[str(address)] += len(accepted)
            self._accepted.add(time.monotonic() - began, len(accepted))
            if self._follower is not None:
                self._follower.follow(accepted[0].record, began)

    async def _again(self, batch: _Batch, error: VotenetError) -> None:
        """A node failed in the middle: back with the batch first, so that another node may take it."""
        if batch.gives_up():
            for ballot in batch.ballots:
                self.summary.refuse(error.code, f"line {ballot.line}: {error.message}")
            self._advance(len(batch.ballots))
            self._finish()
            return
        self._queue.put_nowait(batch)
        self._queue.task_done()
        await asyncio.sleep(RETRY_SECONDS)

    def _finish(self) -> None:
        """One batch is settled: there is room for the next."""
        self._queue.task_done()
        self._room.release()

    def _advance(self, count: int) -> None:
        self._done += count
        self._report(self._done, self._total)

    # -- asking --------------------------------------------------------------------------------

    async def election(self) -> Election:
        """The election of the first node that answers. Raises Unreachable."""
        failure: VotenetError = Unreachable("no node was named")
        for address in self._addresses:
            try:
                async with NodeClient(address, dial_timeout=2.0) as client:
                    return await fetch_election(client)
            except Unreachable as error:
                failure = error
        raise failure

    async def _waiting(self, address: Address) -> int | None:
        try:
            async with NodeClient(address, dial_timeout=2.0) as client:
                return (await client.ask(GetResults(), Results)).waiting
        except VotenetError:
            return None


def _in_one_line(ballots: list[SignedBallot]) -> tuple[list[SignedBallot], list[SignedBallot]]:
    """The first of them, as many as one line to a node holds, and the others."""
    sizes = accumulate(len(ballot.record) + 1 for ballot in ballots)
    fit = max(1, sum(size <= MAX_CLIENT_LINE - ENVELOPE_BYTES for size in sizes))
    return ballots[:fit], ballots[fit:]


def _request(ballots: Sequence[SignedBallot]) -> SubmitVotes:
    """Their records as they are: a sender that encoded each vote again would be the bottleneck."""
    records: Any = tuple(msgspec.Raw(ballot.record) for ballot in ballots)
    return SubmitVotes(votes=records)
