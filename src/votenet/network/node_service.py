"""A running node: carries out what the core decides, in its order: save, then send, then mine.

What lives here: NodeService, which joins core, store, links, miner and threads in one event loop.
What must not: decisions about votes, blocks and peers (`protocol/node.py`), SQL.

One task drives the core: it drains the events that have come, saves what they ask for in one
transaction in the storage thread, and only then sends. Long checks run in threads of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from votenet import __version__
from votenet.config import NodeConfig
from votenet.core.chain import Chain
from votenet.core.election import Election
from votenet.core.keys import SigningKey
from votenet.core.mempool import Mempool
from votenet.errors import Rejected, RemoteProtocolError, StorageCorrupt, StorageError
from votenet.network import link_faults
from votenet.network.discovery import Discovery
from votenet.network.fair_queue import FairQueue
from votenet.network.guard import Guard
from votenet.network.link_table import CLIENT_LIMITS, LinkTable
from votenet.network.miner import Miner
from votenet.network.notify import HEARTBEAT_SECONDS, notify
from votenet.network.progress import Progress
from votenet.network.serving import Serving
from votenet.network.threads import start_threads
from votenet.network.transport import Listener
from votenet.pow import selected_kernel
from votenet.protocol.address import Address, parse_address
from votenet.protocol.address_book import AddressBook
from votenet.protocol.blame import Ban, of_address, of_key
from votenet.protocol.chapter import MAX_CHAPTER_VOTES, chapter_of
from votenet.protocol.connection import Identity
from votenet.protocol.events import (
    Checked,
    CheckJob,
    Event,
    LinkDown,
    Mined,
    PeerUp,
    Ready,
    Received,
    Served,
    Tick,
)
from votenet.protocol.limits import BYTES_READ_IN_UNIT, CHAIN_UNITS
from votenet.protocol.messages import (
    CANNOT_SAVE,
    REPLIES,
    Message,
    NoBlock,
    NodeStatus,
    NodeWarning,
    Numbered,
    SubmitVotes,
    as_line,
    encode_message,
    line_of,
)
from votenet.protocol.node import NodeCore
from votenet.protocol.state import NodeInfo
from votenet.storage.interface import BlockStore

STEP_SECONDS: Final = 0.005
"""Events are taken for this long before the loop does something else."""
TICK_SECONDS: Final = 0.25
READY_POLL: Final = 0.02
ALONE_SECONDS: Final = 3.0
"""How long a node that was ready without peers looks out for the first one as often as READY_POLL."""
BANS_SECONDS: Final = 1.0
PEERS_SECONDS: Final = 2.0
"""Between two looks whether the cache of peers has changed: what a kill -9 may cost it."""
CHAPTER_SECONDS: Final = 10.0
"""How long the chain in the reference client's form is kept: up to 13 MB, for all who ask soon."""
CHECKERS: Final = min(os.cpu_count() or 1, 4)
"""Threads that check. A fifth of a check holds the interpreter's lock: many would wait for each other."""
CHECKS_AT_ONCE: Final = CHECKERS + 1
"""Given to the checking threads: those that run and one that follows. The others wait in their lanes."""

_KEY: Final = re.compile(r"(?:key:)?([0-9a-f]{64})")

log = logging.getLogger("votenet.node")


