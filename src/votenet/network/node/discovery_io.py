"""Peer discovery on real sockets: carries out what `protocol/peers/discovery.py` decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from votenet.errors import Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network import bootstrap_client
from votenet.network.beat import until_beat
from votenet.network.dialback import DialBack
from votenet.network.link_faults import Faults
from votenet.network.link_limits import LinkLimits
from votenet.network.node.links import LinkTable
from votenet.network.resolver import LookUpLimit, Names, dial
from votenet.protocol.bootstrap.bootstrap_messages import MAX_ANSWER_LINE, KnownPeer
from votenet.protocol.bootstrap.peer_record import (
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    SignedRecord,
    sign_record,
    sign_removal,
)
from votenet.protocol.node.events import HINT_LEFT, Hint, LinkDown, PeerUp
from votenet.protocol.node.warnings import NOT_REGISTERED, NodeWarnings
from votenet.protocol.peers.address_manager import LOCAL, AddressManager, group_of
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
)
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.wire.address import Address, parse_address, plain_ip
from votenet.protocol.wire.client_messages import NodeWarning
from votenet.protocol.wire.connection import LocalNode, PeerInfo
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetPeers, NotReached

PEER_LIMITS: Final = LinkLimits(max_line=MAX_PEER_LINE)
PEER_DIAL_SECONDS: Final = 5.0
DUE_SECONDS: Final = 0.25
"""Between two checks whether an action is due, while the first retries of something that failed are near."""
RETRIES_SECONDS: Final = 5.0
"""So long after news they are; later ones are far apart."""
IDLE_DUE_SECONDS: Final = 1.0
UNREGISTER_SECONDS: Final = 2.0
"""How long a stopping node tries to take its address out of a registry."""
ASKED: Final = 256
"""Peers asked for at each poll: all of a usual network; of a large one a fair sample, another each time."""
MAX_ADDRESSES_OF_SERVER: Final = 4
"""Addresses of a bootstrap server's name that are asked, each for a list of its own."""
LOOK_UPS_OF_OTHERS: Final = 24
"""Names of others that are looked up at one time, of 32 in all (`MAX_RESOLVING`): names that hang, which a
system's resolver may hold for half a minute, leave the operator's and the named nodes' names their places."""
LOOK_UPS_OF_NEVER_MET: Final = 8
"""Of them, those that were never met: these leave the names of peers that were met theirs."""
LOOK_UPS_OF_DOMAIN: Final = 4
"""Of these, those of one domain."""
LOOK_UPS_OF_SERVERS: Final = 2
"""Names of bootstrap servers that peers named."""
BUSY_SECONDS: Final = 5.0
"""In which a peer that is dialled back must answer: while it checks a large block it does not at once."""
RECORDS_AHEAD: Final = (0, 0, MAX_LIFETIME, MAX_LIFETIME)
"""Of each record sent to a server while it refuses them as stale: seconds by which its sequence is ahead.

The later ones pass those that it signed while its clock was ahead: servers take none that is further."""
COMPLAINTS: Final = 2
"""Hosts that must say that we cannot be reached before it is believed: one may be lying."""

log = logging.getLogger("votenet.discovery")


