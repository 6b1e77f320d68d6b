"""Finding peers: carries out what `protocol/finder.py` decides, on real sockets.

What lives here: Discovery: dials, dial-backs, conversations with bootstrap servers, what a node says when it
hears that it cannot be reached. What must not: decisions about whom to ask, dial or believe.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from typing import Final

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network import bootstrap_client
from votenet.network.dialback import DialBack
from votenet.network.link_faults import Faults
from votenet.network.link_table import LinkTable
from votenet.network.names import Names, dial
from votenet.network.transport import LinkLimits
from votenet.protocol.address import Address, parse_address, plain_ip
from votenet.protocol.address_book import AddressBook, group_of
from votenet.protocol.connection import Identity
from votenet.protocol.events import LEFT, Hint, LinkDown, PeerUp
from votenet.protocol.finder import KINDS, Action, Ask, AskBootstrap, Check, Dial, Finder, Part, Tell
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import GetPeers, NotReached, encode_message
from votenet.protocol.peer_record import DEFAULT_LIFETIME, SignedRecord, sign_record, sign_removal

PEER_LIMITS: Final = LinkLimits(max_line=MAX_PEER_LINE)
DIAL_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.25
"""Between two looks whether something is due."""
GOODBYE_SECONDS: Final = 2.0
"""How long a stopping node tries to take its address out of the registry (S13)."""
ASKED: Final = 256
"""Peers asked for at each poll: all of a usual network; of a large one a fair sample, another each time."""
COMPLAINTS: Final = 2
"""Hosts that must say that we cannot be reached before it is believed: one may be lying."""

log = logging.getLogger("votenet.discovery")


class Discovery:
    """Keeps the address book filled and its due addresses dialled."""

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
    ) -> None:
        self.book, self._links, self._identity, self._faults = book, links, identity, faults
        self.finder = Finder(
            book, bootstraps, kinds=kinds, joined=links.busy_addresses, dice=random.SystemRandom()
        )
        self._names = names or Names()
        self._back = DialBack(self._names)
        self._wake = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._sequence = 0

    @property
    def settled(self) -> bool:
        """The start is over: see `Finder.settled`."""
        return self.finder.settled(time.monotonic())

    # -- what happens --------------------------------------------------------------------------

    def hint(self, hint: Hint) -> None:
        """Somebody says that a peer joined or left: look, before it is believed (S12, S13)."""
        if hint.kind != LEFT:
            behind = self._links.behind(hint.link)
            source = group_of(behind.host) if behind is not None else ""
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
            self.finder.peer_up(
                event.link, behind.host, behind.dialled, event.greeted, time.monotonic(), int(time.time())
            )
            self._wake.set()

    def peer_down(self, event: LinkDown) -> None:
        self.finder.peer_down(event.link, time.monotonic())
        self._wake.set()

    def refused_by(self, address: str, code: str) -> None:
        """A peer that we dialled closed the link with an error."""
        self.finder.refused_by(address, code, time.monotonic())

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
        log.warning(
            "peers cannot reach this node at %s%s. It takes part all the same, through the links it has "
            "dialled. To be reached, let --host listen for others, open the port in the firewall or forward "
            "it in the router, and give the address that others can dial with --advertise",
            address, where,
        )  # fmt: skip

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
        self.finder.checked(check.address, holds, time.monotonic(), int(time.time()))
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
        found: list[str] = []
        answered, failure = False, Unreachable(f"{ask.address.host} has no address")
        try:
            hosts = await self._names.look_up(ask.address.host)
        except VotenetError:
            hosts = ()
        for host in hosts:
            server = Address(host, ask.address.port)
            try:
                if ask.register:
                    answer = await bootstrap_client.register(server, self._record())
                    log.info("bootstrap %s: %s", server, answer)
                listed = await bootstrap_client.get_peers(server, sample=ASKED)
                ours = (None, self._identity.network_hex)  # a server may serve several networks
                found += [peer.address for peer in listed if peer.network_id in ours]
                answered = True
            except VotenetError as error:
                failure = Unreachable(error.message)
        now = time.monotonic()
        if answered:
            self.finder.bootstrap_answered(ask.address, ask.register, found, now)
        elif self.finder.bootstrap_failed(ask.address, now):
            log.warning("bootstrap %s: %s", ask.address, failure.message)
        self._wake.set()

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
