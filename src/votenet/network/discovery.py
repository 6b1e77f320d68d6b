"""Finding peers: carries out what `protocol/finder.py` decides, on real sockets.

What lives here: Discovery: dials, dial-backs, conversations with bootstrap servers, what a node says when it
hears that it cannot be reached. What must not: decisions about whom to ask, dial or believe.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from votenet.errors import Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network import bootstrap_client
from votenet.network.dialback import DialBack
from votenet.network.link_faults import Faults
from votenet.network.link_table import LinkTable
from votenet.network.names import Names, dial
from votenet.network.transport import LinkLimits
from votenet.protocol.address import Address, parse_address, plain_ip
from votenet.protocol.address_book import AddressBook, group_of
from votenet.protocol.bootstrap_messages import KnownPeer
from votenet.protocol.connection import Greeted, Identity
from votenet.protocol.events import LEFT, Hint, LinkDown, PeerUp
from votenet.protocol.finder import KINDS, Action, Ask, AskBootstrap, Check, Dial, Finder, Met, Part, Tell
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import GetPeers, NodeWarning, NotReached, encode_message
from votenet.protocol.node_warnings import NodeWarnings
from votenet.protocol.peer_record import DEFAULT_LIFETIME, SignedRecord, sign_record, sign_removal

PEER_LIMITS: Final = LinkLimits(max_line=MAX_PEER_LINE)
DIAL_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.25
"""Between two looks whether something is due."""
GOODBYE_SECONDS: Final = 2.0
"""How long a stopping node tries to take its address out of the registry (S13)."""
ASKED: Final = 256
"""Peers asked for at each poll: all of a usual network; of a large one a fair sample, another each time."""
BUSY_SECONDS: Final = 5.0
"""In which a peer that is dialled back must answer: one that checks a large block does not at once."""
COMPLAINTS: Final = 2
"""Hosts that must say that we cannot be reached before it is believed: one may be lying."""

log = logging.getLogger("votenet.discovery")


class Discovery:
    """Keeps the address book filled and its due addresses dialled.

    `is_peer`: whether the core still takes the one behind a link for a peer, and can follow it.
    """

    def __init__(
        self,
        book: AddressBook,
        links: LinkTable,
        identity: Identity,
        bootstraps: Iterable[Address],
        faults: Faults | None = None,
        *,
        kinds: Iterable[str] = KINDS,
        names: Names | None = None,
        is_peer: Callable[[int], bool] = lambda link: True,
    ) -> None:
        self.book, self._links, self._identity, self._faults = book, links, identity, faults
        self._is_peer = is_peer
        self.finder = Finder(
            book,
            bootstraps,
            kinds=kinds,
            joined=links.busy_addresses,
            dice=random.SystemRandom(),
            live=self._live,
        )
        self.warnings = NodeWarnings()
        self._names = names or Names()
        self._back = DialBack(self._names, answer_seconds=BUSY_SECONDS)
        self._wake = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._sequence = 0

    @property
    def settled(self) -> bool:
        """The start is over: see `Finder.settled`. It never is while another process runs with our key."""
        now = time.monotonic()
        return self.finder.settled(now) and not self.warnings.has_twin(now)

    @property
    def alone(self) -> str:
        """Why this node is no part of the network, a clause; empty if it is."""
        now = time.monotonic()
        twin = "another node runs with its key" if self.warnings.has_twin(now) else ""
        return self.finder.cut_off(now) or twin

    def wrong(self) -> tuple[NodeWarning, ...]:
        """What the operator, and those who vote here, should know."""
        now = time.monotonic()
        return self.warnings.current(
            now,
            time.time(),
            cut_off=self.finder.cut_off(now),
            unproven=self.finder.unproven(),
            joined=self.finder.keys(),
        )

    def _live(self, link: int) -> bool:
        behind = self._links.behind(link)
        return behind is not None and behind.live and self._is_peer(link)

    # -- what happens --------------------------------------------------------------------------

    def hint(self, hint: Hint) -> None:
        """Somebody says that a peer joined or left: look, before it is believed (S12, S13)."""
        if hint.kind != LEFT:
            behind = self._links.behind(hint.link)
            source = group_of(behind.host) if behind is not None else "gone"
            self.finder.heard(hint.kind, hint.address, source, time.monotonic())
        elif self.finder.left(hint.address):
            self._links.doubt(hint.address)
        self._wake.set()

    def bootstrap_named(self, link: int, text: str) -> None:
        """A peer names a bootstrap server that answers it."""
        try:
            self.finder.heard_bootstrap(parse_address(text), link)
        except Rejected:
            return

    def peer_up(self, event: PeerUp) -> None:
        behind = self._links.behind(event.link)
        if behind is not None:  # it may be gone already
            now = time.monotonic()
            self.finder.peer_up(event.link, behind.host, behind.dialled, event.greeted, now, int(time.time()))
            if behind.dialled and event.greeted.proven:
                self._note_clock(event.greeted, behind.dialled)
            self._wake.set()

    def _note_clock(self, greeted: Greeted, address: str) -> None:
        if greeted.ahead is not None:
            self.warnings.clock(greeted.node_key, address, greeted.ahead, time.monotonic(), time.time())

    def twin(self, address: str) -> None:
        """Another process has proved to have our key."""
        self.warnings.twin(address, time.monotonic())

    def peer_down(self, event: LinkDown) -> None:
        self.finder.peer_down(event.link, time.monotonic())
        self._wake.set()

    def refused_by(self, address: str, code: str) -> None:
        """A peer that we dialled closed the link with an error."""
        now = time.monotonic()
        self.finder.refused_by(address, code, now)
        if address and code not in ("duplicate-connection", "self-connection"):
            self.warnings.refused(address, code, now)

    def not_reached(self, link: int, address: str, seen: str) -> None:
        """A peer says that nobody with our key answers where we say. Two hosts must say so."""
        behind = self._links.behind(link)
        if address != self._identity.listen or behind is None or len(self._complaints) >= COMPLAINTS:
            return
        self._complaints[behind.host] = seen
        if len(self._complaints) < COMPLAINTS:
            return
        told = {plain for text in self._complaints.values() if (plain := plain_ip(text))}
        where = f"; they see this node at {', '.join(sorted(told))}" if told else ""
        self.warnings.unreached = (
            f"Peers cannot reach this node at {address}{where}. It takes part all the same, through the "
            "links it has dialled. To be reached, let --host listen for others, open the port in the "
            "firewall or forward it in the router, and give the address for others with --advertise."
        )
        log.warning("%s", self.warnings.unreached)

    # -- life ----------------------------------------------------------------------------------

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Do what the finder asks for, whenever something is due or has happened."""
        while True:
            for action in self.finder.actions(time.monotonic()):
                self._start(action, tasks)
            self._wake.clear()
            look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._wake.set)
            await self._wake.wait()  # or something may be due again; a timeout here costs an idle node more
            look.cancel()

    def _start(self, action: Action, tasks: asyncio.TaskGroup) -> None:
        if isinstance(action, Dial):
            tasks.create_task(self._dial(action.address), name=f"dial {action.address}")
        elif isinstance(action, AskBootstrap):
            tasks.create_task(self._ask_bootstrap(action), name=f"bootstrap {action.address}")
        elif isinstance(action, Check):
            tasks.create_task(self._check(action), name=f"check {action.address}")
        elif isinstance(action, Ask):
            self._links.send(action.link, encode_message(GetPeers()))
        elif isinstance(action, Part):
            self._links.part(action.link)
        elif isinstance(action, Met):
            self._links.met(action.link, action.address)
            greeted = self.finder.greeted(action.link)
            if greeted is not None and greeted.proven:
                self._note_clock(greeted, action.address)
        else:
            self._tell(action)

    async def _dial(self, address: Address) -> None:
        name = str(address)
        try:
            if self._faults is not None:
                await self._faults.passable(address, DIAL_SECONDS)
            link = await dial(self._names, self._links, address, PEER_LIMITS, timeout=DIAL_SECONDS)
        except VotenetError as error:
            log.debug("dial %s: %s", address, error.message)
            self.finder.dial_failed(name, time.monotonic())
        else:
            self._links.dialled(link, name)
            self.finder.opened(name, time.monotonic())
        self._wake.set()

    async def _check(self, check: Check) -> None:
        """Dial an address that a peer claims, as a stranger, and see whether its key answers."""
        address = parse_address(check.address)
        try:
            if self._faults is not None:
                await self._faults.passable(address, DIAL_SECONDS)
            holds = await self._back.holds(address, check.node_key, self._identity.network_hex)
        except VotenetError:
            holds = False
        self.finder.checked(check.address, check.node_key, holds, time.monotonic(), int(time.time()))
        self._wake.set()

    def _tell(self, tell: Tell) -> None:
        behind = self._links.behind(tell.link)
        if behind is not None:
            log.info("a peer at %s cannot be reached at %s, as it says", behind.host, tell.address)
            self._links.send(
                tell.link, encode_message(NotReached(address=tell.address, seen=behind.host[:64]))
            )

    # -- bootstrap servers ---------------------------------------------------------------------

    async def _ask_bootstrap(self, ask: AskBootstrap) -> None:
        """Talk to every address that the server's name has: each may be a server of its own (S14)."""
        found: list[KnownPeer] = []
        answered, registered, failure = False, ask.register, Unreachable(f"{ask.address.host} has no address")
        try:
            hosts = await self._names.look_up(ask.address.host)
        except VotenetError:
            hosts = ()
        for host in hosts:
            server = Address(host, ask.address.port)
            try:
                if ask.register:
                    registered &= await self._register(ask.address, server)
                listed = await bootstrap_client.get_peers(server, sample=ASKED)
                ours = (None, self._identity.network_hex)  # a server may serve several networks
                found += [peer for peer in listed if peer.network_id in ours]
                answered = True
            except VotenetError as error:
                failure = Unreachable(error.message)
        now = time.monotonic()
        if answered:
            strangers = (None, self._identity.key.public_hex)
            nodes = [peer.address for peer in found if peer.node_key not in strangers]
            addresses = [peer.address for peer in found]
            self.finder.bootstrap_answered(ask.address, registered, addresses, now, nodes)
        elif self.finder.bootstrap_failed(ask.address, now):
            log.warning("bootstrap %s: %s", ask.address, failure.message)
            self.warnings.bootstrap(str(ask.address), failure.message)
        self._wake.set()

    async def _register(self, name: Address, server: Address) -> bool:
        """Register with one server; whether it took our record. A refusal does not keep its list from us.

        Raises:
            VotenetError: there was no answer.
        """
        try:
            answer = await bootstrap_client.register(server, self._record())
        except (Unreachable, RemoteProtocolError):
            raise
        except VotenetError as error:
            trouble = f"it does not register this node: {error.message} [{error.code}]"
            log.warning("bootstrap %s: %s", server, trouble)
            self.warnings.bootstrap(str(name), trouble)
            return False
        log.info("bootstrap %s: %s", server, answer)
        self.warnings.bootstrap(str(name), "")
        return True

    async def say_goodbye(self) -> None:
        """Take our address out of every registry, as far as that is quickly done (S13)."""
        removal = sign_removal(self._identity.key, self._identity.listen, sequence=self._next_sequence())
        for bootstrap in self.finder.known_servers:
            try:
                await bootstrap_client.remove(bootstrap, removal, timeout=GOODBYE_SECONDS)
            except VotenetError as error:
                log.info("bootstrap %s did not take our goodbye: %s", bootstrap, error.message)

    def _record(self) -> SignedRecord:
        return sign_record(
            self._identity.key,
            self._identity.listen,
            self._identity.network_hex,
            sequence=self._next_sequence(),
            expires=int(time.time()) + DEFAULT_LIFETIME,
        )

    def _next_sequence(self) -> int:
        """Grows from record to record: milliseconds since 1970, so across restarts too.

        A clock that is set back while the node runs does not stop its renewals.
        """
        self._sequence = max(time.time_ns() // 1_000_000, self._sequence + 1)
        return self._sequence