class DiscoveryIO:
    """`is_peer`: whether the node's core still takes a link for that of a peer, and can follow it."""

    def __init__(
        self,
        addresses: AddressManager,
        links: LinkTable,
        identity: LocalNode,
        bootstraps: Iterable[Address],
        faults: Faults | None = None,
        *,
        kinds: Iterable[str] = KINDS,
        names: Names | None = None,
        is_peer: Callable[[int], bool] = lambda link: True,
        named: NamedNodes | None = None,
    ) -> None:
        self.addresses, self._links, self._identity, self._faults = addresses, links, identity, faults
        self._is_peer = is_peer
        self.core = Discovery(
            addresses,
            bootstraps,
            kinds=kinds,
            open_addresses=links.busy_addresses,
            dice=random.SystemRandom(),
            live=self._live,
            named=named,
        )
        self.warnings = NodeWarnings()
        self._names = names or Names()
        self._back = DialBack(self._names, answer_seconds=BUSY_SECONDS)
        self._wake = asyncio.Event()
        self._news_at = time.monotonic()
        self._complaints: dict[str, str] = {}
        self._sequence = 0

    @property
    def settled(self) -> bool:
        """As `Discovery.settled`; never while another process runs with our key."""
        now = time.monotonic()
        return self.core.settled(now) and not self.warnings.has_twin(now)

    @property
    def alone(self) -> str:
        """Why this node is cut off from the network, a clause; empty if it is not."""
        now = time.monotonic()
        twin = "another node runs with its key" if self.warnings.has_twin(now) else ""
        return self.core.cut_off(now) or twin

    def wrong(self) -> tuple[NodeWarning, ...]:
        now = time.monotonic()
        return self.warnings.current(
            now,
            time.time(),
            cut_off=self.core.cut_off(now),
            unproven=self.core.unproven(),
            joined=self.core.peer_keys(),
            replaced=self.core.named.replaced(self.core.peer_keys()),
        )

    def _live(self, link: int) -> bool:
        behind = self._links.behind(link)
        return behind is not None and behind.live and self._is_peer(link)

    # -- what happens --------------------------------------------------------------------------

    def hint(self, hint: Hint) -> None:
        """Check a hint that a peer joined or left, before it is believed."""
        if hint.kind != HINT_LEFT:
            source = self._links.source(hint.link)
            self.core.address_named(hint.kind, hint.address, source, time.monotonic())
        elif self.core.peer_left(hint.address):
            self._links.doubt(hint.address)
        self._wake.set()

    def bootstrap_named(self, link: int, text: str) -> None:
        with contextlib.suppress(Rejected):
            self.core.bootstrap_named(parse_address(text), link)

    def peer_up(self, event: PeerUp) -> None:
        behind = self._links.behind(event.link)
        if behind is not None:  # it may be gone already
            now = time.monotonic()
            host = "localhost" if self._links.source(event.link) == LOCAL else behind.host
            self.core.peer_up(event.link, host, behind.dialled, event.peer_info, now, int(time.time()))
            if behind.dialled and event.peer_info.proven:
                self._note_clock(event.peer_info, behind.dialled)
            self._news()

    def _note_clock(self, peer_info: PeerInfo, address: str) -> None:
        if peer_info.ahead is not None:
            self.warnings.clock(peer_info.node_key, address, peer_info.ahead, time.monotonic(), time.time())

    def twin(self, address: str) -> None:
        """Note that another process has proved to have our key."""
        self.warnings.twin(address, time.monotonic())

    def foreign(self, host: str) -> None:
        """Note that a node of another network has dialled us."""
        self.warnings.foreign(host)

    def peer_down(self, event: LinkDown) -> None:
        self.core.peer_down(event.link, time.monotonic())
        self._news()

    def refused_by(self, address: str, code: str) -> None:
        now = time.monotonic()
        self.core.refused_by(address, code, now)
        if address and code not in ("duplicate-connection", "self-connection"):
            self.warnings.refused(address, code, now)

    def not_reached(self, link: int, address: str, seen: str) -> None:
        """Note that a peer cannot reach us at our address; it is believed when COMPLAINTS hosts say so."""
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
        """Do what discovery decides, whenever something is due or has happened."""
        while True:
            for action in self.core.actions(time.monotonic()):
                self._start(action, tasks)
            self._wake.clear()
            quiet = time.monotonic() - self._news_at > RETRIES_SECONDS
            seconds = until_beat(IDLE_DUE_SECONDS) if quiet else DUE_SECONDS
            look = asyncio.get_running_loop().call_later(seconds, self._wake.set)
            await self._wake.wait()  # or something may be due again; a timeout here costs an idle node more
            look.cancel()

    def _news(self) -> None:
        """Something may be due at once, and again soon."""
        self._news_at = time.monotonic()
        self._wake.set()

    def _start(self, action: Action, tasks: asyncio.TaskGroup) -> None:
        if isinstance(action, DialPeer):
            tasks.create_task(self._dial(action.address), name=f"dial {action.address}")
        elif isinstance(action, AskBootstrap):
            tasks.create_task(self._ask_bootstrap(action), name=f"bootstrap {action.address}")
        elif isinstance(action, CheckClaim):
            tasks.create_task(self._check(action), name=f"check {action.address}")
        elif isinstance(action, AskForPeers):
            self._links.send(action.link, encode_message(GetPeers()))
        elif isinstance(action, Disconnect):
            self._links.disconnect(action.link)
        elif isinstance(action, ConfirmAddress):
            self._links.confirm_address(action.link, action.address)
            peer_info = self.core.peer_info(action.link)
            if peer_info is not None and peer_info.proven:
                self._note_clock(peer_info, action.address)
        elif (behind := self._links.behind(action.link)) is not None:
            log.info("a peer at %s cannot be reached at %s, as it says", behind.host, action.address)
            told = NotReached(address=action.address, seen=behind.host[:64])
            self._links.send(action.link, encode_message(told))

    async def _dial(self, address: Address) -> None:
        name = str(address)
        try:
            if self._faults is not None:
                await self._faults.passable(address, PEER_DIAL_SECONDS)
            link = await dial(
                self._names,
                self._links,
                address,
                PEER_LIMITS,
                timeout=PEER_DIAL_SECONDS,
                look_up_limits=self._look_up_limits(address),
            )
        except Rejected as error:
            log.debug("dial %s: %s", address, error.message)
            self.core.dial_postponed(name, time.monotonic())
        except VotenetError as error:
            log.debug("dial %s: %s", address, error.message)
            self.core.dial_failed(name, time.monotonic())
        else:
            self._links.dialled(link, name)
            self.core.link_opened(name, time.monotonic())
        self._news()

    def _look_up_limits(self, address: Address) -> tuple[LookUpLimit, ...]:
        """Of a name that others gave. The operator's and the named nodes' have places that no other takes."""
        name = str(address)
        if not self.core.is_name_of_others(name):
            return ()
        of_others = LookUpLimit("names of others", LOOK_UPS_OF_OTHERS)
        if self.addresses.is_met(name):
            return (of_others,)
        domain = LookUpLimit(f"names of {group_of(address.host)}", LOOK_UPS_OF_DOMAIN)
        return of_others, LookUpLimit("names never met", LOOK_UPS_OF_NEVER_MET), domain

    async def _check(self, check: CheckClaim) -> None:
        """Dial a claimed address, as a stranger, and see whether the key answers.

        Without a place in the resolver the check is made later: it says nothing about the claim.
        """
        address = parse_address(check.address)
        try:
            if self._faults is not None:
                await self._faults.passable(address, PEER_DIAL_SECONDS)
            limits = self._look_up_limits(address)
            holds = await self._back.holds(address, check.node_key, self._identity.network_hex, limits)
        except Rejected as error:
            log.debug("check %s: %s", address, error.message)
            self.core.claim_postponed(check.address, check.node_key, time.monotonic())
            return
        except VotenetError:
            holds = False
        self.core.claim_checked(check.address, check.node_key, holds, time.monotonic(), int(time.time()))
        self._news()

    # -- bootstrap servers ---------------------------------------------------------------------

    async def _ask_bootstrap(self, ask: AskBootstrap) -> None:
        """Ask the first IP addresses that the server's name has: each may be a server of its own."""
        peers: list[KnownPeer] = []
        answered, registered, failure = False, ask.register, Unreachable(f"{ask.address.host} has no address")
        learnt = self.core.servers.is_learnt(ask.address)
        limits = (LookUpLimit("servers that peers name", LOOK_UPS_OF_SERVERS),) if learnt else ()
        try:
            hosts = await self._names.look_up(ask.address.host, limits)
        except VotenetError:
            hosts = ()
        max_line = MAX_ANSWER_LINE if learnt else bootstrap_client.MAX_LIST_LINE
        for host in hosts[:MAX_ADDRESSES_OF_SERVER]:
            server = Address(host, ask.address.port)
            try:
                if ask.register:
                    registered &= await self._register(ask.address, server)
                listed = await bootstrap_client.get_peers(server, sample=ASKED, most=ASKED, max_line=max_line)
                ours = (None, self._identity.network_hex)  # a server may serve several networks
                peers += [peer for peer in listed if peer.network_id in ours]
                answered = True
            except VotenetError as error:
                failure = Unreachable(error.message)
        now = time.monotonic()
        if answered:
            not_others = (None, self._identity.key.public_hex)
            nodes = [peer.address for peer in peers if peer.node_key not in not_others]
            addresses = [peer.address for peer in peers]
            keys = {peer.address: peer.node_key for peer in peers}
            self.core.bootstrap_answered(ask.address, registered, addresses, now, nodes, keys)
            self._wake.set()
            return
        if self.core.bootstrap_failed(ask.address, now):
            log.warning("bootstrap %s: %s", ask.address, failure.message)
            self.warnings.bootstrap(str(ask.address), failure.message)
        self._news()

    async def _register(self, name: Address, server: Address) -> bool:
        """Whether a server took our record. Raises VotenetError when it gave no answer."""
        try:
            answer = await self._send_record(server)
        except (Unreachable, RemoteProtocolError):
            raise
        except VotenetError as error:
            trouble = f"{NOT_REGISTERED}: {error.message} [{error.code}]"
            log.warning("bootstrap %s: %s", server, trouble)
            self.warnings.bootstrap(str(name), trouble)
            return False
        log.info("bootstrap %s: %s", server, answer)
        self.warnings.bootstrap(str(name), "")
        return True

    async def _send_record(self, server: Address) -> str:
        """The server's answer line to a record of us. Raises as `bootstrap_client.register`.

        Servers over one registry get one each at the same moment, and refuse those that later ones overtook.
        """
        *first, last = RECORDS_AHEAD
        for ahead in first:
            try:
                return await bootstrap_client.register(server, self._record(ahead))
            except Rejected as error:
                if error.code != "stale-record":
                    raise
        return await bootstrap_client.register(server, self._record(last))

    def _record(self, ahead: int) -> SignedRecord:
        sequence, expires = self.next_sequence(ahead), int(time.time()) + DEFAULT_LIFETIME
        key, listen, network = self._identity.key, self._identity.listen, self._identity.network_hex
        return sign_record(key, listen, network, sequence=sequence, expires=expires)

    async def say_goodbye(self) -> None:
        """Take our address out of every registry that answers quickly."""
        removal = sign_removal(self._identity.key, self._identity.listen, sequence=self.next_sequence())
        for bootstrap in self.core.servers.known():
            try:
                await bootstrap_client.remove(bootstrap, removal, timeout=UNREGISTER_SECONDS)
            except VotenetError as error:
                log.info("bootstrap %s did not take our goodbye: %s", bootstrap, error.message)

    def next_sequence(self, ahead: int = 0) -> int:
        """Milliseconds since 1970, `ahead` seconds later; one more than the last where that is no growth."""
        self._sequence = max(time.time_ns() // 1_000_000 + 1000 * ahead, self._sequence + 1)
        return self._sequence
