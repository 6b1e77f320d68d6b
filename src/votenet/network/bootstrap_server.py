"""The bootstrap server: BootstrapCore on a real socket, with a registry that is saved before it answers.

What lives here: sessions, the batch of one event-loop turn (one transaction), the clean end. What must
not: rules (`protocol/bootstrap.py`), stores (`storage/peer_store.py`), dialling peers (`caretaker.py`,
`announcer.py`), command-line options.

Group commit: every change that arrived in one turn of the event loop is stepped inside one transaction,
then the questions of that turn; when the changes are on disk the answers are sent, and only then the
other peers are told. If another server over the same registry was faster, the batch is stepped again;
if it cannot be saved, the writers of the batch read `storage-failed`, and the server lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeGuard

from votenet.errors import Rejected, RemoteProtocolError, StorageError, VotenetError
from votenet.network.announcer import WORKERS, Announcer
from votenet.network.caretaker import Caretaker
from votenet.network.checks import AliveCheck, OwnerCheck
from votenet.network.dialback import DialBack
from votenet.network.group_commit import GroupCommit, Result
from votenet.network.metrics import Metrics
from votenet.network.names import Names
from votenet.network.quiet_log import QuietLog
from votenet.network.transport import Link, LinkLimits, Listener, error_line
from votenet.protocol.address import Address, network_group
from votenet.protocol.bootstrap import (
    MAX_PER_GROUP,
    MAX_PER_HOST,
    Answer,
    BootstrapCore,
    Call,
    NeedsOwner,
    NeedsProbe,
    Probed,
    Trusts,
    is_loopback,
)
from votenet.protocol.bootstrap_messages import (
    ALREADY_REGISTERED,
    MAX_ANSWER_LINE,
    NOT_FOUND,
    REGISTERED,
    REMOVED,
    GetStats,
    decode_request,
    encode_stats,
)
from votenet.protocol.framing import MAX_CHAPTER_LINE
from votenet.protocol.registry import JOINED, MAX_PEERS, Notice, PeerEntry
from votenet.protocol.token_bucket import Buckets
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
FINISH_SECONDS: Final = 4.0
"""Time for answers that wait for a name or a ping when the server is told to stop."""


@dataclass(frozen=True, slots=True)
class RequestRate:
    """Requests a second, and at once. (S17 names 100 a minute; many nodes may share a router.)"""

    host: tuple[float, float] = (5.0, 300.0)
    group: tuple[float, float] = (20.0, 1200.0)


@dataclass(frozen=True, slots=True)
class Policy:
    """What strangers may do. `trusts` says which clients operate this machine, and have no limits."""

    max_peers: int = MAX_PEERS
    max_per_host: int = MAX_PER_HOST
    max_per_group: int = MAX_PER_GROUP
    rate: RequestRate = RequestRate()
    trusts: Trusts = is_loopback


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
"""What a line was: a request, or why it ends the link (the error is answered in its turn)."""
_Stepped = tuple[_Session, _Item, Result]


def _changes(item: _Item) -> TypeGuard[Call]:
    return isinstance(item, Call) and item.request.writes


class BootstrapServer:
    """LinkHandler of the bootstrap port. Made by `serve_bootstrap`."""

    def __init__(
        self,
        store: PeerStore,
        tasks: asyncio.TaskGroup,
        *,
        clock: Callable[[], float] = time.time,
        names: Names | None = None,
        dialback: DialBack | None = None,
        policy: Policy | None = None,
    ) -> None:
        names, policy = names or Names(), policy or Policy()
        dialback = dialback or DialBack(names)
        self.core = BootstrapCore(
            store,
            random.SystemRandom(),
            max_peers=policy.max_peers,
            max_per_host=policy.max_per_host,
            max_per_group=policy.max_per_group,
            trusts=policy.trusts,
        )
        self.address = Address("", 0)
        self._store, self._tasks, self._clock, self._trusts = store, tasks, clock, policy.trusts
        self._commit = GroupCommit(store, self.core, self._storage_failed)
        self._owner, self._alive = OwnerCheck(names), AliveCheck(dialback)
        self._hosts, self._groups = Buckets(*policy.rate.host), Buckets(*policy.rate.group)
        self._sessions: dict[int, _Session] = {}
        self._pending: deque[tuple[_Session, _Item]] = deque()
        self._held_back: list[_Session] = []
        self._blocked = self._count = 0
        self._stopped = False
        self._scheduled = False
        self._quiet = QuietLog(log)
        self.metrics = Metrics("votenet_bootstrap", time.monotonic)
        self._count_everything()
        self.announcer = Announcer(
            self._audience,
            names,
            unreachable=lambda address: self.caretaker.suspect(address),
            lines=self.metrics.counter("notices", "Lines to peers about joins and leaves.", "result"),
        )
        self.caretaker = Caretaker(
            store,
            self.core.upkeep,
            dialback,
            clock=clock,
            tell=self._tell,
            failed=self._storage_failed,
            checks=self.metrics.counter("checks", "Peers dialled, and peers that expired.", "result"),
        )

    def _count_everything(self) -> None:
        self.metrics.gauge("peers", "Entries of the registry.", self.count)
        self.metrics.gauge("connections", "Open connections.", lambda: len(self._sessions))
        self.metrics.gauge("waiting", "Requests that wait for a name, a peer or a turn.", self._waiting)
        self.metrics.gauge("uptime_seconds", "Seconds since the start.", lambda: self.metrics.uptime)
        self._answers = self.metrics.counter("answers", "Requests answered, by what was asked.", "request")
        self._refusals = self.metrics.counter("refusals", "Requests refused, by code.", "code")

    def _waiting(self) -> int:
        return len(self._pending) + self._blocked

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
            self._check_rate(link.host)
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

    def _check_rate(self, host: str) -> None:
        """Raise RemoteProtocolError: rate-limited, when this address or its network asks too often."""
        if self._trusts(host):
            return
        now = asyncio.get_running_loop().time()
        if not self._hosts.of(host).take(now) or not self._groups.of(network_group(host)).take(now):
            raise RemoteProtocolError("rate-limited", "too many requests from this address or network")

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
        """The next requests, without those whose link waits for something.

        Of one link they are either changes or a single question: a question follows the changes before
        it, and its answer may be so long that the link must read it before it goes on.
        """
        batch: list[tuple[_Session, _Item]] = []
        later: list[tuple[_Session, _Item]] = []
        changing: set[int] = set()
        closed: set[int] = set()
        while self._pending and len(batch) < MAX_BATCH:
            session, item = self._pending.popleft()
            link = session.link
            if session.blocked:
                session.waiting.append(item)
            elif link.id in closed or (link.id in changing and not _changes(item)):
                closed.add(link.id)
                later.append((session, item))
            elif _changes(item):
                changing.add(link.id)
                batch.append((session, item))
            elif link.unsent > MAX_UNREAD and not link.closing:
                self._block(session, item)
                self._wait_for_reader(session)
            else:
                closed.add(link.id)
                batch.append((session, item))
        self._pending.extendleft(reversed(later))
        return batch

    def _save(self, batch: list[tuple[_Session, _Item]], now: int) -> list[_Stepped]:
        """Step all requests: the changes, which are on disk when this returns, then the questions."""
        changes = [(session.link.id, item) for session, item in batch if _changes(item)]
        changed = iter(self._commit.change(changes, now))
        done: list[_Stepped] = []
        for session, item in batch:
            result = next(changed) if _changes(item) else self._look_up(item, now)
            if result is None:  # behind one that waits
                session.waiting.append(item)
                continue
            done.append((session, item, result))
            if isinstance(result, NeedsOwner | NeedsProbe):
                self._block(session)
            elif isinstance(item, Call) and item.request.keep_open and not item.request.writes:
                self._block(session)  # how long the answer is shows when it is sent
                asyncio.get_running_loop().call_soon(self._wait_for_reader, session)
        return done

    def _look_up(self, item: _Item, now: int) -> Result:
        """The result of a request that changes nothing."""
        if isinstance(item, RemoteProtocolError):
            return item
        if isinstance(item.request.body, GetStats):
            return Answer(encode_stats(self.stats()))
        return self._commit.look_up(item, now)

    def _deliver(self, session: _Session, item: _Item, result: Result) -> Notice | None:
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
        self._answers[type(item.request.body).__name__ if isinstance(item, Call) else "none"] += 1
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
                alive = await self._alive.alive(
                    need.target,
                    node_key=need.node_key,
                    network_id=need.network_id,
                    trusted=self._trusts(call.client),
                )
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

    async def keep_counting(self) -> None:
        """Let rates be those of the last minute; runs until cancelled."""
        while True:
            self.metrics.tick()
            await asyncio.sleep(1.0)

    def stats(self) -> dict[str, object]:
        """Numbers for `votenet bootstrap --stats`: now, since the start, a second in the last minute."""
        counts, rates = self.metrics.counts(), self.metrics.rates()
        rounded = {n: {k: round(rate, 3) for k, rate in some.items()} for n, some in rates.items()}
        return {**self.metrics.gauges(), "counts": counts, "rates": rounded}

    def _tell(self, notice: Notice) -> None:
        self._quiet.event("joined" if notice.kind == JOINED else "dropped", address=notice.address)
        self.announcer.announce(notice)

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

    def _audience(self, notice: Notice) -> list[PeerEntry]:
        try:
            return self.core.audience(notice, int(self._clock()))
        except StorageError as error:
            self._storage_failed(error)
            return []

    # -- log -----------------------------------------------------------------------------------

    def _log_answer(self, call: Call, answer: Answer) -> None:
        event = _EVENTS.get(answer.line)
        if event is not None:
            level = logging.INFO if answer.line in (REGISTERED, REMOVED) else logging.DEBUG
            self._quiet.event(event, level=level, address=call.request.address, client=call.client)
            if answer.line == REGISTERED and answer.notice is None:
                self.caretaker.wake()  # to be dialled before anybody hears of it

    def _refused(self, link: Link, error: VotenetError) -> None:
        self._refusals[error.code] += 1
        self._quiet.event("refused", client=link.host, code=error.code, why=error.message)


_EVENTS: Final = {
    REGISTERED: "registered",
    ALREADY_REGISTERED: "already-registered",
    REMOVED: "removed",
    NOT_FOUND: "not-found",
}


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
    dialback: DialBack | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[BootstrapServer]:
    """Listen on `address` (port 0: any free one; see `server.address`) until the block ends.

    At the end no new connection is taken, requests that have arrived are answered, and peers that are
    being told are left. The store stays open: it is the caller's.

    Raises:
        ConfigError: port-taken, cannot-listen.
    """
    async with asyncio.TaskGroup() as tasks:
        server = BootstrapServer(store, tasks, clock=clock, names=names, dialback=dialback, policy=policy)
        listener = Listener(
            server, address, limits, max_links=max_links, max_links_per_host=max_links_per_host
        )
        async with listener:
            server.address = listener.address
            background = [tasks.create_task(server.announcer.work()) for _ in range(WORKERS)]
            background += [
                tasks.create_task(server.caretaker.run()),
                tasks.create_task(server.keep_counting()),
            ]
            try:
                yield server
                await server.finish()
            finally:
                for task in background:
                    task.cancel()
        server.stop()
