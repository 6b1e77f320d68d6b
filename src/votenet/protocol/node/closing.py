"""The end of an election at one node: its hour, its closing list, the closing block, the late votes.

Named nodes judge together when voting is over (`core/election/voting_hours.py`). Each signs that its hour has
passed and, after a grace, which votes it holds in time that are in no block. The closing block has these
lists, and the blocks behind it hold exactly the votes that it counts (`core/ledger/closing.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import msgspec

from votenet.core.election.voting_hours import VotingHours
from votenet.core.ledger.block import Block, order_votes
from votenet.core.ledger.chain import BlockIndexEntry, unpack_location
from votenet.core.ledger.closing import (
    ID_BYTES,
    LateBlock,
    PollEnd,
    check_list,
    choose_lists,
    encode_listed,
    late_block,
    list_holds_ids,
    sign_list,
    signed_of,
)
from votenet.core.ledger.extras import (
    BlockExtras,
    ClosingIds,
    ClosingList,
    HashedRecord,
    hash_record,
    order_records,
)
from votenet.core.ledger.mempool import short_id
from votenet.core.ledger.statement import ClosingListStatement, HourPassedStatement, Signed
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import MAX_BLOCK_BYTES
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.node.acceptances import Acceptances
from votenet.protocol.node.admission import roll_fault
from votenet.protocol.node.amendments import AmendmentPool
from votenet.protocol.node.events import SaveHours
from votenet.protocol.node.handed_on import handed_on_check, votes_to_hand_on
from votenet.protocol.node.signed_hours import SavedHours, SignedHours, join_list, split_list
from votenet.protocol.node.state import NodeState
from votenet.protocol.node.vote_heights import VoteHeights
from votenet.protocol.wire.message import NamedMessage
from votenet.protocol.wire.named_messages import (
    ClosingListMessage,
    HandedOnVotes,
    HourPassed,
)
from votenet.protocol.wire.peer_messages import MAX_VOTES_IN_LINE, GetVotes

KEEP_SECONDS: Final = 120
"""So long before closing acceptances are kept: a vote that waits for longer was handed on long ago."""
ASK_LATE_SECONDS: Final = 2.0
"""Until another named node is asked for late votes."""


class NextRecords(msgspec.Struct, frozen=True):
    """The content of a block to propose, where named nodes are at the end of the election."""

    votes: tuple[HashedVote, ...]
    records: tuple[HashedRecord, ...] = ()
    closing: ClosingIds | None = None


class Closing:
    """The end of the election at one node. `end`: how far the chain has come."""

    def __init__(
        self,
        state: NodeState,
        acceptances: Acceptances,
        amendments: AmendmentPool,
        saved: bytes,
        log_sizes: Sequence[int],
    ) -> None:
        """
        Args:
            saved: what was last given as SaveHours.
            log_sizes: of the log behind each block, by height.

        Raises:
            ValueError: `saved` is something else.
        """
        self.state, self._acceptances, self._amendments = state, acceptances, amendments
        self._signed = SignedHours(saved)
        self.hours = self._make_hours()
        self.lists: dict[int, ClosingList] = {}
        """Closing lists that have come, and our own, by named node."""
        self._ids: dict[int, tuple[bytes, ...]] = {}
        """What they list, ascending."""
        self._conflicts: dict[int, tuple[Signed[ClosingListStatement], Signed[ClosingListStatement]]] = {}
        """Two lists of one named node, until they are taken."""
        self.may_sign: Callable[[], bool] = lambda: True
        """Whether the other nodes have told what we signed before this start."""
        self.leaves_lists: Callable[[], bool] = lambda: False
        """Whether we sign a list only if too few others do: we may have forgotten votes that we accepted."""
        self._late: dict[bytes, HashedVote] = {}
        """Late votes that did not wait here."""
        self._checking: Counter[int] = Counter()
        """By link: messages with votes that were handed on, while their signatures are checked."""
        self._passed: dict[int, set[int]] = {}
        """By link: named nodes whose hour has passed, told while such checks of that link are under way."""
        self._ask_at = self._now = 0.0
        self._early: dict[tuple[int, type[NamedMessage]], tuple[int, HourPassed | ClosingListMessage]] = {}
        """By named node and type: the latest with its link, for a closing time that is not in force here."""
        self._keep_own()
        self.end = PollEnd(state.election)
        self._vote_heights = VoteHeights(state, log_sizes)
        self._replay()

    def _make_hours(self) -> VotingHours | None:
        election, index = self.state.election, self.state.index
        if election.closes is None or index is None or election.cancelled:
            return None
        saved = self._saved
        return VotingHours(
            index,
            election.named,
            election.closes,
            election.definition.chain.grace_seconds,
            hour_signed=saved.hour,
            list_signed=saved.list is not None,
        )

    @property
    def _saved(self) -> SavedHours:
        """What we have signed for the closing time in force."""
        return self._signed.of(self.state.election.closes)

    def _keep_own(self) -> None:
        saved = self._saved
        if saved.list is not None:
            self._keep(saved.list, saved.listed)

    def _replay(self) -> None:
        """Come as far as the stored chain has."""
        state = self.state
        begin = next((entry.height for entry in state.chain.best if entry.extras.closing is not None), None)
        for entry in state.chain.best[begin:] if begin is not None else ():
            self.end = self._after(entry, state.votes_of(entry.hash), entry.extras)
        self._vote_heights.forget()

    # -- rules -------------------------------------------------------------------------------------

    def _after(self, entry: BlockIndexEntry, votes: Sequence[HashedVote], extras: BlockExtras) -> PollEnd:
        """How far the chain has come with this block.

        Raises:
            Rejected: bad-closing, bad-late-votes, closed.
        """
        voters, height = self.state.chain.voters, entry.height
        lowest = min((r.value.height for r in extras.records if isinstance(r.value, ClosingList)), default=0)
        between = self._vote_heights.between
        on_chain = between(lowest, height) if extras.closing is not None else lambda vote_id: False

        def has_voted(voter_id: str) -> bool:
            location = voters.get(voter_id)
            return location is not None and unpack_location(location)[0] < height

        return self.end.after(
            votes, extras, height=entry.height, time=entry.header.time, on_chain=on_chain, has_voted=has_voted
        )

    def check(self, entry: BlockIndexEntry, votes: Sequence[HashedVote], extras: BlockExtras) -> None:
        """Check that a block may follow the tip. Raises Rejected: bad-closing, bad-late-votes, closed."""
        self._after(entry, votes, extras)

    def connected(self, entry: BlockIndexEntry, votes: Sequence[HashedVote]) -> None:
        """A block was connected that was checked before."""
        closes = self.state.election.closes
        self.end = self._after(entry, votes, entry.extras)
        self.state.chain.election = self.end.election
        if self.state.election.closes != closes or self.state.election.cancelled:
            self._change_hours()
        if self.end.over:
            self._forget_listed()
        if entry.extras.closing is not None:
            self._vote_heights.forget()
        for one in entry.extras.records:
            if isinstance(one.value, ClosingList) and one.value.node in self.lists:
                self._note_conflict(one.value)

    def _change_hours(self) -> None:
        """Begin anew: what was signed for another closing time counts no more."""
        self.hours = self._make_hours()
        if self.hours is not None:
            self.hours.advance(self._now)
        self.lists, self._ids, self._passed = {}, {}, {}
        self._forget_listed()
        self._keep_own()
        early, self._early = self._early, {}
        for link, message in early.values():
            if isinstance(message, HourPassed):
                self.on_hour_passed(link, message, 0.0)
            else:
                self.on_closing_list(link, message, 0.0)

    def _forget_listed(self) -> None:
        """No block needs the votes of our closing list: those go whose voter has another vote or key."""
        state, voters = self.state, self.state.chain.voters
        if not state.listed:
            return
        state.listed = frozenset()
        void = [
            hashed for hashed in state.pool if hashed.voter_id in voters or roll_fault(hashed, state.election)
        ]
        state.drop_votes([hashed.voter_id for hashed in void])

    @property
    def list_signed(self) -> bool:
        return self._saved.list is not None

    @property
    def takes_votes(self) -> bool:
        """Whether a vote may be taken; a relay and an election without hours ask the clock."""
        return self.hours is None or self.hours.takes_votes

    def is_timely(self, block: Block, now: float) -> bool:
        """Whether an honest node may prevote a block now, by the clocks of the named nodes.

        Once voters are turned away a block has only votes that are held here; after the grace, lists. A block
        of late votes has as many as fit, which only a node can judge that has the next ones, too.
        """
        hours = self.hours
        if self.end.late is not None:
            return (block.votes, block.extras.records) == self._next_block()
        if not self._amendments.is_timely(block.extras.records, now):
            return False
        if hours is None:
            return True
        if block.extras.closing is not None:
            return hours.grace_over
        if hours.grace_over:
            return False
        held = self.state.pool.of_voter
        return hours.takes_votes or all(held(vote.voter_id) == vote for vote in block.votes)

    # -- what comes next ---------------------------------------------------------------------------

    def records_wait(self) -> bool:
        """Whether there is something for a block."""
        if self.end.over:
            return False
        if self.end.late is not None:
            return self._next_block() is not None
        if self.hours is not None and self.hours.grace_over:
            return self.hours.may_propose_closing(len(self.lists))
        return len(self.state.pool) > 0 or len(self._amendments.next) > 0

    def next_records(self, round_number: int) -> NextRecords:
        """What the next block may hold now, if it is proposed in this round."""
        if self.end.late is not None:
            late = self._next_block()
            return NextRecords(()) if late is None else NextRecords(*late)
        if self.hours is None or not self.hours.grace_over:
            return self._of_pool(round_number)
        if (listed := choose_lists(self._ids, self.state.election.quorum)) is None:
            return NextRecords(())
        records = order_records([hash_record(self.lists[node]) for node in listed.nodes])
        return NextRecords((), records, encode_listed(listed))

    def has_more(self, content: NextRecords, round_number: int) -> bool:
        """Whether votes or amendments have come since this content was the next of the round."""
        if self.end.late is not None or (self.hours is not None and self.hours.grace_over):
            return False
        waiting = min(len(self.state.pool), self.state.election.definition.chain.max_block_votes)
        return len(content.votes) < waiting or content.records != self._amendments_in(round_number)

    def _amendments_in(self, round_number: int) -> tuple[HashedRecord, ...]:
        """Every other turn of all nodes goes without: votes never wait for what nodes judge differently."""
        return () if round_number // self.state.election.named % 2 else self._amendments.next

    def _of_pool(self, round_number: int) -> NextRecords:
        """Amendments, and the oldest votes that fit beside them."""
        records, pool = self._amendments_in(round_number), self.state.pool
        room = MAX_BLOCK_BYTES - sum([len(one.record) for one in records])
        votes = pool.first(self.state.election.definition.chain.max_block_votes, room)
        return NextRecords(order_votes(votes), records)

    def _next_block(self) -> LateBlock | None:
        """The next block of late votes; None until all of them are here, or as many as a block holds."""
        late, here = self.end.late, self._next_late()
        if late is None or not here:
            return None
        limit = self.state.election.definition.chain.max_block_votes
        given_keys = self.state.election.given_keys
        made = late_block(here, self.state.chain.voters.__contains__, limit, given_keys)
        is_full = len(made.votes) + len(made.records) < len(here)
        return made if is_full or len(here) == late.waiting else None

    def _next_late(self) -> list[HashedVote]:
        """The late votes that come next, as far as they are here."""
        late = self.end.late
        if late is None:
            return []
        waiting = {hashed.id: hashed for hashed in self.state.pool} | self._late
        here: list[HashedVote] = []
        for vote_id in late.ids[late.place :]:
            if vote_id not in waiting:
                break
            here.append(waiting[vote_id])
        return here

    # -- at the end of each batch ------------------------------------------------------------------

    def refresh(self, now: float) -> None:
        """Follow the clock; sign the hour, then the list; ask for late votes that are not here."""
        hours, self._now = self.hours, now
        if hours is not None:
            hours.advance(now)
            self._acceptances.keep = now > hours.closes - KEEP_SECONDS and self.end.late is None
            if hours.hour_due:
                hours.sign_hour()
                self._save(SavedHours(hours.closes, hour=True))
                for index, link in self.state.named_links().items():
                    self._hand_on(index, link)
                self.state.tell_named(self._hour_message())
            if hours.list_due and self.end.late is None and self.may_sign() and self._is_list_wanted(hours):
                self._sign_list()
        if self.end.late is not None and not self.end.over and now >= self._ask_at:
            self._ask_at = now + ASK_LATE_SECONDS
            self._ask_late()

    @property
    def deadline(self) -> float | None:
        """When `refresh` is due."""
        hours = self.hours
        return None if hours is None or not hours.takes_votes else float(hours.closes)

    def _is_list_wanted(self, hours: VotingHours) -> bool:
        if not self.leaves_lists():
            return True
        if not hours.needs_more_lists(len(self.lists)):
            return False
        self.state.ready.log.append(
            f"{len(self.lists)} named nodes have signed closing lists, and there is no closing block: this"
            " node signs one, too, though votes that it took before it was restored may be missing in it"
        )
        return True

    def _sign_list(self) -> None:
        hours, keys, index = self.hours, self.state.info.keys, self.state.index
        assert hours is not None
        assert keys is not None
        assert index is not None
        ids = tuple(sorted(hashed.id for hashed in self.state.pool))
        record = sign_list(
            keys.statement,
            network_hex=self.state.election.network_hex,
            node=index,
            closes=hours.closes,
            height=self.state.chain.tip.height,
            vote_ids=ids,
        )
        hours.sign_list()
        self._keep(record, ids)
        self._save(SavedHours(hours.closes, True, record, join_list(ids)))
        self.state.tell_named(ClosingListMessage(list=record, ids=b"".join(ids)))

    def _save(self, saved: SavedHours) -> None:
        self.state.ready.save.append(SaveHours(self._signed.put(saved)))

    def _hour_message(self) -> HourPassed:
        keys, index, hours = self.state.info.keys, self.state.index, self.hours
        assert keys is not None
        assert index is not None
        assert hours is not None
        statement = HourPassedStatement(
            closes=hours.closes, network_id=self.state.election.network_hex, node=index
        )
        return HourPassed(closes=hours.closes, node=index, signature=statement.sign(keys.statement))

    def peer_up(self, link: int) -> None:
        """Tell a new peer what we have signed, if it is a named node."""
        if self.hours is None or link not in self.state.named_links().values():
            return
        if self.hours.hour_signed:
            for index, named in self.state.named_links().items():
                if named == link:
                    self._hand_on(index, link)
            self.state.send(link, self._hour_message())
        # Our list; and that of the peer, which may have lost its state and must not sign another one.
        peer_key = self.state.sync.peers[link].peer_info.node_key
        for node in (self.state.index, self.state.election.node_index(peer_key)):
            if node is not None and node in self.lists and not self.end.over:
                self.state.send(
                    link, ClosingListMessage(list=self.lists[node], ids=b"".join(self._ids[node]))
                )

    def _hand_on(self, index: int, link: int) -> None:
        """Send a named node the votes that it has not signed for, and that it may still take."""
        for message in votes_to_hand_on(index, self.state, self._acceptances):
            self.state.send(link, message)

    def on_handed_on(self, link: int, message: HandedOnVotes, now: float) -> None:
        """Votes that others accepted in time: taken until our grace is over."""
        if self.hours is None or self.hours.grace_over:
            return
        self._checking[link] += 1

        def done(result: object, later: float) -> None:
            assert isinstance(result, list)
            self._checking[link] -= 1
            self._take_handed_on(result)
            self._note_passed(link)

        run = handed_on_check(message.votes, self.state.election, self.state.signatures)
        self.state.start_job(link, run, done)

    def _take_handed_on(self, checked: list[tuple[HashedVote, frozenset[int]]]) -> None:
        state, hours = self.state, self.hours
        taken: list[HashedVote] = []
        for hashed, accepted_by in checked:
            known = hashed.voter_id in state.chain.voters or state.pool.of_voter(hashed.voter_id) is not None
            sound = not known and roll_fault(hashed, state.election) is None
            if hours is not None and sound and hours.takes_handed_on(accepted_by):
                state.pool.add(hashed)
                taken.append(hashed)
        if taken:
            state.save_votes(taken)

    # -- from other nodes --------------------------------------------------------------------------

    def on_hour_passed(self, link: int, message: HourPassed, now: float) -> None:
        election, hours = self.state.election, self.hours
        if self.state.index is None:
            return
        if message.node >= election.named:
            raise Rejected("bad-statement", f"there is no named node {message.node}")
        statement = HourPassedStatement(
            closes=message.closes, network_id=election.network_hex, node=message.node
        )
        if not statement.holds(election.statement_keys[message.node], message.signature):
            raise Rejected("bad-statement", f"this is not signed by named node {message.node}")
        if hours is None or message.closes != hours.closes:
            self._early[message.node, HourPassed] = link, message
            return
        self._passed.setdefault(link, set()).add(message.node)
        self._note_passed(link)

    def _note_passed(self, link: int) -> None:
        """Votes that are handed on come before the word that ends the grace: they are checked first."""
        if self.hours is not None and not self._checking[link]:
            del self._checking[link]
            for node in self._passed.pop(link, ()):
                self.hours.passed_at(node)

    def on_closing_list(self, link: int, message: ClosingListMessage, now: float) -> None:
        election, hours, record = self.state.election, self.hours, message.list
        if self.state.index is None or self.lists.get(record.node) == record:
            return
        if len(message.ids) % ID_BYTES:
            raise RemoteProtocolError("bad-message", "the ids of a closing list are cut")
        keys = election.statement_keys
        check_list(record, network_hex=election.network_hex, closes=record.closes, keys=keys)
        ids = split_list(message.ids)
        if not list_holds_ids(record, ids):
            raise Rejected("bad-closing", f"these ids are not in the list of named node {record.node}")
        if hours is None or record.closes != hours.closes:
            self._early[record.node, ClosingListMessage] = link, message
            return
        if record.node in self.lists:
            self._note_conflict(record)
            return
        self._keep(record, ids)
        if record.node == self.state.index:
            hours.list_came_back()
            self._save(SavedHours(record.closes, True, record, join_list(ids)))
        self._passed.setdefault(link, set()).add(record.node)
        self._note_passed(link)

    def _note_conflict(self, record: ClosingList) -> None:
        self._conflicts[record.node] = signed_of(self.lists[record.node]), signed_of(record)

    def take_conflicts(self) -> list[tuple[Signed[ClosingListStatement], Signed[ClosingListStatement]]]:
        """Pairs of lists of one named node, seen since the last call."""
        found, self._conflicts = list(self._conflicts.values()), {}
        return found

    def _keep(self, record: ClosingList, ids: Sequence[bytes]) -> None:
        self.lists[record.node], self._ids[record.node] = record, tuple(ids)
        if record.node == self.state.index:
            self.state.listed = frozenset(ids)

    def take_late(self, votes: Iterable[HashedVote]) -> None:
        """Keep late votes that have come, whatever the clock says: their ids are in signed lists."""
        late = self.end.late
        if late is None:
            return
        wanted = set(late.ids[late.place :])
        self._late.update((vote.id, vote) for vote in votes if vote.id in wanted)

    def _ask_late(self) -> None:
        """Ask every named node that listed them for late votes that are not here."""
        late = self.end.late
        assert late is not None
        here: Collection[bytes] = {hashed.id for hashed in self.state.pool} | self._late.keys()
        missing = [vote_id for vote_id in late.ids[late.place :] if vote_id not in here][:MAX_VOTES_IN_LINE]
        for link in self.state.named_links().values() if missing else ():
            seed = self.state.sync.peers[link].peer_info.seed
            ids = b"".join(short_id(vote_id, seed) for vote_id in missing)
            self.state.send(link, GetVotes(ids=ids, id=self.state.next_id()))
