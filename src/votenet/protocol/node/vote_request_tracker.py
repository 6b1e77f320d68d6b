"""Votes that peers have announced and that we lack: which is asked of which peer, and of which one next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from votenet.core.ledger.mempool import ENOUGH_ROOM
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.peer_messages import MAX_VOTES_IN_LINE, GetVotes

ASK_SECONDS: Final = 5.0
"""A vote that was asked of one peer is not asked of another for this long."""
MAX_ASKED: Final = 100_000
MAX_ASKED_OF_PEER: Final = 50_000
"""Votes asked for at one time, in all and of one peer: 20 MB of memory. The others come with their blocks."""


@dataclass(slots=True)
class _Asked:
    """A vote that is asked of `link`. `handle`: its short id there; `others` are asked after it."""

    link: int
    handle: bytes
    others: dict[int, bytes] = field(default_factory=dict)
    due: float = 0.0


class VoteRequestTracker:
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
        """These votes have come from some peer or client."""
        for short in self._asked.keys() & shorts if self._asked else ():
            asked = self._asked.pop(short)
            self._owed[asked.link] -= 1
            if not self._owed[asked.link]:
                del self._owed[asked.link]

    def tick(self, now: float) -> None:
        """Ask for what did not come in time: the next peer that has announced it."""
        overdue = takewhile(lambda item: item[1].due <= now, self._asked.items())
        self._ask_others(list(overdue), now)

    def drop_peer(self, link: int, now: float) -> None:
        """Ask other peers at once for the votes that this peer was asked for."""
        self._ask_others([item for item in self._asked.items() if item[1].link == link], now)

    def _ask_others(self, failed: list[tuple[bytes, _Asked]], now: float) -> None:
        wanted = []
        for short, asked in failed:
            self.came([short])
            link = next((link for link in asked.others if link in self._state.sync.peers), None)
            if link is not None:
                wanted.append((short, _Asked(link, asked.others.pop(link), asked.others)))
        self._send(wanted, now)

    def _send(self, wanted: list[tuple[bytes, _Asked]], now: float) -> None:
        handles: dict[int, list[bytes]] = {}
        has_room: dict[int, bool] = {}
        for short, asked in wanted:
            if len(self._asked) >= MAX_ASKED or self._owed[asked.link] >= MAX_ASKED_OF_PEER:
                continue
            asked.due = now + ASK_SECONDS
            self._asked[short] = asked
            self._owed[asked.link] += 1
            if asked.link not in has_room:
                has_room[asked.link] = self._has_room(asked.link)
            if has_room[asked.link]:
                handles.setdefault(asked.link, []).append(asked.handle)
            else:  # perhaps the next time
                asked.others[asked.link] = asked.handle
        for link, ids_there in handles.items():
            for start in range(0, len(ids_there), MAX_VOTES_IN_LINE):
                ids = b"".join(ids_there[start : start + MAX_VOTES_IN_LINE])
                self._state.send(link, GetVotes(ids=ids, id=self._state.next_id()))

    def _has_room(self, link: int) -> bool:
        return self._state.pool.room(self._state.facts.origin(link)) >= ENOUGH_ROOM
