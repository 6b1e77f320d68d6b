"""Votes on their way into the pool: from clients, from peers, to peers.

What lives here: submissions, relaying, announcements. What must not: votes in blocks.

A vote is looked up before its signature is checked, and checked once: by the node a client gave it
to, and once by each other node. The node that accepted it sends it in full; whoever hears of it
from a peer announces only its short id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.core.election import MAX_BLOCK_BYTES, Election
from votenet.core.mempool import MAX_WAITING, SHORT_ID
from votenet.core.vote import (
    MAX_CLOCK_AHEAD,
    SealedVote,
    Vote,
    check_hours,
    check_vote,
    seal_all,
)
from votenet.errors import Rejected
from votenet.protocol.messages import (
    MAX_IDS_IN_LINE,
    MAX_VOTES_IN_LINE,
    GetVotes,
    HaveVotes,
    Message,
    SubmitVotes,
    VoteOutcome,
    Votes,
    VotesTaken,
)
from votenet.protocol.state import NodeState, short_bytes, short_id

ASK_SECONDS: Final = 5.0
"""A vote that was asked of one peer is not asked of another for this long."""
MAX_LINE_BYTES: Final = MAX_BLOCK_BYTES
"""Records in one line of votes: as in a block, half of what a line between peers may have."""


@dataclass(slots=True)
class _Submission:
    """Votes of one client request, on their way through the checks."""

    link: int
    request_id: int | None
    outcomes: list[VoteOutcome | None]
    doubtful: list[tuple[int, SealedVote]]


class VoteRelay:
    """The vote messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self._pushed: list[SealedVote] = []
        self._announced: list[tuple[SealedVote, int]] = []
        self._checking: set[bytes] = set()
        self._asked: dict[bytes, float] = {}

    # -- from clients --------------------------------------------------------------------------

    def on_submit_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, SubmitVotes)
        sealed = seal_all(message.votes)
        work = _Submission(link, message.id, [None] * len(sealed), [])
        for index, vote in enumerate(sealed):
            try:
                self._check_new(vote, now)
            except Rejected as error:
                work.outcomes[index] = VoteOutcome(vote_id=vote.id.hex(), error=error.as_dict())
            else:
                work.doubtful.append((index, vote))
        if not work.doubtful:
            self._answer_submission(work)
            return
        votes = [vote for _, vote in work.doubtful]
        self.state.start_job(
            link,
            lambda: _check_votes(votes, self.state),
            lambda result, later: self._finish_submission(work, result, later),
        )

    def _finish_submission(self, work: _Submission, result: object, now: float) -> None:
        assert isinstance(result, list)
        for (index, vote), refusal in zip(work.doubtful, result, strict=True):
            error = refusal
            if error is None:
                error = self._admit(vote, now)
                if error is None:
                    self._pushed.append(vote)
            work.outcomes[index] = VoteOutcome(
                vote_id=vote.id.hex(), error=None if error is None else error.as_dict()
            )
        self._answer_submission(work)

    def _answer_submission(self, work: _Submission) -> None:
        outcomes = tuple(outcome for outcome in work.outcomes if outcome is not None)
        self.state.send(work.link, VotesTaken(outcomes=outcomes, id=work.request_id))

    def _admit(self, vote: SealedVote, now: float) -> Rejected | None:
        """A checked vote into the pool, unless its voter came in meanwhile by another way."""
        try:
            self._check_new(vote, now)
        except Rejected as error:
            return error
        self.state.pool.add(vote)
        self.state.save_votes([vote])
        return None

    def _check_new(self, vote: SealedVote, now: float) -> None:
        """The cheap checks, before the signature costs anything. Raises Rejected."""
        if vote.voter_id in self.state.chain.voters:
            self._refuse_second(vote)
        self.state.pool.check(vote)
        check_hours(int(now), self.state.election)
        if vote.vote.time > now + MAX_CLOCK_AHEAD:
            raise Rejected("vote-from-future", "the vote's time is more than two hours from now")

    def _refuse_second(self, vote: SealedVote) -> None:
        place = self.state.place_of(vote.voter_id)
        entry = self.state.chain.best[place.height]
        same = place.vote_id == vote.id
        raise Rejected(
            "duplicate-vote" if same else "already-voted",
            f"{vote.voter_id!r} has already voted, in block {place.height}",
            vote_id=place.vote_id.hex(),
            time=place.time,
            height=place.height,
            block=entry.hash.hex(),
            block_time=entry.header.time,
        )

    # -- between peers -------------------------------------------------------------------------

    def greet(self, link: int) -> None:
        """Tell a new peer which votes wait here."""
        waiting = [short_id(sealed) for sealed in self.state.pool]
        for start in range(0, len(waiting), MAX_IDS_IN_LINE):
            self.state.send(link, HaveVotes(ids=tuple(waiting[start : start + MAX_IDS_IN_LINE])))

    def on_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Votes)
        new = [sealed for sealed in seal_all(message.votes) if self._is_news(sealed)]
        if not new:
            return
        self._checking.update(sealed.id[:SHORT_ID] for sealed in new)
        self.state.start_job(
            link,
            lambda: _check_votes(new, self.state),
            lambda result, later: self._finish_relay(link, new, result, later),
        )

    def _is_news(self, sealed: SealedVote) -> bool:
        return (
            sealed.voter_id not in self.state.chain.voters
            and self.state.pool.of_voter(sealed.voter_id) is None
            and sealed.id[:SHORT_ID] not in self._checking
        )

    def _finish_relay(self, link: int, votes: list[SealedVote], result: object, now: float) -> None:
        assert isinstance(result, list)
        for sealed in votes:
            self._checking.discard(sealed.id[:SHORT_ID])
            self._asked.pop(sealed.id[:SHORT_ID], None)
        for sealed, refusal in zip(votes, result, strict=True):
            # The good ones count, whoever sent them: others did not get through while these were checked.
            if refusal is None and self._admit(sealed, now) is None:
                self._announced.append((sealed, link))
        wrong = next((refusal for refusal in result if refusal is not None), None)
        if wrong is not None:  # an honest node relays only what it has checked
            self.state.refuse(link, wrong)

    def on_have_votes(self, link: int, message: Message, now: float) -> None:
        """Ask for what is neither here, nor being checked, nor asked of somebody else."""
        assert isinstance(message, HaveVotes)
        missing = []
        for text in message.ids:
            short = short_bytes(text)
            if short in self._checking or short in self._asked or self.state.pool.by_short_id(short):
                continue
            if len(self._asked) >= MAX_WAITING:  # more than any pool holds: no more promises to look
                break
            self._asked[short] = now + ASK_SECONDS
            missing.append(text)
        for start in range(0, len(missing), MAX_VOTES_IN_LINE):
            self.state.send(link, GetVotes(ids=tuple(missing[start : start + MAX_VOTES_IN_LINE])))

    def on_get_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetVotes)
        found = [self.state.pool.by_short_id(short_bytes(text)) for text in message.ids]
        for batch in _lines(sealed for sealed in found if sealed is not None):
            self.state.send(link, batch)

    def forget_overdue(self, now: float) -> None:
        """Votes that were asked for and did not come may be asked of the next peer that has them."""
        for short in [short for short, due in self._asked.items() if due <= now]:
            del self._asked[short]

    def flush(self) -> None:
        """Votes accepted here go out in full; those heard of are announced to the others."""
        pushed, self._pushed = self._pushed, []
        announced, self._announced = self._announced, []
        lines = list(_lines(pushed))
        for link in self.state.sync.peers:
            for line in lines:
                self.state.send(link, line)
            ids = [short_id(sealed) for sealed, source in announced if source != link]
            for start in range(0, len(ids), MAX_IDS_IN_LINE):
                self.state.send(link, HaveVotes(ids=tuple(ids[start : start + MAX_IDS_IN_LINE])))


def _lines(votes: Iterable[SealedVote]) -> Iterator[Votes]:
    """Messages that carry these votes, each small enough for one line."""
    batch: list[Vote] = []
    size = 0
    for sealed in votes:
        if len(batch) == MAX_VOTES_IN_LINE or size + len(sealed.record) > MAX_LINE_BYTES:
            yield Votes(votes=tuple(batch))
            batch, size = [], 0
        batch.append(sealed.vote)
        size += len(sealed.record)
    if batch:
        yield Votes(votes=tuple(batch))


def _check_votes(votes: Sequence[SealedVote], state: NodeState) -> list[Rejected | None]:
    """The checks that cost time, for each vote: None, or why it is refused. Runs in a thread."""
    refusals = [_refusal(sealed, state.election) for sealed in votes]
    sound = [index for index, refusal in enumerate(refusals) if refusal is None]
    for index, holds in zip(sound, state.signatures.check([votes[index] for index in sound]), strict=True):
        if not holds:
            refusals[index] = Rejected("bad-signature", "the signature does not match the vote and its key")
    return refusals


def _refusal(sealed: SealedVote, election: Election) -> Rejected | None:
    try:
        check_vote(sealed, election)
    except Rejected as error:
        return error
    return None
