"""Peer discovery of one node as a pure machine: events go in, actions come out.

The four kinds of discovery. Each is enough alone, once one other node is known. A node registers with its
bootstrap servers and fetches their lists once in any case:

    broadcast   a bootstrap server sends a notice of each new node
    poll        the servers' lists are fetched again and again
    announce    a new node dials the nodes that it knows, and its hello names its address
    gossip      peers are asked for the addresses that they know

An address in a hello is a claim. Claims are dialled back before they are believed and passed on; a node whose
claim does not hold is told so. A link *counts* when it is proven (see `connection.py`) and we have dialled
its node, for this link or to check its claim: so others do not choose the links that count. When all outbound
places are taken, addresses that were never met get a *feeler*: a link that ends after the handshake. So a new
node announces itself to all it knows, and tried addresses stay true.

Named nodes dial each other before all others and beyond the outbound places. A relay is joined to the network
when a link to a named node counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from votenet.protocol.peers.address_manager import (
    TWIN_REST,
    AddressManager,
    group_of,
    is_own_host_of_another,
    source_of,
)
from votenet.protocol.peers.bootstrap_servers import AskBootstrap, BootstrapServers
from votenet.protocol.peers.dial_planner import DialPlanner
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.peers.selection import OUTBOUND
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import PeerInfo

BROADCAST: Final = "broadcast"
POLL: Final = "poll"
ANNOUNCE: Final = "announce"
GOSSIP: Final = "gossip"
KINDS: Final = (BROADCAST, POLL, ANNOUNCE, GOSSIP)

GOSSIP_SECONDS: Final = 30.0
"""Between two requests to peers, another one each time; a tenth more or less."""
NO_ROOM_REST: Final = 5.0
"""Seconds before a name is looked up again for which the resolver had no place, because too many hang."""
CLAIM_CHECK_SECONDS: Final = (0.1, 1.0, 5.0, 30.0)
"""A claimed address is dialled back after these waits; a machine may begin to listen a moment later."""
DISTRUST_SECONDS: Final = 60.0
"""An address is not dialled before the first check of a claim to it: it may lead to an open link. After a
claim that did not hold, other claims to the address do not delay its dial for this long."""
CUT_OFF_AFTER_SECONDS: Final = 3.0
"""A node whose last counted link broke is cut off after this long, if the link had lasted as long: by then a
peer that restarts is back."""
MAX_CLAIMS: Final = 256
MAX_CLAIMS_OF_NAMES: Final = 128
"""Of them, those to names of others: these may wait long for a place in the resolver."""
START_PATIENCE: Final = 15.0
"""Seconds after the answers of the bootstrap servers in which a start waits for peers that do not answer: a
registry may be full of dead ones. A handshake is given up after 10."""


class DialPeer(NamedTuple):  # open a link. `link_opened` or `dial_failed` follows
    address: Address


class AskForPeers(NamedTuple):  # send get_peers
    link: int


class Disconnect(NamedTuple):  # close a feeler without an error
    link: int


class CheckClaim(NamedTuple):  # dial back and see whether this key answers. `claim_checked` follows
    link: int
    address: str
    node_key: str


class TellNotReached(NamedTuple):  # tell a peer that it cannot be reached at the address that it claims
    link: int
    address: str


class ConfirmAddress(NamedTuple):  # note that the key of this peer answers at this address
    link: int
    address: str


Action = DialPeer | AskForPeers | Disconnect | CheckClaim | TellNotReached | ConfirmAddress | AskBootstrap


class Dice(Protocol):  # `random.Random` and `random.SystemRandom` fit
    def uniform(self, a: float, b: float, /) -> float: ...
    def choice(self, population: Sequence[int], /) -> int: ...


@dataclass(slots=True)
class _Peer:
    host: str
    peer_info: PeerInfo
    dialled: str
    since: float
    feeler: bool
    confirmed: str = ""
    """The claimed address, once its key answered there."""


@dataclass(slots=True)
class _Claim:
    link: int
    address: str
    node_key: str
    at: float
    tries: int = 0
    checking: bool = False


class Discovery:
    """The discovery of one node. `now` is monotonic seconds, `wall` Unix seconds.

    Args:
        open_addresses: addresses that we dialled, or dialled back, and that lead to open links.
        live: whether a link has received something lately.
        named: the other named nodes of the election; none by default.
        dice: for choices that others must not foresee.
    """

    def __init__(
        self,
        addresses: AddressManager,
        bootstraps: Iterable[Address] = (),
        *,
        kinds: Iterable[str] = KINDS,
        open_addresses: Callable[[], set[str]],
        dice: Dice,
        live: Callable[[int], bool] = lambda link: True,
        named: NamedNodes | None = None,
    ) -> None:
        self.addresses, self.kinds = addresses, frozenset(kinds)
        self.named = named or NamedNodes()
        self.servers = BootstrapServers(bootstraps, polls=POLL in self.kinds)
        self._open_addresses, self._dice, self._live = open_addresses, dice, live
        self._peers: dict[int, _Peer] = {}
        self._planner = DialPlanner(addresses, self.named)
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._distrusted: dict[str, float] = {}
        """Until when claims to an address do not delay its dial."""
        self._counted_at: float | None = None
        """When a link that counts was last seen."""
        self._began: float | None = None
        self._first: set[str] = set()
        """Addresses that a start waits for."""
        self._gossip_at = 0.0
        self._pending: list[Action] = []

    # -- addresses that others name ------------------------------------------------------------

    def address_named(self, kind: str, address: str, source: str, now: float) -> None:
        """Note an address named by the network group `source`, by one of KINDS; ignored if that is off."""
        if kind in self.kinds:
            self._note(address, source, now)

    def bootstrap_named(self, address: Address, link: int) -> None:
        """Note a bootstrap server that a peer names, if we have chosen the peer ourselves."""
        peer = self._peers.get(link)
        if peer is not None and peer in self._outbound() and GOSSIP in self.kinds:
            self.servers.learn(address)

    def peer_left(self, address: str) -> bool:
        """Note that a peer is said to have left; whether a link to it is open. The caller pings it then."""
        if address in self._open_addresses() or any(address == p.confirmed for p in self._peers.values()):
            return True
        self.addresses.doubt(address)
        return False

    def _note(self, address: str, source: str, now: float, *, trusted: bool = False) -> None:
        if not trusted and is_own_host_of_another(address, source):
            return
        if not self.addresses.add(address, source):
            self.addresses.retry_soon(address, now)

    # -- links ---------------------------------------------------------------------------------

    def dial_failed(self, address: str, now: float) -> None:
        self._planner.dial_ended(address)
        self.addresses.failed(address, now)

    def dial_postponed(self, address: str, now: float) -> None:
        """Note that this node had no room for a dial: that says nothing about the address."""
        self._planner.dial_ended(address)
        self.addresses.postpone(address, now, NO_ROOM_REST)

    def link_opened(self, address: str, now: float) -> None:
        """Note an open link. Until its handshake it counts as a failure: the next try waits longer."""
        self._planner.link_opened(address)
        self.addresses.failed(address, now)

    def refused_by(self, address: str, code: str, now: float) -> None:
        """Note that a peer that we dialled closed the link with an error."""
        if code in ("duplicate-connection", "self-connection"):
            self.addresses.postpone(address, now)
        elif code == "key-twice":
            self.addresses.postpone(address, now, TWIN_REST)

    def peer_up(self, link: int, host: str, dialled: str, peer_info: PeerInfo, now: float, wall: int) -> None:
        """Note a handshake. `dialled`: the address by which we reached the peer, empty if it dialled us."""
        # Links that are not proven take no outbound place; beyond as many as there are places, they end.
        crowded = bool(dialled) and not peer_info.proven and len(self.unproven()) >= OUTBOUND
        feeler = self._planner.end_feeler(dialled) or crowded
        feeler = feeler and peer_info.node_key not in self.named
        self._peers[link] = _Peer(host, peer_info, dialled, now, feeler)
        if dialled and peer_info.proven:
            self.addresses.succeeded(dialled, now, wall)
            self.addresses.met_at(dialled, host)
            self._confirm(dialled, peer_info.node_key)
        elif dialled:
            self.addresses.reached(dialled)
        if peer_info.listen and peer_info.listen != dialled:
            self._claim(link, host, peer_info, now)
        if GOSSIP in self.kinds:
            self._pending.append(AskForPeers(link))
        if feeler:
            self._pending.append(Disconnect(link))

    def peer_down(self, link: int, now: float) -> None:
        peer = self._peers.pop(link, None)
        if peer is not None and peer.dialled and not peer.feeler:
            self.addresses.link_lost(peer.dialled, now - peer.since, now)

    # -- claims --------------------------------------------------------------------------------

    def _claim(self, link: int, host: str, peer_info: PeerInfo, now: float) -> None:
        if ANNOUNCE not in self.kinds:
            return
        if is_own_host_of_another(peer_info.listen, group_of(host)):
            self._pending.append(TellNotReached(link, peer_info.listen))
            return
        self._note(peer_info.listen, group_of(host), now)
        claim = (peer_info.listen, peer_info.node_key)
        if claim in self._claims:
            self._claims[claim].link = link  # it has dialled us anew meanwhile
        elif self._has_room_for_claim(peer_info.listen) and peer_info.listen != self.addresses.own:
            self._claims[claim] = _Claim(link, *claim, now + CLAIM_CHECK_SECONDS[0])

    def _has_room_for_claim(self, address: str) -> bool:
        if len(self._claims) >= MAX_CLAIMS:
            return False
        of_names = sum(self.is_name_of_others(claim.address) for claim in self._claims.values())
        return not self.is_name_of_others(address) or of_names < MAX_CLAIMS_OF_NAMES

    def claim_postponed(self, address: str, node_key: str, now: float) -> None:
        """Note that this node had no room to make a CheckClaim: that says nothing about the claim."""
        claim = self._claims.get((address, node_key))
        if claim is not None:
            claim.checking, claim.tries, claim.at = False, claim.tries - 1, now + NO_ROOM_REST

    def claim_checked(self, address: str, node_key: str, holds: bool, now: float, wall: int) -> None:
        """Note the result of a CheckClaim."""
        claim = self._claims.pop((address, node_key), None)
        if claim is None:
            return
        if holds:
            self.addresses.succeeded(address, now, wall)
            self._confirm(address, node_key)
            return
        self._distrusted[address] = now + DISTRUST_SECONDS
        if claim.tries < len(CLAIM_CHECK_SECONDS):
            claim.checking, claim.at = False, now + CLAIM_CHECK_SECONDS[claim.tries]
            self._claims[address, node_key] = claim
            return
        if not self.addresses.is_met(address):
            self.addresses.failed(address, now)
        self._pending.append(TellNotReached(claim.link, address))

    def _confirm(self, address: str, node_key: str) -> None:
        """A key has answered at an address: links that claim just this tell the truth."""
        for lost in self.named.answered(address, node_key):
            self.addresses.unvouch(lost)
        for link, peer in self._peers.items():
            claims_it = peer.peer_info[:2] == (node_key, address) and address != peer.dialled
            if claims_it and peer.peer_info.proven:
                peer.confirmed = address
                self._pending.append(ConfirmAddress(link, address))

    def _withheld(self, now: float) -> set[str]:
        """Addresses that are not dialled yet because an open link may lead there: a check is due."""
        self._distrusted = {address: until for address, until in self._distrusted.items() if until > now}
        return {
            claim.address
            for claim in self._claims.values()
            if claim.tries <= claim.checking  # the first check is due, or under way
            and (peer := self._peers.get(claim.link)) is not None
            and peer.peer_info.proven
        } - self._distrusted.keys()

    # -- bootstrap servers ---------------------------------------------------------------------

    def bootstrap_answered(
        self,
        server: Address,
        registered: bool,
        peers: Iterable[str],
        now: float,
        nodes: Iterable[str] = (),
        keys: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Note a server's list: all its `peers`, and the `nodes` as in `BootstrapServers.answered`.

        Args:
            keys: of the peers, where they are registered with one.
        """
        if server not in self.servers.known():
            return
        trusted = not self.servers.is_learnt(server)
        for address, key in keys.items():
            self.named.listed(address, key, trusted=trusted)
        others = frozenset(nodes) - {self.addresses.own}
        first = self.servers.answered(server, registered, others, now)
        source = group_of(server.host) if trusted else source_of(server.host)
        for address in peers:
            if self.named.is_vouched(address) and (trusted or not is_own_host_of_another(address, source)):
                self.addresses.add_named(address, source)
            self._note(address, source, now, trusted=trusted)
            if first and address in self.addresses:
                self._first.add(address)

    def bootstrap_failed(self, server: Address, now: float) -> bool:
        """Note that a server gave no list; whether this is its first failure in a row."""
        return self.servers.failed(server, now)

    # -- questions -----------------------------------------------------------------------------

    def settled(self, now: float) -> bool:
        """Whether the start is over: the configured servers were tried, and a peer is joined if there is one.

        All addresses known then are dialled first: those of the cache, the operator and the servers. Hints
        from strangers delay no start, and once a link counts, a start waits for silent peers for
        START_PATIENCE only. A node that is cut off has not started. Named nodes that answer are joined first:
        but no start waits for a quorum.
        """
        if self.cut_off(now):
            return False
        tried_at = self.servers.all_tried_at()
        if self._began is None or tried_at is None:
            return False
        if now > max(self._began, tried_at) + START_PATIENCE:
            return True
        busy = self.busy_addresses()
        named = self._first & self.named.wanted(self.peer_keys())
        if named & busy or self.addresses.untried(named):
            return False
        if not self.counted() and self._first & busy:
            return False
        untried = self.addresses.untried(self._first - busy)
        return len(self._chosen()) >= OUTBOUND or not untried

    def counted(self) -> list[int]:
        """Links that count: proven, to nodes that we dialled or dialled back, and not silent."""
        return [
            link
            for link, peer in self._peers.items()
            if peer.peer_info.proven
            and not peer.feeler
            and (peer.dialled or peer.confirmed)
            and self._live(link)
        ]

    def _joining(self) -> list[int]:
        """Links that join this node to the network: for a relay, those of named nodes that count."""
        links = self.counted()
        if not self.named or self.named.decides:
            return links
        return [link for link in links if self._peers[link].peer_info.node_key in self.named]

    def unproven(self) -> set[str]:
        """Addresses that we dialled, and that the nodes there do not know as their own."""
        return {peer.dialled for peer in self._peers.values() if peer.dialled and not peer.peer_info.proven}

    def is_name_of_others(self, address: str) -> bool:
        """Whether an address is a name that neither the operator nor a named node vouches for."""
        return self._planner.is_name_of_others(address)

    def peer_info(self, link: int) -> PeerInfo | None:
        peer = self._peers.get(link)
        return None if peer is None else peer.peer_info

    def peer_keys(self) -> set[str]:
        return {peer.peer_info.node_key for peer in self._peers.values()}

    def other_nodes(self) -> set[str]:
        """Addresses of other nodes of this network that no stranger could have made up.

        A node that was met, does not answer now and is listed by none of the servers has left for good.
        """
        gone = self.addresses.unreachable() if self.servers.up_to_date() else set()
        return self.addresses.trusted() - gone | self.servers.listed()

    def cut_off(self, now: float) -> str:
        """Why this node is alone though the network has other nodes, as a clause; empty if it is not."""
        links = self._joining()
        if links:
            if any(now - self._peers[link].since >= CUT_OFF_AFTER_SECONDS for link in links):
                self._counted_at = now
            return ""
        if self._counted_at is not None and now - self._counted_at < CUT_OFF_AFTER_SECONDS:
            return ""
        if self.named and not self.named.decides:
            return f"it is joined to none of the {len(self.named)} named nodes, which decide"
        others = len(self.other_nodes())
        if others:
            open_ones = len(self._peers)
            why = "not dialled by it, not proven, silent, or with blocks ahead of its clock"
            but = f"; {open_ones} open links do not count ({why})" if open_ones else ""
            return f"it is joined to none of the {others} other nodes that it knows{but}"
        if self.servers.silent():
            return "no bootstrap server has answered it, and it knows no other node"
        return ""

    def busy_addresses(self) -> set[str]:
        """Addresses that lead to an open link, or are being dialled."""
        confirmed = {peer.confirmed for peer in self._peers.values()} - {""}
        return self._open_addresses() | self._planner.under_way() | confirmed

    def anchors(self) -> list[str]:
        """Addresses of named nodes and of the oldest outbound peers: dialled first after a restart."""
        oldest = sorted(self._outbound(), key=lambda p: (p.peer_info.node_key not in self.named, p.since))
        return [peer.dialled for peer in oldest][: OUTBOUND + len(self.named)]

    def _outbound(self) -> list[_Peer]:
        """Peers that we have dialled ourselves, and that are where we dialled them."""
        return [p for p in self._peers.values() if p.dialled and p.peer_info.proven and not p.feeler]

    def _chosen(self) -> list[_Peer]:
        """Peers that take an outbound place: at a named node, the other named nodes do not."""
        apart = self.named if self.named.decides else ()
        return [peer for peer in self._outbound() if peer.peer_info.node_key not in apart]

    # -- actions -------------------------------------------------------------------------------

    def actions(self, now: float) -> list[Action]:
        """All that is to be done now. Each action is under way once it is returned."""
        if self._began is None:
            self._began, self._first = now, self._first | self.addresses.trusted()
        actions, self._pending = self._pending, []
        actions = [a for a in actions if not isinstance(a, AskForPeers) or a.link in self._peers]
        actions += self._gossip(now)
        actions += self.servers.due(now, cut_off=bool(self.cut_off(now)))
        actions += self._claim_checks(now)
        actions += self._dials(now)
        return actions

    def _gossip(self, now: float) -> list[Action]:
        if GOSSIP not in self.kinds or now < self._gossip_at:
            return []
        self._gossip_at = now + GOSSIP_SECONDS * self._dice.uniform(0.9, 1.1)
        return [AskForPeers(self._dice.choice(sorted(self._peers)))] if self._peers else []

    def _claim_checks(self, now: float) -> list[Action]:
        checks: list[Action] = []
        for claim in list(self._claims.values()):
            if claim.checking or claim.at > now:
                continue
            peer = self._peers.get(claim.link)
            if peer is None or peer.confirmed == claim.address:
                del self._claims[claim.address, claim.node_key]
            elif self._planner.may_dial(claim.address, now):
                claim.checking, claim.tries = True, claim.tries + 1
                checks.append(CheckClaim(claim.link, claim.address, claim.node_key))
        return checks

    def _dials(self, now: float) -> list[Action]:
        # A node that is cut off does not wait for long at addresses that it can rely on, nor for named nodes.
        first = self.named.wanted(self.peer_keys())
        self.addresses.shorten_waits(now, None if self.cut_off(now) else first)
        dials = self._planner.plan(
            now,
            first=first,
            avoided=self.busy_addresses() | self._withheld(now),
            links=[(p.dialled, p.host) for p in self._peers.values() if p.dialled and not p.feeler],
            free=OUTBOUND - len(self._chosen()),
        )
        return [DialPeer(address) for address in dials]
