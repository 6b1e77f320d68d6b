"""Finding peers as a pure machine: what is heard and what happens go in, what to do comes out.

What lives here: Finder: which kinds of discovery are on, when to ask bootstrap servers and peers, whom to
dial, visit and check. What must not: sockets, clocks, randomness (arguments), and where addresses lie
(`address_book.py`).

The four kinds of S12. Each is enough alone, once somebody is known at all; a node registers and asks for
the list once in any case:

    broadcast   a bootstrap server tells that somebody joined
    poll        the servers' lists are fetched again and again
    announce    a newcomer dials those it knows; its hello says where it listens
    gossip      peers are asked whom they know

An address in a hello is a claim. It is dialled back, and only then counts: as joined, and as one to pass on
to others; a node whose claim does not hold is told so. A link *counts* when it is proven (see
`connection.py`) and we have dialled its node, for this link or to look whether its claim holds: others choose
who dials us. When all outbound places are taken, addresses that were never met get a *visit*: the handshake
and goodbye. So a newcomer announces itself to all it knows, and tried addresses stay true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from votenet.protocol.address import Address
from votenet.protocol.address_book import LOCAL, TWIN_REST, AddressBook, group_of
from votenet.protocol.connection import Greeted
from votenet.protocol.outbound import OUTBOUND, choose
from votenet.protocol.peer_record import DEFAULT_LIFETIME
from votenet.protocol.token_bucket import Buckets, TokenBucket

BROADCAST: Final = "broadcast"
POLL: Final = "poll"
ANNOUNCE: Final = "announce"
GOSSIP: Final = "gossip"
KINDS: Final = (BROADCAST, POLL, ANNOUNCE, GOSSIP)

POLL_SECONDS: Final = 30.0
"""Between two questions for the list of a bootstrap server."""
ALONE_SECONDS: Final = 5.0
"""The same while no link counts: others may have come, or have left for good."""
RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries of a bootstrap server that does not answer."""
RENEW_SECONDS: Final = DEFAULT_LIFETIME / 4
GOSSIP_SECONDS: Final = 30.0
"""Between two questions to a peer, another one each time; a tenth more or less."""
MAX_DIALS: Final = 8
"""Dials at one time."""
VISITS_AT_ONCE: Final = 64
VISITS_PER_SECOND: Final = 1 / 30
"""A newcomer introduces itself to so many at once, and goes on slowly."""
DIALS_OF_HOST: Final = 20
DIALS_OF_HOST_PER_SECOND: Final = 1.0
"""To addresses of one host that were never met: naming us a victim's addresses buys no more."""
CHECK_SECONDS: Final = (0.1, 1.0, 5.0, 30.0)
"""An address claimed in a hello is dialled back after so long; a machine may listen a moment later."""
DISTRUST_SECONDS: Final = 60.0
"""An address is not dialled while the first look whether a claim to it holds is due, since it may lead to a
link that is open. Where such a claim did not hold it is, for so long."""
CUT_OFF_SECONDS: Final = 3.0
"""A node whose last counted link broke is cut off after this long, if that had lasted as long: a peer that
starts again is back by then."""
MAX_CHECKS: Final = 256
MAX_LEARNT: Final = 4
"""Bootstrap servers that peers have named, beside our own."""
START_PATIENCE: Final = 15.0
"""Seconds after the answers of the bootstrap servers in which a start waits for peers that do not answer: a
registry may be full of dead ones. A handshake is given up after 10."""
FORGET_LEARNT_AFTER: Final = 20
"""Failures in a row of such a server."""


class Dial(NamedTuple):
    address: Address
    """Open a link. `opened` or `dial_failed` follows."""


class Ask(NamedTuple):
    link: int
    """Send get_peers."""


class Part(NamedTuple):
    link: int
    """Close a link in peace: it was a visit."""


class Check(NamedTuple):
    link: int
    address: str
    node_key: str
    """See whether this key answers there. `checked` follows."""


class Tell(NamedTuple):
    link: int
    address: str
    """Tell a peer that it cannot be reached where it says."""


class Met(NamedTuple):
    link: int
    address: str
    """Note that the key of this peer answers at this address."""


