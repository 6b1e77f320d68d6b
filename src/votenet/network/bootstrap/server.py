"""The bootstrap server: BootstrapCore on a real socket, with a registry that is saved before it answers.

Group commit: every change that arrived in one turn of the event loop is stepped inside one transaction, then
the questions of that turn. When the changes are on disk the answers are sent, and only then notices go to
other peers. If another server over the same registry was faster, the batch is stepped again; if it cannot be
saved, its changes are answered with `storage-failed`, and the server goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from votenet.errors import Rejected, RemoteProtocolError, StorageError, VotenetError
from votenet.network.bootstrap.admission import ClientSession, RateCheck, link_to_evict
from votenet.network.bootstrap.checks import FactFinder
from votenet.network.bootstrap.group_commit import GroupCommit
from votenet.network.bootstrap.liveness_checker import LivenessChecker
from votenet.network.bootstrap.notice_sender import NOTICE_WORKERS, NoticeSender
from votenet.network.dialback import DialBack
from votenet.network.link_limits import LinkLimits
from votenet.network.listener import Listener
from votenet.network.metrics import Metrics
from votenet.network.quiet_log import QuietLog
from votenet.network.resolver import Names
from votenet.network.transport import Link, error_line
from votenet.protocol.bootstrap.batches import BatchPlanner, Item, Result, SessionState, changes
from votenet.protocol.bootstrap.bootstrap_messages import (
    ALREADY_REGISTERED,
    MAX_ANSWER_LINE,
    NOT_FOUND,
    REGISTERED,
    REMOVED,
    GetStats,
    decode_request,
    encode_stats,
)
from votenet.protocol.bootstrap.registry import PEER_JOINED, Notice, PeerEntry
from votenet.protocol.bootstrap.server_core import (
    AdmissionPolicy,
    Answer,
    BootstrapCore,
    Call,
    NeedsOwner,
    NeedsProbe,
)
from votenet.protocol.wire.address import Address, network_group
from votenet.protocol.wire.framing import MAX_BOOTSTRAP_LINE
from votenet.storage.registry.peer_store import PeerStore

MAX_LINKS: Final = 1024
"""Connections at one time; each costs at most a few answers of memory."""
MAX_LINKS_PER_HOST: Final = 512
"""Fewer, so that one address cannot take all of them."""
BATCH_SIZE: Final = 32
"""Requests in one transaction: about 2 ms of work, after which new links are read. A commit costs as much as
one or two requests (as some ten on a slow disk), so many more would make each hardly cheaper."""
MAX_LOOKING: Final = 0.004
"""Seconds for the questions of a turn, plus the last of them: a page takes up to 10 ms."""
MAX_WAITING_REQUESTS: Final = 8192
"""Requests decoded but not stepped; above it no link is read from."""
MAX_UNREAD: Final = 256 * 1024
"""Answers a client may leave unread before its next request waits for it to read them."""
MAX_UNREAD_IN_ALL: Final = 128 * 1024 * 1024
"""Long answers waiting for slow readers in all; above it a list is answered with `busy`."""
UNREAD_CHECK_SECONDS: Final = 0.02
FINISH_SECONDS: Final = 4.0
"""Time for answers that wait for a name or a ping when the server is told to stop."""

LIMITS: Final = LinkLimits(
    max_line=MAX_BOOTSTRAP_LINE,
    first_line=10.0,
    partial_line=10.0,
    idle=60.0,
    max_unsent=MAX_UNREAD + MAX_ANSWER_LINE + 4096 * 64,
)
"""Limits of one client; a client that reads never reaches `max_unsent`: see MAX_UNREAD."""

_EVENTS: Final = {
    REGISTERED: "registered",
    ALREADY_REGISTERED: "already-registered",
    REMOVED: "removed",
    NOT_FOUND: "not-found",
}

log = logging.getLogger("votenet.bootstrap")


class _Sampler:
    """Samples that cannot be foreseen: each with a new seed, a quarter of the price of SystemRandom."""

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
        policy: AdmissionPolicy | None = None,
    ) -> None:
        names, policy = names or Names(), policy or AdmissionPolicy()
        dialback = dialback or DialBack(names)
        self.core = BootstrapCore(store, _Sampler(), policy)
        self.address = Address("", 0)
        self.store, self._tasks, self._clock, self._trusts = store, tasks, clock, policy.trusts
        self.storage_failure = ""
        """Why the last transaction could not be saved; empty when it was."""
        self._commit = GroupCommit(store, self.core, self._saved)
        self._rates = RateCheck(policy)
        self._sessions: dict[int, ClientSession] = {}
        self._planner: BatchPlanner[ClientSession] = BatchPlanner()
        self._held_back: list[ClientSession] = []
        self._count = 0
        self._stopped = self._scheduled = False
        self._quiet = QuietLog(log)
        self.metrics = Metrics("votenet_bootstrap", time.monotonic)
        self._count_everything()
        self.notices = NoticeSender(
            self._audience,
            names,
            unreachable=lambda address: self.liveness_checker.suspect(address),
            lines=self.metrics.counter("notices", "Lines to peers about joins and leaves.", "result"),
        )
        self.liveness_checker = LivenessChecker(
            store,
            self.core.liveness_policy,
            dialback,
            clock=clock,
            tell=self._tell,
            saved=self._saved,
            checks=self.metrics.counter("checks", "Peers dialled, and peers that expired.", "result"),
        )
        self.facts = FactFinder(
            names,
            dialback,
            policy,
            gone=self.liveness_checker.silent,
            answered=lambda address: self._quiet.event("still-alive", address=address),
        )

    def _count_everything(self) -> None:
        self.metrics.gauge("peers", "Entries of the registry.", self.count)
        self.metrics.gauge("connections", "Open connections.", lambda: len(self._sessions))
        self.metrics.gauge("waiting", "Requests that wait for a name, a peer or a turn.", self.waiting)
        self.metrics.gauge("uptime_seconds", "Seconds since the start.", lambda: self.metrics.uptime)
        self._answers = self.metrics.counter("answers", "Requests answered, by what was asked.", "request")
        self._refusals = self.metrics.counter("refusals", "Requests refused, by code.", "code")

    # -- links ---------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        lane = "" if self._trusts(link.host) else network_group(link.host) or link.host
        self._sessions[link.id] = ClientSession(lane, link=link, heard=asyncio.get_running_loop().time())

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
        elif self._planner.waiting >= MAX_WAITING_REQUESTS:
            link.pause()
            self._held_back.append(session)
        self._planner.add(session, item)
        self._schedule()

    def to_evict(self, links: Iterable[Link]) -> Link | None:
        """Which of these connections makes room for a new one."""
        sessions = (self._sessions.get(link.id) for link in links)
        return link_to_evict((session for session in sessions if session is not None), self._trusts)

    # -- the batch -----------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run_batch)

    def _run_batch(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        batch = self._planner.take(BATCH_SIZE)
        notices = []
        for session, item, result in self._planner.settle(batch, self._results(batch, int(self._clock()))):
            self._pause_blocked(session)
            notice = self._deliver(session, item, result)
            if notice is not None:
                notices.append(notice)
        for notice in notices:
            self.notices.announce(notice)
        if self._planner:
            self._schedule()
        if self._held_back and self._planner.waiting < MAX_WAITING_REQUESTS // 2:
            sessions, self._held_back = self._held_back, []
            for session in sessions:
                if session.state is SessionState.READY and not session.last_taken:
                    session.link.resume()

    def _results(self, batch: Sequence[tuple[ClientSession, Item]], now: int) -> list[Result | None]:
        """Step all requests: the changes, which are on disk when this returns, then the questions.

        None stands for a request that has to wait: for an earlier one of its link, for its reader, or for the
        next turn because time is up.
        """
        calls = [(session, item) for session, item in batch if changes(item)]
        changed = iter(self._commit.change(calls, now))
        end = time.monotonic() + MAX_LOOKING
        results: list[Result | None] = []
        for session, item in batch:
            if changes(item):
                results.append(next(changed))
            elif session.link.unsent > MAX_UNREAD and not session.link.closing:
                self._planner.block(session, SessionState.NEEDS_READER)
                self._pause_blocked(session)
                results.append(None)
            else:
                results.append(self._look_up(item, now) if time.monotonic() <= end else None)
        return results

    def _look_up(self, item: Item, now: int) -> Result:
        """The result of a request that changes nothing."""
        if isinstance(item, RemoteProtocolError):
            return item
        if isinstance(item.request.body, GetStats):
            return Answer(encode_stats(self.stats()))
        return self._commit.look_up(item, now)

    def _deliver(self, session: ClientSession, item: Item, result: Result) -> Notice | None:
        """Send an answer, or begin to find out what it needs; the notice that follows."""
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
            if len(line) > MAX_UNREAD and self.unread() > MAX_UNREAD_IN_ALL:
                line = error_line(Rejected("busy", "too many lists are being sent"))
        self._answers[item.request.label if isinstance(item, Call) else "none"] += 1
        session.link.answer(line)
        if isinstance(item, RemoteProtocolError) or not item.request.keep_open:
            session.link.close()
        return notice

    # -- sessions that wait --------------------------------------------------------------------

    def _pause_blocked(self, session: ClientSession) -> None:
        if session.state is not SessionState.READY:
            session.link.pause()
        if session.state is SessionState.NEEDS_READER:  # how long the answer is shows when it is sent
            asyncio.get_running_loop().call_soon(self._wait_for_reader, session)

    def _wait_for_reader(self, session: ClientSession) -> None:
        """Resume a session when its answers have been read; its idle limit ends the wait."""
        if session.link.unsent > MAX_UNREAD and not session.link.closing:
            asyncio.get_running_loop().call_later(UNREAD_CHECK_SECONDS, self._wait_for_reader, session)
        else:
            self._resume(session)

    def _resume(self, session: ClientSession, *items: Item) -> None:
        self._planner.resume(session, *items)
        if self._planner:
            self._schedule()
        if not session.last_taken:
            session.link.resume()

    async def _find_out(self, session: ClientSession, call: Call, need: NeedsOwner | NeedsProbe) -> None:
        try:
            call = await self.facts.find_out(call, need)
        except Rejected as error:
            self._deliver(session, call, error)
            self._resume(session)
        else:
            self._resume(session, call)

    # -- numbers, notices, the log -------------------------------------------------------------

    async def keep_counting(self) -> None:
        """Keep the rates those of the last minute; runs until cancelled."""
        while True:
            self.metrics.tick()
            await asyncio.sleep(1.0)

    def stats(self) -> dict[str, object]:
        """Numbers for `votenet bootstrap --stats`: now, since the start, a second in the last minute."""
        counts, rates = self.metrics.counts(), self.metrics.rates()
        rounded = {n: {k: round(rate, 3) for k, rate in some.items()} for n, some in rates.items()}
        return {**self.metrics.gauges(), "counts": counts, "rates": rounded}

    def count(self) -> int:
        """Registered peers; the last known number when the store fails."""
        with contextlib.suppress(StorageError):
            self._count = self.store.count()
        return self._count

    def waiting(self) -> int:
        return self._planner.waiting + self._planner.blocked

    def unread(self) -> int:
        """Bytes of answers that clients have not read."""
        return sum(session.link.unsent for session in self._sessions.values())

    def _audience(self, notice: Notice) -> list[PeerEntry]:
        try:
            return self.core.audience(notice, int(self._clock()))
        except StorageError as error:
            self._saved(error)
            return []

    def _tell(self, notice: Notice) -> None:
        self._quiet.event("joined" if notice.kind == PEER_JOINED else "dropped", address=notice.address)
        self.notices.announce(notice)

    def _saved(self, error: StorageError | None) -> None:
        self.storage_failure = "" if error is None else error.message
        if error is not None:
            self._quiet.event("storage-failed", level=logging.ERROR, why=error.message)

    def _log_answer(self, call: Call, answer: Answer) -> None:
        event = _EVENTS.get(answer.line)
        if event is not None:
            level = logging.INFO if answer.line in (REGISTERED, REMOVED) else logging.DEBUG
            self._quiet.event(event, level=level, address=call.request.address, client=call.client)
            if answer.line == REGISTERED and answer.notice is None:
                self.liveness_checker.wake()  # to be dialled before peers are told of it

    def _refused(self, link: Link, error: VotenetError) -> None:
        self._refusals[error.code] += 1
        self._quiet.event("refused", client=link.host, code=error.code, why=error.message)

    # -- start and end -------------------------------------------------------------------------

    def import_addresses(self, addresses: Sequence[str]) -> int:
        """Add unkeyed entries, all or none; how many were new. Raises StorageError, Rejected."""
        with self.store.saving():
            return self.core.import_addresses(addresses, int(self._clock()))

    async def finish(self) -> None:
        """Answer all requests that have arrived, for FINISH_SECONDS at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while self._planner or self._planner.blocked:  # noqa: ASYNC110  (polled only while stopping)
                    await asyncio.sleep(0.005)

    def stop(self) -> None:
        """After this nothing is saved or told any more."""
        self._stopped = True


