"""Blocks on their way onto the chain, and what follows for pool and peers.

In the order of this module: a block arrives (in short ids, or whole, or mined here), its votes are checked in
a thread, it is accepted or rejected, connected to the chain, passed on to peers, and served to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from operator import ge
from typing import Final, NamedTuple, Protocol

from msgspec import json, structs

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, WrongVotes, check_body, header_from_hex, unpack_header
from votenet.core.ledger.chain import BlockIndexEntry, TipChange
from votenet.core.ledger.extras import BlockExtras, make_extras
from votenet.core.ledger.mempool import short_ids
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.statement import Commit
from votenet.core.ledger.vote import HashedVote, Vote, check_all_on_roll, hash_votes
from votenet.core.records.miner import check_miner
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.node.events import SaveBlock, Served, SetBest
from votenet.protocol.node.state import COVERED_SECONDS, NodeState
from votenet.protocol.wire.client_messages import Switch
from votenet.protocol.wire.fields import split_ids
from votenet.protocol.wire.limits import BYTES_READ_IN_UNIT
from votenet.protocol.wire.lines import block_votes_line, headers_line
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import (
    MAX_HEADERS,
    BlockMessage,
    BlockVotes,
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    Headers,
    NoBlock,
)

OURSELVES: Final = 0
"""The link of a block that we mined."""

Body = tuple[Block, Sequence[HashedVote]]
"""A block, and those of its votes that did not wait in the pool: the others were checked when they came."""


class _Partial(NamedTuple):
    """A compact block of which votes are missing, None in `known`."""

    entry: BlockIndexEntry
    known: list[HashedVote | None]
    missing: tuple[int, ...]
    extras: BlockExtras


class Proposed(Protocol):
    """Blocks that named nodes propose, and that are on no chain yet."""

    def take_votes(self, link: int, message: BlockVotes, now: float) -> bool: ...
    def take_block(self, link: int, header: Header, message: BlockMessage, now: float) -> bool: ...
    def block_of(self, block_hash: bytes) -> Block | None: ...


class _NothingProposed:
    def take_votes(self, link: int, message: BlockVotes, now: float) -> bool:
        return False

    def take_block(self, link: int, header: Header, message: BlockMessage, now: float) -> bool:
        return False

    def block_of(self, block_hash: bytes) -> Block | None:
        return None


_NOTHING_PROPOSED: Final = _NothingProposed()


class BlockRelay:
    """The block messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self._partial: dict[int, _Partial] = {}
        """The latest compact block of each link whose missing votes were asked for there."""
        self.proposed: Proposed = _NOTHING_PROPOSED
        """Blocks that named nodes propose."""
        self.tip_votes: tuple[bytes, Sequence[HashedVote]] = (b"", ())
        """Hash and votes of the block that became the tip last: peers ask for its missing votes."""
        self._roll_unchecked: set[bytes] = set()
        """Blocks that came before their parents: which roll is in force there was not known."""
        self._covered: tuple[BlockIndexEntry, float] | None = None
        """Our tip, and when peers are told of it that should have it from others."""
        self.check_next: Callable[[BlockIndexEntry, Sequence[HashedVote], BlockExtras], None] | None = None
        """Checks the rules about the end of the election; raises Rejected."""
        self.connected: list[Callable[[BlockIndexEntry, Sequence[HashedVote]], None]] = []
        """Hear of every block that is connected to the best branch."""

    # -- a block arrives -------------------------------------------------------------------------

    def on_headers(self, link: int, message: Headers, now: float) -> None:
        self.state.sync.take_headers(link, message, now)

    def on_compact_block(self, link: int, message: CompactBlock, now: float) -> None:
        # 1. The header alone shows the work: without it nothing is looked up.
        header = unpack_header(message.header)
        entry = self.state.sync.take_new_header(link, header, now, message.commit)
        if entry is None or not self.state.sync.wanted(entry):
            return
        extras = make_extras(message.miner, message.records, message.closing)
        # 2. The pool has most of the votes.
        known = self.state.pool.by_short_ids(split_ids(message.ids))
        missing = tuple([position for position, hashed in enumerate(known) if hashed is None])
        # 3. Check it, or ask for what is missing: for the whole block if that is all. If we are behind, it is
        #    asked for in its turn: it would be dropped, to make room for the blocks before it.
        if not self.state.chain.parent(entry).available:
            self.state.sync.ask_bodies(now)
        elif 0 < len(missing) == len(known):
            self.state.sync.ask_for(link, entry, now)
        elif not missing:
            self._check(link, entry, partial(_assemble, header, known, (), extras), now, whole=False)
        elif self.state.sync.ask_for(link, entry, now, missing):
            self._partial[link] = _Partial(entry, known, missing, extras)

    def on_block_votes(self, link: int, message: BlockVotes, now: float) -> None:
        self.state.sync.answered(link, bytes.fromhex(message.hash))
        if self.proposed.take_votes(link, message, now):
            return
        asked = self._partial.get(link)
        if asked is None or asked.entry.hash.hex() != message.hash:
            return  # the answer is late: the block has come another way
        del self._partial[link]
        count = len(asked.missing)
        if len(message.votes) != count:
            raise RemoteProtocolError("bad-message", f"{count} votes of the block were asked for")
        assemble = partial(_assemble, asked.entry.header, asked.known, message.votes, asked.extras)
        self._check(link, asked.entry, assemble, now, whole=False)

    def on_block(self, link: int, message: BlockMessage, now: float) -> None:
        header = header_from_hex(message.header)
        self.state.sync.answered(link, header.hash)
        if self.proposed.take_block(link, header, message, now):
            return
        entry = self.state.sync.take_new_header(link, header, now)
        if entry is not None:
            votes, pool = message.votes, self.state.pool
            waiting = pool.of_voters(vote.voter_id for vote in votes) if len(pool) else ()
            waited = frozenset(hashed.id for hashed in waiting)
            extras = make_extras(message.miner, message.records, message.closing)
            self._check(link, entry, partial(_hash_block, header, votes, extras, waited), now, whole=True)

    def on_no_block(self, link: int, message: NoBlock, now: float) -> None:
        self.state.sync.refused(bytes.fromhex(message.hash), link)
        self.state.sync.ask_bodies(now)

    def submit_mined_block(self, block: Block, now: float, judged: Callable[[Rejected | None], None]) -> None:
        """Our own block: checked like any other. `judged` is called with the refusal, or None.

        Raises:
            Rejected: its header breaks a rule.
        """
        entry = self.state.chain.add_header(block.header, int(now))
        self.state.own_blocks.add(entry.hash)
        body: Body = block, ()  # a template is made of the pool: no vote is new
        if not self._check(OURSELVES, entry, lambda: body, now, whole=True, judged=judged):
            judged(None)

    # -- its votes are checked -------------------------------------------------------------------

    def _check(
        self,
        link: int,
        entry: BlockIndexEntry,
        assemble: Callable[[], Body],
        now: float,
        *,
        whole: bool,
        judged: Callable[[Rejected | None], None] = lambda refusal: None,
    ) -> bool:
        """Start the check of a block's votes, if it is still wanted. `whole`: the peer sent every vote."""
        if not self.state.sync.begin_check(entry, link, now):
            return False

        def done(result: object, later: float) -> None:
            assert isinstance(result, Rejected | Block)
            self.state.sync.end_check(entry, later)
            judged(result if isinstance(result, Rejected) else None)
            if isinstance(result, Block):
                entry.extras = result.extras
                self._accept(link, entry, result.votes, later)
            else:
                self._reject(link, entry, result, later, whole=whole)
            if link != OURSELVES:
                self.state.sync.ask_bodies(later)

        election = self.state.election
        if election.named and entry.header.previous != self.state.chain.tip.hash:
            election = election.without_roll()
            self._roll_unchecked.add(entry.hash)
        run = partial(_check_block, assemble, entry.height, election, self.state.signatures)
        self.state.start_job(link, run, done)
        return True

    # -- it is accepted or rejected --------------------------------------------------------------

    def _accept(self, link: int, entry: BlockIndexEntry, votes: Sequence[HashedVote], now: float) -> None:
        if self.connect_block(link, entry, votes, now):
            self._announce(link, now)

    def _announce(self, link: int, now: float) -> None:
        if link == OURSELVES:  # named nodes have it as a proposal, and hear of the decision
            self._send_tip(self.state.sync.peers.keys() - set(self.state.named_links().values()))
        else:
            self._pass_on(link, now)

    def _reject(
        self, link: int, entry: BlockIndexEntry, refusal: Rejected, now: float, *, whole: bool
    ) -> None:
        if not whole:
            # Two votes may share a short id: only the whole block can be judged.
            self.state.sync.ask_for(link, entry, now)
            return
        if not isinstance(refusal, WrongVotes):  # the header commits to these votes: the block is invalid
            self.state.chain.mark_invalid(entry)
        if link != OURSELVES:
            self.state.sync.refused(entry.hash, link)
            self.state.refuse(link, refusal)

    # -- it is connected -------------------------------------------------------------------------

    def connect_block(
        self, link: int, entry: BlockIndexEntry, votes: Sequence[HashedVote], now: float
    ) -> bool:
        """Add a checked block and the blocks that waited for it. Returns whether the tip moved."""
        chain, before = self.state.chain, self.state.chain.tip
        for ready, body, sender in self.state.sync.accept_block(entry, votes, link):
            self.state.unsaved[ready.hash] = body
            try:
                if self.check_next is not None:
                    self.check_next(ready, body, ready.extras)
                if ready.hash in self._roll_unchecked:
                    self._roll_unchecked.discard(ready.hash)
                    check_all_on_roll(body, self.state.election)
                change = chain.add_body(ready, self.state.votes_of)
            except Rejected as error:
                self.state.ready.log.append(f"block {ready.hash.hex()} is invalid: {error.message}")
                self.state.refuse(sender, error)
                break
            self.state.ready.save.append(SaveBlock(ready, body))
            if change is not None:
                self._follow(change, now)
        if chain.tip is before:
            return False
        self.tip_votes = (chain.tip.hash, self.state.votes_of(chain.tip.hash))
        return True

    def connect_decided(
        self, source: int, entry: BlockIndexEntry, votes: Sequence[HashedVote], now: float
    ) -> None:
        """Connect a block that the named nodes decided, and whose votes were checked as a proposal.

        `source`: the link to the node that found it. Named nodes have it from there.
        """
        self._partial = {link: asked for link, asked in self._partial.items() if asked.entry is not entry}
        if self.state.sync.begin_check(entry, source, now):
            self.state.sync.end_check(entry, now)
            if self.connect_block(source, entry, votes, now):
                self._announce(source, now)

    def _follow(self, change: TipChange, now: float) -> None:
        """Bring disk, log and pool to the new best branch."""
        state = self.state
        # 1. The disk: blocks above the fork go, these come.
        blocks = [(entry, state.votes_of(entry.hash)) for entry in change.connected]
        state.unsaved.update((entry.hash, votes) for entry, votes in blocks)
        state.ready.save.append(SetBest(change.connected[0].height - 1, blocks))
        # 2. Votes of voters who are on the chain now leave the pool.
        for entry, votes in blocks:
            for hear in self.connected:
                hear(entry, votes)
            state.drop_votes([hashed.vote.voter_id for hashed in votes], votes)
        if not change.disconnected:
            return
        # 3. A reorganisation: votes that only the old branch had wait again.
        returned = []
        for entry in change.disconnected:
            for hashed in state.votes_of(entry.hash):
                if hashed.voter_id not in state.chain.voters and not state.pool.of_voter(hashed.voter_id):
                    state.pool.add(hashed)
                    returned.append(hashed)
        if returned:
            state.save_votes(returned)
        state.ready.log.append(
            f"switched branch at height {change.connected[0].height}: {len(change.disconnected)} blocks off, "
            f"{len(change.connected)} on, {len(returned)} votes wait again"
        )
        state.switches.append(
            Switch(
                time=now,
                fork=change.connected[0].height - 1,
                removed=len(change.disconnected),
                added=len(change.connected),
                old=change.disconnected[0].hash.hex(),
                new=change.connected[-1].hash.hex(),
                votes=len(returned),
            )
        )

    # -- it is passed on -------------------------------------------------------------------------

    def _pass_on(self, source: int, now: float) -> None:
        """Send our new tip, which came from a peer, to those that have not shown it and are not sent it."""
        covered = self.state.covered(source) | set(self.state.named_links().values())
        self._send_tip(self._behind().difference(covered, [source]))
        self._covered = (self.state.chain.tip, now + COVERED_SECONDS) if covered else None

    def _behind(self) -> set[int]:
        """Links to peers that have not shown a block with as much work as our tip."""
        work, peers = self.state.chain.tip.work, self.state.sync.peers.items()
        return {link for link, peer in peers if peer.best is None or peer.best.work < work}

    def tick(self, now: float) -> None:
        """Announce a tip that has stood for a while to peers that should have it, but have not shown it."""
        if self._covered is None or now < self._covered[1] <= now + COVERED_SECONDS:
            return
        (entry, _), self._covered = self._covered, None
        if entry is self.state.chain.tip:
            for link in sorted(self._behind()):
                self.state.send(link, Headers(headers=(entry.header.pack().hex(),), commit=_commit(entry)))

    def _send_tip(self, links: Iterable[int]) -> None:
        """The block that is our tip, its votes by short id: peers have most of them."""
        told, tip = sorted(links), self.state.chain.tip
        if not told:
            return
        ids = [hashed.id for hashed in self.tip_votes[1]]
        block = CompactBlock(
            header=tip.header.pack(),
            ids=b"",
            commit=_commit(tip),
            miner=tip.extras.miner,
            records=tuple(record.value for record in tip.extras.records),
            closing=tip.extras.closing,
        )
        for link in told:
            seed = self.state.sync.peers[link].peer_info.seed
            self.state.send(link, structs.replace(block, ids=b"".join(short_ids(ids, seed))))

    def drop_peer(self, link: int) -> None:
        self._partial.pop(link, None)

    # -- it is served ----------------------------------------------------------------------------

    def on_get_block_votes(self, link: int, message: GetBlockVotes, now: float) -> None:
        """From memory, or the whole block from the disk when it is not the latest any more."""
        positions = message.positions
        if any(map(ge, positions, positions[1:])):
            raise RemoteProtocolError("bad-message", "positions are asked for once, in ascending order")
        block_hash, votes = self.tip_votes
        if (proposed := self.proposed.block_of(bytes.fromhex(message.hash))) is not None:
            block_hash, votes = proposed.header.hash, proposed.votes
        if bytes.fromhex(message.hash) != block_hash:
            self._serve_block(link, message.hash)
        elif positions[-1] >= len(votes):
            raise RemoteProtocolError("bad-message", f"the block has {len(votes)} votes")
        else:
            self.state.ask(link, lambda: partial(_block_votes, message, votes), key=message)

    def on_get_headers(self, link: int, message: GetHeaders, now: float) -> None:
        locator = [bytes.fromhex(text) for text in message.locator]
        headers, last = self.state.chain.headers_after(locator, MAX_HEADERS)
        self.state.answer(link, headers_line(headers, message.id, last.commit if headers else b""))

    def on_get_blocks(self, link: int, message: GetBlocks, now: float) -> None:
        for text in dict.fromkeys(message.hashes):
            self._serve_block(link, text)

    def _serve_block(self, link: int, text: str) -> None:
        entry = self.state.chain.entries.get(bytes.fromhex(text))
        if (proposed := self.proposed.block_of(bytes.fromhex(text))) is not None:
            work = partial(_whole_block, proposed)
            self.state.ask(link, lambda: work, key=proposed.header.hash)
        elif entry is None or not entry.available or entry.height == 0:
            self.state.send(link, NoBlock(hash=text))
        else:
            self.state.ready.send_blocks.append((link, entry.hash))


