"""Votes that peers have announced and that we lack: which is asked of whom, and of whom next.

What lives here: VoteRequests. What must not: what is here already, and votes that have come
(`vote_relay.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from votenet.core.mempool import ENOUGH_ROOM
from votenet.protocol.messages import MAX_VOTES_IN_LINE, GetVotes
from votenet.protocol.state import NodeState

ASK_SECONDS: Final = 5.0
"""A vote that was asked of one peer is not asked of another for this long."""
MAX_ASKED: Final = 100_000
MAX_ASKED_OF_PEER: Final = 50_000
"""Votes asked for at one time, and those of one peer, which alone cannot use up the room: 20 MB of memory.
What is over it comes with its block."""


@dataclass(slots=True)
class _Asked:
    """A vote that is asked for at `link`. `handle`: its short id there; `others` are asked after it."""

    link: int
    handle: bytes
    others: dict[int, bytes] = field(default_factory=dict)
    due: float = 0.0


class VoteRequests:
    """By short id with our own seed; every vote is asked of one peer at a time."""

    def __init__(self, state: NodeState) -> None:
        self._state = state
        self._asked: dict[bytes, _Asked] = {}
        """In the order in which they are due."""
        self._owed: Counter[int] = Counter()
        """How many of these each link owes."""

    def ask(self, link: int, announced: Iterable[tuple[bytes, bytes]], now: float) -> None:
        """A peer has votes that are not here: their short ids with our seed, and with its own."""
        wanted = []
        for short, handle in announced:
            asked = self._asked.get(short)
            if asked is None:
                wanted.append((short, _Asked(link, handle)))
            elif asked.link != link:
                asked.others[link] = handle
        self._send(wanted, now)

    def came(self, shorts: Iterable[bytes]) -> None:
        """These votes are here, from whomever."""
        for short in self._asked.keys() & shorts if self._asked else ():
            asked = self._asked.pop(short)
            self._owed[asked.link] -= 1
            if not self._owed[asked.link]:
                del self._owed[asked.link]

    def tick(self, now: float) -> None:
        """What did not come in time is asked of the next peer that has announced it."""
        overdue = takewhile(lambda found: found[1].due <= now, self._asked.items())
        self._ask_others(list(overdue), now)

    def drop_peer(self, link: int, now: float) -> None:
        """What was asked of it is asked of others at once."""
        self._ask_others([found for found in self._asked.items() if found[1].link == link], now)

    def _ask_others(self, failed: list[tuple[bytes, _Asked]], now: float) -> None:
        wanted = []
        for short, asked in failed:
            self.came([short])
            holder = next((link for link in asked.others if link in self._state.sync.peers), None)
            if holder is not None:
                wanted.append((short, _Asked(holder, asked.others.pop(holder), asked.others)))
        self._send(wanted, now)

    def _send(self, wanted: list[tuple[bytes, _Asked]], now: float) -> None:
        handles: dict[int, list[bytes]] = {}
        has_room: dict[int, bool] = {}
        for short, asked in wanted:
            if len(self._asked) >= MAX_ASKED or self._owed[asked.link] >= MAX_ASKED_OF_PEER:
                continue  # it comes with its block
            asked.due = now + ASK_SECONDS
            self._asked[short] = asked
            self._owed[asked.link] += 1
            if asked.link not in has_room:
                has_room[asked.link] = self._has_room(asked.link)
            if has_room[asked.link]:
                handles.setdefault(asked.link, []).append(asked.handle)
            else:  # perhaps the next time
                asked.others[asked.link] = asked.handle
        for link, found in handles.items():
            for start in range(0, len(found), MAX_VOTES_IN_LINE):
                ids = b"".join(found[start : start + MAX_VOTES_IN_LINE])
                self._state.send(link, GetVotes(ids=ids, id=self._state.next_id()))

    def _has_room(self, link: int) -> bool:
        return self._state.pool.room(self._state.origin_of(link)) >= ENOUGH_ROOM
