"""Which waiting requests form the bootstrap server's next transaction, and what follows from its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeGuard, TypeVar

from votenet.errors import Rejected, RemoteProtocolError, VotenetError
from votenet.protocol.bootstrap.server_core import BootstrapCore, Call, CallResult, NeedsOwner, NeedsProbe
from votenet.protocol.wire.fair_queue import FairQueue

Item = Call | RemoteProtocolError
"""A decoded line: a request, or the error that ends the connection. Errors, too, are answered in turn."""
Result = CallResult | VotenetError


class SessionState(Enum):
    READY = "takes turns"
    NEEDS_FACT = "a fact about its request is being found out"
    NEEDS_READER = "its client has to read its answers first"


@dataclass(slots=True, eq=False)
class Session:
    """The requests of one connection. Only a READY one takes turns, so that answers keep their order."""

    lane: str = ""
    """Sessions of one lane share their turns. Empty: a lane of its own."""
    state: SessionState = SessionState.READY
    waiting: deque[Item] = field(default_factory=deque)
    queued: bool = False


S = TypeVar("S", bound=Session)


def changes(item: Item) -> TypeGuard[Call]:
    """Whether a request may change the registry: a change, as opposed to a question."""
    return isinstance(item, Call) and item.request.writes


class BatchPlanner(Generic[S]):
    """Sessions take turns, so that neither thousands of requests on one connection, nor many connections from
    one network, delay the others.

    `waiting` counts all requests that wait, those of blocked sessions included; `blocked` counts sessions
    that are not READY.
    """

    def __init__(self) -> None:
        self._queue: FairQueue[S] = FairQueue()
        self.waiting = 0
        self.blocked = 0

    def __bool__(self) -> bool:
        """Whether a session may take a turn now."""
        return bool(self._queue)

    def add(self, session: S, item: Item) -> None:
        session.waiting.append(item)
        self.waiting += 1
        self._enqueue(session)

    def take(self, most: int) -> list[tuple[S, Item]]:
        """The next requests, about `most` of them; every session has one turn at most."""
        batch: list[tuple[S, Item]] = []
        share, again = max(1, most // max(1, len(self._queue))), list[S]()
        while self._queue and len(batch) < most:
            session = self._queue.get()
            session.queued = False
            if session.state is SessionState.READY:
                batch += self._turn(session, share)
                again.append(session)
        for session in again:
            self._enqueue(session)
        return batch

    def settle(
        self, batch: Sequence[tuple[S, Item]], results: Sequence[Result | None]
    ) -> list[tuple[S, Item, Result]]:
        """The requests of a batch that have a result, in order.

        The others, whose result is None, wait again: before all others of their session, and their session
        before all others. A session that needs a fact is blocked. So is one whose question is answered and
        that has more to ask: the answer may be so long that the client has to read it first.
        """
        done: list[tuple[S, Item, Result]] = []
        early: dict[int, tuple[S, list[Item]]] = {}
        for (session, item), result in zip(batch, results, strict=True):
            if result is None:
                early.setdefault(id(session), (session, []))[1].append(item)
                continue
            done.append((session, item, result))
            if isinstance(result, NeedsOwner | NeedsProbe):
                self.block(session, SessionState.NEEDS_FACT)
            elif isinstance(item, Call) and item.request.keep_open and not item.request.writes:
                self.block(session, SessionState.NEEDS_READER)
        for session, items in reversed(early.values()):
            self._put_back(session, items)
        return done

    def block(self, session: S, state: SessionState) -> None:
        """Give a session no turns until `resume`."""
        self.blocked += session.state is SessionState.READY
        session.state = state

    def resume(self, session: S, *items: Item) -> None:
        """Give a session its turns again, with `items` first."""
        self.blocked -= session.state is not SessionState.READY
        session.state = SessionState.READY
        self._put_back(session, items)

    def _put_back(self, session: S, items: Sequence[Item]) -> None:
        session.waiting.extendleft(reversed(items))
        self.waiting += len(items)
        self._enqueue(session, first=True)

    def _enqueue(self, session: S, *, first: bool = False) -> None:
        if session.waiting and not session.queued and session.state is SessionState.READY:
            session.queued = True
            lane = session.lane or f"session {id(session)}"
            (self._queue.put_first if first else self._queue.put)(lane, session)

    def _turn(self, session: S, share: int) -> list[tuple[S, Item]]:
        """Changes up to a fair share of the batch, or a single question.

        A question comes after the changes before it are saved, and its answer may be so long that the client
        must read it before it goes on.
        """
        turn: list[tuple[S, Item]] = []
        while session.waiting and len(turn) < share:
            if turn and not changes(session.waiting[0]):
                break
            item = session.waiting.popleft()
            turn.append((session, item))
            if not changes(item):
                break
        self.waiting -= len(turn)
        return turn


def step_changes(core: BootstrapCore, calls: Sequence[tuple[Session, Call]], now: int) -> list[Result | None]:
    """Step calls in order. None stands for a call behind one of the same session that needs a fact."""
    blocked: set[int] = set()
    results: list[Result | None] = []
    for session, call in calls:
        result: Result | None = None
        if id(session) not in blocked:
            try:
                result = core.step(call, now)
            except Rejected as error:
                result = error
            if isinstance(result, NeedsOwner | NeedsProbe):
                blocked.add(id(session))
        results.append(result)
    return results
