"""The signatures and secret ballots of an archive's votes: checked in batches, on other cores where wanted.

Reading goes on meanwhile. What is wrong is told in the order of the votes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from votenet.core.election.definition import Election
from votenet.core.faults import fault
from votenet.core.ledger.secret_vote import ForgedVote
from votenet.core.ledger.vote import HashedVote, forgeries

BATCH_VOTES: Final = 500
"""Votes whose signatures are checked in one go: about 40 ms of one core."""
MAX_BATCHES: Final = 16
"""Batches under way: enough for many cores, and the bound on votes in memory."""

Forgery = tuple[int, ForgedVote]
"""The index of a vote, and why its signature or its secret ballot does not hold."""
StartCheck = Callable[[Sequence[HashedVote], Election], Callable[[], Forgery | None]]
"""Starts checking the signatures and secret ballots of some votes. The function it returns waits for the end
and gives the first forgery, or None."""


def check_here(votes: Sequence[HashedVote], election: Election) -> Callable[[], Forgery | None]:
    """The StartCheck that works when it is asked for the answer."""
    return lambda: first_forgery(votes, election)


def first_forgery(votes: Sequence[HashedVote], election: Election) -> Forgery | None:
    """The first vote whose signature or secret ballot does not hold. About 60 microseconds a signature."""
    found = enumerate(forgeries(votes, election))
    return next(((index, wrong) for index, wrong in found if wrong is not None), None)


class SignatureBatches:
    """Signature checks under way, in the order of the votes."""

    def __init__(
        self,
        start: StartCheck,
        election: Election,
        proven: Callable[[Sequence[HashedVote]], None],
        under_way: int = MAX_BATCHES,
    ) -> None:
        """`proven` gets the votes of each batch that holds; `under_way`: how many batches are at most."""
        self._under_way = under_way
        self._start, self._election, self._proven = start, election, proven
        self._next: list[tuple[int, HashedVote]] = []
        self._running: deque[tuple[list[tuple[int, HashedVote]], Callable[[], Forgery | None]]] = deque()

    def add(self, line: int, votes: Sequence[HashedVote]) -> None:
        """Raises NotProven for a vote of these or of earlier ones: bad-signature, codes of secret ballots."""
        self._next += [(line, hashed) for hashed in votes]
        if len(self._next) >= BATCH_VOTES:
            self._launch()
        while len(self._running) > self._under_way:
            self._collect()

    def finish(self) -> None:
        if self._next:
            self._launch()
        while self._running:
            self._collect()

    def _launch(self) -> None:
        batch, self._next = self._next, []
        self._running.append((batch, self._start([hashed for _, hashed in batch], self._election)))

    def _collect(self) -> None:
        batch, wait = self._running.popleft()
        bad = wait()
        if bad is not None:
            self._running.clear()
            self._next.clear()
            place, wrong = bad
            raise fault(wrong.code, f"line {batch[place][0]}: {wrong.message}")
        self._proven([hashed for _, hashed in batch])