class NodeService:
    """One node, from its opened store until it is stopped."""

    def __init__(self, config: NodeConfig, election: Election, key: SigningKey, store: BlockStore) -> None:
        self._config, self._election, self._store = config, election, store
        seed = int.from_bytes(os.urandom(8), "big")
        self._identity = Identity(key, election.network_hex, config.advertise, config.mine, seed)
        self._kernel = None if config.kernel == "auto" else config.kernel
        self._info = NodeInfo(
            name=config.name,
            version=__version__,
            node_key=key.public_hex,
            listen=config.advertise,
            kernel=self._kernel or selected_kernel(),
            mining=config.mine,
            started=time.time(),
            seed=seed,
        )
        self._core = load_core(self._election, self._store, self._info)
        self._events: deque[Event] = deque()
        """Of this program itself; they come before those of links."""
        self._heard: FairQueue[PeerUp | LinkDown | Received] = FairQueue()
        """What came over links: addresses take turns."""
        self._lanes: dict[int, str] = {}
        """Of peers, so that the news that one is gone follows what it said."""
        self._jobs: dict[int, tuple[int, int]] = {}
        """Checks that wait or are under way: the link, and the bytes of the line that asked for it."""
        self._checks: FairQueue[Callable[[], None]] = FairQueue()
        self._checking = 0
        self._woken = asyncio.Event()
        self._storage = ThreadPoolExecutor(1, "storage")
        self._checker = ThreadPoolExecutor(CHECKERS, "checker")
        self._reader = ThreadPoolExecutor(1, "reader")
        book = AddressBook(config.advertise, key.sign(b"votenet/address-book/1\n"))
        self._guard = Guard(time.monotonic, time.time, store.known_bans())
        self._links = LinkTable(
            self._identity,
            self._post,
            self._tip,
            time.monotonic,
            self._refused_by,
            self._guard,
            wall=time.time,
            twin=self._twin,
        )
        self._serving = Serving(self._links, self._reader)
        self._chapter: tuple[bytes, bytes, float] | None = None
        """The chain in the reference client's form: tip, line, when it was last asked for."""
        bootstraps = [parse_address(text) for text in config.bootstrap]
        self._faults = link_faults.Faults(config.data_dir / link_faults.FILE_NAME)
        self._discovery = Discovery(
            book,
            self._links,
            self._identity,
            bootstraps,
            self._faults,
            kinds=config.discovery,
            is_peer=lambda link: self._core.state.sync.follows(link),
        )
        book.restore(store.known_peers(), int(time.time()))
        for address in config.peers:
            book.appoint(address)
        self._anchors: list[str] = []
        self._unsaved: StorageError | None = None
        """Why nothing could be saved when it was tried last."""
        self._said_unready = False
        self._tell_at = time.monotonic() + ALONE_SECONDS
        self._tell_core()

    # -- what the operator asks for ------------------------------------------------------------

    def status(self) -> NodeStatus:
        """The node in one record."""
        return self._core.status(time.time())

    def outbound(self) -> int:
        """Peers that we have chosen and dialled."""
        return len(self._discovery.finder.anchors())

    def bans(self) -> list[Ban]:
        return self._guard.bans()

    async def ban(self, text: str, seconds: int) -> list[Ban]:
        """Ban a key, an IP address, or the peer that listens at `host:port`; on the disk when it returns.

        Raises:
            Rejected: bad-address.
        """
        address = _address(text)
        made = [
            self._guard.ban(subject, seconds, address if subject.startswith(of_key("")) else None)
            for subject in self._subjects(text)
        ]
        self._links.turn_out_banned()
        await self._remember_bans()
        return made

    async def unban(self, text: str) -> int:
        """Lift the bans of a subject, written as in `ban` or in `bans`; how many there were.

        Raises:
            Rejected: bad-address, when it is nothing that could be banned.
        """
        address = _address(text)
        subjects = [] if address is None else self._guard.banned_as(address)
        if not subjects:
            try:
                subjects = self._subjects(text)
            except Rejected:
                if address is None:
                    raise
        lifted = [subject for subject in subjects if self._guard.blamed.lift(subject)]
        await self._remember_bans()
        return len(lifted)

    def _subjects(self, text: str) -> list[str]:
        """What a text means: a key, an IP address, a subject as `bans` has it, or a peer at `host:port`."""
        if key := _KEY.fullmatch(text):
            return [of_key(key[1])]
        if subject := of_address(text.removeprefix("address:").removesuffix("/64")):
            return [subject]
        if (address := _address(text)) is not None:
            if (joined := self._links.key_at(address)) is not None:
                return [of_key(joined)]
            if subject := of_address(parse_address(address).host):
                return [subject]
        raise Rejected("bad-address", f"{text!r} is no key, no IP address of another machine, no joined peer")

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Listen, join the network, serve until `stop` is set; then leave it.

        Raises:
            Locked: the port is taken.
            StorageError: the store failed and could not be read again.
            VotenetError: no-threads; all are started here, so that none is missing later.
        """
        loop = asyncio.get_running_loop()
        miner = Miner(
            lambda template, nonce: _from_thread(loop, self._post, Mined(template, nonce)),
            self._kernel,
            self._config.threads,
        )
        address = Address(self._config.host, self._config.port)
        self._faults.look()
        start_threads(self._storage, 1)
        start_threads(self._checker, CHECKERS)
        start_threads(self._reader, 1)
        with self._storage, self._checker, self._reader, miner:
            async with Listener(
                self._links, address, CLIENT_LIMITS,
                gate=self._guard.connect, victim=self._links.victim, moved=self._links.moved,
                more_hosts=self._config.more_hosts,
            ):  # fmt: skip
                log.info(
                    "listening on %s, network %s, kernel %s", address, self._election.network_hex[:16],
                    self._info.kernel,
                )  # fmt: skip
                with contextlib.suppress(_Stopped):
                    await self._serve(stop, miner)
                notify(STOPPING=1)
                await self._discovery.say_goodbye()
                await self._remember_peers()
                await self._remember_bans()

    async def _serve(self, stop: asyncio.Event, miner: Miner) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._drive(miner), name="drive")
                tasks.create_task(self._tick(), name="tick")
                tasks.create_task(self._report(), name="report")
                tasks.create_task(self._keep_bans(), name="bans")
                tasks.create_task(self._keep_peers(), name="peers")
                tasks.create_task(self._discovery.run(tasks), name="discovery")
                await stop.wait()
                raise _Stopped
        except* _Stopped:
            log.info("stopping")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._links.keep_alive()
            if self._faults.look():
                self._faults.apply(self._links.peers())
                notify(**self._vitals())
            if self._chapter is not None and self._chapter[2] < time.monotonic() - CHAPTER_SECONDS:
                self._chapter = None
            self._post(Tick())

    async def _report(self) -> None:
        """Say READY once the node listens, can save, knows its peers and has caught up; then a heartbeat.

        While it catches up, before that or later, say how far it is.
        """
        said_at: float | None = None
        told: set[str] = set()
        progress = Progress()
        await self._try_to_save()
        while True:
            told = self._tell_wrong(told)
            behind = progress.look(self._core.state, time.monotonic())
            if behind is not None:
                log.info("%s", behind)
                notify(STATUS=behind, **self._vitals())
            if said_at is not None:
                notify(WATCHDOG=1, STATUS=self._status_text(), **self._vitals(), **self._readiness())
            elif self._is_ready():
                said_at = time.monotonic()
                log.info("ready: %s", self._status_text())
                notify(READY=1, STATUS=self._status_text(), **self._vitals())
            await (asyncio.sleep(READY_POLL) if said_at is None else self._until_next_beat(said_at))

    def _tell_wrong(self, told: set[str]) -> set[str]:
        """Log what is wrong when it begins, and that it is over; the codes of what is wrong now.

        Not in the first seconds, in which no node is joined yet.
        """
        if time.monotonic() < self._tell_at:
            return told
        self._tell_at = time.monotonic() + HEARTBEAT_SECONDS
        now = {warning.code: warning.message for warning in self._warnings()}
        for code in now.keys() - told:
            log.warning("%s [%s]", now[code], code)
        for code in told - now.keys():
            log.info("over: %s", code)
        return set(now)

    async def _until_next_beat(self, said_at: float) -> None:
        """A second. One that was ready alone tells of its first peer at once: others wait."""
        peers, until = self._core.state.sync.peers, time.monotonic() + HEARTBEAT_SECONDS
        alone = not peers and until < said_at + ALONE_SECONDS
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(READY_POLL if alone else left)
            if alone and peers:
                return

    def _is_ready(self) -> bool:
        return self._unsaved is None and self._discovery.settled and self._core.caught_up

    def _readiness(self) -> dict[str, object]:
        """READY=0 while nothing can be saved or the node is cut off, READY=1 once when it is over."""
        unready = self._unsaved is not None or bool(self._discovery.alone)
        before, self._said_unready = self._said_unready, unready
        return {"READY": int(not self._said_unready)} if before or self._said_unready else {}

    def _warnings(self) -> tuple[NodeWarning, ...]:
        """What is wrong here, the worst first."""
        found = self._discovery.wrong()
        if self._unsaved is None:
            return found
        text = f"it can save nothing and refuses votes: {self._unsaved.message}. {self._unsaved.next_step}"
        return (NodeWarning(CANNOT_SAVE, as_line(text)), *found)

    def _vitals(self) -> dict[str, object]:
        status = self._core.status(time.time())
        return {
            "X_HEIGHT": status.height,
            "X_PEERS": status.peers,
            "X_TIP": status.tip,
            "X_WAITING": status.waiting,
            "X_LINKS": link_faults.encode(self._faults.now).decode(),
        }

    def _status_text(self) -> str:
        status = self._core.status(time.time())
        if self._unsaved is not None:
            return f"can save nothing: {self._unsaved.message}"
        if alone := self._discovery.alone:
            return f"cut off: {alone}"
        return f"height {status.height}, {status.votes} votes, {status.waiting} waiting, {status.peers} peers"

    # -- the driver ----------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        """Queue an event; from the loop only."""
        if isinstance(event, PeerUp | LinkDown | Received):
            lane = self._lanes.get(event.link) or self._links.crowd(event.link)
            if isinstance(event, PeerUp):
                self._lanes[event.link] = lane
            elif isinstance(event, LinkDown):
                self._lanes.pop(event.link, None)
            self._heard.put(lane, event)
        else:
            self._events.append(event)
        self._woken.set()

    def _tip(self) -> tuple[int, int]:
        tip = self._core.state.chain.tip
        return tip.height, tip.work

    async def _drive(self, miner: Miner) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._events or self._heard:
                try:
                    self._step_for(STEP_SECONDS)
                    ready = self._core.ready(time.time())
                    if ready.save:
                        await loop.run_in_executor(self._storage, self._store.apply, ready.save)
                        self._unsaved = None
                        self._core.saved()
                except StorageError as error:
                    log.error("cannot save: %s", error.message)
                    self._unsaved = error
                    await self._start_over(RemoteProtocolError("storage-failed", error.message), miner)
                    continue
                except _Defect as defect:
                    log.exception("a defect in votenet, over a %s", type(defect.event).__name__)
                    await self._start_over(
                        RemoteProtocolError("busy", "this node starts over after a defect"), miner
                    )
                    continue
                self._carry_out(ready, miner)
                await asyncio.sleep(0)

    def _step_for(self, seconds: float) -> None:
        """Let the core take events for a while.

        Raises:
            _Defect: the core broke over an event; its state in memory can no longer be trusted.
        """
        end = time.perf_counter() + seconds
        self._core.answers.known_peers = len(self._discovery.book)
        self._core.answers.traffic = self._links.traffic
        while (self._events or self._heard) and time.perf_counter() < end:
            event = self._events.popleft() if self._events else self._heard.get()
            if isinstance(event, Received) and self._is_idle_question(event):
                self._links.stepped(event.link)
                continue
            jobs = self._core.state.ready.check
            known = len(jobs)
            try:
                self._core.step(event, time.time())
            except StorageError:
                raise
            except Exception as error:
                raise _Defect(event) from error
            if isinstance(event, Received):
                ids = [job.id for job in jobs[known:] if job.link == event.link]
                size = self._links.stepped(event.link, len(ids))
                self._jobs.update((job, (event.link, size)) for job in ids)
            elif isinstance(event, Checked):
                self._links.job_done(*self._jobs.pop(event.job, (0, 0)))
            elif isinstance(event, PeerUp):
                self._met(event)
            elif isinstance(event, LinkDown):
                self._discovery.peer_down(event)

    def _is_idle_question(self, event: Received) -> bool:
        """Whether this is a question whose answer nobody waits for any more. Votes count all the same."""
        if self._links.is_open(event.link):
            return False
        return type(event.message) in REPLIES and not isinstance(event.message, SubmitVotes)

    def _met(self, event: PeerUp) -> None:
        log.info("joined peer %s at height %d", event.greeted.listen, event.greeted.height)
        self._faults.apply(self._links.peers())
        self._discovery.peer_up(event)
        notify(**self._vitals())

    def _carry_out(self, ready: Ready, miner: Miner) -> None:
        """Everything after the save, in the order of `Ready`."""
        lines: dict[int, bytes] = {}
        for link, message in ready.send:
            if self._links.takes(link):
                self._links.send(link, self._encoded(message, lines))
        for link, units in ready.charge:
            self._links.charge(link, units)
        for question in ready.questions:
            self._serving.ask(question.link, question.begin, size=question.size)
        for link, block_hash in ready.send_blocks:
            self._send_block(link, block_hash)
        for link in ready.send_chapter:
            self._serving.ask(link, self._begin_chapter, "chapter", last=True)
        for link, error in ready.refuse:
            self._links.refuse(link, error)
        for hint in ready.hints:
            self._discovery.hint(hint)
        for link, address in ready.servers:
            self._discovery.bootstrap_named(link, address)
        for link, address, seen in ready.not_reached:
            self._discovery.not_reached(link, address, seen)
        for text in ready.log:
            log.info("%s", text)
        for job in ready.check:
            self._start_check(job)
        if ready.mining_changed:
            miner.mine(ready.template)

    @staticmethod
    def _encoded(message: Message | bytes | Numbered, lines: dict[int, bytes]) -> bytes:
        """A message that goes to several peers is encoded once."""
        if isinstance(message, Numbered):
            return line_of(message)
        line = lines.get(id(message))
        if line is None:
            line = lines[id(message)] = line_of(message)
        return line

    def _start_check(self, job: CheckJob) -> None:
        """Queue a check: who asks for many waits for those who ask for few."""
        loop = asyncio.get_running_loop()
        if job.id not in self._jobs:
            self._jobs[job.id] = (job.link, 0)
            self._links.job_started(job.link)
        core = self._core

        def finished(event: Event) -> None:
            self._checking -= 1
            self._check_on()
            if core is self._core:  # a core that started over knows nothing of this job
                self._post(event)

        def run() -> None:
            _from_thread(loop, finished, Checked(job.id, job.run()))

        def submit() -> None:
            self._checker.submit(run).add_done_callback(_raise_in(loop))

        self._checks.put(self._links.lane(job.link), submit)
        self._check_on()

    def _check_on(self) -> None:
        """Keep the threads busy, with one check that follows without a pause."""
        while self._checks and self._checking < CHECKS_AT_ONCE:
            self._checking += 1
            self._checks.get()()

    def _send_block(self, link: int, block_hash: bytes) -> None:
        """The same block is sent once to a link that asks again before it has it."""
        self._serving.ask(link, lambda: lambda: self._read_block(block_hash), block_hash)

    def _read_block(self, block_hash: bytes) -> Served:
        line = self._store.block_line(block_hash)
        if line is None:
            return Served(encode_message(NoBlock(hash=block_hash.hex())))
        return Served(line, len(line) / BYTES_READ_IN_UNIT)

    def _begin_chapter(self) -> Callable[[], Served]:
        """The chain in the reference client's form, made once for a tip however many ask."""
        chain = self._core.state.chain
        tip, votes = chain.tip.hash, chain.tally.votes
        if votes > MAX_CHAPTER_VOTES:
            raise RemoteProtocolError(
                "response-too-large", f"the chain holds {votes} votes, too many for one line"
            )
        if self._chapter is not None and self._chapter[0] == tip:
            line = self._chapter[1]
            self._chapter = tip, line, time.monotonic()
            return lambda: Served(line)

        def build() -> Served:
            line = chapter_of(self._election, chain.genesis.header, self._store.blocks_in_order())
            self._chapter = tip, line, time.monotonic()
            return Served(line, CHAIN_UNITS * votes)

        return build

    async def _start_over(self, refusal: RemoteProtocolError, miner: Miner) -> None:
        """Nothing of this batch was answered. Drop every link and go on from what is on the disk."""
        miner.mine(None)
        self._links.refuse_all(refusal)
        # In one go: no event of the old core may reach the new one, which counts its jobs anew.
        self._events.clear()
        self._heard.clear()
        self._lanes.clear()
        self._serving.clear()
        self._jobs.clear()
        self._checks.clear()
        self._core = load_core(self._election, self._store, self._info)
        self._tell_core()
        await asyncio.sleep(TICK_SECONDS)  # a full disk is not freed by asking it faster

    def _tell_core(self) -> None:
        self._core.answers.warnings = self._warnings
        self._core.answers.is_met = self._discovery.book.is_met
        self._core.answers.bootstraps = self._bootstraps
        self._core.state.origin_of = self._links.origin

    def _bootstraps(self) -> list[str]:
        return [str(server) for server in self._discovery.finder.servers]

    async def _keep_peers(self) -> None:
        """A node that is killed finds its peers again."""
        while True:
            await asyncio.sleep(PEERS_SECONDS)
            await self._remember_peers()

    async def _remember_peers(self) -> None:
        book, anchors = self._discovery.book, self._discovery.finder.anchors()
        if not book.changed and anchors == self._anchors:
            return
        book.changed, self._anchors = False, anchors
        rows = book.cached(anchors)
        try:
            await asyncio.get_running_loop().run_in_executor(self._storage, self._store.remember_peers, rows)
        except StorageError as error:
            book.changed = True
            log.error("cannot save the addresses of peers: %s", error.message)

    async def _keep_bans(self) -> None:
        """Bans survive a restart; a flood of them is one write a second."""
        while True:
            await asyncio.sleep(BANS_SECONDS)
            await self._remember_bans()
            await self._try_again()

    async def _try_again(self) -> None:
        """Whether what could not be saved could be now: votes may be long in coming."""
        if self._unsaved is None:
            return
        await self._try_to_save()
        if self._unsaved is None:
            log.info("votes can be saved again")

    async def _try_to_save(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._storage, self._store.try_writing)
        except StorageError as error:
            if self._unsaved is None:
                log.error("cannot save: %s", error.message)
            self._unsaved = error
        else:
            self._unsaved = None

    async def _remember_bans(self) -> None:
        blamed = self._guard.blamed
        if not blamed.changed:
            return
        blamed.changed = False
        bans = blamed.remembered(time.time())
        try:
            await asyncio.get_running_loop().run_in_executor(self._storage, self._store.remember_bans, bans)
        except StorageError as error:
            blamed.changed = True
            self._unsaved = error
            log.error("cannot save the bans: %s", error.message)

    def _twin(self, address: str) -> None:
        self._discovery.twin(address)

    def _refused_by(self, address: str, code: str) -> None:
        self._discovery.refused_by(address, code)


