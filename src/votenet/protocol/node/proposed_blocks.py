"""Blocks that named nodes propose on our tip: they are fetched, checked, and judged for the consensus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, WrongVotes, unpack_header
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.extras import BlockExtras, make_extras
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, Vote, hash_votes
from votenet.errors import Rejected
from votenet.protocol.consensus.outputs import CheckValue
from votenet.protocol.node.blocks import checked_block
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.events import SaveBlock
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.fields import split_ids
from votenet.protocol.wire.named_messages import Proposal
from votenet.protocol.wire.peer_messages import BlockMessage, BlockVotes, GetBlocks, GetBlockVotes

MAX_AHEAD: Final = 10
"""Seconds that the time of a proposed header may be ahead of our clock."""
MAX_OF_PROPOSER: Final = 4
"""Blocks of one height and one proposer that are kept in memory, beside those that we voted for."""
ASK_BLOCK_SECONDS: Final = 2.0
"""Time for an answer, until another node is asked for a proposed block."""
URGENT_VOTES: Final = 2_500
"""A check of so many signatures, a tenth of a second, goes before the votes that voters and peers send: all
nodes wait for this one. Where votes pour in, a proposer has some hundred that others are about to check."""
NO_PROPOSER: Final = -1
"""Of a block that was asked for by its hash, or is our own."""


@dataclass(slots=True)
class ProposedBlock:
    """A block that was proposed on our tip. `block`: once all of it is here and follows the rules."""

    entry: BlockIndexEntry
    extras: BlockExtras
    proposer: int = NO_PROPOSER
    known: list[HashedVote | None] = field(default_factory=list)
    missing: tuple[int, ...] = ()
    whole: bool = False
    """Every vote was asked for, none is taken from the pool by its short id."""
    block: Block | None = None
    refusal: Rejected | None = None
    checking: bool = False
    checked: bool = False
    """A check was begun. Another one waits for its turn: whoever proposed it may send it again and again."""
    saved: bool = False
    asked: tuple[int, float] | None = None
    """The link that was asked for what is missing, and when the answer is overdue."""


class ProposedBlocks:
    """The proposed blocks of one height, and what the consensus waits to be told of them."""

    def __init__(
        self,
        state: NodeState,
        closing: Closing,
        kept: Sequence[BlockIndexEntry],
        judged: Callable[[CheckValue, bool, float], None],
    ) -> None:
        """`kept`: of blocks that were good before this start. `judged` hears whether a value is good."""
        self._state, self._closing, self._judged = state, closing, judged
        self.by_hash = {entry.hash: _kept_block(state, entry) for entry in kept}
        self._checks: dict[bytes, list[CheckValue]] = {}
        """Values that the consensus waits to be told of."""
        self._sources: dict[bytes, set[int]] = {}
        """Links whose nodes have a value: they said something for it."""
        self._ask_unknown_at = 0.0

    def begin_height(self) -> None:
        """Forget all blocks that do not stand on the tip."""
        tip = self._state.chain.tip.hash
        on_tip = {
            h: proposed for h, proposed in self.by_hash.items() if proposed.entry.header.previous == tip
        }
        self.by_hash, self._checks, self._sources = on_tip, {}, {}

    def add_source(self, value: bytes, link: int) -> None:
        """The node at this link has said something for a value, so it has the block."""
        self._sources.setdefault(value, set()).add(link)

    def add_own(self, entry: BlockIndexEntry, block: Block) -> None:
        """Keep and save a block to propose.

        Raises:
            Rejected: it breaks a rule.
        """
        proposed = ProposedBlock(entry, block.extras)
        self._accept(proposed, block)
        self.by_hash[entry.hash] = proposed
        self._save(proposed)

    # -- blocks and votes arrive ---------------------------------------------------------------------

    def take_proposal(self, link: int, message: Proposal, now: float) -> None:
        """A proposed block, for the height after the tip. Its votes are looked up in the pool."""
        header, proposer = unpack_header(message.header), message.proposal.node
        if header.hash in self.by_hash:
            return
        self._make_room(proposer)
        extras = make_extras(message.miner, message.records, message.closing)
        proposed = self._add(link, header, extras, proposer)
        if proposed is None:
            return
        proposed.known = self._state.pool.by_short_ids(split_ids(message.ids))
        proposed.missing = tuple([at for at, hashed in enumerate(proposed.known) if hashed is None])
        if proposed.missing:
            self._fetch(proposed, now)
        else:
            self._start_check(link, proposed, ())

    def take_votes(self, link: int, message: BlockVotes, now: float) -> bool:
        """The missing votes of a proposed block. Returns whether it is one."""
        proposed = self.by_hash.get(bytes.fromhex(message.hash))
        if proposed is None:
            return False
        asked = proposed.asked is not None and proposed.asked[0] == link and not proposed.whole
        if asked and not proposed.checking and len(message.votes) == len(proposed.missing):
            self._start_check(link, proposed, message.votes)
        return True

    def take_block(self, link: int, header: Header, message: BlockMessage, now: float) -> bool:
        """A whole block. Returns whether it is one that was proposed on our tip, or asked for."""
        wanted = header.hash in self._checks or header.hash in self.by_hash
        has_it = link in self._sources.get(header.hash, ())
        if not wanted or not has_it or header.hash in self._state.chain.entries:
            return False
        extras = make_extras(message.miner, message.records, message.closing)
        proposed = self.by_hash.get(header.hash) or self._add(link, header, extras)
        if proposed is not None and not proposed.checking and proposed.block is None:
            proposed.extras, proposed.refusal = extras, None
            proposed.known = [None] * len(message.votes)
            proposed.whole = True
            self._start_check(link, proposed, message.votes)
        return True

    def block_of(self, block_hash: bytes) -> Block | None:
        proposed = self.by_hash.get(block_hash)
        return None if proposed is None else proposed.block

    def _add(
        self, link: int, header: Header, extras: BlockExtras, proposer: int = NO_PROPOSER
    ) -> ProposedBlock | None:
        if header.previous != self._state.chain.tip.hash:
            return None
        try:
            entry = self._state.chain.candidate(header)
        except Rejected as error:
            self._state.ready.log.append(f"a proposed block is refused: {error.message}")
            return None
        proposed = self.by_hash[header.hash] = ProposedBlock(entry, extras, proposer)
        self.add_source(header.hash, link)
        return proposed

    def _make_room(self, proposer: int) -> None:
        """Forget the first of too many blocks of one proposer: should a quorum be for it, it is asked for."""
        held = [
            block_hash
            for block_hash, proposed in self.by_hash.items()
            if proposed.proposer == proposer and not proposed.saved and block_hash not in self._checks
        ]
        if len(held) >= MAX_OF_PROPOSER:
            del self.by_hash[held[0]]

    # -- what is missing is asked for ----------------------------------------------------------------

    def ask_missing(self, now: float) -> None:
        """Ask again for blocks and votes that did not come."""
        for proposed in list(self.by_hash.values()):
            self._fetch(proposed, now)
        if now >= self._ask_unknown_at:
            self._ask_unknown_at = now + ASK_BLOCK_SECONDS
            for value in self._checks.keys() - self.by_hash.keys():
                self._ask_unknown(value)

    def _fetch(self, proposed: ProposedBlock, now: float) -> None:
        """Ask a node that has it for what is missing of a block, one after the other."""
        lacking = proposed.whole or proposed.missing
        if proposed.block or proposed.refusal or proposed.checking or not lacking:
            return
        if proposed.asked is not None and now < proposed.asked[1]:
            return
        block_hash = proposed.entry.hash
        links = self._links_with(block_hash)
        if not links:
            return
        before = proposed.asked[0] if proposed.asked is not None else -1
        link = next((link for link in links if link > before), links[0])
        proposed.asked = link, now + ASK_BLOCK_SECONDS
        if proposed.whole:
            self._state.send(link, GetBlocks(hashes=(block_hash.hex(),)))
        else:
            self._state.send(link, GetBlockVotes(hash=block_hash.hex(), positions=proposed.missing))

    def _ask_unknown(self, value: bytes) -> None:
        """Only statements about this block have come: ask all that have it, until one sends it."""
        for link in self._links_with(value)[: self._state.election.faults + 1]:
            self._state.send(link, GetBlocks(hashes=(value.hex(),)))

    def _links_with(self, value: bytes) -> list[int]:
        return sorted(self._sources.get(value, set()) & self._state.sync.peers.keys())

    # -- a block is checked and judged ---------------------------------------------------------------

    def judge(self, check: CheckValue, now: float) -> None:
        """Tell `judged` whether a value is good, as soon as that is known."""
        self._checks.setdefault(check.value, []).append(check)
        self._judge(check.value, now)

    def _start_check(self, link: int, proposed: ProposedBlock, came: Sequence[Vote]) -> None:
        urgent = not proposed.checked and self._is_short(proposed, came)
        proposed.checking = proposed.checked = True

        def done(result: object, later: float) -> None:
            proposed.checking = False
            try:
                if isinstance(result, Rejected):
                    raise result
                assert isinstance(result, Block)
                self._accept(proposed, result)
            except Rejected as error:
                self._reject(link, proposed, error, later)
            self._judge(proposed.entry.hash, later)

        state = self._state
        run = partial(
            check_proposed,
            proposed.entry,
            proposed.extras,
            proposed.known,
            came,
            state.election,
            state.signatures,
        )
        state.start_job(link, run, done, urgent=urgent)

    def _is_short(self, proposed: ProposedBlock, came: Sequence[Vote]) -> bool:
        """Whether a check takes a moment: 1 us a vote, and 40 for the signature of each that is new here."""
        if self._state.election.secret is None:
            return len(came) <= URGENT_VOTES
        # The proofs of a ballot take milliseconds; ballots among the records may be new here, too.
        return not came and all(one.kind != "not-counted" for one in proposed.extras.records)

    def _accept(self, proposed: ProposedBlock, block: Block) -> None:
        """Raises Rejected."""
        chain = self._state.chain
        if proposed.entry.header.previous != chain.tip.hash:
            return
        if not chain.voters.keys().isdisjoint([hashed.vote.voter_id for hashed in block.votes]):
            raise Rejected("voter-twice", "a voter has voted earlier on this chain")
        self._closing.check(proposed.entry, block.votes, block.extras)
        proposed.block, proposed.entry.extras = block, block.extras
        proposed.known = []

    def _reject(self, link: int, proposed: ProposedBlock, refusal: Rejected, now: float) -> None:
        # The header covers neither the miner's signature nor the ids beside closing lists, and two votes may
        # share a short id: then another node may send the right block. Else a liar could show each node a
        # different one, and a node could not follow those that are locked on it.
        if isinstance(refusal, WrongVotes) or refusal.code == "bad-closing":
            sources = self._sources.get(proposed.entry.hash, set())
            if proposed.whole:
                sources.discard(link)
            proposed.whole, proposed.asked = True, None
            if sources:
                self._fetch(proposed, now)
                return
        proposed.refusal = refusal
        self._state.ready.log.append(f"a proposed block is refused: {refusal.message}")

    def _judge(self, value: bytes, now: float) -> None:
        """Answer the questions about a block, once it can be judged."""
        checks = self._checks.get(value)
        if not checks:
            return
        proposed = self.by_hash.get(value)
        if proposed is None:
            self._ask_unknown(value)
            return
        if proposed.whole and proposed.refusal is not None and self._sources.get(value):
            proposed.refusal = None  # another node has it
        if proposed.block is None and proposed.refusal is None:
            self._fetch(proposed, now)
            return
        del self._checks[value]
        for check in checks:
            good = proposed.block is not None and (check.proven or self._is_timely(proposed, now))
            if good:
                self._save(proposed)
            self._judged(check, good, now)

    def _is_timely(self, proposed: ProposedBlock, now: float) -> bool:
        assert proposed.block is not None
        return proposed.entry.header.time <= now + MAX_AHEAD and self._closing.is_timely(proposed.block, now)

    def _save(self, proposed: ProposedBlock) -> None:
        """On the disk before we vote for it: after a crash we can propose again what we locked."""
        if proposed.saved or proposed.block is None:
            return
        proposed.saved = True
        self._state.unsaved[proposed.entry.hash] = proposed.block.votes
        self._state.ready.save.append(SaveBlock(proposed.entry, proposed.block.votes))


def _kept_block(state: NodeState, entry: BlockIndexEntry) -> ProposedBlock:
    """A block that was good before this start: its votes are read from the disk."""
    block = Block(entry.header, tuple(state.source.votes_of(entry.hash)), entry.extras)
    return ProposedBlock(entry, entry.extras, block=block, saved=True)


# -- in a thread: the arguments are copies, or do not change -----------------------------------------


def check_proposed(
    entry: BlockIndexEntry,
    extras: BlockExtras,
    known: Sequence[HashedVote | None],
    came: Sequence[Vote],
    election: Election,
    signatures: SignatureCache,
) -> Block | Rejected:
    """A proposed block whose rules and signatures hold, or why they do not."""
    new = hash_votes(came)
    rest = iter(new)
    votes = tuple([next(rest) if hashed is None else hashed for hashed in known])
    return checked_block(Block(entry.header, votes, extras), new, entry.height, election, signatures)