class AskBootstrap(NamedTuple):
    address: Address
    register: bool
    """Register if so, and fetch the list. `bootstrap_answered` or `bootstrap_failed` follows."""


Action = Dial | Ask | Part | Check | Tell | Met | AskBootstrap


class Dice(Protocol):
    """`random.Random` and `random.SystemRandom` are ones."""

    def uniform(self, a: float, b: float, /) -> float: ...

    def choice(self, population: Sequence[int], /) -> int: ...


@dataclass(slots=True)
class _Joined:
    host: str
    greeted: Greeted
    dialled: str
    since: float
    visit: bool
    met: str = ""
    """Where its key answered when we dialled back."""


@dataclass(slots=True)
class _Server:
    address: Address
    learnt: bool
    asked_at: float | None = None
    """When its first answer came, or its first failure."""
    asking: bool = False
    failures: int = 0
    answered: bool = False
    listed: frozenset[str] = frozenset()
    """Whom it named last."""
    last_ask: float = 0.0
    next_ask: float = 0.0
    renew_at: float = 0.0


@dataclass(slots=True)
class _Claim:
    link: int
    address: str
    node_key: str
    at: float
    tries: int = 0
    checking: bool = False


@dataclass(slots=True)
class _Dialling:
    visits: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)

    def discard(self, name: str) -> None:
        self.visits.discard(name)
        self.others.discard(name)

    def __len__(self) -> int:
        return len(self.visits) + len(self.others)


