"""Votes on their way into the pool: from clients, from peers, to peers.

A vote is looked up before its signature is checked, and checked once: by the node that a client gave it
to, and once by each other node. The node that accepted it sends it in full to its peers. A node that has it
from a peer announces it by short id, after a while, to the peers that have not shown that they have it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from votenet.core.ledger.mempool import Origin, PoolFull, ShortVote, short_id, short_ids
from votenet.core.ledger.secret_vote import ForgedVote
from votenet.core.ledger.vote import HashedVote, hash_votes
from votenet.core.limits import MAX_BLOCK_BYTES
from votenet.core.records.acceptance import Acceptance
from votenet.errors import Rejected
from votenet.protocol.node.acceptances import Acceptances
from votenet.protocol.node.admission import (
    Admission,
    Verdicts,
    ballot_portions,
    check_roll_again,
    check_votes,
    second_vote,
)
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.events import Served, VoteLocation
from votenet.protocol.node.known_inventory import KnownInventory
from votenet.protocol.node.state import COVERED_SECONDS, NodeState
from votenet.protocol.node.vote_request_tracker import VoteRequestTracker
from votenet.protocol.wire.client_messages import SubmitVotes, VoteOutcome, VotesTaken
from votenet.protocol.wire.fields import split_announced, split_ids
from votenet.protocol.wire.limits import BAD_SIGNATURE_UNITS
from votenet.protocol.wire.lines import votes_line
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_IDS_IN_LINE, MAX_VOTES_IN_LINE, GetVotes, HaveVotes, Votes

ANNOUNCE_SECONDS: Final = 1.0
"""Votes from a peer are announced after this long, if they still wait: their first node sends them to all
its peers, and a block often brings them to the others sooner."""
MAX_LINE_BYTES: Final = MAX_BLOCK_BYTES
"""Records in one line of votes: as in a block, half of what a line between peers may have."""

FindLocations = Callable[[], list[VoteLocation]]
"""Runs in a thread."""


@dataclass(slots=True)
class Submission:
    """Votes of one client request, on their way through the checks."""

    link: int
    request_id: int | None
    origin: Origin
    votes: Sequence[HashedVote]
    verdicts: list[Rejected | None]
    voted: list[int] = field(default_factory=list)
    """Positions of votes whose voters are on the chain already: a thread finds out where."""
    checked: list[int] = field(default_factory=list)
    """Positions of votes that go through all checks."""
    acceptances: bool = False
    """Acceptances of named nodes are asked for."""

    def answer(self, accepted: Mapping[bytes, Sequence[Acceptance]] = MappingProxyType({})) -> VotesTaken:
        outcomes = [
            VoteOutcome(
                vote_id=vote.id.hex(),
                error=None if refusal is None else refusal.as_dict(),
                acceptances=tuple(accepted.get(vote.id, ())),
            )
            for vote, refusal in zip(self.votes, self.verdicts, strict=True)
        ]
        return VotesTaken(outcomes=tuple(outcomes), id=self.request_id)


class _Announcement(NamedTuple):
    """Votes from a peer, as (short id, id), to announce when `due`. They may be in a block by then.

    `source`: its link, if it sent them unasked.
    """

    due: float
    votes: list[tuple[bytes, bytes]]
    source: int | None = None


class VoteRelay:
    """The vote messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state, self._admission = state, Admission(state)
        self.checking: set[bytes] = set()
        """Short ids of votes whose signatures are being checked."""
        self.inventory = KnownInventory()
        """Which peers have which of the votes that are being checked, or wait to be announced."""
        self._requests = VoteRequestTracker(state)
        self._accepted: list[ShortVote] = []
        """Of clients, to be sent to peers at the end of the batch."""
        self._accepted_asking: list[ShortVote] = []
        """Those of clients that ask for acceptances."""
        self._announcements: deque[_Announcement] = deque()
        self._covered: deque[_Announcement] = deque()
        """For peers that should have the votes from others. Both are in the order in which they are due."""
        self._without_inventory: set[int] = set()
        """Links of new peers."""
        self.closing: Closing | None = None
        self.acceptances: Acceptances | None = None
        """Of an election with named nodes."""

    # -- from clients --------------------------------------------------------------------------

    def on_submit_votes(self, link: int, message: SubmitVotes, now: float) -> None:
        """Every vote gets an outcome: refused at once, or when it is checked, or accepted and saved."""
        votes, origin = hash_votes(message.votes), self.state.facts.origin(link)
        counted = self.state.chain.voters
        work = Submission(link, message.id, origin, votes, [None] * len(votes))
        work.acceptances = message.acceptances and self.state.index is not None
        work.voted = [index for index, vote in enumerate(votes) if vote.vote.voter_id in counted]
        others = sorted(set(range(len(votes))).difference(work.voted)) if work.voted else range(len(votes))
        # The cheap checks, so that a flood of second votes never costs a signature.
        refusals = self._admission.refusals([votes[index] for index in others], origin, now)
        for index, refusal in zip(others, refusals, strict=True):
            work.verdicts[index] = refusal
            if refusal is None:
                work.checked.append(index)
        # Where the voters' first votes stand is fixed now: the chain may be another when it is asked.
        voted = [votes[index] for index in work.voted]
        find = self.state.vote_locations([vote.vote.voter_id for vote in voted])
        if work.checked:
            doubtful = self._with_short_ids([votes[index] for index in work.checked])
            self._check(
                link, doubtful, lambda result, later: self._finish(work, find, doubtful, result, later)
            )
        else:
            self._answer(work, find, now)

    def _finish(
        self, work: Submission, find: FindLocations, votes: list[ShortVote], result: Verdicts, now: float
    ) -> None:
        admitted, verdicts = self._admit(votes, result, work.origin, now)
        (self._accepted_asking if work.acceptances else self._accepted).extend(admitted)
        bad = sum(isinstance(wrong, ForgedVote) for wrong in result)
        if bad:
            self.state.ready.charge.append((work.link, bad * BAD_SIGNATURE_UNITS))
        for index, refusal in zip(work.checked, verdicts, strict=True):
            work.verdicts[index] = refusal
        self._answer(work, find, now)

    def _answer(self, work: Submission, find: FindLocations, now: float) -> None:
        """At once, when named nodes have signed, or when it is the link's turn to have votes looked up."""
        if not work.voted and work.acceptances and self.acceptances is not None:
            held = self._held_here(work)
            if held:
                answer_with = lambda found: self.state.send(work.link, work.answer(found))  # noqa: E731
                self.acceptances.wait(held, answer_with, now)
                return
        if not work.voted:
            self.state.send(work.link, work.answer())
            return

        def answer() -> Served:
            for index, first in zip(work.voted, find(), strict=True):
                work.verdicts[index] = second_vote(work.votes[index], first)
            return Served(encode_message(work.answer()))

        self.state.ask(work.link, lambda: answer, sum(len(vote.record) for vote in work.votes))

    def _held_here(self, work: Submission) -> list[bytes]:
        """Ids of the submitted votes that wait here, those that came before among them."""
        return [
            vote.id
            for vote, refusal in zip(work.votes, work.verdicts, strict=True)
            if refusal is None
            or (refusal.code == "duplicate-vote" and self.state.pool.of_voter(vote.voter_id))
        ]

    # -- through the checks ----------------------------------------------------------------------

    def _with_short_ids(self, votes: Sequence[HashedVote]) -> list[ShortVote]:
        return list(map(ShortVote, short_ids([hashed.id for hashed in votes], self.state.pool.seed), votes))

    def _check(self, link: int, votes: list[ShortVote], done: Callable[[Verdicts, float], None]) -> None:
        """Have votes checked; meanwhile they are neither asked for nor checked again."""
        shorts, hashed = [vote.short for vote in votes], [vote.hashed for vote in votes]
        self.checking.update(shorts)
        self.inventory.follow(shorts)
        election = self.state.election

        def finish(result: object, now: float) -> None:
            assert isinstance(result, list)
            self.checking.difference_update(shorts)
            amended = self.state.election
            done(result if amended is election else check_roll_again(hashed, result, amended), now)

        check = partial(check_votes, election=election, signatures=self.state.signatures)
        run = ballot_portions(election, hashed, check, lambda one: one.vote)
        self.state.start_job(link, run, finish)

    def _admit(
        self, votes: list[ShortVote], result: Verdicts, origin: Origin, now: float
    ) -> tuple[list[ShortVote], Verdicts]:
        """Like `Admission.admit`. Refused votes are not announced."""
        admitted, verdicts = self._admission.admit(votes, result, origin, now)
        if len(admitted) < len(votes):
            left = {vote.short for vote in votes}.difference([vote.short for vote in admitted])
            self.inventory.forget(left)
        return admitted, verdicts

    # -- from peers ------------------------------------------------------------------------------

    def on_votes(self, link: int, message: Votes, now: float) -> None:
        """Have those checked that are new here."""
        votes = self._with_short_ids(hash_votes(message.votes))
        if self.closing is not None:
            self.closing.take_late(vote.hashed for vote in votes)
        shorts = [vote.short for vote in votes]
        self._requests.came(shorts)
        checking, counted, waiting = self.checking, self.state.chain.voters, self.state.pool.voters
        new = [
            vote
            for vote in votes
            if vote.short not in checking
            and (voter := vote.hashed.vote.voter_id) not in counted
            and voter not in waiting
        ]
        if new:
            pushed = message.id is None
            self._check(link, new, partial(self._finish_relay, link, new, pushed))
        if message.asker is not None and self.acceptances is not None:
            self.acceptances.ask(link, message.asker, [vote.hashed for vote in votes], now)
        self.inventory.note(link, shorts)

    def _finish_relay(
        self, link: int, votes: list[ShortVote], pushed: bool, result: Verdicts, now: float
    ) -> None:
        # The good ones count, even if the same peer sent a bad one: copies from others were passed over
        # while these were checked.
        admitted, verdicts = self._admit(votes, result, self.state.facts.origin(link), now)
        if admitted:
            ids = [(vote.short, vote.hashed.id) for vote in admitted]
            source = link if pushed else None
            self._announcements.append(_Announcement(now + ANNOUNCE_SECONDS, ids, source))
        if len(admitted) < len(votes):
            self._ask_later(link, votes, verdicts, now)
            wrong = next((refusal for refusal in result if self._is_lie(refusal)), None)
            if wrong is not None:
                self.state.refuse(link, wrong)

    def _is_lie(self, refusal: Rejected | None) -> bool:
        """Whether a relayed vote shows a lie: an honest node relays only what it has checked.

        Where the roll may be amended, the peer may know of an amendment that is not in a block here yet.
        """
        election = self.state.election
        amendable = election.named and election.definition.authority_key is not None
        return refusal is not None and not (amendable and refusal.code in ("not-on-roll", "wrong-key"))

    def _ask_later(self, link: int, votes: list[ShortVote], verdicts: Verdicts, now: float) -> None:
        """Good votes without room here: their sender keeps them, and may be the only node that has them."""
        peer = self.state.sync.peers.get(link)
        if peer is None:
            return
        seed = peer.peer_info.seed
        left = [
            (vote.short, short_id(vote.hashed.id, seed))
            for vote, refusal in zip(votes, verdicts, strict=True)
            if isinstance(refusal, PoolFull)
        ]
        self._requests.ask(link, left, now)

    def on_have_votes(self, link: int, message: HaveVotes, now: float) -> None:
        """Ask for votes that are neither here, nor being checked, nor asked of another peer."""
        pairs = split_announced(message.ids)
        self.inventory.note(link, [short for short, _ in pairs])
        here, checking = self.state.pool.shorts, self.checking
        lacking = [pair for pair in pairs if pair[0] not in here and pair[0] not in checking]
        if lacking:
            self._requests.ask(link, lacking, now)

    def on_get_votes(self, link: int, message: GetVotes, now: float) -> None:
        asked = dict.fromkeys(split_ids(message.ids))
        waiting = [hashed for hashed in self.state.pool.by_short_ids(asked) if hashed is not None]
        for batch in _batches(waiting):
            self.state.answer(link, votes_line([hashed.record for hashed in batch], message.id))

    def drop_peer(self, link: int, now: float) -> None:
        """Ask other peers for the votes that this peer was asked for."""
        self._without_inventory.discard(link)
        self.inventory.drop_link(link)
        self._requests.drop_peer(link, now)

    # -- to peers --------------------------------------------------------------------------------

    def send_initial_inventory(self, link: int) -> None:
        """Announce what waits here to a new peer, as soon as we know which of it is in blocks already."""
        self._without_inventory.add(link)

    def tick(self, now: float) -> None:
        """Announce votes that came some time ago and still wait; ask again for what did not come."""
        self._requests.tick(now)
        news: dict[int, list[tuple[bytes, bytes]]] = {link: [] for link in self.state.sync.peers}
        # 1. Votes that some peers should have had from their neighbours, but have not shown.
        for late in _due(self._covered, now, COVERED_SECONDS):
            self._collect(news, late.votes, news.keys())
            self.inventory.forget(short for short, _ in late.votes)
        # 2. Votes that came from a peer: for all but its neighbours, whom it has sent them itself.
        for new in _due(self._announcements, now, ANNOUNCE_SECONDS):
            covered = set() if new.source is None else self.state.covered(new.source)
            self._collect(news, new.votes, news.keys() - covered - {new.source})
            if covered:
                self._covered.append(new._replace(due=now + COVERED_SECONDS))
            else:
                self.inventory.forget(short for short, _ in new.votes)
        for link, votes in news.items():
            self._announce(link, votes)

    def _collect(
        self,
        news: dict[int, list[tuple[bytes, bytes]]],
        votes: list[tuple[bytes, bytes]],
        links: Collection[int],
    ) -> None:
        """Votes that still wait, for those of these links that have not shown that they have them."""
        if not links:
            return
        here = self.state.pool.shorts
        waiting = [pair for pair in votes if pair[0] in here]
        for link in links:
            known = self.inventory.of(link)
            news[link] += [pair for pair in waiting if pair[0] not in known]
            self.inventory.note(link, [short for short, _ in waiting])

    def flush(self) -> None:
        """At the end of a batch: votes accepted here go to peers in full; new peers get their inventory."""
        accepted, self._accepted = self._accepted, []
        asking, self._accepted_asking = self._accepted_asking, []
        self._push(accepted)
        self._push(asking, self.state.index)
        shorts = [vote.short for vote in accepted + asking]
        if self._without_inventory and self.state.sync.caught_up:
            self._send_inventories(set(shorts))
        if shorts:
            self.inventory.forget(shorts)

    def _push(self, accepted: Sequence[ShortVote], asker: int | None = None) -> None:
        """Send votes to all peers; with `asker` to those that have them, too."""
        shorts = [vote.short for vote in accepted]
        lines = list(_lines(accepted, asker))
        for link in self.state.sync.peers if accepted else ():
            known = self.inventory.of(link)
            if asker is not None or known.isdisjoint(shorts):
                news = lines
            else:
                new = [vote for vote in accepted if vote.short not in known]
                news = list(_lines(new))
            for line in news:
                self.state.send(link, line)

    def _send_inventories(self, just_sent: set[bytes]) -> None:
        links, self._without_inventory = self._without_inventory, set()
        votes = self._with_short_ids(list(self.state.pool))
        waiting = [(vote.short, vote.hashed.id) for vote in votes if vote.short not in just_sent]
        for link in sorted(links & self.state.sync.peers.keys()):
            known = self.inventory.of(link)
            self._announce(link, [pair for pair in waiting if pair[0] not in known])
            self.inventory.note(link, [short for short, _ in waiting])

    def _announce(self, link: int, votes: Sequence[tuple[bytes, bytes]]) -> None:
        """Announce votes, (short id with our seed, id) of each, to a peer."""
        theirs = self.state.sync.peers[link].peer_info.seed
        ids = [short_id(vote_id, theirs) + ours for ours, vote_id in votes]
        for start in range(0, len(ids), MAX_IDS_IN_LINE):
            self.state.send(link, HaveVotes(ids=b"".join(ids[start : start + MAX_IDS_IN_LINE])))


def _due(queue: deque[_Announcement], now: float, delay: float) -> Iterator[_Announcement]:
    """Take announcements that are due, or lie too far ahead because the clock was set back."""
    while queue and not now < queue[0].due <= now + delay:
        yield queue.popleft()


def _lines(votes: Iterable[ShortVote], asker: int | None = None) -> Iterator[bytes]:
    """Lines of `votes`."""
    for batch in _batches([vote.hashed for vote in votes]):
        yield votes_line([hashed.record for hashed in batch], asker=asker)


def _batches(votes: Iterable[HashedVote]) -> Iterator[list[HashedVote]]:
    """These votes, as many together as one line may carry."""
    batch: list[HashedVote] = []
    size = 0
    for hashed in votes:
        if len(batch) == MAX_VOTES_IN_LINE or size + len(hashed.record) > MAX_LINE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(hashed)
        size += len(hashed.record)
    if batch:
        yield batch