@contextlib.asynccontextmanager
async def serve_bootstrap(
    address: Address,
    store: PeerStore,
    *,
    limits: LinkLimits = LIMITS,
    max_links: int = MAX_LINKS,
    clock: Callable[[], float] = time.time,
    names: Names | None = None,
    dialback: DialBack | None = None,
    policy: AdmissionPolicy | None = None,
    more_hosts: Sequence[str] = (),
) -> AsyncIterator[BootstrapServer]:
    """Listen on `address` (port 0: any free one; see `server.address`) until the block ends.

    At the same port on `more_hosts`, too.

    At the end no new connection is taken, requests that have arrived are answered, and notices that are not
    sent yet are dropped. The store stays open: it is the caller's.

    Raises:
        ConfigError: port-taken, cannot-listen.
    """
    async with asyncio.TaskGroup() as tasks:
        server = BootstrapServer(store, tasks, clock=clock, names=names, dialback=dialback, policy=policy)
        listener = Listener(
            server, address, limits,
            max_links=max_links, max_links_per_host=MAX_LINKS_PER_HOST, victim=server.to_evict,
            more_hosts=more_hosts,
        )  # fmt: skip
        async with listener:
            server.address = listener.address
            background = [tasks.create_task(server.notices.work()) for _ in range(NOTICE_WORKERS)]
            background += [
                tasks.create_task(server.liveness_checker.run()),
                tasks.create_task(server.keep_counting()),
            ]
            try:
                yield server
                await server.finish()
            finally:
                server.facts.silence.end()
                for task in background:
                    task.cancel()
        server.stop()