def _commit(entry: BlockIndexEntry) -> Commit | None:
    return json.decode(entry.commit, type=Commit) if entry.commit else None


def _message_of(block: Block) -> BlockMessage:
    return BlockMessage(
        header=block.header.pack().hex(),
        votes=tuple(hashed.vote for hashed in block.votes),
        miner=block.extras.miner,
        records=tuple(record.value for record in block.extras.records),
        closing=block.extras.closing,
    )


def _whole_block(block: Block) -> Served:
    line = encode_message(_message_of(block))
    return Served(line, len(line) / BYTES_READ_IN_UNIT)


def _block_votes(asked: GetBlockVotes, votes: Sequence[HashedVote]) -> Served:
    return Served(block_votes_line(asked.hash, [votes[position].record for position in asked.positions]))


# -- in a thread: the arguments are copies, or do not change -----------------------------------------


def _check_block(
    assemble: Callable[[], Body], height: int, election: Election, signatures: SignatureCache
) -> Block | Rejected:
    """A block whose votes are all checked, or why they are not."""
    try:
        block, new = assemble()
    except Rejected as error:
        return error
    return checked_block(block, new, height, election, signatures)


def checked_block(
    block: Block, new: Sequence[HashedVote], height: int, election: Election, signatures: SignatureCache
) -> Block | Rejected:
    """The block, if its rules and the signatures of the votes hold that are `new` here; or why not."""
    try:
        check_miner(block, height, election)
        check_body(block, election, new)
    except Rejected as error:
        return error
    wrong = next((one for one in signatures.check(new, election) if one is not None), None)
    return wrong or block


def _assemble(
    header: Header, known: Sequence[HashedVote | None], missing: Sequence[Vote], extras: BlockExtras
) -> Body:
    """A compact block: of its votes only the missing ones are unchecked."""
    new = hash_votes(missing)
    rest = iter(new)
    votes = tuple([next(rest) if hashed is None else hashed for hashed in known])
    return Block(header, votes, extras), new


def _hash_block(header: Header, votes: Sequence[Vote], extras: BlockExtras, waited: Set[bytes]) -> Body:
    """A whole block. `waited`: ids of votes in the pool."""
    block = Block(header, tuple(hash_votes(votes)), extras)
    return block, [hashed for hashed in block.votes if hashed.id not in waited]