class Finder:
    """The discovery of one node. `now` is monotonic seconds, `wall` Unix seconds.

    Args:
        joined: addresses that we dialled, or dialled back, and that lead to links which are open.
        live: whether a link was heard of lately.
        dice: for choices that nobody should foresee.
    """

    def __init__(
        self,
        book: AddressBook,
        bootstraps: Iterable[Address] = (),
        *,
        kinds: Iterable[str] = KINDS,
        joined: Callable[[], set[str]],
        dice: Dice,
        slots: int = OUTBOUND,
        live: Callable[[int], bool] = lambda link: True,
    ) -> None:
        self.book, self.kinds = book, frozenset(kinds)
        self._joined, self._dice, self._slots, self._live = joined, dice, slots, live
        self._servers = {str(address): _Server(address, learnt=False) for address in bootstraps}
        self._links: dict[int, _Joined] = {}
        self._dialling = _Dialling()
        self._visiting: set[str] = set()
        self._visits = TokenBucket(VISITS_PER_SECOND, VISITS_AT_ONCE)
        self._hosts = Buckets(DIALS_OF_HOST_PER_SECOND, DIALS_OF_HOST)
        self._claims: dict[tuple[str, str], _Claim] = {}
        self._distrusted: dict[str, float] = {}
        """Until when claims to an address do not keep us from dialling it."""
        self._counted_at: float | None = None
        """When a link that counts was last seen."""
        self._began: float | None = None
        self._first: set[str] = set()
        self._gossip_at = 0.0
        self._to_ask: list[int] = []
        self._to_part: list[int] = []
        self._to_tell: list[Tell] = []
        self._to_mark: list[Met] = []

    # -- what is heard -------------------------------------------------------------------------

    def heard(self, kind: str, address: str, source: str, now: float) -> None:
        """Somebody in the group `source` names an address, by one of KINDS; passed over if that is off."""
        if kind in self.kinds:
            self._note(address, source, now)

    def heard_bootstrap(self, address: Address, link: int) -> None:
        """A peer names a bootstrap server; taken only from peers that we have chosen ourselves."""
        joined = self._links.get(link)
        if joined is None or joined not in self._chosen() or GOSSIP not in self.kinds:
            return
        if sum(server.learnt for server in self._servers.values()) < MAX_LEARNT:
            self._servers.setdefault(str(address), _Server(address, learnt=True))

    def left(self, address: str) -> bool:
        """Somebody says that a peer has left; whether a link to it is open, which then is to be pinged."""
        if address in self._joined() or any(address == joined.met for joined in self._links.values()):
            return True
        self.book.doubt(address)
        return False

    def _note(self, address: str, source: str, now: float) -> None:
        if not self.book.add(address, source):
            self.book.hasten(address, now)

    # -- what happens --------------------------------------------------------------------------

    def dial_failed(self, address: str, now: float) -> None:
        self._dialling.discard(address)
        self.book.failed(address, now)

    def opened(self, address: str, now: float) -> None:
        """A link is open; until the handshake is done that counts as a failure: the next try waits longer."""
        if address in self._dialling.visits:
            self._visiting.add(address)
        self._dialling.discard(address)
        self.book.failed(address, now)

    def refused_by(self, address: str, code: str, now: float) -> None:
        """A peer that we dialled closed the link with an error."""
        if code in ("duplicate-connection", "self-connection"):
            self.book.rest(address, now)
        elif code == "key-twice":
            self.book.rest(address, now, TWIN_REST)

    def peer_up(self, link: int, host: str, dialled: str, greeted: Greeted, now: float, wall: int) -> None:
        """A handshake is done. `dialled`: the address by which we reached it, empty if it dialled us."""
        crowded = bool(dialled) and not greeted.proven and len(self.unproven()) >= self._slots
        visit = crowded or (bool(dialled) and dialled in self._visiting)
        self._visiting.discard(dialled)
        self._links[link] = _Joined(host, greeted, dialled, now, visit)
        if dialled and greeted.proven:
            self.book.succeeded(dialled, now, wall)
            self._meet(dialled, greeted.node_key)
        elif dialled:
            self.book.reached(dialled)
        if greeted.listen and greeted.listen != dialled:
            self._claim(link, host, greeted, now)
        if GOSSIP in self.kinds:
            self._to_ask.append(link)
        if visit:
            self._to_part.append(link)

    def peer_down(self, link: int, now: float) -> None:
        joined = self._links.pop(link, None)
        if joined is not None and joined.dialled and not joined.visit:
            self.book.parted(joined.dialled, now - joined.since, now)

    def _meet(self, address: str, node_key: str) -> None:
        """A key has answered at an address: links to it that claim this address tell the truth."""
        found = [
            link
            for link, joined in self._links.items()
            if joined.greeted[:2] == (node_key, address)
            and joined.greeted.proven
            and address != joined.dialled
        ]
        for link in found:
            self._links[link].met = address
            self._to_mark.append(Met(link, address))

    def _claim(self, link: int, host: str, greeted: Greeted, now: float) -> None:
        if ANNOUNCE not in self.kinds:
            return
        self._note(greeted.listen, group_of(host), now)
        claim = (greeted.listen, greeted.node_key)
        if claim in self._claims:
            self._claims[claim].link = link  # it has dialled us anew meanwhile
        elif len(self._claims) < MAX_CHECKS and greeted.listen != self.book.own:
            self._claims[claim] = _Claim(link, *claim, now + CHECK_SECONDS[0])

    def checked(self, address: str, node_key: str, holds: bool, now: float, wall: int) -> None:
        """What the dial of a Check has shown."""
        claim = self._claims.pop((address, node_key), None)
        if claim is None:
            return
        if holds:
            self.book.succeeded(address, now, wall)
            self._meet(address, node_key)
            return
        self._distrusted[address] = now + DISTRUST_SECONDS
        if claim.tries < len(CHECK_SECONDS):
            claim.checking, claim.at = False, now + CHECK_SECONDS[claim.tries]
            self._claims[address, node_key] = claim
            return
        if not self.book.is_met(address):
            self.book.failed(address, now)
        self._to_tell.append(Tell(claim.link, address))

    def _withheld(self, now: float) -> set[str]:
        """Addresses that are not dialled because an open link may lead there: a look is due."""
        self._distrusted = {address: until for address, until in self._distrusted.items() if until > now}
        return {
            claim.address
            for claim in self._claims.values()
            if claim.tries <= claim.checking  # the first look is due, or under way
            and (joined := self._links.get(claim.link)) is not None
            and joined.greeted.proven
        } - self._distrusted.keys()

    def bootstrap_answered(
        self,
        server: Address,
        registered: bool,
        peers: Iterable[str],
        now: float,
        nodes: Iterable[str] = (),
    ) -> None:
        """The list came, after a registration if that was asked for.

        Args:
            registered: it took our record, where one was sent.
            nodes: those of `peers` that are registered with a key of their own, for this network.
        """
        found = self._servers.get(str(server))
        if found is None:
            return
        if registered:
            found.renew_at = now + RENEW_SECONDS
        elif found.renew_at <= now:  # it refused our record
            found.renew_at = now + POLL_SECONDS
        first = found.asked_at is None and not found.learnt
        found.asked_at = now if found.asked_at is None else found.asked_at
        found.asking, found.failures, found.answered = False, 0, True
        found.listed = frozenset(nodes) - {self.book.own}
        found.next_ask = min(now + POLL_SECONDS, found.renew_at) if POLL in self.kinds else found.renew_at
        for address in peers:
            self._note(address, group_of(server.host), now)
            if first and address in self.book:
                self._first.add(address)

    def bootstrap_failed(self, server: Address, now: float) -> bool:
        """It did not answer, or refused; whether that is news."""
        found = self._servers.get(str(server))
        if found is None:
            return False
        found.asked_at = now if found.asked_at is None else found.asked_at
        found.asking = False
        found.failures += 1
        found.renew_at = 0.0  # it may have been set up anew meanwhile
        found.next_ask = now + RETRY_SECONDS[min(found.failures, len(RETRY_SECONDS)) - 1]
        if found.learnt and found.failures >= FORGET_LEARNT_AFTER:
            del self._servers[str(server)]
        return found.failures == 1

    # -- questions -----------------------------------------------------------------------------

    @property
    def servers(self) -> list[Address]:
        """Bootstrap servers that answered last time: worth telling others."""
        return [
            server.address for server in self._servers.values() if server.asked_at and not server.failures
        ]

    @property
    def known_servers(self) -> list[Address]:
        return [server.address for server in self._servers.values()]

    def settled(self, now: float) -> bool:
        """Our own servers were tried once, and a peer is joined, where there is one; a start is over then.

        All that were known then are dialled first: what the cache, the operator and our servers name.
        Hints from strangers hold nobody up, and once a link counts, silence of others does for START_PATIENCE
        only. A node that is cut off has not started.
        """
        if self.cut_off(now):
            return False
        own = [server.asked_at for server in self._servers.values() if not server.learnt]
        if self._began is None or None in own:
            return False
        if now > max([self._began, *(at for at in own if at is not None)]) + START_PATIENCE:
            return True
        if not self.counted() and self._first & self.busy():
            return False
        return self._outbound() >= self._slots or not self.book.untried(self._first - self.busy())

    def counted(self) -> list[int]:
        """Links that count: proven, to nodes that we dialled or dialled back, and not silent."""
        return [
            link
            for link, joined in self._links.items()
            if joined.greeted.proven
            and not joined.visit
            and (joined.dialled or joined.met)
            and self._live(link)
        ]

    def unproven(self) -> set[str]:
        """Addresses that we dialled, and that the nodes there do not know as their own."""
        links = self._links.values()
        return {joined.dialled for joined in links if joined.dialled and not joined.greeted.proven}

    def greeted(self, link: int) -> Greeted | None:
        """What the handshake on a link has shown."""
        joined = self._links.get(link)
        return None if joined is None else joined.greeted

    def keys(self) -> set[str]:
        """Of all peers."""
        return {joined.greeted.node_key for joined in self._links.values()}

    def others(self) -> set[str]:
        """Addresses of other nodes of this network, as far as no stranger could have made them up.

        One that was met, does not answer now and is listed by none of our servers has left for good.
        """
        own = [server for server in self._servers.values() if not server.learnt]
        listed = frozenset[str]().union(*(server.listed for server in own))
        told = any(server.answered and not server.failures for server in own)
        return self.book.chosen() - (self.book.gone() if told else set()) | listed

    def cut_off(self, now: float) -> str:
        """Why this node is alone though the network has other nodes, as a clause; empty if it is not."""
        links = self.counted()
        if links:
            if any(now - self._links[link].since >= CUT_OFF_SECONDS for link in links):
                self._counted_at = now
            return ""
        if self._counted_at is not None and now - self._counted_at < CUT_OFF_SECONDS:
            return ""
        others = len(self.others())
        if others:
            open_ones = len(self._links)
            why = "not dialled by it, not proven, silent, or with blocks ahead of its clock"
            but = f"; {open_ones} open links do not count ({why})" if open_ones else ""
            return f"it is joined to none of the {others} other nodes that it knows{but}"
        own = [server for server in self._servers.values() if not server.learnt]
        if own and not any(server.answered for server in own):
            return "no bootstrap server has answered it, and it knows no other node"
        return ""

    def busy(self) -> set[str]:
        met = {joined.met for joined in self._links.values()} - {""}
        return self._joined() | self._dialling.visits | self._dialling.others | met

    def anchors(self) -> list[str]:
        """The peers that we chose and were joined to for longest: dialled first after a restart."""
        ours = sorted(self._chosen(), key=lambda joined: joined.since)
        return [joined.dialled for joined in ours][: self._slots]

    def _chosen(self) -> list[_Joined]:
        """Peers that we have dialled ourselves, and that are where we dialled them."""
        links = self._links.values()
        return [one for one in links if one.dialled and one.greeted.proven and not one.visit]

    def _outbound(self) -> int:
        return len(self._chosen())

    # -- what to do ----------------------------------------------------------------------------

    def actions(self, now: float) -> list[Action]:
        """Everything to do now; what is given out is under way from then on."""
        if self._began is None:
            self._began, self._first = now, self._first | self.book.chosen()
        found: list[Action] = [Ask(link) for link in self._to_ask if link in self._links]
        found += [Part(link) for link in self._to_part]
        found += self._to_tell
        found += self._to_mark
        self._to_ask, self._to_part, self._to_tell, self._to_mark = [], [], [], []
        found += self._gossip(now)
        found += self._ask_servers(now)
        found += self._checks(now)
        found += self._dials(now)
        return found

    def _gossip(self, now: float) -> list[Action]:
        if GOSSIP not in self.kinds or now < self._gossip_at:
            return []
        self._gossip_at = now + GOSSIP_SECONDS * self._dice.uniform(0.9, 1.1)
        return [Ask(self._dice.choice(sorted(self._links)))] if self._links else []

    def _ask_servers(self, now: float) -> list[Action]:
        found: list[Action] = []
        alone = POLL in self.kinds and bool(self.cut_off(now))
        for server in self._servers.values():
            soon = alone and not server.failures and server.last_ask + ALONE_SECONDS <= now
            if not server.asking and (soon or server.next_ask <= now):
                server.asking, server.last_ask = True, now
                found.append(AskBootstrap(server.address, register=server.renew_at <= now))
        return found

    def _checks(self, now: float) -> list[Action]:
        found: list[Action] = []
        for claim in list(self._claims.values()):
            if claim.checking or claim.at > now:
                continue
            joined = self._links.get(claim.link)
            if joined is None or joined.met == claim.address:
                del self._claims[claim.address, claim.node_key]
            elif self._may_dial(claim.address, now):
                claim.checking, claim.tries = True, claim.tries + 1
                found.append(Check(claim.link, claim.address, claim.node_key))
        return found

    def _dials(self, now: float) -> list[Action]:
        if self.cut_off(now):
            self.book.hurry(now)
        room = MAX_DIALS - len(self._dialling)
        due = self.book.due(now, self.busy() | self._withheld(now)) if room > 0 else []
        if not due:
            return []
        free = self._slots - self._outbound() - len(self._dialling.others)
        ours = [joined.dialled for joined in self._links.values() if joined.dialled and not joined.visit]
        hosts = [name.rpartition(":")[0].strip("[]") for name in (*ours, *self._dialling.others)]
        found: list[Action] = []
        for address in choose(due, hosts, min(room, free)) if free > 0 else due:
            if len(found) >= room:
                break
            name = str(address)
            visit = free <= 0
            if visit and not (self.book.wants_test(name) and self._visits.wait(now) == 0.0):
                continue
            if not self._may_dial(name, now):
                continue
            if visit:
                self._visits.take(now)
            self._visiting.discard(name)  # an earlier visit may have got no handshake
            (self._dialling.visits if visit else self._dialling.others).add(name)
            found.append(Dial(address))
        return found

    def _may_dial(self, name: str, now: float) -> bool:
        """Addresses that were met are dialled whenever due; others of one host only so many a second."""
        host = name.rpartition(":")[0].strip("[]")
        return self.book.is_met(name) or group_of(host) == LOCAL or self._hosts.of(host).take(now)
