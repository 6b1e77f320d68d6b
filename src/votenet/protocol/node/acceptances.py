"""Acceptances of named nodes: signed for saved votes, exchanged, handed to the voters.

The node that took a vote of a client who asks for acceptances passes the vote on with that question. Each
named node signs once for all votes of one asker that were saved since its last signature, at most every
GROUP_SECONDS, and tells the asker. That one waits a moment for the signatures and gives all of them to its
client. When closing is near, each named node also signs for every vote, and tells all other named nodes: they
may have to prove that a vote came in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from votenet.core.ledger.mempool import SHORT_ID, short_ids
from votenet.core.ledger.statement import AcceptanceStatement
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import Acceptance, AcceptedGroup, accept_group, check_group, next_time
from votenet.errors import Rejected
from votenet.protocol.node.blocks import OURSELVES
from votenet.protocol.node.events import SaveAccepted
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.fields import split_ids
from votenet.protocol.wire.named_messages import AcceptedMessage

GROUP_SECONDS: Final = 0.05
"""Between two signatures of a node: twenty a second cost about a thousandth of a core."""
WAIT_SECONDS: Final = 0.5
"""A client waits for the acceptances of other nodes at most so long."""
NEAR_SECONDS: Final = 600
"""So long before closing every vote is signed for. Clocks of nodes may differ by some minutes."""
RECENT_SECONDS: Final = 3.0
"""Votes whose short ids are remembered: acceptances of other nodes come after the votes. A vote that is asked
for may come that much later."""
MAX_EARLY_GROUPS: Final = 32
"""Acceptances of one other node that wait for votes which are still on their way here."""
ALL: Final = -1
"""For a link: all named nodes that we are joined to."""
MAX_EARLY_IDS: Final = 20_000
"""Votes in them, and votes that are asked for before they are here."""


@dataclass(slots=True)
class _Waiting:
    """An answer to a client that waits for acceptances of these votes."""

    due: float
    answer: Callable[[dict[bytes, list[Acceptance]]], None]
    found: dict[bytes, dict[int, Acceptance]]


@dataclass(slots=True)
class _Recent:
    """Ids of votes for which acceptances of others may come, by our own short ids."""

    ids: dict[bytes, bytes] = field(default_factory=dict)
    batches: deque[tuple[float, list[bytes]]] = field(default_factory=deque)

    def add(self, shorts: list[bytes], vote_ids: Sequence[bytes], now: float) -> None:
        self.ids.update(zip(shorts, vote_ids, strict=True))
        self.batches.append((now, shorts))

    def trim(self, now: float) -> None:
        while self.batches and not now - RECENT_SECONDS < self.batches[0][0] <= now:
            for short in self.batches.popleft()[1]:
                self.ids.pop(short, None)


class Acceptances:
    """Those of one node. A relay signs none, and takes none."""

    def __init__(self, state: NodeState, last: int) -> None:
        """`last`: the time of our latest acceptance, Unix seconds, as it was saved."""
        self.state, self._last = state, last
        self.closed = False
        """Our closing list is signed: nothing is accepted after it."""
        self.keep = False
        """Closing is near: acceptances are kept for votes that wait, so that they can be handed on."""
        self._kept: dict[bytes, dict[int, tuple[AcceptedGroup, int]]] = {}
        """Who has signed for a vote, by its id and the named node."""
        self._fresh: dict[int, list[bytes]] = {}
        """Ids of saved votes that are not yet signed for, by who is told: a link, OURSELVES, or ALL."""
        self._asked: dict[bytes, set[int]] = {}
        """Links that asked for acceptances of votes that are not saved yet, by the ids of these."""
        self._asked_until: deque[tuple[float, list[bytes]]] = deque()
        self._signed_at = 0.0
        self._recent = _Recent()
        self._waiting: dict[bytes, list[_Waiting]] = {}
        """Answers that wait, by the ids of their votes."""
        self._queue: deque[_Waiting] = deque()
        self._early: dict[int, list[tuple[float, AcceptedMessage]]] = {}
        """Until when each waits, by named node."""

    # -- our own -----------------------------------------------------------------------------------

    def ask(self, link: int, node: int, votes: Sequence[HashedVote], now: float) -> None:
        """A named node wants acceptances of these votes, now or when they are saved."""
        if self.state.index is None or self.state.named_links().get(node) != link:
            return
        here = self.state.pool.of_voters(vote.voter_id for vote in votes)
        saved = {vote.id for vote in here}
        self._sign_later(link, [vote.id for vote in votes if vote.id in saved])
        later = [vote.id for vote in votes if vote.id not in saved]
        if later and len(self._asked) + len(later) <= MAX_EARLY_IDS:
            self._asked_until.append((now + RECENT_SECONDS, later))
            for vote_id in later:
                self._asked.setdefault(vote_id, set()).add(link)

    def saved(self, vote_ids: Sequence[bytes], now: float) -> None:
        """These votes are saved with this batch."""
        if self.state.index is None or not vote_ids:
            return
        if self._is_near(now):
            self._sign_later(ALL, vote_ids)
            self._recent.add(short_ids(vote_ids, self.state.pool.seed), vote_ids, now)
        for vote_id in vote_ids if self._asked else ():
            for link in self._asked.pop(vote_id, ()):
                self._sign_later(link, [vote_id])

    def _is_near(self, now: float) -> bool:
        closes = self.state.election.closes
        return closes is not None and now > closes - NEAR_SECONDS

    def _sign_later(self, who: int, vote_ids: Sequence[bytes]) -> None:
        if vote_ids:
            self._fresh.setdefault(who, []).extend(vote_ids)

    def wait(
        self, vote_ids: Sequence[bytes], answer: Callable[[dict[bytes, list[Acceptance]]], None], now: float
    ) -> None:
        """Call `answer` with the acceptances of these votes, when all named nodes that we are joined to have
        sent theirs, or after WAIT_SECONDS. The votes are saved with this batch, or were before.

        An id that is there twice counts once.
        """
        vote_ids = list(dict.fromkeys(vote_ids))
        self._sign_later(OURSELVES, vote_ids)
        self._recent.add(short_ids(vote_ids, self.state.pool.seed), vote_ids, now)
        waiting = _Waiting(now + WAIT_SECONDS, answer, {vote_id: {} for vote_id in vote_ids})
        self._queue.append(waiting)
        for vote_id in vote_ids:
            self._waiting.setdefault(vote_id, []).append(waiting)

    def refresh(self, now: float) -> None:
        """At the end of a batch: sign what was saved; answer what is complete or has waited enough."""
        if self._fresh and not self._signed_at <= now < self._signed_at + GROUP_SECONDS:
            self._sign(now)
        for node, early in list(self._early.items()):
            self._early[node] = [one for one in early if one[0] > now and not self._try(one[1])]
        self._recent.trim(now)
        while self._asked_until and not now < self._asked_until[0][0] <= now + RECENT_SECONDS:
            for vote_id in self._asked_until.popleft()[1]:
                self._asked.pop(vote_id, None)
        expected = 1 + len(self.state.named_links()) if self._queue else 0
        for waiting in list(self._queue):
            if now >= waiting.due or all(len(found) >= expected for found in waiting.found.values()):
                self._answer(waiting)

    @property
    def deadline(self) -> float | None:
        """When `refresh` is due."""
        dues = [self._signed_at + GROUP_SECONDS] if self._fresh else []
        return min([*dues, *(waiting.due for waiting in self._queue)], default=None)

    def _sign(self, now: float) -> None:
        groups, self._fresh, self._signed_at = self._fresh, {}, now
        if self.closed:
            return
        self._last = next_time(int(now), self._last)
        self.state.ready.save.append(SaveAccepted(self._last))
        links = self.state.named_links().values()
        for who, vote_ids in groups.items():
            # Each vote once: it may have been asked for in several lines since the last signature.
            group = self._group(list(dict.fromkeys(vote_ids)))
            if who in (OURSELVES, ALL):
                self._note(group)
            for link in links:
                if who in (link, ALL):
                    self._tell(link, group)

    def _group(self, vote_ids: Sequence[bytes]) -> AcceptedGroup:
        keys, index = self.state.info.keys, self.state.index
        assert keys is not None
        assert index is not None
        network = self.state.election.network_hex
        return accept_group(
            keys.statement, network_hex=network, node=index, time=self._last, vote_ids=vote_ids
        )

    def _tell(self, link: int, group: AcceptedGroup) -> None:
        made, seed = group.statement, self.state.sync.peers[link].peer_info.seed
        message = AcceptedMessage(
            node=made.node,
            time=made.time,
            root=made.root,
            signature=group.signature,
            ids=b"".join(short_ids(group.vote_ids, seed)),
        )
        self.state.send(link, message)

    # -- of others ---------------------------------------------------------------------------------

    def on_accepted(self, link: int, message: AcceptedMessage, now: float) -> None:
        """A named node has saved votes. Those that are not here yet are waited for."""
        if self.state.index is None or not (self._queue or self.keep):
            return
        if self.state.named_links().get(message.node) != link:
            raise Rejected("bad-statement", "a named node tells of its own acceptances alone")
        early = self._early.setdefault(message.node, [])
        ids = sum([len(waiting.ids) for _, waiting in early]) + len(message.ids)
        if not self._try(message) and len(early) < MAX_EARLY_GROUPS and ids <= SHORT_ID * MAX_EARLY_IDS:
            early.append((now + WAIT_SECONDS, message))

    def _try(self, message: AcceptedMessage) -> bool:
        """Take a group if all its votes are known. Returns whether it is of no use later."""
        ids = [self._recent.ids.get(short) for short in split_ids(message.ids)]
        vote_ids = [vote_id for vote_id in ids if vote_id is not None]
        if len(vote_ids) < len(ids):
            return False
        if not self.keep and self._waiting.keys().isdisjoint(vote_ids):
            return True
        election = self.state.election
        statement = AcceptanceStatement(
            count=len(vote_ids),
            network_id=election.network_hex,
            node=message.node,
            root=message.root,
            time=message.time,
        )
        keys = election.statement_keys
        try:
            self._note(check_group(statement, message.signature, vote_ids, election.network_hex, keys))
        except Rejected as error:
            self.state.ready.log.append(f"an acceptance is refused: {error.message}")
        return True

    def of(self, vote_id: bytes) -> dict[int, tuple[AcceptedGroup, int]]:
        """The kept acceptances of a vote by named node: the group, and the vote's place in it."""
        return self._kept.get(vote_id, {})

    def _trim_kept(self) -> None:
        """Forget acceptances of votes that no longer wait."""
        if len(self._kept) > 2 * len(self.state.pool) + 1000:
            waiting = {hashed.id for hashed in self.state.pool}
            self._kept = {vote_id: kept for vote_id, kept in self._kept.items() if vote_id in waiting}

    def _note(self, group: AcceptedGroup) -> None:
        node = group.statement.node
        if self.keep:
            for index, vote_id in enumerate(group.vote_ids):
                self._kept.setdefault(vote_id, {})[node] = group, index
            self._trim_kept()
        for index, vote_id in enumerate(group.vote_ids if self._waiting else ()):
            for waiting in self._waiting.get(vote_id, ()):
                waiting.found[vote_id][group.statement.node] = group.acceptance(index)

    def _answer(self, waiting: _Waiting) -> None:
        self._queue.remove(waiting)
        for vote_id in waiting.found:
            others = self._waiting[vote_id]
            others.remove(waiting)
            if not others:
                del self._waiting[vote_id]
        by_node = {vote_id: sorted(found.items()) for vote_id, found in waiting.found.items()}
        waiting.answer({vote_id: [made for _, made in found] for vote_id, found in by_node.items()})
