"""A steady stream of votes during a chaos run, and which of them a node has acknowledged.

A vote without an answer is sent again, the same record, to another node: no voter votes twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from votenet.client.answers import vote_refusal
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.errors import Kind, VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import SubmitVotes, VotesTaken

LOAD_WORKERS: Final = 2
BATCH: Final = 5
PAUSE_SECONDS: Final = 0.1
"""Between two batches of a worker: a stream of votes, not a measurement of speed."""
LOAD_ANSWER_SECONDS: Final = 2.0
"""A paused node does not answer: another one is asked."""
LOAD_DIAL_SECONDS: Final = 1.0


class Load:
    """A thread with voters of its own, as a context manager: it casts votes while the block runs.

    `acknowledged` maps voters to the ids of votes that a node has confirmed to have; `refused` has the
    permanent refusals, of which there should be none.
    """

    def __init__(self, election: Election, targets: Sequence[Address], voters: str = "voter") -> None:
        self._election, self._targets, self._voters = election, tuple(targets), voters
        self._names = sorted(election.names)
        self._backlog: deque[list[HashedVote]] = deque()
        self._in_flight = 0
        self._made = 0
        self._stop, self._quiet = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self._failure: BaseException | None = None
        self.acknowledged: dict[str, str] = {}
        self.refused: list[str] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def aim(self, targets: Sequence[Address]) -> None:
        self._targets = tuple(targets)

    def quiet(self, seconds: float) -> bool:
        """Make no more votes until `resume`. True once every vote is acknowledged, within `seconds`."""
        self._quiet.set()
        deadline = time.monotonic() + seconds
        while self._backlog or self._in_flight:
            if time.monotonic() > deadline or not self._thread.is_alive():
                return False
            time.sleep(0.01)
        if self._failure is not None:
            raise self._failure
        return True

    def resume(self) -> None:
        self._quiet.clear()

    # -- in the thread ---------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(LOAD_WORKERS):
                    tasks.create_task(self._work())
        except BaseExceptionGroup as failure:
            self._failure = failure

    async def _work(self) -> None:
        while not self._stop.is_set():
            # Counted before the batch is taken, so that `quiet` never misses it.
            self._in_flight += 1
            try:
                batch = self._batch()
                if batch:
                    await self._send(batch)
            finally:
                self._in_flight -= 1
            await asyncio.sleep(PAUSE_SECONDS)

    def _batch(self) -> list[HashedVote]:
        if self._backlog:
            return self._backlog.popleft()
        return [] if self._quiet.is_set() else [self._vote() for _ in range(BATCH)]

    def _vote(self) -> HashedVote:
        self._made += 1
        return sign_vote(
            SigningKey(os.urandom(32)),
            network_hex=self._election.network_hex,
            voter_id=f"{self._voters}-{self._made}",
            choices=[[self._names[self._made % len(self._names)]]],
            time=int(time.time()),
        )

    async def _send(self, batch: list[HashedVote]) -> None:
        left = batch
        try:
            with contextlib.suppress(VotenetError):  # no answer: another node, another time
                async with NodeConnection(
                    random.choice(self._targets), dial_timeout=LOAD_DIAL_SECONDS
                ) as client:
                    request = SubmitVotes(votes=tuple(hashed.vote for hashed in batch))
                    taken = await client.ask(request, VotesTaken, timeout=LOAD_ANSWER_SECONDS)
                    outcomes = zip(batch, taken.outcomes, strict=True)
                    left = [vote for vote, outcome in outcomes if self._later(vote, outcome.error)]
        finally:
            if left:
                self._backlog.append(left)

    def _later(self, vote: HashedVote, fields: dict[str, object] | None) -> bool:
        """Note the outcome of one vote. True if it has to be sent again."""
        refusal = vote_refusal(fields)
        if refusal is None:
            self.acknowledged[vote.voter_id] = vote.id.hex()
            return False
        if refusal.kind is Kind.TEMPORARY:
            return True
        self.refused.append(f"{vote.voter_id}: {refusal.code}: {refusal.message}")
        return False
