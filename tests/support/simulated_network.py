"""Nodes joined by memory instead of sockets, in virtual time: for tests and measurements.

Real cores, link tables and handshakes; wires that delay, lose, repeat, break, fall silent and are cut by
partitions; wrong clocks; crashes that lose what was not saved; miners that find a nonce after a random time.

Everything random comes from one seed, and nothing happens but by the schedule: the same seed and the
same calls give the same history.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Final, Literal, cast

from support.memory_block_store import MemoryBlockStore
from support.simulated_link import Refusal, SimulatedLink
from votenet import __version__
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey, node_keys
from votenet.errors import VotenetError
from votenet.network.node.links import LinkTable
from votenet.network.node.persistence import load_core
from votenet.network.node.service import TICK_SECONDS
from votenet.network.transport import Link, LinkHandler
from votenet.pow import NONCE_LIMIT, bits_to_target, search
from votenet.protocol.node.events import Checked, CheckJob, Event, Mined, Ready, Received, Template, Tick
from votenet.protocol.node.state import NO_FACTS, NodeFacts, NodeInfo
from votenet.protocol.reference_go import reference_chain
from votenet.protocol.wire.connection import LocalNode
from votenet.protocol.wire.lines import line_of
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message
from votenet.protocol.wire.peer_messages import NoBlock

LINE_SECONDS: Final = (0.002, 0.05)
"""A line takes this long over a wire: one machine to half a continent."""
BATCH_SECONDS: Final = (0.0, 0.02)
"""Events that come this soon after another go into one step, one save, one Ready."""
SIMULATED_CHECK_SECONDS: Final = (0.0, 0.02)
LOSS_SECONDS: Final = (0.2, 1.5)
"""What a lost packet costs a line and all behind it: TCP sends it again, sooner or later."""
REDIAL_SECONDS: Final = (0.5, 1.5)
"""Between two looks of a node whether it is joined to all it should be."""

_REPEATABLE: Final = tuple(
    b'{"type":"%s"' % kind
    for kind in (b"votes", b"have_votes", b"get_votes", b"compact_block", b"headers", b"block", b"get_blocks")
)
"""Lines between peers that may be repeated without a word having been said before."""

CrashPoint = Literal["now", "before save", "after save"]
"""`before save`: with the next changes on the way to the disk. `after save`: no peer gets its messages."""


class SimulatedNode:
    """A node between a crash and the next: core and links in memory, the store on its "disk"."""

    def __init__(
        self,
        network: SimulatedNetwork,
        name: str,
        key: SigningKey,
        store: MemoryBlockStore,
        *,
        mining: bool,
        skew: float = 0.0,
        listen: str | None = None,
    ) -> None:
        """`skew`: seconds that its clock is ahead of the network's. `listen`: the address that it claims, its
        name by default."""
        self.name, self.key, self.store, self.mining, self.skew = name, key, store, mining, skew
        self.alive = True
        self.crash_point: CrashPoint | None = None
        self.log: list[str] = []
        self.template: Template | None = None
        self._network, self._inbox, self._scheduled = network, list[Event](), False
        election = network.election
        seed = network.random.getrandbits(64)
        listen = name if listen is None else listen
        keys = node_keys(key.seed)
        info = NodeInfo(name, __version__, key.public_hex, listen, "memory", mining, self.now, seed, keys)
        self.core = load_core(election, store, info, self.facts())
        self.links = LinkTable(
            LocalNode(key, election.network_hex, listen, mining, seed),
            self.post,
            lambda: (self.core.state.chain.tip.height, self.core.state.chain.tip.work),
            lambda: self.now,
            lambda address, code: None,
        )
        self._tick()

    @property
    def now(self) -> float:
        """What its own clock shows."""
        return self._network.now + self.skew

    def post(self, event: Event) -> None:
        """Queue an event; it is taken together with others that come soon."""
        self._inbox.append(event)
        if not self._scheduled:
            self._scheduled = True
            self._later(self._network.random.uniform(*BATCH_SECONDS), self._drive)

    def facts(self) -> NodeFacts:
        """What the core is told of the program around it."""
        return NO_FACTS

    def peers(self) -> set[str]:
        """Names of the nodes that this one is joined to."""
        return {peer.peer_info.listen for peer in self.core.state.sync.peers.values()}

    def _later(self, delay: float, act: Callable[[], None]) -> None:
        self._network.later(delay, lambda: act() if self.alive else None)

    def _tick(self) -> None:
        self.links.keep_alive()
        self.post(Tick())
        self._later(TICK_SECONDS, self._tick)

    def _drive(self) -> None:
        self._scheduled = False
        events, self._inbox = self._inbox, []
        jobs: list[CheckJob] = []
        for event in events:
            jobs += self.core.step(event, self.now)
            if isinstance(event, Received):
                self.links.backpressure.stepped(event.link)
        ready = self.core.ready(self.now)
        if self._crashes("before save", ready):
            return
        if ready.save:
            self.store.apply(ready.save)
            self.core.saved()
        if not self._crashes("after save", ready):
            self.carry_out(ready)
            for job in jobs:
                self._check(job)

    def _crashes(self, point: CrashPoint, ready: Ready) -> bool:
        if self.crash_point == point and ready.save:
            self._network.crash(self.name)
        return not self.alive

    def carry_out(self, ready: Ready) -> None:
        """Everything after the save, in the order of `Ready`."""
        for link, message in ready.send:
            self.links.send(link, line_of(message))
        for link, block_hash in ready.send_blocks:
            line = self.store.block_line(block_hash)
            self.links.send(link, line or encode_message(NoBlock(hash=block_hash.hex())))
        for question in ready.questions:
            self.links.send(question.link, question.begin()().line)
        for link in ready.send_reference_chain:
            self.links.send_last(link, self._reference_chain())
        for link, error in ready.refuse:
            self.links.refuse(link, error)
        self.log += ready.log
        if ready.mining_changed:
            self._mine(ready.template)

    def _check(self, job: CheckJob) -> None:
        checked = Checked(job, job.run())
        self.links.backpressure.job_started(job.link)

        def finish() -> None:
            self.links.backpressure.job_done(job.link)
            self.post(checked)

        self._later(self._network.random.uniform(*SIMULATED_CHECK_SECONDS), finish)

    def _reference_chain(self) -> bytes:
        chain = self.core.state.chain
        return reference_chain(chain.election, chain.genesis.header, self.store.blocks_in_order())

    def _mine(self, template: Template | None) -> None:
        self.template = template
        if template is not None:
            self._later(self._network.search_seconds(template), lambda: self._find(template))

    def _find(self, template: Template) -> None:
        if self.template is template:
            self.template = None
            start = self._network.random.randrange(NONCE_LIMIT // 2)
            header, target = template.header.pack(), bits_to_target(template.header.bits)
            self.post(Mined(template.id, search(header, target, start)))


class SimulatedClient:
    """A stranger on a wire to one node: what it sent for, and what came back."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = False
        self._link: SimulatedLink | None = None

    def send(self, line: bytes) -> None:
        assert self._link is not None
        self._link.send_line(line)

    def ask(self, message: Message) -> None:
        self.send(encode_message(message))

    def answers(self) -> list[Message]:
        """The lines that came, without error lines."""
        return [decode_message(line) for line in self.lines if not line.startswith(b'{"error"')]

    def close(self) -> None:
        assert self._link is not None
        self._link.close()

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        self._link = cast(SimulatedLink, link)

    def line_received(self, link: Link, line: bytes) -> None:
        self.lines.append(line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.closed = True


class SimulatedNetwork:
    """Nodes by name, the wires between them, and the schedule of what happens when.

    Args:
        seed: decides every delay, every nonce and every choice of this network.
        start: virtual Unix time of the beginning.
        mine_seconds: mean virtual time in which one node finds a nonce.
        lost: share of lines of which a packet is lost: they, and all behind them, come late.
        repeated: share of the lines between peers in full that arrive twice (no answers, no handshake).
    """

    def __init__(
        self,
        election: Election,
        *,
        seed: int,
        start: float,
        mine_seconds: float = 2.0,
        line_seconds: tuple[float, float] = LINE_SECONDS,
        lost: float = 0.0,
        repeated: float = 0.0,
    ) -> None:
        self.election, self.now = election, start
        self.mine_seconds, self.line_seconds = mine_seconds, line_seconds
        self.lost, self.repeated = lost, repeated
        self.random = random.Random(seed)
        self.nodes: dict[str, SimulatedNode] = {}
        self.refusals: list[Refusal] = []
        self._schedule: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.link_ids = itertools.count(1)
        self._wires: list[SimulatedLink] = []
        self._wanted: set[frozenset[str]] = set()
        self._groups: tuple[frozenset[str], ...] = ()

    # -- time ----------------------------------------------------------------------------------

    def at(self, time: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._schedule, (time, next(self._numbers), act))

    def later(self, delay: float, act: Callable[[], None]) -> None:
        self.at(self.now + delay, act)

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Let time pass until `condition` holds, looked at whenever something happened.

        Returns False if `limit` seconds were not enough.
        """
        end = self.now + limit
        while not condition():
            if not self._schedule or self._schedule[0][0] > end:
                self.now = end
                return condition()
            self.now, _, act = heapq.heappop(self._schedule)
            act()
        return True

    # -- luck ----------------------------------------------------------------------------------

    def line_delay(self) -> float:
        """Seconds that the next line takes."""
        delay = self.random.uniform(*self.line_seconds)
        if self.lost and self.random.random() < self.lost:
            delay += self.random.uniform(*LOSS_SECONDS)
        return delay

    def delay_on(self, link: SimulatedLink, line: bytes) -> float:
        """Seconds that a line takes from this end of a wire; a network with a geography says it otherwise."""
        return self.line_delay()

    def search_seconds(self, template: Template) -> float:
        """Seconds until a node finds the nonce of a template, if it is let; however hard that is."""
        return self.random.expovariate(1.0 / self.mine_seconds)

    def copies_of(self, line: bytes) -> int:
        """How often a line arrives. A node that starts again may well say twice what it said before."""
        twice = self.repeated and line.startswith(_REPEATABLE) and self.random.random() < self.repeated
        return 2 if twice else 1

    # -- nodes ---------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        *,
        mining: bool = True,
        skew: float = 0.0,
        store: MemoryBlockStore | None = None,
        key: SigningKey | None = None,
    ) -> SimulatedNode:
        """A new node with a clock `skew` seconds ahead, its store empty; its key follows from its name."""
        key = key or SigningKey(name.encode().ljust(32, b"\0")[:32])
        return self._start(
            SimulatedNode(self, name, key, store or MemoryBlockStore(self.election), mining=mining, skew=skew)
        )

    def _start(self, node: SimulatedNode) -> SimulatedNode:
        self.nodes[node.name] = node
        self._redial(node)
        return node

    def crash(self, name: str, point: CrashPoint = "now") -> None:
        """kill -9, at once or around the node's next save. What it had not saved is gone; what it had sent
        still arrives: an answer that was given too early is found out."""
        node = self.nodes[name]
        if point != "now":
            node.crash_point = point
            return
        node.alive = False
        for wire in self._open_wires():
            for end in (wire, wire.other):
                if end.owner == name:
                    end.die()

    def restart(self, name: str) -> SimulatedNode:
        """Key, store and clock of the old process in a new one; kills the old one if it still runs."""
        old = self.nodes[name]
        if old.alive:
            self.crash(name)
        return self._start(SimulatedNode(self, name, old.key, old.store, mining=old.mining, skew=old.skew))

    # -- wires ---------------------------------------------------------------------------------

    def join(self, dialler: str, listener: str) -> SimulatedLink | None:
        """Connect two nodes and let the handshake begin; None if the other side cannot be reached."""
        ours, theirs = self.nodes[dialler], self.nodes[listener]
        if not theirs.alive or self.apart(dialler, listener):
            return None
        return self.connect(ours.links, dialler, theirs.links, listener)

    def client(self, name: str) -> SimulatedClient:
        """A stranger's connection to a node; closed from the beginning if the node is down."""
        client = SimulatedClient()
        self.connect(client, "client", self.nodes[name].links, name)
        if not self.nodes[name].alive:
            client.close()
        return client

    def connect(self, dialler: LinkHandler, name: str, listener: LinkHandler, other: str) -> SimulatedLink:
        near = SimulatedLink(self, dialler, name, outbound=True)
        far = SimulatedLink(self, listener, other, outbound=False)
        near.other, far.other = far, near
        near.dialled = (other,)
        self._wires.append(near)
        far.handler.link_opened(cast(Link, far))
        near.handler.link_opened(cast(Link, near))
        return near

    def keep_joined(self, names: Iterable[str]) -> None:
        """Every pair of these nodes dials each other whenever it finds itself apart."""
        self._wanted |= {frozenset(pair) for pair in itertools.combinations(names, 2)}

    def stop_joining(self, one: str, other: str) -> None:
        """These two nodes no longer dial each other."""
        self._wanted.discard(frozenset((one, other)))

    def cut(self, one: str, other: str) -> None:
        """Every wire between two nodes breaks; both hear of it."""
        for wire in self._open_wires():
            if {wire.owner, wire.other.owner} == {one, other}:
                self._break(wire)

    def partition(self, *groups: Iterable[str], silent: bool = False) -> None:
        """Wires between groups break and cannot be connected again; `silent`: neither end is told."""
        self._groups = tuple(frozenset(group) for group in groups)
        for wire in self._open_wires():
            if self.apart(wire.owner, wire.other.owner):
                wire.fall_silent() if silent else self._break(wire)

    def heal(self) -> None:
        """Everybody can reach everybody again. A silent wire stays silent until it is given up."""
        self._groups = ()

    def _break(self, wire: SimulatedLink) -> None:
        """Lines under way are lost; both ends hear of it."""
        wire.fall_silent()
        wire.closing = wire.other.closing = True
        self.later(self.random.uniform(*self.line_seconds), wire.end_both)

    def apart(self, one: str, other: str) -> bool:
        """Whether a partition keeps two nodes from connecting."""
        return any((one in group) != (other in group) for group in self._groups)

    def _open_wires(self) -> list[SimulatedLink]:
        self._wires = [wire for wire in self._wires if not (wire.ended and wire.other.ended)]
        return [wire for wire in self._wires if not wire.closing]

    def _redial(self, node: SimulatedNode) -> None:
        if not node.alive:
            return
        if self._wanted:
            busy = {frozenset((wire.owner, wire.other.owner)) for wire in self._open_wires()}
            for pair in sorted(self._wanted - busy, key=sorted):
                if node.name in pair:
                    (other,) = pair - {node.name}
                    self.join(node.name, other)
        self.later(self.random.uniform(*REDIAL_SECONDS), lambda: self._redial(node))
