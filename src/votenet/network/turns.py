"""Requests of many links take turns: who sends thousands ahead, or opens sixty links, holds up nobody.

What lives here: Session (what one link still waits for), Turns. What must not: what becomes of a request.

A turn takes from each link a fair share of the batch, of each lane (an address) one link after another. Of
one link that is either changes or a single question: a question follows the changes before it, and its answer
may be so long that the link must read it before it goes on.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from votenet.errors import RemoteProtocolError
from votenet.network.transport import Link
from votenet.protocol.bootstrap import Call

Item = Call | RemoteProtocolError
"""What a line was: a request, or why it ends the link (the error is answered in its turn)."""


def changes(item: Item) -> TypeGuard[Call]:
    return isinstance(item, Call) and item.request.writes


@dataclass(slots=True, eq=False)
class Session:
    """One connection. While `blocked` it gets no turn, so that answers keep their order."""

    link: Link
    heard: float = 0.0  # monotonic seconds: its last line
    blocked: bool = False
    last_taken: bool = False  # the chapter's conversation: one line; what follows is never looked at
    waiting: deque[Item] = field(default_factory=deque)
    queued: bool = False
    lane: str = ""
    """With whom it shares its turns; empty for nobody."""


class Turns:
    """`waiting` is the number of all requests that wait, those of blocked links included."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[Session]] = OrderedDict()
        self._queued = 0
        self.waiting = 0

    def __bool__(self) -> bool:
        """Whether a link may have a turn now."""
        return bool(self._lanes)

    def add(self, session: Session, item: Item) -> None:
        session.waiting.append(item)
        self.waiting += 1
        self.go_on(session)

    def put_back(self, session: Session, items: Sequence[Item]) -> None:
        """These were taken too early: they come before all others of their link, and it before all others."""
        session.waiting.extendleft(reversed(items))
        self.waiting += len(items)
        self.go_on(session, first=True)

    def go_on(self, session: Session, *, first: bool = False) -> None:
        """Queue a link, if it has anything to say and is not blocked."""
        if session.waiting and not session.queued and not session.blocked:
            session.queued = True
            self._queued += 1
            lane = session.lane or f"link {id(session)}"
            sessions = self._lanes.setdefault(lane, deque())
            (sessions.appendleft if first else sessions.append)(session)
            if first:
                self._lanes.move_to_end(lane, last=False)

    def take(self, most: int) -> list[tuple[Session, Item]]:
        """The next requests, about `most` of them."""
        batch: list[tuple[Session, Item]] = []
        share, again = max(1, most // max(1, self._queued)), list[Session]()
        while self._lanes and len(batch) < most:
            session = self._next()
            if not session.blocked:
                batch += self._some(session, share)
                again.append(session)
        for session in again:  # each link has one turn
            self.go_on(session)
        return batch

    def _next(self) -> Session:
        lane, sessions = self._lanes.popitem(last=False)
        session = sessions.popleft()
        if sessions:
            self._lanes[lane] = sessions  # behind all others
        session.queued = False
        self._queued -= 1
        return session

    def _some(self, session: Session, share: int) -> list[tuple[Session, Item]]:
        found: list[tuple[Session, Item]] = []
        while session.waiting and len(found) < share:
            if found and not changes(session.waiting[0]):
                break
            item = session.waiting.popleft()
            found.append((session, item))
            if not changes(item):
                break
        self.waiting -= len(found)
        return found
