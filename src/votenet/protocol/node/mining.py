"""When to mine and what: the template of the next block. The nonce is searched by `network/node/miner.py`.

A node mines while votes wait. Nodes take turns: for every tip they are ranked by a hash of the tip and their
keys. The first searches at once, each next one a turn later if the block is still not found. Fewer searches
at one time find fewer blocks twice, and share no cores where nodes run on one machine. No rule depends on it:
a block out of turn is valid.

Without waiting votes there is one reason to mine. Two blocks found at once leave two branches with equal
work, each node on the one it saw first, until the next vote. So the side whose tip has the smaller hash mines
one block, empty if need be, and the other side a little later.

The nonce comes back as an event, and its block is checked like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import takewhile
from typing import Final

from votenet.core.ledger.block import Block, Header, order_votes, votes_root
from votenet.core.limits import BLOCK_VERSION, MAX_BLOCK_BYTES, MAX_CLOCK_AHEAD
from votenet.errors import Rejected
from votenet.protocol.node.blocks import BlockRelay
from votenet.protocol.node.events import Mined, Template
from votenet.protocol.node.state import NodeState
from votenet.protocol.node.sync import SYNC_ANSWER_SECONDS

TEMPLATE_SECONDS: Final = 0.25
"""While a nonce is searched, votes that arrive join the block at this interval: a search has no memory, so
a fresh template loses nothing but the time to build it."""
TEMPLATE_SECONDS_PER_VOTE: Final = 50e-6
"""By how much a vote makes the interval longer: building costs about a hundredth of this."""
TURN_SECONDS_PER_VOTE: Final = 500e-6
"""By how much a waiting vote, as many as a block takes, makes a turn longer: nodes of one busy machine need
a second to check and pass on a block of 20,000, and two found at once cost all of them that twice."""
MAX_RANK: Final = 3
"""Turns that a node waits at most: keys that are made up, and say that they mine, could stop it otherwise."""
TIE_PAUSE: Final = 0.1
"""Seconds a tie must last before it is broken: a deciding block may be on its way."""
TIE_PATIENCE: Final = 3.0
"""Seconds after which the other side of a tie mines, too: the first may have no miner."""
MAX_DOUBLINGS: Final = 12
"""Each block without votes in a row, up to our tip, doubles both times: a tie is seldom followed by another.
Made-up ties, each at the work of one header, would otherwise have us mine block after block, which raises
the difficulty for all. With this the second waits a fifth of a second, the tenth a minute."""
NO_VOTES: Final = votes_root(())
"""The Merkle root of a block that only broke a tie."""


class Mining:
    """The template of one node."""

    def __init__(self, state: NodeState, blocks: BlockRelay) -> None:
        self.state, self._blocks = state, blocks
        self._limit = state.election.definition.chain.max_block_votes
        self.template: Template | None = None
        """What is being mined now."""
        self._earlier: Template | None = None
        """The one before, whose search may still be under way: its nonce is as good."""
        self._template_time = 0.0
        self._spent: set[Header] = set()
        """Headers on this tip of which every nonce was tried in vain."""
        self._judging = False
        """Our own block is being checked: another search on the old tip would be in vain."""
        self._tip: tuple[bytes, float] | None = None
        """The tip, and since when."""
        self._waiting_since: tuple[bytes, float] | None = None
        """The tip on which votes wait, and since when."""
        self._tie: tuple[bytes, float, int] | None = None
        """The tip that is tied, since when, and how many times longer than usual we wait."""

    def refresh(self, now: float) -> None:
        """Start, renew or stop the search, as tip and pool ask for it."""
        state, current = self.state, self.template
        # 1. Is there a reason to mine, and nothing against it?
        wanted = self._is_our_turn(now) or self._must_break_tie(now)
        if not wanted or self._judging or not state.info.mining or not self._may_mine(now):
            if current is not None:
                self._stop()
            return
        # 2. A search on this tip goes on, until enough votes have come for a fresh template.
        if current is not None and current.header.previous == state.chain.tip.hash:
            grown = len(current.votes) < min(len(state.pool), self._limit)
            if not grown or now - self._template_time < template_seconds(len(current.votes)):
                return
        self._build(now)

    # -- whether to mine -------------------------------------------------------------------------

    def _is_our_turn(self, now: float) -> bool:
        """Votes wait, and the nodes that go before us have had their time."""
        if not len(self.state.pool):
            self._waiting_since = None
            return False
        tip = self.state.chain.tip.hash
        if self._waiting_since is None or self._waiting_since[0] != tip:
            self._waiting_since = (tip, now)
        votes = min(len(self.state.pool), self._limit)
        turn = self.state.election.definition.chain.block_seconds + votes * TURN_SECONDS_PER_VOTE
        return now - self._waiting_since[1] >= self._rank(tip) * turn

    def _rank(self, tip: bytes) -> int:
        """How many miners among our peers go before us on this tip, MAX_RANK at most."""
        ours = _draw(tip, self.state.info.node_key)
        others = (peer.peer_info for peer in self.state.sync.peers.values())
        ahead = sum(1 for other in others if other.mines and _draw(tip, other.node_key) < ours)
        return min(ahead, MAX_RANK)

    def _must_break_tie(self, now: float) -> bool:
        tip, tied_tips = self.state.chain.tip, self.state.chain.tied_tips()
        if not tied_tips:
            self._tie = None
            return False
        if self._tie is None or self._tie[0] != tip.hash:
            self._tie = (tip.hash, now, 2 ** self._blocks_without_votes())
        _, since, times = self._tie
        ours = tip.hash < min(tied.hash for tied in tied_tips)
        return now - since >= times * (TIE_PAUSE if ours else TIE_PATIENCE)

    def _blocks_without_votes(self) -> int:
        """In a row, up to our tip: ties that were broken in vain. MAX_DOUBLINGS at most."""
        latest = self.state.chain.best[: -MAX_DOUBLINGS - 1 : -1]
        empty = takewhile(lambda entry: entry.header.merkle_root == NO_VOTES and entry.height, latest)
        return len(list(empty))

    def _may_mine(self, now: float) -> bool:
        """Not while better blocks are on their way; but promises of them stop us for a while only."""
        tip = self.state.chain.tip.hash
        if self._tip is None or self._tip[0] != tip:
            self._tip = (tip, now)
        return self.state.sync.caught_up or now - self._tip[1] >= SYNC_ANSWER_SECONDS

    # -- what to mine ----------------------------------------------------------------------------

    def _build(self, now: float) -> None:
        """A template whose 2**32 nonces were not tried here: another time, or else another Merkle root."""
        state, tip = self.state, self.state.chain.tip
        self._spent = {header for header in self._spent if header.previous == tip.hash}
        votes = order_votes(state.pool.first(self._limit, MAX_BLOCK_BYTES))
        while True:
            base = Header(BLOCK_VERSION, tip.hash, votes_root(votes), 0, state.chain.next_bits(tip), 0)
            fresh = (base._replace(time=time) for time in self._block_times(now))
            header = next((header for header in fresh if header not in self._spent), None)
            if header is not None or not votes:
                break
            votes = votes[:-1]
        if header is None:
            self._stop()  # two hours of headers without a nonce: wait for another second
            return
        self._earlier, self.template = self.template, Template(state.next_id(), header, votes)
        self._template_time = now
        state.ready.mining_changed, state.ready.template = True, self.template

    def _block_times(self, now: float) -> Iterator[int]:
        """Times that a block may have now, the best first: the clock's, later ones, then earlier ones.

        Votes that came before the closing time count, though their block is found after it.
        """
        definition, tip = self.state.election.definition, self.state.chain.tip
        earliest = max(self.state.chain.earliest_time(tip), definition.opens or 0)
        latest = max(int(now) + MAX_CLOCK_AHEAD // 2, earliest)
        if definition.closes is not None and not self.state.election.named:
            latest = max(min(latest, definition.closes - 1), earliest)
        best = min(max(int(now), earliest), latest)
        yield from range(best, latest + 1)
        yield from range(best - 1, earliest - 1, -1)

    def _stop(self) -> None:
        self.template = self._earlier = None
        self.state.ready.mining_changed, self.state.ready.template = True, None

    # -- a nonce comes back ----------------------------------------------------------------------

    def on_mined(self, event: Mined, now: float) -> None:
        """A nonce, or the news that none of 2**32 fits."""
        current = self.template
        template = next((t for t in (current, self._earlier) if t and t.id == event.template), None)
        if current is None or template is None or template.header.previous != self.state.chain.tip.hash:
            return  # a block came in meanwhile
        if event.nonce is None:
            self._spent.add(template.header)
            if template is current:
                self._build(now)
            return
        header = template.header._replace(nonce=event.nonce)
        self._stop()
        self._judging = True
        try:
            self._blocks.submit_mined_block(Block(header, template.votes), now, self._judged)
        except Rejected as error:  # our own clock or kernel is wrong: say so, build another
            self._judged(error)

    def _judged(self, refusal: Rejected | None) -> None:
        self._judging = False
        if refusal is not None:
            self.state.ready.log.append(f"our own block was refused: {refusal.message}")


def template_seconds(votes: int) -> float:
    """How long a template of so many votes is searched before it is made anew, if more have come."""
    return TEMPLATE_SECONDS + votes * TEMPLATE_SECONDS_PER_VOTE


@lru_cache(maxsize=1024)
def _draw(tip: bytes, node_key: str) -> bytes:
    """By which nodes are ranked on a tip."""
    return hashlib.sha256(tip + bytes.fromhex(node_key)).digest()
