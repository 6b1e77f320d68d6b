"""Nodes that find each other, in virtual time: real discovery, cores and handshakes on wires in memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from support.elections import CREATED, make_election
from support.memory_block_store import MemoryBlockStore
from support.memory_peer_store import MemoryPeerStore
from support.simulated_network import SimulatedLink, SimulatedNetwork, SimulatedNode
from votenet.core.keys import SigningKey
from votenet.network.node.links import Behind
from votenet.protocol.bootstrap.bootstrap_messages import (
    ListPeers,
    RegisterAddress,
    Request,
    decode_peers,
    encode_notice,
)
from votenet.protocol.bootstrap.server_core import Answer, BootstrapCore, Call
from votenet.protocol.node.events import HINT_LEFT, Event, LinkDown, PeerUp, Ready
from votenet.protocol.node.state import NodeFacts
from votenet.protocol.peers.address_manager import AddressManager, CachedPeer, group_of
from votenet.protocol.peers.bootstrap_servers import AskBootstrap
from votenet.protocol.peers.discovery import (
    KINDS,
    Action,
    AskForPeers,
    CheckClaim,
    ConfirmAddress,
    DialPeer,
    Disconnect,
    Discovery,
    TellNotReached,
)
from votenet.protocol.wire.address import Address, parse_address
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetPeers, NotReached

BOOTSTRAP = Address("10.255.0.1", 4000)
LOOK_SECONDS = 0.25


class FindingNode(SimulatedNode):
    """A node of a FindingNetwork; its name is the address where it listens."""

    def __init__(
        self,
        network: FindingNetwork,
        name: str,
        *,
        kinds: Iterable[str],
        bootstraps: Sequence[Address],
        peers: Sequence[str],
        cache: Sequence[CachedPeer],
        claims: str | None,
    ) -> None:
        self.addresses = AddressManager(name, name.encode())
        self.told: list[NotReached] = []
        self.dials: list[str] = []
        self.discovery = Discovery(
            self.addresses,
            bootstraps,
            kinds=kinds,
            open_addresses=lambda: self.links.busy_addresses(),
            dice=random.Random(name),
        )
        key = SigningKey(name.encode().ljust(32, b"\0")[:32])
        super().__init__(network, name, key, MemoryBlockStore(network.election), mining=False, listen=claims)
        self._net = network
        self.addresses.restore(cache, int(network.now))
        for address in peers:
            self.addresses.add(address)
        self._look()

    def facts(self) -> NodeFacts:
        return NodeFacts(
            is_met=self.addresses.is_met,
            bootstraps=lambda: [str(server) for server in self.discovery.servers.answering()],
        )

    def knows(self) -> set[str]:
        """Addresses that it knows."""
        return set(self.addresses)

    def outbound(self) -> list[str]:
        return self.discovery.anchors()

    def post(self, event: Event) -> None:
        super().post(event)
        if isinstance(event, PeerUp):
            behind = self.links.behind(event.link)
            assert behind is not None
            self.discovery.peer_up(
                event.link, behind.host, behind.dialled, event.peer_info, self.now, int(self.now)
            )
        elif isinstance(event, LinkDown):
            self.discovery.peer_down(event.link, self.now)

    def carry_out(self, ready: Ready) -> None:
        super().carry_out(ready)
        for hint in ready.hints:
            behind = self.links.behind(hint.link) or Behind("", "", False)
            if hint.kind != HINT_LEFT:
                self.discovery.address_named(hint.kind, hint.address, group_of(behind.host), self.now)
            elif self.discovery.peer_left(hint.address):
                self.links.doubt(hint.address)
        for link, address in ready.servers:
            self.discovery.bootstrap_named(parse_address(address), link)
        self.told += [NotReached(address=address, seen=seen) for _, address, seen in ready.not_reached]

    def _look(self) -> None:
        for action in self.discovery.actions(self.now):
            self._act(action)
        self._later(LOOK_SECONDS, self._look)

    def _act(self, action: Action) -> None:
        if isinstance(action, DialPeer):
            self.dials.append(str(action.address))
            self._after(lambda: self._dial(str(action.address)))
        elif isinstance(action, AskBootstrap):
            self._after(lambda: self._net.ask_bootstrap(self, action))
        elif isinstance(action, CheckClaim):
            self._after(lambda: self._check(action))
        elif isinstance(action, AskForPeers):
            self.links.send(action.link, encode_message(GetPeers()))
        elif isinstance(action, Disconnect):
            self.links.disconnect(action.link)
        elif isinstance(action, ConfirmAddress):
            self.links.confirm_address(action.link, action.address)
        else:
            assert isinstance(action, TellNotReached)
            behind = self.links.behind(action.link)
            if behind is not None:
                message = NotReached(address=action.address, seen=behind.host)
                self.links.send(action.link, encode_message(message))

    def _after(self, act: Callable[[], None]) -> None:
        self._later(self._net.line_delay(), act)

    def _dial(self, name: str) -> None:
        link = self._net.join(self.name, name) if name in self._net.nodes else None
        if link is None:
            self.discovery.dial_failed(name, self.now)
        else:
            self.links.dialled(link, name)  # type: ignore[arg-type]
            self.discovery.link_opened(name, self.now)

    def _check(self, check: CheckClaim) -> None:
        there = self._net.nodes.get(check.address)
        holds = there is not None and there.alive and there.key.public_hex == check.node_key
        if holds and self._net.apart(self.name, check.address):
            holds = False
        self.discovery.claim_checked(check.address, check.node_key, holds, self.now, int(self.now))


class FindingNetwork(SimulatedNetwork):
    """Names of nodes are addresses. `kinds`: discovery that is on at every node."""

    def __init__(self, seed: int = 1, kinds: Iterable[str] = KINDS) -> None:
        super().__init__(make_election(), seed=seed, start=CREATED + 100.0)
        self.kinds = tuple(kinds)
        self.bootstrap_up = True
        self.servers: dict[Address, BootstrapCore] = {}
        self.asked: list[str] = []

    def find(
        self,
        name: str,
        *,
        cache: Sequence[CachedPeer] = (),
        claims: str | None = None,
        peers: Sequence[str] = (),
        bootstraps: Sequence[Address] = (BOOTSTRAP,),
    ) -> FindingNode:
        """A new node at this address."""
        node = FindingNode(
            self, name, kinds=self.kinds, bootstraps=bootstraps, peers=peers, cache=cache, claims=claims
        )
        self._start(node)
        return node

    def finding_nodes(self) -> list[FindingNode]:
        return [node for node in self.nodes.values() if isinstance(node, FindingNode) and node.alive]

    def all_know_all(self) -> bool:
        names = {node.name for node in self.finding_nodes()}
        return all(node.knows() >= names - {node.name} for node in self.finding_nodes())

    def ask_bootstrap(self, node: FindingNode, ask: AskBootstrap) -> None:
        """One conversation with the server at this address, by its real rules."""
        self.asked.append(node.name)
        if not self.bootstrap_up:
            node.discovery.bootstrap_failed(ask.address, self.now)
            return
        core = self.servers.setdefault(ask.address, BootstrapCore(MemoryPeerStore(), random.Random(1)))
        now = int(self.now)
        if ask.register:
            answer = core.step(Call(Request(RegisterAddress(node.name)), "127.0.0.1"), now)
            assert isinstance(answer, Answer)
            for entry in core.audience(answer.notice, now) if answer.notice is not None else []:
                if entry.address in self.nodes and answer.notice is not None:
                    self.client(entry.address).send(encode_notice(answer.notice.kind, answer.notice.address))
        listed = core.step(Call(Request(ListPeers()), "127.0.0.1"), now)
        assert isinstance(listed, Answer)
        peers = [peer.address for peer in decode_peers(listed.line).peers]
        self.later(
            self.line_delay(),
            lambda: node.discovery.bootstrap_answered(ask.address, ask.register, peers, self.now),
        )

    def connect(self, dialler: Any, name: str, listener: Any, other: str) -> SimulatedLink:
        near = super().connect(dialler, name, listener, other)
        near.host, near.other.host = other.rpartition(":")[0], name.rpartition(":")[0]
        return near


def far_address(number: int) -> str:
    """Addresses in networks of their own, /16 each."""
    return f"10.{number}.0.1:3000"
