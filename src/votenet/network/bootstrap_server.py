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
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from votenet.errors import Rejected, RemoteProtocolError, StorageError, VotenetError
from votenet.network.announcer import WORKERS, Announcer
from votenet.network.bootstrap_policy import Policy, RateCheck, victim_of
from votenet.network.caretaker import Caretaker
from votenet.network.checks import AliveCheck, OwnerCheck
from votenet.network.dialback import DialBack
from votenet.network.doubts import GAPS, Doubts
from votenet.network.group_commit import GroupCommit, Result
from votenet.network.metrics import Metrics
from votenet.network.names import Names
from votenet.network.quiet_log import QuietLog
from votenet.network.transport import Link, LinkLimits, Listener, error_line
from votenet.network.turns import Item, Session, Turns, changes
from votenet.protocol.address import Address, network_group
from votenet.protocol.bootstrap import (
    Answer,
    BootstrapCore,
    Call,
    NeedsOwner,
    NeedsProbe,
    Probed,
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
from votenet.protocol.registry import JOINED, Notice, PeerEntry
from votenet.storage.peer_store import PeerStore

MAX_LINKS: Final = 1024
"""Connections at one time; each costs at most a few answers of memory."""
MAX_LINKS_PER_HOST: Final = 512
"""So that one address cannot take all of them."""
MAX_BATCH: Final = 32
"""Requests in one transaction: about 2 ms of work, after which new links are read. A commit costs as much as
one or two requests (as some ten on a slow disk), so many more would make each hardly cheaper."""
MAX_LOOKING: Final = 0.004
"""Seconds for the questions of a turn, and the last of them: a page takes up to 10 ms, and all may ask."""
MAX_WAITING: Final = 8192
"""Requests decoded but not stepped; above it no link is read from."""
MAX_UNREAD: Final = 256 * 1024
"""Answers a client may leave unread before its next request waits for it to read them."""
MAX_UNREAD_IN_ALL: Final = 128 * 1024 * 1024
"""Long answers waiting for slow readers in all; above it a list is answered with `busy`."""
UNREAD_CHECK_SECONDS: Final = 0.02
FINISH_SECONDS: Final = 4.0
"""Time for answers that wait for a name or a ping when the server is told to stop."""


LIMITS: Final = LinkLimits(
    max_line=MAX_CHAPTER_LINE,
    first_line=10.0,
    partial_line=10.0,
    idle=60.0,
    max_unsent=MAX_UNREAD + MAX_ANSWER_LINE + 4096 * 64,
)
"""Limits of one client; `max_unsent` is never reached by one who reads: see MAX_UNREAD."""

log = logging.getLogger("votenet.bootstrap")


_Stepped = tuple[Session, Item, Result]


class _Sampler:
    """Samples that nobody foresees: each from a seed of its own, a quarter of the price of SystemRandom."""

    def sample(self, population: range, k: int, /) -> list[int]:
        return random.Random(os.urandom(32)).sample(population, k)


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
        doubt_seconds: Sequence[float] = GAPS,
    ) -> None:
        names, policy = names or Names(), policy or Policy()
        dialback = dialback or DialBack(names)
        self.core = BootstrapCore(
            store,
            _Sampler(),
            max_peers=policy.max_peers,
            max_per_host=policy.max_per_host,
            max_per_group=policy.max_per_group,
            trusts=policy.trusts,
            network=policy.network,
        )
        self.address = Address("", 0)
        self._store, self._tasks, self._clock, self._trusts = store, tasks, clock, policy.trusts
        self._commit = GroupCommit(store, self.core, self._storage_failed)
        self._owner, self._alive = OwnerCheck(names), AliveCheck(dialback)
        self._rates = RateCheck(policy)
        self._sessions: dict[int, Session] = {}
        self._turns = Turns()
        self._held_back: list[Session] = []
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
        self._doubts = Doubts(dialback.answers, self.caretaker.silent, self._still_alive, doubt_seconds)

    def _still_alive(self, address: str) -> None:
        """A peer in doubt is there after all."""
        self._quiet.event("still-alive", address=address)

    def _count_everything(self) -> None:
        self.metrics.gauge("peers", "Entries of the registry.", self.count)
        self.metrics.gauge("connections", "Open connections.", lambda: len(self._sessions))
        self.metrics.gauge("waiting", "Requests that wait for a name, a peer or a turn.", self._waiting)
        self.metrics.gauge("uptime_seconds", "Seconds since the start.", lambda: self.metrics.uptime)
        self._answers = self.metrics.counter("answers", "Requests answered, by what was asked.", "request")
        self._refusals = self.metrics.counter("refusals", "Requests refused, by code.", "code")

    def _waiting(self) -> int:
        return self._turns.waiting + self._blocked

    # -- links ---------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        lane = "" if self._trusts(link.host) else network_group(link.host) or link.host
        self._sessions[link.id] = Session(link, asyncio.get_running_loop().time(), lane=lane)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self._sessions.pop(link.id, None)
        if reason is not None:
            self._quiet.event("link-broken", client=link.host, code=reason.code, level=logging.DEBUG)

    def line_received(self, link: Link, line: bytes) -> None:
        session = self._sessions[link.id]
        session.heard = asyncio.get_running_loop().time()
        item: Item
        try:
            item = Call(decode_request(line), link.host)
            self._rates.spend(link.host, session.heard)
        except RemoteProtocolError as error:
            item = error
        link.expect_answer()
        if isinstance(item, RemoteProtocolError) or not item.request.keep_open:
            session.last_taken = True
            link.pause()
        elif self._turns.waiting >= MAX_WAITING:
            link.pause()
            self._held_back.append(session)
        self._turns.add(session, item)
        self._schedule()

    def victim(self, links: Iterable[Link]) -> Link | None:
        """Which of these connections makes room for a new one."""
        sessions = (self._sessions.get(link.id) for link in links)
        return victim_of((session for session in sessions if session is not None), self._trusts)

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
        for session, item, result in self._save(self._turns.take(MAX_BATCH), int(self._clock())):
            notice = self._deliver(session, item, result)
            if notice is not None:
                notices.append(notice)
        for notice in notices:
            self.announcer.announce(notice)
        if self._turns:
            self._schedule()
        if self._held_back and self._turns.waiting < MAX_WAITING // 2:
            sessions, self._held_back = self._held_back, []
            for session in sessions:
                if not session.blocked and not session.last_taken:
                    session.link.resume()

    def _save(self, batch: list[tuple[Session, Item]], now: int) -> list[_Stepped]:
        """Step all requests: the changes, which are on disk when this returns, then the questions."""
        calls = [(session.link.id, item) for session, item in batch if changes(item)]
        changed = iter(self._commit.change(calls, now))
        done: list[_Stepped] = []
        early: dict[int, tuple[Session, list[Item]]] = {}
        end = time.monotonic() + MAX_LOOKING
        for session, item in batch:
            if changes(item):
                result = next(changed)
            elif self._must_read(session):
                result = None
            else:
                result = self._look_up(item, now) if time.monotonic() <= end else None
            if result is None:  # it waits: for its reader, for one before it on its link, for a turn
                early.setdefault(session.link.id, (session, []))[1].append(item)
                continue
            done.append((session, item, result))
            if isinstance(result, NeedsOwner | NeedsProbe):
                self._block(session)
            elif isinstance(item, Call) and item.request.keep_open and not item.request.writes:
                self._block(session)  # how long the answer is shows when it is sent
                asyncio.get_running_loop().call_soon(self._wait_for_reader, session)
        for session, items in reversed(early.values()):
            self._turns.put_back(session, items)
        return done

    def _must_read(self, session: Session) -> bool:
        """Whether a link has to read its answers before its next question; it goes on by itself then."""
        if session.link.unsent <= MAX_UNREAD or session.link.closing:
            return False
        self._block(session)
        self._wait_for_reader(session)
        return True

    def _look_up(self, item: Item, now: int) -> Result:
        """The result of a request that changes nothing."""
        if isinstance(item, RemoteProtocolError):
            return item
        if isinstance(item.request.body, GetStats):
            return Answer(encode_stats(self.stats()))
        return self._commit.look_up(item, now)

    def _deliver(self, session: Session, item: Item, result: Result) -> Notice | None:
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

    def _block(self, session: Session) -> None:
        session.blocked = True
        self._blocked += 1
        session.link.pause()

    def _unblock(self, session: Session, *items: Item) -> None:
        """Give a link its turns again, with `items` first."""
        session.blocked = False
        self._blocked -= 1
        self._turns.put_back(session, items)
        if self._turns:
            self._schedule()
        if not session.last_taken:
            session.link.resume()

    async def _find_out(self, session: Session, call: Call, need: NeedsOwner | NeedsProbe) -> None:
        try:
            if isinstance(need, NeedsOwner) and self._trusts(call.client):
                call = replace(call, owner=await self._owner.exists(need.host))
            elif isinstance(need, NeedsOwner):
                call = replace(call, owner=await self._owner.owns(call.client, need.host))
            else:
                alive = await self._is_alive(call, need)
                call = replace(call, probed=Probed(need.sequence, alive))
        except Rejected as error:
            self._deliver(session, call, error)
            self._unblock(session)
        else:
            self._unblock(session, call)

    async def _is_alive(self, call: Call, need: NeedsProbe) -> bool:
        """Whether a peer answers, or a key does. One to be removed that is silent may be busy: ask it on.

        Raises:
            Rejected: being-checked, or busy.
        """
        trusted, address, removal = self._trusts(call.client), call.request.address, need.node_key is None
        refusal = self._doubts.refusal(address) if removal else None
        if refusal is not None:
            raise refusal
        alive = await self._alive.alive(
            need.target,
            node_key=need.node_key,
            network_id=need.network_id,
            client=None if trusted else call.client,
        )
        if removal and not alive and not (trusted and await self._alive.refuses(need.target)):
            raise self._doubts.begin(address, need.target, need.sequence)
        return alive

    def _wait_for_reader(self, session: Session) -> None:
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
                while self._turns or self._blocked:  # noqa: ASYNC110  (polled only while stopping)
                    await asyncio.sleep(0.005)

    def stop(self) -> None:
        """After this nothing is saved or told any more."""
        self._stopped = True

    def end_doubts(self) -> None:
        self._doubts.end()

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
    doubt_seconds: Sequence[float] = GAPS,
    more_hosts: Sequence[str] = (),
) -> AsyncIterator[BootstrapServer]:
    """Listen on `address` (port 0: any free one; see `server.address`) until the block ends.

    At the same port on `more_hosts`, too.

    At the end no new connection is taken, requests that have arrived are answered, and peers that are
    being told are left. The store stays open: it is the caller's.

    Raises:
        ConfigError: port-taken, cannot-listen.
    """
    async with asyncio.TaskGroup() as tasks:
        server = BootstrapServer(
            store, tasks,
            clock=clock, names=names, dialback=dialback, policy=policy, doubt_seconds=doubt_seconds,
        )  # fmt: skip
        listener = Listener(
            server, address, limits,
            max_links=max_links, max_links_per_host=max_links_per_host, victim=server.victim,
            more_hosts=more_hosts,
        )  # fmt: skip
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
                server.end_doubts()
                for task in background:
                    task.cancel()
        server.stop()
