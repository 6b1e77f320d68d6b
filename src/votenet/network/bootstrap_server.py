"""The bootstrap server: BootstrapCore on a real socket, with a registry that is saved before it answers.

What lives here: sessions, the batch of one event-loop turn (one transaction), the clean end. What must
not: rules (`protocol/bootstrap.py`), SQL (`storage/peer_store.py`), command-line options.

Group commit: every request that arrived in one turn of the event loop is stepped inside one
transaction; when that is on disk the answers are sent, and only then the other peers are told. If it
cannot be saved, the writers of the batch read `storage-failed`, and the server lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from votenet.errors import Rejected, RemoteProtocolError, StorageError, VotenetError
from votenet.network.announcer import WORKERS, Announcer
from votenet.network.checks import AliveCheck, Names, OwnerCheck, plain_ip
from votenet.network.transport import Link, LinkLimits, Listener, error_line
from votenet.protocol.address import Address, parse_address
from votenet.protocol.bootstrap import (
    MAX_PEERS,
    Answer,
    BootstrapCore,
    Call,
    NeedsOwner,
    NeedsProbe,
    Notice,
    Outcome,
    Probed,
)
from votenet.protocol.bootstrap_messages import (
    ALREADY_REGISTERED,
    MAX_ANSWER_LINE,
    NOT_FOUND,
    REGISTERED,
    REMOVED,
    decode_request,
)
from votenet.protocol.framing import MAX_CHAPTER_LINE
from votenet.storage.peer_store import PeerStore

MAX_LINKS: Final = 1024
"""Connections at one time; each costs at most a few answers of memory."""
MAX_LINKS_PER_HOST: Final = 512
"""So that one address cannot take all of them."""
MAX_BATCH: Final = 4096
"""Requests in one transaction: about 100 ms of work, after which other links get their turn."""
MAX_WAITING: Final = 2 * MAX_BATCH
"""Requests decoded but not stepped; above it no link is read from."""
MAX_UNREAD: Final = 256 * 1024
"""Answers a client may leave unread before its next request waits for it to read them."""
MAX_UNREAD_IN_ALL: Final = 128 * 1024 * 1024
"""Long answers waiting for slow readers in all; above it a list is answered with `busy`."""
UNREAD_CHECK_SECONDS: Final = 0.02
SWEEP_SECONDS: Final = 10.0
"""How often expired records are dropped."""
SWEEP_BATCH: Final = 500
"""Expired records dropped in one transaction: some 10 ms."""
FINISH_SECONDS: Final = 4.0
"""Time for answers that wait for a name or a ping when the server is told to stop."""
LOGGED_PER_SECOND: Final = 50
"""Lines of one kind in the log: a flood is summed up, not written out."""

LIMITS: Final = LinkLimits(
    max_line=MAX_CHAPTER_LINE,
    first_line=10.0,
    partial_line=10.0,
    idle=60.0,
    max_unsent=MAX_UNREAD + MAX_ANSWER_LINE + 4096 * 64,
)
"""Limits of one client; `max_unsent` is never reached by one who reads: see MAX_UNREAD."""

log = logging.getLogger("votenet.bootstrap")


@dataclass(slots=True)
class _Session:
    """One connection: while `blocked`, its later requests wait in `waiting`, so answers keep their order."""

    link: Link
    blocked: bool = False
    last_taken: bool = False  # the chapter's conversation: one line; what follows is never looked at
    waiting: deque[_Item] = field(default_factory=deque)


_Item = Call | RemoteProtocolError
"""What a line was: a request, or what is wrong with it (the error is answered in its turn)."""
_Result = Outcome | VotenetError
_Stepped = tuple[_Session, _Item, _Result]


def _writes(item: _Item) -> bool:
    return isinstance(item, Call) and item.request.writes


def _reads(item: _Item) -> bool:
    return isinstance(item, Call) and not item.request.writes


class BootstrapServer:
    """LinkHandler of the bootstrap port. Made by `serve_bootstrap`."""

    def __init__(
        self,
        store: PeerStore,
        tasks: asyncio.TaskGroup,
        *,
        clock: Callable[[], float] = time.time,
        names: Names | None = None,
        alive: AliveCheck | None = None,
        max_peers: int = MAX_PEERS,
    ) -> None:
        names = names or Names()
        self.core = BootstrapCore(store, random.SystemRandom(), max_peers=max_peers)
        self.announcer = Announcer(self._audience, names)
        self.address = Address("", 0)
        self._store, self._tasks, self._clock = store, tasks, clock
        self._owner, self._alive = OwnerCheck(names), alive or AliveCheck(names)
        self._sessions: dict[int, _Session] = {}
        self._pending: deque[tuple[_Session, _Item]] = deque()
        self._held_back: list[_Session] = []
        self._blocked = self._count = 0
        self._stopped = False
        self._scheduled = False
        self._quiet = _QuietLog()

    # -- links ---------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        self._sessions[link.id] = _Session(link)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self._sessions.pop(link.id, None)
        if reason is not None:
            self._quiet.event("link-broken", client=link.host, code=reason.code, level=logging.DEBUG)

    def line_received(self, link: Link, line: bytes) -> None:
        session = self._sessions[link.id]
        item: _Item
        try:
            item = Call(decode_request(line), link.host)
        except RemoteProtocolError as error:
            item = error
        link.expect_answer()
        if isinstance(item, RemoteProtocolError) or not item.request.keep_open:
            session.last_taken = True
            link.pause()
        elif len(self._pending) >= MAX_WAITING:
            link.pause()
            self._held_back.append(session)
        self._pending.append((session, item))
        self._schedule()

    # -- the batch -----------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run_batch)

    def _run_batch(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        notices = []
        for session, item, result in self._save(self._take_batch(), int(self._clock())):
            notice = self._deliver(session, item, result)
            if notice is not None:
                notices.append(notice)
        for notice in notices:
            self.announcer.announce(notice)
        if self._pending:
            self._schedule()
        elif self._held_back:
            sessions, self._held_back = self._held_back, []
            for session in sessions:
                if not session.blocked and not session.last_taken:
                    session.link.resume()

    def _take_batch(self) -> list[tuple[_Session, _Item]]:
        """The next requests, without those whose link waits for something."""
        batch: list[tuple[_Session, _Item]] = []
        while self._pending and len(batch) < MAX_BATCH:
            session, item = self._pending.popleft()
            if session.blocked:
                session.waiting.append(item)
            elif _reads(item) and session.link.unsent > MAX_UNREAD and not session.link.closing:
                self._block(session, item)
                self._wait_for_reader(session)
            else:
                batch.append((session, item))
        return batch

    def _save(self, batch: list[tuple[_Session, _Item]], now: int) -> list[_Stepped]:
        """Step all requests; what they change is on disk when this returns."""
        done: list[_Stepped] = []
        left = deque(batch)
        if not any(_writes(item) for _, item in batch):
            self._step_all(left, now, done, None)
            return done
        try:
            with self._store.saving():
                self._step_all(left, now, done, None)
        except StorageError as error:
            self.core.rolled_back()
            self._storage_failed(error)
            failure = StorageError(
                f"nothing was changed: {error.message}",
                code="storage-failed",
                next_step="Try again later; the operator of this server must look at its disk.",
            )
            done = [self._undo(entry, now, failure) for entry in done]
            self._step_all(left, now, done, failure)
        return done

    def _step_all(
        self,
        left: deque[tuple[_Session, _Item]],
        now: int,
        done: list[_Stepped],
        failure: StorageError | None,
    ) -> None:
        """Move requests from `left` to `done`, each with its result; after a `failure` only reads step."""
        while left:
            session, item = left[0]
            if session.blocked:  # by a request before this one in the batch
                session.waiting.append(item)
            elif isinstance(item, RemoteProtocolError):
                done.append((session, item, item))
            elif failure is not None and item.request.writes:
                done.append((session, item, failure))
            else:
                result = self._step(item, now)
                done.append((session, item, result))
                if isinstance(result, NeedsOwner | NeedsProbe):
                    self._block(session)
                elif _reads(item) and item.request.keep_open:  # how long the answer is shows when it is sent
                    self._block(session)
                    asyncio.get_running_loop().call_soon(self._wait_for_reader, session)
            left.popleft()

    def _undo(self, stepped: _Stepped, now: int, failure: StorageError) -> _Stepped:
        """What becomes of a request that was stepped in a transaction which failed."""
        session, item, result = stepped
        if isinstance(item, RemoteProtocolError) or isinstance(result, NeedsOwner | NeedsProbe):
            return stepped
        return session, item, failure if item.request.writes else self._step(item, now)

    def _step(self, call: Call, now: int) -> _Result:
        try:
            return self.core.step(call, now)
        except Rejected as error:
            return error
        except StorageError as error:
            if call.request.writes:
                raise
            self._storage_failed(error)
            return error

    def _deliver(self, session: _Session, item: _Item, result: _Result) -> Notice | None:
        notice = None
        if isinstance(result, NeedsOwner | NeedsProbe):
            assert isinstance(item, Call)
            # A task per waiting link: there are never more of them than links.
            self._tasks.create_task(self._find_out(session, item, result))
            return None
        if isinstance(result, VotenetError):
            self._refused(session.link, result)
            line = error_line(result)
        else:
            assert isinstance(item, Call)
            line, notice = result.line, result.notice
            self._log_answer(item, result)
            if len(line) > MAX_UNREAD and self._unread() > MAX_UNREAD_IN_ALL:
                line = error_line(Rejected("busy", "too many lists are being sent"))
        session.link.answer(line)
        if isinstance(item, RemoteProtocolError) or not item.request.keep_open:
            session.link.close()
        return notice

    def _storage_failed(self, error: StorageError) -> None:
        self._quiet.event("storage-failed", level=logging.ERROR, why=error.message)

    def _unread(self) -> int:
        return sum(session.link.unsent for session in self._sessions.values())

    # -- what takes longer than a turn ---------------------------------------------------------

    def _block(self, session: _Session, *items: _Item) -> None:
        session.blocked = True
        self._blocked += 1
        session.waiting.extend(items)
        session.link.pause()

    def _unblock(self, session: _Session, *items: _Item) -> None:
        """Put the link's requests back at the head of the queue, `items` first."""
        session.blocked = False
        self._blocked -= 1
        session.waiting.extendleft(reversed(items))
        self._pending.extendleft((session, item) for item in reversed(session.waiting))
        session.waiting.clear()
        if self._pending:
            self._schedule()
        if not session.last_taken:
            session.link.resume()

    async def _find_out(self, session: _Session, call: Call, need: NeedsOwner | NeedsProbe) -> None:
        try:
            if isinstance(need, NeedsOwner):
                call = replace(call, owner=await self._owner.owns(call.client, need.host))
            else:
                alive = await self._alive.alive(parse_address(need.address), trusted=_local(call.client))
                call = replace(call, probed=Probed(need.sequence, alive))
        except Rejected as error:
            self._deliver(session, call, error)
            self._unblock(session)
        else:
            self._unblock(session, call)

    def _wait_for_reader(self, session: _Session) -> None:
        """Go on with a link when its answers have been read; its idle limit ends the wait."""
        if session.link.unsent > MAX_UNREAD and not session.link.closing:
            asyncio.get_running_loop().call_later(UNREAD_CHECK_SECONDS, self._wait_for_reader, session)
        else:
            self._unblock(session)

    async def sweep(self) -> None:
        """Drop expired records now and then; runs until cancelled."""
        while True:
            more = len(self.sweep_once()) == SWEEP_BATCH
            await asyncio.sleep(0 if more else SWEEP_SECONDS)

    def sweep_once(self) -> list[Notice]:
        """Drop up to SWEEP_BATCH expired records and tell the others."""
        notices: list[Notice] = []
        try:
            with self._store.saving():
                notices = self.core.expire(SWEEP_BATCH, int(self._clock()))
        except StorageError as error:
            self.core.rolled_back()
            self._storage_failed(error)
            return []
        for notice in notices:
            self._quiet.event("expired", address=notice.address)
            self.announcer.announce(notice)
        return notices

    def import_addresses(self, addresses: Sequence[str]) -> int:
        """Add unkeyed entries, all or none; how many were new. Raises StorageError, Rejected."""
        with self._store.saving():
            return self.core.import_addresses(addresses, int(self._clock()))

    def count(self) -> int:
        """Registered peers; the last known number when the store fails."""
        with contextlib.suppress(StorageError):
            self._count = self._store.count()
        return self._count

    async def finish(self) -> None:
        """Answer what has been asked, for FINISH_SECONDS at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while self._pending or self._blocked:  # noqa: ASYNC110  (polled only while stopping)
                    await asyncio.sleep(0.005)

    def stop(self) -> None:
        """After this nothing is saved or told any more."""
        self._stopped = True

    def _audience(self, notice: Notice) -> list[str]:
        try:
            return self.core.audience(notice, int(self._clock()))
        except StorageError as error:
            self._storage_failed(error)
            return []

    # -- log -----------------------------------------------------------------------------------

    def _log_answer(self, call: Call, answer: Answer) -> None:
        event = _EVENTS.get(answer.line)
        if event is not None:
            level = logging.INFO if answer.notice is not None else logging.DEBUG
            address = answer.notice.address if answer.notice is not None else ""
            self._quiet.event(event, level=level, address=address, client=call.client)

    def _refused(self, link: Link, error: VotenetError) -> None:
        self._quiet.event("refused", client=link.host, code=error.code, why=error.message)


_EVENTS: Final = {
    REGISTERED: "registered",
    ALREADY_REGISTERED: "already-registered",
    REMOVED: "removed",
    NOT_FOUND: "not-found",
}


class _QuietLog:
    """One line an event, `event=… key=value`, at most LOGGED_PER_SECOND of a kind; the rest is summed up."""

    def __init__(self) -> None:
        self._second = 0
        self._seen: Counter[str] = Counter()

    def event(self, event: str, *, level: int = logging.INFO, **fields: object) -> None:
        if not log.isEnabledFor(level):
            return
        second = int(time.monotonic())
        if second != self._second:
            for kind, number in self._seen.items():
                if number > LOGGED_PER_SECOND:
                    log.info("event=%s more=%d", kind, number - LOGGED_PER_SECOND)
            self._second = second
            self._seen.clear()
        self._seen[event] += 1
        if self._seen[event] <= LOGGED_PER_SECOND:
            log.log(level, "event=%s%s", event, "".join(f" {k}={_shown(v)}" for k, v in fields.items()))


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or not text.isprintable() or " " in text or '"' in text else text


def _local(client: str) -> bool:
    ip = plain_ip(client) or ""
    return ip.startswith("127.") or ip == "::1"


@contextlib.asynccontextmanager
async def serve_bootstrap(
    address: Address,
    store: PeerStore,
    *,
    limits: LinkLimits = LIMITS,
    max_links: int = MAX_LINKS,
    max_links_per_host: int = MAX_LINKS_PER_HOST,
    clock: Callable[[], float] = time.time,
    names: Names | None = None,
    alive: AliveCheck | None = None,
    max_peers: int = MAX_PEERS,
) -> AsyncIterator[BootstrapServer]:
    """Listen on `address` (port 0: any free one; see `server.address`) until the block ends.

    At the end no new connection is taken, requests that have arrived are answered, and peers that are
    being told are left. The store stays open: it is the caller's.

    Raises:
        ConfigError: port-taken, cannot-listen.
    """
    async with asyncio.TaskGroup() as tasks:
        server = BootstrapServer(store, tasks, clock=clock, names=names, alive=alive, max_peers=max_peers)
        listener = Listener(
            server, address, limits, max_links=max_links, max_links_per_host=max_links_per_host
        )
        async with listener:
            server.address = listener.address
            background = [tasks.create_task(server.announcer.work()) for _ in range(WORKERS)]
            background.append(tasks.create_task(server.sweep()))
            try:
                yield server
                await server.finish()
            finally:
                for task in background:
                    task.cancel()
        server.stop()
