"""Casting many ballots over many nodes.

What lives here: Replayer: signing, batching, retrying, counting what became of each ballot. What
must not: reading files (`ballots.py`), options, progress bars (the caller's `report`).

Every node has a few workers on connections of their own. A batch that got no answer goes to
whichever node takes it next: the votes in it are signed already, so none can be counted twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from votenet.cli.actions import fetch_election
from votenet.cli.ballots import BadLine, Ballot
from votenet.core.election import Election
from votenet.core.keys import SigningKey
from votenet.core.vote import SealedVote, sign_vote
from votenet.errors import Kind, Unreachable, VotenetError
from votenet.network.client import NodeClient
from votenet.protocol.address import Address
from votenet.protocol.messages import GetResults, Results, SubmitVotes, VotesTaken

DEFAULT_BATCH: Final = 200
WORKERS_PER_NODE: Final = 2
"""One batch is being checked while the next is on its way."""
BATCHES_PER_NODE: Final = 4
"""Signed batches in flight or waiting: bounds memory however long the file is."""
RETRY_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0
"""How long a batch that nobody takes is offered again before its ballots are refused."""
MAX_EXAMPLES: Final = 5
SILENCE_SECONDS: Final = 20.0
"""Longer than a supervisor takes to bring all nodes back."""
SETTLE_SECONDS: Final = 0.1

Report = Callable[[int, int], None]
"""Called with (ballots done, ballots in all or 0 when not known)."""


@dataclass(slots=True)
class Summary:
    """What became of the ballots. `refused` counts by code; `examples` show a few of each."""

    read: int = 0
    accepted: int = 0
    repeated: int = 0
    """Votes that were on the chain already, the very same ones: a replay that was resumed."""
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    by_node: Counter[str] = field(default_factory=Counter)

    @property
    def refusals(self) -> int:
        return self.refused.total()

    def refuse(self, code: str, example: str) -> None:
        self.refused[code] += 1
        shown = self.examples.setdefault(code, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(example)


@dataclass(slots=True)
class _Batch:
    ballots: list[Ballot]
    votes: list[SealedVote]
    failing_since: float | None = None

    def gives_up(self) -> bool:
        """Note one more failure; whether this has gone on for too long."""
        now = time.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        return now - self.failing_since > PATIENCE_SECONDS


class Replayer:
    """One replay. Voters' keys follow from `secret` (32 bytes) and the voter id."""

    def __init__(self, addresses: Sequence[Address], secret: bytes, *, batch: int = DEFAULT_BATCH) -> None:
        self._addresses = tuple(addresses)
        self._secret, self._size = secret, batch
        self.summary = Summary()

    async def run(self, rows: Iterable[Ballot | BadLine], report: Report, total: int = 0) -> Summary:
        """Cast every ballot; returns when each was accepted or refused.

        Raises:
            Unreachable: no node could be reached at all.
        """
        began = time.monotonic()
        election = await self._election()
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._room = asyncio.Semaphore(BATCHES_PER_NODE * len(self._addresses))
        self._report, self._total, self._done = report, total, 0
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._work(address))
                for address in self._addresses
                for _ in range(WORKERS_PER_NODE)
            ]
            for batch in self._batches(rows, election):
                await self._room.acquire()
                self._queue.put_nowait(batch)
            await self._queue.join()
            for worker in workers:
                worker.cancel()
        self.summary.seconds = time.monotonic() - began
        return self.summary

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

    def _batches(self, rows: Iterable[Ballot | BadLine], election: Election) -> Iterator[_Batch]:
        good = self._good(rows)
        while ballots := list(islice(good, self._size)):
            yield _Batch(ballots, [self._sign(ballot, election) for ballot in ballots])

    def _good(self, rows: Iterable[Ballot | BadLine]) -> Iterator[Ballot]:
        for row in rows:
            self.summary.read += 1
            if isinstance(row, Ballot):
                yield row
            else:
                self.summary.refuse("bad-csv-line", f"line {row.line}: {row.reason}")
                self._advance(1)

    def _sign(self, ballot: Ballot, election: Election) -> SealedVote:
        seed = hmac.digest(self._secret, ballot.voter_id.encode(), hashlib.sha256)
        return sign_vote(
            SigningKey(seed),
            network_hex=election.network_hex,
            voter_id=ballot.voter_id,
            choices=ballot.choices,
            time=election.definition.created,  # the same record again when a replay is resumed
        )

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
                await self._again(batch, error)

    async def _send(self, client: NodeClient, batch: _Batch) -> None:
        """One batch to one node. What it refuses for now is sent again after a pause."""
        while batch.votes:
            request = SubmitVotes(votes=tuple(sealed.vote for sealed in batch.votes))
            taken = await client.ask(request, VotesTaken)
            later: list[int] = []
            for index, outcome in enumerate(taken.outcomes):
                self._settle(client.address, batch.ballots[index], index, outcome.error, later)
            self._advance(len(batch.votes) - len(later))
            batch.ballots = [batch.ballots[i] for i in later]
            batch.votes = [batch.votes[i] for i in later]
            if later:
                if batch.gives_up():
                    raise Unreachable(f"{client.address} refused votes for now, too often")
                await asyncio.sleep(RETRY_SECONDS)

    def _settle(
        self, address: Address, ballot: Ballot, index: int, error: dict[str, object] | None, later: list[int]
    ) -> None:
        if error is None:
            self.summary.accepted += 1
            self.summary.by_node[str(address)] += 1
        elif error.get("code") == "duplicate-vote":
            self.summary.repeated += 1
        elif error.get("kind") == Kind.TEMPORARY.value:
            later.append(index)
        else:
            self.summary.refuse(str(error.get("code")), f"line {ballot.line}: {error.get('message')}")

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

    async def _election(self) -> Election:
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
