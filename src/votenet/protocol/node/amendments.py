"""Amendments at one node: taken from the authority, kept until they stand in a block, passed on to peers.

What was acknowledged is not lost. A node that holds a new key for a voter takes no vote by the old one. A
node that holds a vote of this voter waits until that is in a block, and then the amendment is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from votenet.core.election.amendment import (
    NOTICE_SECONDS,
    Amendment,
    bad_amendment,
    check_in_place,
    check_signed,
)
from votenet.core.election.definition import Election
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.extras import HashedRecord, amendments_in, hash_record, order_records
from votenet.core.ledger.vote import HashedVote
from votenet.errors import Rejected
from votenet.protocol.node.events import DropAmendments, SaveAmendment, Served
from votenet.protocol.node.state import NO_LINK, NodeState
from votenet.protocol.wire.client_messages import (
    MAX_AMENDMENTS_IN_LINE,
    AmendmentList,
    AmendmentTaken,
    GetAmendments,
    SubmitAmendment,
)
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_HELD_AMENDMENTS, AmendmentMessage

SLACK_SECONDS: Final = 10
"""By how much the clocks of honest nodes may differ where the hours of an amendment are judged."""


class AmendmentPool:
    """Those of one node. `next`: the records that a block on the tip may hold now."""

    def __init__(self, state: NodeState, kept: Iterable[Amendment] = ()) -> None:
        """`kept`: what was saved before."""
        self._state = state
        self._held = {one.number: one for one in kept}
        """By number: the first one that came with it, or the one in a block that we prevoted."""
        self.next: tuple[HashedRecord, ...] = ()
        self.closed: Callable[[], bool] = lambda: False
        """Whether the closing block is on the chain: no amendment follows."""
        self._now = 0.0
        self._dropped: dict[int, Amendment] = {}
        """By number: those dropped here because the one before them was; peers may still tell of them."""
        self._prevoted: set[str] = set()
        """Voters whose keys a block on the tip replaces that we prevoted: it may be decided at any time."""
        self._note_replacing()

    # -- from the authority ------------------------------------------------------------------------

    def on_submit_amendment(self, link: int, message: SubmitAmendment, now: float) -> None:
        one, election = message.amendment, self._state.election
        check_signed(one, election)
        on_chain = election.amendments[one.number - 1 : one.number]
        if one not in on_chain and self._held.get(one.number) != one:
            self._check_new(one, now)
            self._hold(one, link)
        self._state.send(link, AmendmentTaken(number=one.number, id=message.id))

    def _check_new(self, one: Amendment, now: float) -> None:
        """Check that it may follow those in blocks and those held. Raises Rejected bad-amendment."""
        election = self._behind_held()
        if self.closed():
            raise bad_amendment("the election is closed")
        if len(election.amendments) - len(self._state.election.amendments) >= MAX_HELD_AMENDMENTS:
            raise bad_amendment(f"{MAX_HELD_AMENDMENTS} wait for a block already: try again later")
        check_in_place(one, election, time=int(now), has_voted=self._has_voted)

    def _behind_held(self) -> Election:
        """The election in force behind all that are held and follow each other."""
        election = self._state.election
        while (one := self._held.get(election.next_number)) is not None:
            election = election.amended([one])
        return election

    def _has_voted(self, voter_id: str) -> bool:
        return voter_id in self._state.chain.voters or self._state.pool.of_voter(voter_id) is not None

    # -- from peers, and to them -------------------------------------------------------------------

    def on_amendment(self, link: int, message: AmendmentMessage, now: float) -> None:
        one, election = message.amendment, self._state.election
        ahead = one.number - election.next_number
        if one.number in self._held or not 0 <= ahead < MAX_HELD_AMENDMENTS or self._is_over:
            return
        check_signed(one, election)
        # What would be dropped at once is not passed on: else it would go round among the nodes for ever.
        if ahead == 0:
            useless = self._fault(one, election, int(now) - SLACK_SECONDS) != ""
        else:
            useless = self._dropped.get(one.number) == one and one.number - 1 not in self._held
        if not useless:
            self._hold(one, link)

    @property
    def _is_over(self) -> bool:
        """Whether no amendment follows any more."""
        return self.closed() or self._state.election.cancelled

    def _hold(self, one: Amendment, source: int) -> None:
        """Keep it: on the disk before anything is answered."""
        self._held[one.number] = one
        self._note_replacing()
        self._state.ready.save.append(SaveAmendment(one))
        for link in self._state.sync.peers.keys() - {source}:
            self._state.send(link, AmendmentMessage(amendment=one))

    def peer_up(self, link: int) -> None:
        for _, one in sorted(self._held.items()):
            self._state.send(link, AmendmentMessage(amendment=one))

    def on_get_amendments(self, link: int, message: GetAmendments, now: float) -> None:
        election, first = self._state.election, message.first - 1
        answer = AmendmentList(
            amendments=election.amendments[first : first + MAX_AMENDMENTS_IN_LINE],
            count=len(election.amendments),
            height=self._state.chain.tip.height,
            next=self._behind_held().next_number,
            waiting=tuple(sorted(self._held)),
            id=message.id,
        )
        self._state.ask(link, lambda: lambda: Served(encode_message(answer)))

    # -- in blocks ---------------------------------------------------------------------------------

    def refresh(self, now: float) -> None:
        """At the end of a batch: drop what can never be taken; say what the next block may hold."""
        self._now, self.next = now, ()
        if not self._held:
            return
        self._drop_void(now)
        self._note_replacing()
        election, chosen = self._state.election, list[Amendment]()
        time = max(int(now), self._state.chain.tip.header.time)
        while (one := self._held.get(election.next_number)) is not None:
            if self._fault(one, election, time) or self._vote_waits(one):
                break
            chosen.append(one)
            election = election.amended([one])
        self.next = order_records(list(map(hash_record, chosen)))

    def _drop_void(self, now: float) -> None:
        """Those whose number is used, and the next one if a rule stands against it for good.

        Those behind it go with it: they would wait for a number that may never come, and a voter whose key
        one of them replaces could vote with no key. The authority is told, and signs them again.
        """
        election, time = self._state.election, int(now) - SLACK_SECONDS
        void = [number for number in self._held if self._is_over or number < election.next_number]
        following = None if self._is_over else self._held.get(election.next_number)
        if following is not None and (fault := self._fault(following, election, time)):
            self._dropped = dict(self._held)
            void = list(self._held)
            numbers = ", ".join(map(str, sorted(number for number in void if number >= following.number)))
            self._state.ready.log.append(f"dropped, of the amendments {numbers} the first is void: {fault}")
        if void:
            for number in void:
                del self._held[number]
            self._state.ready.save.append(DropAmendments(tuple(void)))

    def _fault(self, one: Amendment, election: Election, time: int) -> str:
        """Why it may not follow on the chain; empty if it may."""
        try:
            check_in_place(one, election, time=time, has_voted=self._state.chain.voters.__contains__)
        except Rejected as error:
            return error.message
        return ""

    def _vote_waits(self, one: Amendment) -> bool:
        """Whether a vote waits here that the new key would make void."""
        replaces = one.action == "replace-key" and one.voter_id is not None
        return replaces and self._state.pool.of_voter(one.voter_id or "") is not None

    def _note_replacing(self) -> None:
        """Note whose votes are not taken. Not of those behind a gap: it may never be closed."""
        number = self._state.election.next_number
        replacing = set(self._prevoted)
        while (one := self._held.get(number)) is not None:
            if one.action == "replace-key" and one.voter_id is not None:
                replacing.add(one.voter_id)
            number += 1
        self._state.replacing = frozenset(replacing)

    def is_timely(self, records: Sequence[HashedRecord], now: float) -> bool:
        """Whether an honest node may prevote a block with these records now: it makes no vote void that waits
        here, and our clock gives the same notice of new hours as the block's header.

        The amendments of such a block are held from then on, so that no such vote is taken either.
        """
        election, amendments = self._state.election, amendments_in(records)
        for one in amendments:
            if self._vote_waits(one):
                return False
            for limit in (election.closes, one.closes) if one.closes is not None else ():
                if limit is not None and now + NOTICE_SECONDS > limit + SLACK_SECONDS:
                    return False
            election = election.amended([one])
        for one in amendments:
            if self._held.get(one.number) != one:
                self._hold(one, NO_LINK)
            if one.action == "replace-key" and one.voter_id is not None:
                self._prevoted.add(one.voter_id)
        self._note_replacing()
        return True

    def connected(self, entry: BlockIndexEntry, votes: Sequence[HashedVote]) -> None:
        """A block was connected: votes that its amendments make void wait no more."""
        state, pool = self._state, self._state.pool
        amendments = amendments_in(entry.extras.records)
        keys = {one.voter_id: one.key for one in amendments if one.voter_id is not None}
        void = [
            hashed.voter_id
            for hashed in pool.of_voters(keys)
            if hashed.vote.voter_key != keys[hashed.voter_id]
        ]
        if state.election.cancelled:
            void = list(pool.voters)
        if void:
            dropped = state.drop_votes(void)
            state.ready.log.append(f"{dropped} waiting votes are void by an amendment")
        self._prevoted = set()
        self._note_replacing()
        self.refresh(self._now)
