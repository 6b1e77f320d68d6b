"""Casting many ballots over many nodes: batches, pace, retries, and what became of each ballot.

Every node has a few workers with connections of their own. A batch without an answer goes to the next node
that takes it: its votes are signed already, so none can be counted twice.

Closed loop: a worker sends its next batch when the last one is answered. Open loop (`rate`): batches fall due
by the clock, whatever the nodes do. Latencies count from the first sending, or from when a batch was due:
otherwise a stalled node would hide the votes that it holds up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Final

import msgspec

from votenet.ballots.paper import BadLine, Ballot
from votenet.client.answers import (
    ON_CHAIN,
    election_at,
    fetch_vote_status,
    vote_refusal,
    wrong_answer,
)
from votenet.client.connection import NodeConnection
from votenet.client.failover import Failover, ask_each
from votenet.client.refusals import explained
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import Vote
from votenet.core.log.merkle import leaf_hash
from votenet.errors import Command, Kind, NextStep, Rejected, Unreachable, VotenetError
from votenet.lab.presigned import SignedBallot, sign_ballot
from votenet.lab.replay_summary import Latencies, Summary
from votenet.lab.voter_keys import VoterKeys
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import (
    GetResults,
    GetStatus,
    GetVoteStatus,
    NodeStatus,
    Results,
    SubmitVotes,
    VotesTaken,
    VoteStatus,
)
from votenet.protocol.wire.framing import MAX_CLIENT_LINE

DEFAULT_BATCH: Final = 200
WORKERS_PER_NODE: Final = 2
"""One batch is being checked while the next is on its way."""
BATCHES_PER_NODE: Final = 4
"""Signed batches in flight or waiting: bounds memory however long the file is."""
ENVELOPE_BYTES: Final = 256
"""Of a line to a node, beside the votes: type, id, brackets."""
BATCH_RETRY_SECONDS: Final = 0.2
BATCH_PATIENCE_SECONDS: Final = 60.0
"""How long a batch that no node takes is offered again before its ballots are refused."""
SILENCE_SECONDS: Final = 20.0
"""Longer than a supervisor takes to bring all nodes back."""
SETTLE_SECONDS: Final = 0.1
FOLLOW_POLL_SECONDS: Final = 0.02
MAX_FOLLOWED: Final = 500
"""At a time: of faster votes some are not followed."""
AHEAD: Final = 100
"""Questions on their way at a time."""

Row = Ballot | SignedBallot | BadLine


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
        return now - self.failing_since > BATCH_PATIENCE_SECONDS


@dataclass(frozen=True, slots=True)
class SendingPace:
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
    """One replay."""

    def __init__(
        self, addresses: Sequence[Address], keys: VoterKeys, pace: SendingPace = SendingPace()
    ) -> None:
        self._addresses, self._keys, self._pace = tuple(addresses), keys, pace
        self.summary = Summary()
        self._accepted = self.summary.latency["accepted"] = Latencies()
        self._follower: VoteFollower | None = None
        if pace.confirmations:
            self._follower = VoteFollower(addresses, pace.confirmations)
            self.summary.latency |= {
                "in_block": self._follower.in_block,
                "confirmed": self._follower.confirmed,
            }

    async def run(self, rows: Iterable[Row], report: Callable[[int], None]) -> Summary:
        """Cast every ballot; returns when each was accepted or refused, and followed ones are in blocks.

        `report` is called with the number of ballots that are done.

        Raises:
            Unreachable: no node could be reached at all.
            Rejected: not-open; voting has not begun.
        """
        election = await election_at(self._addresses)
        began = time.monotonic()
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._room = asyncio.Semaphore(max(BATCHES_PER_NODE, 2 * self._pace.clients) * len(self._addresses))
        self._report, self._done = report, 0
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
                if self._pace.rate is not None:
                    batch.began = began + number * self._pace.batch / self._pace.rate
                    await asyncio.sleep(max(0.0, batch.began - time.monotonic()))
                self._queue.put_nowait(batch)
            await self._queue.join()
            self.summary.seconds = time.monotonic() - began
            if self._follower is not None:
                await self._follower.settle(self._pace.follow_seconds)
            for worker in workers:
                worker.cancel()
        return self.summary

    async def wait_until_counted(self, report: Callable[[int], None], timeout: float) -> bool:
        """Wait until no answering node has a vote waiting; False after `timeout` seconds.

        Raises:
            Unreachable: no node has answered for SILENCE_SECONDS.
            VotenetError: votes-not-counted; the election is over wherever votes wait.
        """
        heard = time.monotonic()
        deadline = heard + timeout
        while time.monotonic() < deadline:
            answers = await ask_each(self._addresses, lambda node: node.ask(GetResults(), Results))
            known = [results for _, results in answers if isinstance(results, Results)]
            if known:
                heard = time.monotonic()
                behind = [results for results in known if results.waiting]
                if not behind:
                    return True
                report(max(results.waiting for results in behind))
                if all(results.over for results in behind):
                    raise VotenetError(
                        "the election is over, and nodes hold votes that it does not count",
                        code="votes-not-counted",
                        next_step=NextStep(
                            "Too few nodes held them at the closing. See: {}", Command("results")
                        ),
                    )
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise Unreachable(
                    "no node answers any more: it is not known whether every vote is in a block",
                    next_step="What was accepted is saved. Start the nodes, then run the same replay again.",
                )
            await asyncio.sleep(SETTLE_SECONDS)
        return False

    # -- making votes --------------------------------------------------------------------------

    def _batches(self, rows: Iterable[Row], election: Election) -> Iterator[_Batch]:
        """Our share of the rows. Only our own are signed and counted."""
        number, (ours, of) = 0, self._pace.share
        rows = iter(rows)
        while portion := list(islice(rows, self._pace.batch)):
            if number % of == ours:
                yield _Batch([*self._signed(portion, election)])
            number += 1

    def _signed(self, portion: Iterable[Row], election: Election) -> Iterator[SignedBallot]:
        for row in portion:
            self.summary.read += 1
            if isinstance(row, SignedBallot):
                yield row
            elif isinstance(row, Ballot):
                try:
                    yield sign_ballot(row, election, self._keys)
                except Rejected as error:
                    self._refuse(error.code, row.line, error.message)
            else:
                self._refuse("bad-ballot", row.line, row.reason)

    def _refuse(self, code: str, line: int, why: str) -> None:
        self.summary.refuse(code, f"line {line}: {why}")
        self._advance(1)

    # -- sending votes -------------------------------------------------------------------------

    async def _work(self, address: Address) -> None:
        while True:
            batch = await self._queue.get()
            try:
                async with NodeConnection(address, dial_timeout=2.0) as client:
                    while True:
                        await self._send(client, batch)
                        self._finish()
                        batch = await self._queue.get()
            except VotenetError as error:
                if error.code == "not-open":  # it holds for all ballots, and for long
                    raise
                await self._again(batch, error)

    async def _send(self, client: NodeConnection, batch: _Batch) -> None:
        """One batch to one node, in as many requests as it needs. What it refuses for now is sent again
        after a pause."""
        while batch.ballots:
            if batch.began is None:
                batch.began = time.monotonic()
            sent, left = in_one_line(batch.ballots)
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
                await asyncio.sleep(BATCH_RETRY_SECONDS)

    def _accepts(
        self, ballot: SignedBallot, fields: dict[str, object] | None, later: list[SignedBallot]
    ) -> bool:
        """Whether the node accepted this ballot. Counts what else became of it."""
        if fields is None:
            return True
        refusal = vote_refusal(fields)
        if refusal is None:
            self.summary.repeated += 1
        elif refusal.code == "not-open":
            raise explained(refusal, "")
        elif refusal.kind is Kind.TEMPORARY:
            later.append(ballot)
        else:
            self.summary.refuse(refusal.code, f"line {ballot.line}: {refusal.message}")
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
        await asyncio.sleep(BATCH_RETRY_SECONDS)

    def _finish(self) -> None:
        """One batch is settled: there is room for the next."""
        self._queue.task_done()
        self._room.release()

    def _advance(self, count: int) -> None:
        self._done += count
        self._report(self._done)


async def votes_at(addresses: Sequence[Address], voters: Sequence[str]) -> dict[str, str]:
    """The ids of the votes that these voters have cast, as the first node that answers knows. Raises
    Unreachable."""
    async with Failover(addresses) as nodes:
        found = await nodes.run(lambda node: _statuses(node, voters))
    return {status.voter_id: status.vote_id for status in found if status.vote_id is not None}


async def left_out(addresses: Sequence[Address], rows: Iterable[Row]) -> list[tuple[int, str]]:
    """Line and voter id of the ballots that a node holds, and that no node has in a block."""
    decoder = msgspec.json.Decoder(Vote)
    lines = {
        row.voter_id if isinstance(row, Ballot) else decoder.decode(row.record).voter_id: row.line
        for row in rows
        if not isinstance(row, BadLine)
    }
    answers = await ask_each(addresses, lambda node: _statuses(node, list(lines)))
    told = [status for _, found in answers if isinstance(found, list) for status in found]
    counted = {status.voter_id for status in told if status.state in ON_CHAIN}
    held = {status.voter_id for status in told if status.state == "accepted"}
    return sorted((lines[voter_id], voter_id) for voter_id in held - counted)


async def _statuses(node: NodeConnection, voters: Sequence[str]) -> list[VoteStatus]:
    found: list[VoteStatus] = []
    for start in range(0, len(voters), AHEAD):
        portion = voters[start : start + AHEAD]
        found += await asyncio.gather(*(fetch_vote_status(node, voter) for voter in portion))
    return found


def in_one_line(ballots: list[SignedBallot]) -> tuple[list[SignedBallot], list[SignedBallot]]:
    """The first of them, as many as one line to a node holds, and the others."""
    sizes = [len(ballot.record) + 1 for ballot in ballots]
    room = MAX_CLIENT_LINE - ENVELOPE_BYTES
    fit = len(sizes) if sum(sizes) <= room else max(1, sum(size <= room for size in accumulate(sizes)))
    return ballots[:fit], ballots[fit:]


def _request(ballots: Sequence[SignedBallot]) -> SubmitVotes:
    """Their records as they are: a sender that encoded each vote again would be the bottleneck."""
    records: Any = tuple([msgspec.Raw(ballot.record) for ballot in ballots])
    return SubmitVotes(votes=records)


@dataclass(slots=True)
class _Followed:
    voter_id: str
    vote_id: str
    began: float
    asked_at: str = ""
    """The tip at which this vote was last asked for."""
    in_block: bool = False
    confirmed: bool = False


class VoteFollower:
    """Measures how long votes take into their block and to their confirmations.

    A node's tip is asked for again and again, each vote only when the tip has changed. `in_block` and
    `confirmed` are latencies from `began` on, up to FOLLOW_POLL_SECONDS late.
    """

    def __init__(self, addresses: Sequence[Address], confirmations: int) -> None:
        self._addresses, self._confirmations = tuple(addresses), confirmations
        self._followed: list[_Followed] = []
        self._decoder = msgspec.json.Decoder(Vote)
        self._settled = asyncio.Event()
        self._settled.set()
        self.in_block, self.confirmed = Latencies(), Latencies()

    def follow(self, record: bytes, began: float) -> None:
        """One vote that a node has accepted; `began` by time.monotonic."""
        if len(self._followed) < MAX_FOLLOWED:
            voter_id = self._decoder.decode(record).voter_id
            self._followed.append(_Followed(voter_id, leaf_hash(record).hex(), began))
            self._settled.clear()

    async def run(self) -> None:
        """Until cancelled. A node that fails is passed over."""
        async with Failover(self._addresses, dial_timeout=2.0) as nodes:
            while True:
                with contextlib.suppress(VotenetError):
                    await nodes.run(self._look)
                await asyncio.sleep(FOLLOW_POLL_SECONDS)

    async def settle(self, seconds: float) -> None:
        """Until every followed vote is in a block, or the time is up; with `run` beside it.

        After the last vote no more blocks are mined, so the last votes get no more confirmations.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()

    async def _look(self, client: NodeConnection) -> None:
        tip = (await client.ask(GetStatus(), NodeStatus)).tip
        open_questions = [vote for vote in self._followed if vote.asked_at != tip]
        for start in range(0, len(open_questions), AHEAD):
            portion = open_questions[start : start + AHEAD]
            asked = (client.ask(GetVoteStatus(voter_id=vote.voter_id), VoteStatus) for vote in portion)
            for vote, status in zip(portion, await asyncio.gather(*asked), strict=True):
                self._note(vote, status, tip)
        self._followed = [vote for vote in self._followed if not vote.confirmed]
        if all(vote.in_block for vote in self._followed):
            self._settled.set()

    def _note(self, vote: _Followed, status: VoteStatus, tip: str) -> None:
        vote.asked_at, taken = tip, time.monotonic() - vote.began
        if status.state not in ON_CHAIN or status.vote_id != vote.vote_id:  # another vote of that voter
            return
        if not vote.in_block:
            vote.in_block = True
            self.in_block.add(taken)
        if status.confirmations >= self._confirmations:
            self.confirmed.add(taken)
            vote.confirmed = True
