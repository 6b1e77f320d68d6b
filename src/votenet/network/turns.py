"""Requests of many links take turns: who sends thousands ahead does not hold up who sends one.

What lives here: Session (what one link still waits for), Turns. What must not: what becomes of a request.

A turn takes from each link in order a fair share of the batch. Of one link that is either changes or a
single question: a question follows the changes before it, and its answer may be so long that the link must
read it before it goes on.
"""

from __future__ import annotations

from collections import deque
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


class Turns:
    """`waiting` is the number of all requests that wait, those of blocked links included."""

    def __init__(self) -> None:
        self._order: deque[Session] = deque()
        self.waiting = 0

    def __bool__(self) -> bool:
        """Whether a link may have a turn now."""
        return bool(self._order)

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
            (self._order.appendleft if first else self._order.append)(session)

    def take(self, most: int) -> list[tuple[Session, Item]]:
        """The next requests, about `most` of them."""
        batch: list[tuple[Session, Item]] = []
        share = max(1, most // max(1, len(self._order)))
        for _ in range(len(self._order)):
            if len(batch) >= most:
                break
            session = self._order.popleft()
            session.queued = False
            if not session.blocked:
                batch += self._some(session, share)
                self.go_on(session)
        return batch

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
