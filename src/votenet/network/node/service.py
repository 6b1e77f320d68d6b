"""A running node: carries out what the core decides, in its order: save, then send, then mine.

One task drives the core: it takes the events that have come, saves the changes that follow in one
transaction, and only then sends. Decisions about votes, blocks and peers are the core's
(`protocol/node/node_core.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from votenet import __version__
from votenet.config import NodeConfig
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey, node_keys
from votenet.core.limits import MAX_SAFE_INTEGER
from votenet.core.log.certificate import Certificate
from votenet.errors import RemoteProtocolError, StorageError
from votenet.network import link_faults
from votenet.network.beat import until_beat
from votenet.network.listener import MAX_LINKS, Listener, room_for_links
from votenet.network.node.ban_list import BanList
from votenet.network.node.check_queue import CheckQueue, call_in
from votenet.network.node.connection_policy import ConnectionPolicy
from votenet.network.node.discovery_io import DiscoveryIO
from votenet.network.node.health import Health
from votenet.network.node.links import CLIENT_LIMITS, LinkTable
from votenet.network.node.miner import NAMED_NICENESS, NICENESS, NonceSearcher
from votenet.network.node.peer_log import PeerLog
from votenet.network.node.persistence import Persistence, load_core
from votenet.network.node.reference_chain import ReferenceChain
from votenet.network.node.serving import Serving, read_block
from votenet.network.node.witness_pusher import WitnessPusher, witnesses_of
from votenet.network.notify import notify
from votenet.network.threads import start_threads
from votenet.pow import selected_kernel
from votenet.protocol.node.events import (
    Checked,
    CheckJob,
    Event,
    LinkDown,
    Mined,
    PeerUp,
    Ready,
    Received,
    Tick,
    Witnessed,
)
from votenet.protocol.node.state import NodeFacts, NodeInfo
from votenet.protocol.peers.address_manager import AddressManager
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.client_messages import GetResults, GetStatus, NodeStatus, SubmitVotes
from votenet.protocol.wire.connection import LocalNode
from votenet.protocol.wire.fair_queue import FairQueue
from votenet.protocol.wire.lines import Numbered, line_of
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.peer_messages import GetPeers, Peers, Ping, Pong
from votenet.storage.blocks.block_store import BlockStore

STEP_SECONDS: Final = 0.005
"""Events are taken for this long before the loop does something else."""
TICK_SECONDS: Final = 0.25
"""Between two ticks while something goes on: votes wait, a link is paused, or others said something."""
LIVELY_SECONDS: Final = 10.0
"""So long after something that others said; most answers that the core waits for are late by then."""
IDLE_TICK_SECONDS: Final = 1.0
SHORTEST_TICK: Final = 0.002
"""No two ticks come faster one after the other."""
SAVE_SECONDS: Final = 1.0
"""A killed node finds its peers again, and bans survive: it loses the changes of this time at most."""
_SMALL_TALK: Final = (Ping, Pong, GetPeers, Peers, GetStatus, GetResults)
"""What idle nodes and pages say to each other all the time; the core waits for nothing after it."""

log = logging.getLogger("votenet.node")


class NodeService:
    """One node, from its opened store until it is stopped."""

    def __init__(self, config: NodeConfig, election: Election, key: SigningKey, store: BlockStore) -> None:
        seed = int.from_bytes(os.urandom(8), "big")
        self._config, self._election, self._store = config, election, store
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
            keys=node_keys(key.seed),
        )
        self._woken = asyncio.Event()
        self._events: deque[Event] = deque()
        """Of this program itself; they come before those of links."""
        self._from_links: FairQueue[PeerUp | LinkDown | Received] = FairQueue()
        """Addresses take turns."""
        self._lanes: dict[int, str] = {}
        """Lanes of peers, so that LinkDown follows what the peer sent."""
        self._peer_log = PeerLog()
        self._alarm: asyncio.TimerHandle | None = None
        self._stirred = asyncio.Event()
        """The next tick is due before that of an idle node."""
        self._lively_until = 0.0
        self._persistence = Persistence(store)
        identity = LocalNode(key, election.network_hex, config.advertise, config.mine, seed)
        named = [node.node_key for node in election.definition.nodes]
        self._policy = ConnectionPolicy(time.monotonic, time.time, store.known_bans(), named)
        self._links = LinkTable(
            identity,
            self._post,
            self._tip,
            time.monotonic,
            lambda address, code: self._discovery.refused_by(address, code),
            self._policy,
            wall=time.time,
            twin=lambda address: self._discovery.twin(address),
            foreign=lambda host: self._discovery.foreign(host),
        )
        self.bans = BanList(self._policy, self._links, self._persistence)
        self._reader = ThreadPoolExecutor(1, "reader")
        self._serving = Serving(self._links, self._reader)
        self._reference_chain = ReferenceChain(election, store)
        self._checks = CheckQueue(self._links, self._post)
        self._faults = link_faults.Faults(config.data_dir / link_faults.LINK_FAULTS_FILE)
        self._discovery = self._make_discovery(identity, key)
        self._health = Health(lambda: self._core, self._discovery, self._persistence, self._faults)
        self._facts = self._make_facts()
        self._core = load_core(election, store, self._info, self._facts)
        self._witnesses = WitnessPusher(
            witnesses_of(election, config.witnesses) if self._core.state.index is not None else (),
            self._certificate,
            store.tile,
            self._reader,
            lambda note: self._post(Witnessed(note)),
        )

    def _make_facts(self) -> NodeFacts:
        return NodeFacts(
            origin=self._links.origin,
            can_save=lambda: self._persistence.failure is None,
            is_live=lambda link: (behind := self._links.behind(link)) is not None and behind.live,
            known_peers=lambda: len(self._discovery.addresses),
            traffic=self._links.traffic,
            is_met=self._discovery.addresses.is_met,
            bootstraps=lambda: [str(server) for server in self._discovery.core.servers.answering()],
            warnings=self._health.warnings,
            disk_free=functools.partial(_disk_free, self._config.data_dir),
        )

    def _make_discovery(self, identity: LocalNode, key: SigningKey) -> DiscoveryIO:
        """Finds peers: those of the cache, those that the operator named, and those of bootstrap servers."""
        addresses = AddressManager(self._config.advertise, key.sign(b"votenet/address-book/1\n"))
        addresses.restore(self._store.known_peers(), int(time.time()))
        for address in self._config.peers:
            addresses.add_configured(address)
        return DiscoveryIO(
            addresses,
            self._links,
            identity,
            [parse_address(text) for text in self._config.bootstrap],
            self._faults,
            kinds=self._config.discovery,
            is_peer=lambda link: self._core.state.sync.follows(link),
            named=self._other_named(key.public_hex),
        )

    def _other_named(self, own_key: str) -> NamedNodes:
        names = {node.node_key: node.name for node in self._election.definition.nodes}
        decides = names.pop(own_key, None) is not None
        return NamedNodes(names, decides=decides)

    def status(self) -> NodeStatus:
        """The node in one record."""
        return self._core.status(time.time())

    def outbound(self) -> int:
        """Number of peers that this node has chosen and dialled."""
        return len(self._discovery.core.anchors())

    def _certificate(self) -> Certificate | None:
        checkpoints = self._core.checkpoints
        certified = None if checkpoints is None else checkpoints.certified
        return None if certified is None else certified.certificate

    # -- life ----------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Listen, join the network, serve until `stop` is set; then leave it.

        Raises:
            Locked: the port is taken.
            StorageError: the store failed and could not be read again.
            VotenetError: no-threads; all are started here, so that none is missing later.
        """
        loop = asyncio.get_running_loop()
        address = Address(self._config.host, self._config.port)
        self._faults.look()
        with contextlib.ExitStack() as threads:
            threads.enter_context(self._persistence.started())
            threads.enter_context(self._checks.started())
            start_threads(self._reader, 1)
            threads.enter_context(self._reader)
            miner = threads.enter_context(
                NonceSearcher(
                    lambda template, nonce: call_in(loop, self._post, Mined(template, nonce)),
                    self._kernel,
                    self._config.threads,
                    NICENESS if self._core.state.index is None else NAMED_NICENESS,
                )
            )
            async with Listener(
                self._links,
                address,
                CLIENT_LIMITS,
                max_links=room_for_links(MAX_LINKS),
                gate=self._policy.connect,
                victim=self._links.victim,
                moved=self._links.memory.moved,
                more_hosts=self._config.more_hosts,
            ):
                network, kernel = self._election.network_hex[:16], self._info.kernel
                log.info("listening on %s, network %s, kernel %s", address, network, kernel)
                with contextlib.suppress(_Stopped):
                    await self._serve(stop, miner)
                notify(STOPPING=1)
                await self._discovery.say_goodbye()
                await self._save_peers()
                await self._persistence.save_bans(self._policy.scores)

    async def _serve(self, stop: asyncio.Event, miner: NonceSearcher) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._drive(miner), name="drive")
                tasks.create_task(self._tick(), name="tick")
                tasks.create_task(self._health.report(), name="report")
                tasks.create_task(self._keep(), name="keep")
                tasks.create_task(self._discovery.run(tasks), name="discovery")
                tasks.create_task(self._witnesses.run(), name="witnesses")
                await stop.wait()
                raise _Stopped
        except* _Stopped:
            log.info("stopping")

    async def _tick(self) -> None:
        while True:
            await self._until_tick()
            self._links.keep_alive()
            if self._faults.look():
                self._faults.apply(self._links.peers())
                self._health.tell_facts()
            self._reference_chain.forget()
            self._post(Tick())

    async def _until_tick(self) -> None:
        if not self._is_lively():
            self._stirred.clear()
            idle = asyncio.get_running_loop().call_later(until_beat(IDLE_TICK_SECONDS), self._stirred.set)
            await self._stirred.wait()
            idle.cancel()
        if self._is_lively():
            await asyncio.sleep(TICK_SECONDS)

    def _is_lively(self) -> bool:
        """Whether ticks are due often."""
        waits = len(self._core.state.pool) > 0 or self._links.backpressure.some_wait
        return waits or time.monotonic() < self._lively_until

    async def _keep(self) -> None:
        """Save bans and peers, and find out whether a store that failed works again: votes may be long in
        coming."""
        while True:
            await asyncio.sleep(until_beat(SAVE_SECONDS))
            await self._persistence.save_bans(self._policy.scores)
            await self._save_peers()
            if self._persistence.failure is not None:
                await self._persistence.probe()

    async def _save_peers(self) -> None:
        await self._persistence.save_peers(self._discovery.addresses, self._discovery.core.anchors())

    # -- the driver ----------------------------------------------------------------------------

    def _post(self, event: Event) -> None:
        """Queue an event; from the loop only."""
        if not isinstance(event, Tick) and not _is_small_talk(event):
            self._lively_until = time.monotonic() + LIVELY_SECONDS
        if isinstance(event, PeerUp | LinkDown | Received):
            lane = self._lanes.get(event.link) or self._links.crowd(event.link)
            if isinstance(event, PeerUp):
                self._lanes[event.link] = lane
            elif isinstance(event, LinkDown):
                self._lanes.pop(event.link, None)
            self._from_links.put(lane, event)
        else:
            self._events.append(event)
        self._woken.set()

    def _tip(self) -> tuple[int, int]:
        tip = self._core.state.chain.tip
        return tip.height, tip.work

    async def _drive(self, miner: NonceSearcher) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._events or self._from_links:
                try:
                    # 1. The core takes events for a while.
                    jobs = self._step_a_while()
                    # 2. The changes that follow are saved in one transaction.
                    ready = self._ready()
                    if ready.save:
                        await self._persistence.apply(ready.save)
                        self._core.saved()
                except StorageError as error:
                    await self._start_over(RemoteProtocolError("storage-failed", error.message), miner)
                    continue
                except _Defect as defect:
                    log.exception("a defect in votenet, over a %s", type(defect.event).__name__)
                    refusal = RemoteProtocolError("busy", "this node starts over after a defect")
                    await self._start_over(refusal, miner)
                    continue
                # 3. Only now peers and clients are answered, and the miner learns its new block.
                self._carry_out(ready, miner)
                for job in jobs:
                    self._checks.add(job)
                self._wake_for(self._core.deadline)
                if self._is_lively():
                    self._stirred.set()
                if self._events or self._from_links:
                    await asyncio.sleep(0)

    def _wake_for(self, deadline: float | None) -> None:
        """Post a tick for a deadline of the core that comes before the next regular one."""
        if self._alarm is not None:
            self._alarm.cancel()
        if deadline is None:
            return
        seconds = max(deadline - time.time(), SHORTEST_TICK)
        if seconds < 2 * IDLE_TICK_SECONDS:  # the next regular tick is nearer than that
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._post, Tick())

    def _step_a_while(self) -> list[CheckJob]:
        """Let the core take events for STEP_SECONDS; returns the checks that they ask for.

        Raises:
            _Defect: the core broke over an event; its state in memory can no longer be trusted.
        """
        end = time.perf_counter() + STEP_SECONDS
        begun: list[CheckJob] = []
        while (self._events or self._from_links) and time.perf_counter() < end:
            event = self._events.popleft() if self._events else self._from_links.get()
            if isinstance(event, Received) and self._is_idle_question(event):
                self._links.backpressure.stepped(event.link)
                continue
            try:
                jobs = self._core.step(event, time.time())
            except StorageError:
                raise
            except Exception as error:
                raise _Defect(event) from error
            if isinstance(event, Received):
                self._links.backpressure.stepped(
                    event.link, len([job for job in jobs if job.link == event.link])
                )
            elif isinstance(event, Checked):
                self._checks.finished(event.job)
            elif isinstance(event, PeerUp):
                self._joined(event)
            elif isinstance(event, LinkDown):
                self._peer_log.down(event.link)
                self._discovery.peer_down(event)
            begun += jobs
        return begun

    def _ready(self) -> Ready:
        """What follows from the steps. Raises _Defect as `_step_a_while` does; StorageError."""
        try:
            return self._core.ready(time.time())
        except StorageError:
            raise
        except Exception as error:
            raise _Defect(Tick()) from error

    def _is_idle_question(self, event: Received) -> bool:
        """Whether this is a question of a client that has left. A vote is no question: it is still wanted."""
        if self._links.is_open(event.link):
            return False
        return bool(event.message.replies) and not isinstance(event.message, SubmitVotes)

    def _joined(self, event: PeerUp) -> None:
        self._peer_log.up(event.link, event.peer_info)
        self._faults.apply(self._links.peers())
        self._discovery.peer_up(event)
        self._health.tell_facts()

    def _carry_out(self, ready: Ready, miner: NonceSearcher) -> None:
        """Everything after the save, in the order of `Ready`."""
        lines: dict[int, bytes] = {}
        for link, message in ready.send:
            if self._links.is_open(link):
                self._links.send(link, _encoded(message, lines))
        for link, units in ready.charge:
            self._links.charge(link, units)
        for question in ready.questions:
            self._serving.ask(question.link, question.begin, question.key, size=question.size)
        for link, block_hash in ready.send_blocks:
            # The same block is sent once to a link that asks again before it has it.
            work = functools.partial(read_block, self._store, block_hash)
            self._serving.ask(link, lambda work=work: work, block_hash)  # type: ignore[misc]
        for link in ready.send_reference_chain:
            begin = functools.partial(self._reference_chain.begin, self._core.state.chain)
            self._serving.ask(link, begin, "reference chain", last=True)
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
        if ready.mining_changed:
            miner.mine(ready.template)

    async def _start_over(self, refusal: RemoteProtocolError, miner: NonceSearcher) -> None:
        """Drop every link and go on from the disk: this batch was not answered."""
        miner.mine(None)
        self._links.refuse_all(refusal)
        # In one go: no event of the old core may reach the new one, which counts its jobs anew.
        self._events.clear()
        self._from_links.clear()
        self._lanes.clear()
        self._peer_log.clear()
        self._serving.clear()
        self._checks.clear()
        self._core = load_core(self._election, self._store, self._info, self._facts)
        await asyncio.sleep(TICK_SECONDS)  # a full disk is not freed by asking it faster


def _disk_free(folder: Path) -> int | None:
    """Bytes that this user may still write there, 2**53 - 1 at most; None where the system does not tell."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return min(found.f_bavail * found.f_frsize, MAX_SAFE_INTEGER)


def _is_small_talk(event: Event) -> bool:
    return isinstance(event, Received) and isinstance(event.message, _SMALL_TALK)


def _encoded(message: Message | bytes | Numbered, lines: dict[int, bytes]) -> bytes:
    """The line of a message; one that goes to several peers is encoded once."""
    if isinstance(message, Numbered):
        return line_of(message)
    line = lines.get(id(message))
    if line is None:
        line = lines[id(message)] = line_of(message)
    return line


class _Defect(Exception):
    """The core raised an unexpected error at `event`."""

    def __init__(self, event: Event) -> None:
        super().__init__(type(event).__name__)
        self.event = event


class _Stopped(Exception):
    """Ends the task group of a node that was asked to stop."""
