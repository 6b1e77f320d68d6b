"""Nodes that find each other, in virtual time: real finders, cores and handshakes on wires in memory.

What lives here: FindingNetwork, a MemoryNetwork whose nodes each have a Finder instead of a list of whom to
dial, and a bootstrap server with the real rules, which can be killed. What must not: assertions.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from support import CREATED, make_election
from votenet.core.keys import SigningKey
from votenet.network.link_table import Behind
from votenet.network.memory import MemoryLink, MemoryNetwork, MemoryNode
from votenet.protocol.address import Address, parse_address
from votenet.protocol.address_book import AddressBook, CachedPeer, group_of
from votenet.protocol.bootstrap import Answer, BootstrapCore, Call
from votenet.protocol.bootstrap_messages import GetPeers as ListPeers
from votenet.protocol.bootstrap_messages import Register, Request, decode_peers, encode_notice
from votenet.protocol.events import LEFT, Event, LinkDown, PeerUp, Ready
from votenet.protocol.finder import KINDS, Action, Ask, AskBootstrap, Check, Dial, Finder, Met, Part, Tell
from votenet.protocol.messages import GetPeers, NotReached, encode_message
from votenet.storage.memory import MemoryStore
from votenet.storage.memory_peer_store import MemoryPeerStore

BOOTSTRAP = Address("10.255.0.1", 4000)
LOOK_SECONDS = 0.25


class FindingNode(MemoryNode):
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
        self.book = AddressBook(name, name.encode())
        self.told: list[NotReached] = []
        self.dials: list[str] = []
        self.finder = Finder(
            self.book,
            bootstraps,
            kinds=kinds,
            joined=lambda: self.links.busy_addresses(),
            dice=random.Random(name),
        )
        key = SigningKey(name.encode().ljust(32, b"\0")[:32])
        super().__init__(network, name, key, MemoryStore(), mining=False)
        if claims is not None:
            self.links._identity = self.links._identity._replace(listen=claims)
            self.core.state.info = dataclasses.replace(self.core.state.info, listen=claims)
        self._net = network
        self.core.answers.is_met = self.book.is_met
        self.core.answers.bootstraps = lambda: [str(server) for server in self.finder.servers]
        self.book.restore(cache, int(network.now))
        for address in peers:
            self.book.add(address)
        self._look()

    def knows(self) -> set[str]:
        """Addresses in the book."""
        return set(self.book._known)

    def outbound(self) -> list[str]:
        return self.finder.anchors()

    def post(self, event: Event) -> None:
        super().post(event)
        if isinstance(event, PeerUp):
            behind = self.links.behind(event.link)
            assert behind is not None
            self.finder.peer_up(
                event.link, behind.host, behind.dialled, event.greeted, self.now, int(self.now)
            )
        elif isinstance(event, LinkDown):
            self.finder.peer_down(event.link, self.now)

    def _carry_out(self, ready: Ready) -> None:
        super()._carry_out(ready)
        for hint in ready.hints:
            behind = self.links.behind(hint.link) or Behind("", "", False)
            if hint.kind != LEFT:
                self.finder.heard(hint.kind, hint.address, group_of(behind.host), self.now)
            elif self.finder.left(hint.address):
                self.links.doubt(hint.address)
        for link, address in ready.servers:
            self.finder.heard_bootstrap(parse_address(address), link)
        self.told += [NotReached(address=address, seen=seen) for _, address, seen in ready.not_reached]

    def _look(self) -> None:
        for action in self.finder.actions(self.now):
            self._act(action)
        self._later(LOOK_SECONDS, self._look)

    def _act(self, action: Action) -> None:
        if isinstance(action, Dial):
            self.dials.append(str(action.address))
            self._after(lambda: self._dial(str(action.address)))
        elif isinstance(action, AskBootstrap):
            self._after(lambda: self._net.ask_bootstrap(self, action))
        elif isinstance(action, Check):
            self._after(lambda: self._check(action))
        elif isinstance(action, Ask):
            self.links.send(action.link, encode_message(GetPeers()))
        elif isinstance(action, Part):
            self.links.part(action.link)
        elif isinstance(action, Met):
            self.links.met(action.link, action.address)
        else:
            assert isinstance(action, Tell)
            behind = self.links.behind(action.link)
            if behind is not None:
                message = NotReached(address=action.address, seen=behind.host)
                self.links.send(action.link, encode_message(message))

    def _after(self, act: Callable[[], None]) -> None:
        self._later(self._net.line_delay(), act)

    def _dial(self, name: str) -> None:
        link = self._net.join(self.name, name) if name in self._net.nodes else None
        if link is None:
            self.finder.dial_failed(name, self.now)
        else:
            self.links.dialled(link, name)  # type: ignore[arg-type]
            self.finder.opened(name, self.now)

    def _check(self, check: Check) -> None:
        there = self._net.nodes.get(check.address)
        holds = there is not None and there.alive and there.key.public_hex == check.node_key
        if holds and self._net._apart(self.name, check.address):
            holds = False
        self.finder.checked(check.address, check.node_key, holds, self.now, int(self.now))


class FindingNetwork(MemoryNetwork):
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

    def finders(self) -> list[FindingNode]:
        return [node for node in self.nodes.values() if isinstance(node, FindingNode) and node.alive]

    def all_know_all(self) -> bool:
        names = {node.name for node in self.finders()}
        return all(node.knows() >= names - {node.name} for node in self.finders())

    def ask_bootstrap(self, node: FindingNode, ask: AskBootstrap) -> None:
        """One conversation with the server at this address, by its real rules."""
        self.asked.append(node.name)
        if not self.bootstrap_up:
            node.finder.bootstrap_failed(ask.address, self.now)
            return
        core = self.servers.setdefault(ask.address, BootstrapCore(MemoryPeerStore(), random.Random(1)))
        now = int(self.now)
        if ask.register:
            answer = core.step(Call(Request(Register(node.name)), "127.0.0.1"), now)
            assert isinstance(answer, Answer)
            for entry in core.audience(answer.notice, now) if answer.notice is not None else []:
                if entry.address in self.nodes and answer.notice is not None:
                    self.client(entry.address).send(encode_notice(answer.notice.kind, answer.notice.address))
        listed = core.step(Call(Request(ListPeers()), "127.0.0.1"), now)
        assert isinstance(listed, Answer)
        peers = [peer.address for peer in decode_peers(listed.line).peers]
        self.later(
            self.line_delay(),
            lambda: node.finder.bootstrap_answered(ask.address, ask.register, peers, self.now),
        )

    def _lay(self, dialler: Any, name: str, listener: Any, other: str) -> MemoryLink:
        near = super()._lay(dialler, name, listener, other)
        near.host, near.other.host = other.rpartition(":")[0], name.rpartition(":")[0]
        return near


def far_address(number: int) -> str:
    """Addresses in networks of their own, /16 each."""
    return f"10.{number}.0.1:3000"
