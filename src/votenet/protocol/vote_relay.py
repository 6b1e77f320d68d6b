"""Votes on their way into the pool: from clients, from peers, to peers.

What lives here: submissions, relaying, announcements. What must not: votes in blocks.

A vote is looked up before its signature is checked, and checked once: by the node a client gave it
to, and once by each other node. The node that accepted it sends it in full to its peers; whoever has
it from a peer announces it by short id, after a while, to those that have not shown that they have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from votenet.core.election import MAX_BLOCK_BYTES, Election
from votenet.core.mempool import SHORT_ID, short_id
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
    ANNOUNCED,
    MAX_IDS_IN_LINE,
    MAX_VOTES_IN_LINE,
    GetVotes,
    HaveVotes,
    Message,
    SubmitVotes,
    VoteOutcome,
    Votes,
    VotesTaken,
    split_ids,
)
from votenet.protocol.state import NodeState
from votenet.protocol.vote_requests import VoteRequests

ANNOUNCE_SECONDS: Final = 1.0
"""Votes heard from a peer are announced after this long, if they still wait: their first node sends them
to all its peers, and a block often brings them to the others sooner."""
MAX_LINE_BYTES: Final = MAX_BLOCK_BYTES
"""Records in one line of votes: as in a block, half of what a line between peers may have."""


@dataclass(slots=True)
class _Submission:
    """Votes of one client request, on their way through the checks."""

    link: int
    request_id: int | None
    outcomes: list[VoteOutcome | None]
    doubtful: list[tuple[int, SealedVote]]


@dataclass(slots=True)
class _Heard:
    """A vote from a peer that the others are not told of yet. `holders`: links that have it."""

    vote: SealedVote
    due: float
    holders: set[int]


class VoteRelay:
    """The vote messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self._pushed: list[tuple[SealedVote, set[int]]] = []
        """Votes accepted here that peers are not sent yet, and the links that have them."""
        self._heard: dict[bytes, _Heard] = {}
        """By vote id, in the order in which they are due."""
        self._checking: dict[bytes, set[int]] = {}
        """Ids of votes whose signatures are being checked, and the links that have them."""
        self._checking_short: dict[bytes, bytes] = {}
        self._requests = VoteRequests(state)
        self._ungreeted: set[int] = set()

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
        for vote in votes:
            self._begin_check(vote)
        self.state.start_job(
            link,
            lambda: _check_votes(votes, self.state),
            lambda result, later: self._finish_submission(work, result, later),
        )

    def _finish_submission(self, work: _Submission, result: object, now: float) -> None:
        assert isinstance(result, list)
        for (index, vote), refusal in zip(work.doubtful, result, strict=True):
            holders = self._end_check(vote)
            error = refusal
            if error is None:
                error = self._admit(vote, now)
                if error is None:
                    self._pushed.append((vote, holders))
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
        """A new peer is told what waits here, as soon as we know which of it is in blocks already."""
        self._ungreeted.add(link)

    def drop_peer(self, link: int, now: float) -> None:
        """What was asked of it is asked of others."""
        self._ungreeted.discard(link)
        self._requests.drop_peer(link, now)

    def on_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Votes)
        new = []
        for sealed in seal_all(message.votes):
            self._requests.came(short_id(sealed.id, self.state.pool.seed))
            if not self._note_holder(sealed.id, link) and self._is_news(sealed):
                self._begin_check(sealed, link)
                new.append(sealed)
        if new:
            self.state.start_job(
                link,
                lambda: _check_votes(new, self.state),
                lambda result, later: self._finish_relay(link, new, result, later),
            )

    def _is_news(self, sealed: SealedVote) -> bool:
        return (
            sealed.voter_id not in self.state.chain.voters
            and self.state.pool.of_voter(sealed.voter_id) is None
        )

    def _note_holder(self, vote_id: bytes, link: int) -> bool:
        """A peer has a vote: it need not be told of it. Returns whether the vote is here or in checking."""
        if vote_id in self._checking:
            self._checking[vote_id].add(link)
            return True
        if vote_id in self._heard:
            self._heard[vote_id].holders.add(link)
        return vote_id in self.state.pool

    def _begin_check(self, sealed: SealedVote, *links: int) -> None:
        self._checking.setdefault(sealed.id, set()).update(links)
        self._checking_short[short_id(sealed.id, self.state.pool.seed)] = sealed.id

    def _end_check(self, sealed: SealedVote) -> set[int]:
        """Links that have shown meanwhile that they have the vote."""
        self._checking_short.pop(short_id(sealed.id, self.state.pool.seed), None)
        return self._checking.pop(sealed.id, set())

    def _finish_relay(self, link: int, votes: list[SealedVote], result: object, now: float) -> None:
        assert isinstance(result, list)
        for sealed, refusal in zip(votes, result, strict=True):
            holders = self._end_check(sealed)
            # The good ones count, whoever sent them: others did not get through while these were checked.
            if refusal is None and self._admit(sealed, now) is None:
                self._heard[sealed.id] = _Heard(sealed, now + ANNOUNCE_SECONDS, holders)
        wrong = next((refusal for refusal in result if refusal is not None), None)
        if wrong is not None:  # an honest node relays only what it has checked
            self.state.refuse(link, wrong)

    def on_have_votes(self, link: int, message: Message, now: float) -> None:
        """Ask for what is neither here, nor being checked, nor asked of somebody else."""
        assert isinstance(message, HaveVotes)
        pairs = [(entry[:SHORT_ID], entry[SHORT_ID:]) for entry in split_ids(message.ids, ANNOUNCED)]
        self._requests.ask(link, (pair for pair in pairs if not self._is_here(pair[0], link)), now)

    def _is_here(self, short: bytes, link: int) -> bool:
        sealed = self.state.pool.by_short_id(short)
        vote_id = self._checking_short.get(short) if sealed is None else sealed.id
        return vote_id is not None and self._note_holder(vote_id, link)

    def on_get_votes(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetVotes)
        found = [self.state.pool.by_short_id(short) for short in split_ids(message.ids, SHORT_ID)]
        for batch in _lines([sealed for sealed in found if sealed is not None], message.id):
            self.state.send(link, batch)

    def tick(self, now: float) -> None:
        """Announce what was heard some time ago and still waits; ask again for what did not come."""
        self._requests.tick(now)
        due = list(takewhile(lambda heard: heard.due <= now, self._heard.values()))
        for heard in due:
            del self._heard[heard.vote.id]
        waiting = [heard for heard in due if heard.vote.id in self.state.pool]
        for link in self.state.sync.peers:
            self._announce(link, (heard.vote for heard in waiting if link not in heard.holders))

    def flush(self) -> None:
        """Votes accepted here go out in full, to those that have not sent them; greetings are said."""
        pushed, self._pushed = self._pushed, []
        lines = list(_lines([sealed for sealed, _ in pushed]))
        held = {link for _, holders in pushed for link in holders}
        for link in self.state.sync.peers:
            news = [s for s, holders in pushed if link not in holders] if link in held else None
            for line in lines if news is None else _lines(news):
                self.state.send(link, line)
        if self._ungreeted and self.state.sync.caught_up:
            self._say_greetings({sealed.id for sealed, _ in pushed})

    def _say_greetings(self, just_sent: set[bytes]) -> None:
        links, self._ungreeted = self._ungreeted, set()
        waiting = [sealed for sealed in self.state.pool if sealed.id not in just_sent]
        for link in sorted(links & self.state.sync.peers.keys()):
            told = [s for s in waiting if s.id not in self._heard or link not in self._heard[s.id].holders]
            self._announce(link, told)
            for heard in self._heard.values():
                heard.holders.add(link)

    def _announce(self, link: int, votes: Iterable[SealedVote]) -> None:
        ours, theirs = self.state.pool.seed, self.state.sync.peers[link].greeted.seed
        ids = [short_id(sealed.id, theirs) + short_id(sealed.id, ours) for sealed in votes]
        for start in range(0, len(ids), MAX_IDS_IN_LINE):
            self.state.send(link, HaveVotes(ids=b"".join(ids[start : start + MAX_IDS_IN_LINE])))


def _lines(votes: Iterable[SealedVote], request: int | None = None) -> Iterator[Votes]:
    """Messages that carry these votes, each small enough for one line."""
    batch: list[Vote] = []
    size = 0
    for sealed in votes:
        if len(batch) == MAX_VOTES_IN_LINE or size + len(sealed.record) > MAX_LINE_BYTES:
            yield Votes(votes=tuple(batch), id=request)
            batch, size = [], 0
        batch.append(sealed.vote)
        size += len(sealed.record)
    if batch:
        yield Votes(votes=tuple(batch), id=request)


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