def load_core(election: Election, store: BlockStore, info: NodeInfo) -> NodeCore:
    """A core that goes on from what is stored.

    Raises:
        StorageError: the store cannot be read, or (StorageCorrupt) contradicts itself.
    """
    stored = store.load()
    chain, pool = Chain(election), Mempool(info.seed)
    try:
        chain.restore(stored.headers, stored.voters, stored.tally)
    except Rejected as error:
        raise StorageCorrupt(
            f"the stored chain does not hang together: {error.message}",
            next_step="Move the data folder away and start again: the node fetches the chain anew.",
        ) from error
    for sealed in stored.waiting:
        pool.add(sealed)
    log.info("chain at height %d, %d votes, %d waiting", chain.tip.height, chain.tally.votes, len(pool))
    return NodeCore(chain, pool, store, info)


class _Defect(Exception):
    """The core raised something that it never should; `event` is what it was given."""

    def __init__(self, event: Event) -> None:
        super().__init__(type(event).__name__)
        self.event = event


class _Stopped(Exception):
    """Ends the task group of a node that was asked to stop."""


def _address(text: str) -> str | None:
    """`host:port` in its one spelling, None if it is something else. This machine's name is its address."""
    try:
        host, port = parse_address(text)
    except Rejected:
        return None
    return str(Address("127.0.0.1" if host == "localhost" else host, port))


def _from_thread(loop: asyncio.AbstractEventLoop, post: Callable[[Event], None], event: Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for this any more
        loop.call_soon_threadsafe(post, event)


def _raise_in(loop: asyncio.AbstractEventLoop) -> Callable[[object], None]:
    """A defect in a check must end the program loudly, not vanish in its thread."""

    def done(future: object) -> None:
        from concurrent.futures import Future

        assert isinstance(future, Future)
        failure = None if future.cancelled() else future.exception()
        if failure is not None:
            loop.call_soon_threadsafe(
                loop.call_exception_handler, {"message": "a check failed", "exception": failure}
            )

    return done
