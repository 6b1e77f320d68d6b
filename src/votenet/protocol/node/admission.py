"""The checks between a vote's arrival and the pool, for votes of clients and of peers, cheap ones first.

In the core's thread (`Admission.refusals`), before a signature costs anything:
  1. the voter has no vote on the chain      already-voted, duplicate-vote
  2. the voter has no vote in the pool       already-voted, duplicate-vote; no amendment that waits here
                                             replaces the voter's key: wrong-key
  3. the vote's origin has room in the pool  pool-full
  4. the election is open                    not-open, closed, cancelled
  5. the vote's time is not ahead of ours    vote-from-future
In a thread (`check_votes`):
  6. the record follows the rules            `check_vote` lists the codes
  7. the signature holds, and the proofs     bad-signature; `votenet/secret/ballot.py` has the codes of
     of a secret ballot                      ballots
Back in the core's thread (`Admission.admit`): 1 to 5 once more, for another vote of the voter may have come
meanwhile, and the roll once more if it was amended; then the vote is in the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

from votenet.core.election.definition import Election
from votenet.core.ledger.mempool import ENOUGH_ROOM, Origin, PoolFull, ShortVote
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import (
    HashedVote,
    Vote,
    check_header_hours,
    check_hours,
    check_on_roll,
    rules_broken,
)
from votenet.core.limits import MAX_CLOCK_AHEAD
from votenet.errors import Rejected
from votenet.protocol.node.events import Portions, VoteLocation
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.limits import BALLOT_UNITS_AT_ONCE, ballot_units

T = TypeVar("T")
Verdicts = Sequence[Rejected | None]
"""Of several votes: None for each that passed, else why it is refused."""


class Admission:
    """Decides for one node which votes may wait in its pool."""

    def __init__(self, state: NodeState) -> None:
        self._state = state

    def refusals(self, votes: Sequence[HashedVote], origin: Origin, now: float) -> list[Rejected | None]:
        """Checks 1 to 5 of each vote. Nearly all pass: they are looked at in one expression."""
        counted, waiting = self._state.chain.voters, self._state.pool.voters
        fits = self._state.pool.room(origin) >= ENOUGH_ROOM and self._is_open(now)
        fits = fits and not self._state.replacing
        latest = now + MAX_CLOCK_AHEAD if fits else -1.0  # -1: every vote gets its refusal
        return [
            None
            if (vote := hashed.vote).time <= latest
            and (voter := vote.voter_id) not in counted
            and voter not in waiting
            else self._refusal(hashed, origin, now)
            for hashed in votes
        ]

    def _is_open(self, now: float) -> bool:
        try:
            self._check_open(now)
        except Rejected:
            return False
        return True

    def _check_open(self, now: float) -> None:
        """Check the hours of the election; named nodes judge its end together.

        Raises:
            Rejected: not-open, closed, cancelled.
        """
        if self._state.election.cancelled:
            raise Rejected("cancelled", "this election was cancelled")
        if self._state.hours_open is None:
            check_hours(int(now), self._state.election)
            return
        check_header_hours(int(now), self._state.election)
        if not self._state.hours_open():
            closes = self._state.election.closes
            raise Rejected("closed", "voting has ended", closes=closes)

    def _refusal(self, hashed: HashedVote, origin: Origin, now: float) -> Rejected | None:
        try:
            self._check(hashed, origin, now)
        except Rejected as error:
            if isinstance(error, PoolFull):
                error.details["retry_seconds"] = self._state.election.definition.chain.block_seconds
            return error.with_traceback(None)  # its frames hold the votes, and hold it: a circle
        return None

    def _check(self, hashed: HashedVote, origin: Origin, now: float) -> None:
        """Checks 1 to 5, in their order. Raises Rejected."""
        state = self._state
        if hashed.voter_id in state.chain.voters:
            raise second_vote(hashed, state.vote_location(hashed.voter_id))
        state.pool.check(hashed, origin)
        if hashed.voter_id in state.replacing:
            raise Rejected("wrong-key", f"the key of {hashed.voter_id!r} is being replaced")
        self._check_open(now)
        if hashed.vote.time > now + MAX_CLOCK_AHEAD:
            raise Rejected("vote-from-future", "the vote's time is more than two hours from now")

    def admit(
        self, votes: Sequence[ShortVote], checked: Verdicts, origin: Origin, now: float
    ) -> tuple[list[ShortVote], Verdicts]:
        """Put the votes that passed checks 6 and 7, and now 1 to 5 again, into the pool, and save them.

        Returns those that are in, and a verdict on every vote.
        """
        sound = [vote for vote, wrong in zip(votes, checked, strict=True) if wrong is None]
        late = self.refusals([vote.hashed for vote in sound], origin, now)
        good = [vote for vote, refusal in zip(sound, late, strict=True) if refusal is None]
        # Of two votes of one voter the first: a later one takes its place in a dictionary.
        first = {vote.hashed.vote.voter_id: vote for vote in reversed(good)}
        fresh = good if len(first) == len(good) else list(reversed(first.values()))
        admitted = self._state.pool.add_fitting(fresh, origin)
        if admitted:
            self._state.save_votes([vote.hashed for vote in admitted])
        if len(admitted) == len(votes):
            return admitted, [None] * len(votes)
        entered = set(map(id, admitted))
        return admitted, [
            None if id(vote) in entered else wrong or self._refusal(vote.hashed, origin, now)
            for vote, wrong in zip(votes, checked, strict=True)
        ]


def second_vote(vote: HashedVote, first: VoteLocation) -> Rejected:
    """Why a vote is refused whose voter has a vote on the chain already."""
    return Rejected(
        "duplicate-vote" if first.vote_id == vote.id else "already-voted",
        f"{vote.voter_id!r} has already voted, in block {first.entry.height}",
        vote_id=first.vote_id.hex(),
        time=first.time,
        height=first.entry.height,
        block=first.entry.hash.hex(),
        block_time=first.entry.header.time,
    )


def ballot_portions(
    election: Election,
    votes: Sequence[T],
    check: Callable[[Sequence[T]], Sequence[object]],
    vote_of: Callable[[T], Vote],
) -> Callable[[], Sequence[object]]:
    """`check` of these votes, in portions of BALLOT_UNITS_AT_ONCE where ballots are secret.

    Args:
        check: its verdicts on several portions, one after the other, are those on all.
        vote_of: the vote of each of them.
    """
    if election.secret is None:
        return partial(check, votes)
    starts, units = [0], 0.0
    for index, one in enumerate(votes):
        units += (price := ballot_units(vote_of(one).ballot))
        if units > BALLOT_UNITS_AT_ONCE and index > starts[-1]:
            starts.append(index)
            units = price
    return Portions([partial(check, votes[start:end]) for start, end in pairwise([*starts, len(votes)])])


def check_votes(votes: Sequence[HashedVote], election: Election, signatures: SignatureCache) -> Verdicts:
    """Checks 6 and 7 of each vote. Runs in a thread."""
    verdicts = rules_broken(votes, election)
    sound = [index for index, refusal in enumerate(verdicts) if refusal is None]
    found = signatures.check([votes[index] for index in sound], election)
    for index, wrong in zip(sound, found, strict=True):
        if wrong is not None:
            verdicts[index] = wrong
    return verdicts


def check_roll_again(votes: Sequence[HashedVote], checked: Verdicts, election: Election) -> Verdicts:
    """The verdicts on votes whose roll was amended while they were checked."""
    return [wrong or roll_fault(hashed, election) for hashed, wrong in zip(votes, checked, strict=True)]


def roll_fault(hashed: HashedVote, election: Election) -> Rejected | None:
    """Why the roll in force does not allow a vote; None if it does."""
    try:
        check_on_roll(hashed.vote, election)
    except Rejected as error:
        return error.with_traceback(None)
    return None
