"""The open links of a node: who is behind each, what it may still send, what it is owed."""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from votenet.core.ledger.mempool import Origin
from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.node.backpressure import MAX_HELD_OF_PEER, MAX_PENDING, Backpressure, OpenLink
from votenet.network.node.connection_policy import ConnectionPolicy
from votenet.network.node.duplicate_filter import DuplicateFilter
from votenet.network.node.memory_limit import MAX_MEMORY, MAX_STRANGERS_MEMORY, MemoryLimit
from votenet.network.transport import Link
from votenet.protocol.node.events import Event, LinkDown, PeerUp, Received
from votenet.protocol.peers.address_manager import LOCAL, group_of
from votenet.protocol.peers.misbehavior import of_address
from votenet.protocol.peers.selection import Inbound, inbound_to_evict
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.error_lines import error_in
from votenet.protocol.wire.framing import MAX_CLIENT_LINE, MAX_PEER_LINE
from votenet.protocol.wire.limits import CLIENT_RATES, LINE_UNITS, PEER_RATES, Rates, units
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import Ping
from votenet.protocol.wire.token_bucket import TokenBucket

CLIENT_LIMITS: Final = LinkLimits(max_line=MAX_CLIENT_LINE, at_once=32 * 1024, unread=1024 * 1024)
MAX_LEFT: Final = 4096
"""Links that closed with something unjudged, remembered so that leaving is no way out."""
MAX_INBOUND: Final = 256
MAX_INBOUND_OF_ADDRESS: Final = 64
"""Peers that have dialled us, and those of one address: what `votenet up` starts at most on one machine."""
PING_AFTER: Final = 20.0
"""Seconds of silence before a peer is asked whether it is there."""
LOST_AFTER: Final = 60.0
"""Seconds of silence after which a peer is given up: three pings without an answer."""
SHARE_OF_STRANGERS: Final = 1
SHARE_OF_OURS: Final = 7
"""What the strangers of an address may take of the pool, as a multiple of what is left to others: half of it
at most; and the peers of one, or a link of this machine: seven eighths."""
HANDSHAKE_SECONDS: Final = 10.0
"""Silence in the middle of a handshake after which the other side is given up: until then an address that
we have dialled counts as joined, and is not dialled again."""
LIVE_SECONDS: Final = PING_AFTER + 10.0
"""A peer that is silent for longer has left a ping unanswered: it is kept, and does not count."""
HELD_UP_SECONDS: Final = 2.0
"""Between two looks at the links. After a longer time this process was held up and could hear nothing: its
peers were not silent."""
HINT_PATIENCE: Final = 20.0
"""A peer that a stranger says has left has this long to answer a ping: a busy one is not gone."""
TWIN_PATIENCE: Final = 5.0
"""The same for a peer whose key another process has proved to have: where a machine lost its power and is up
again, the old link is dead."""
_VOTES_LINE: Final = b'{"type":"votes"'

log = logging.getLogger("votenet.links")


class Behind(NamedTuple):
    """`host`: an IP address; `dialled`: the address by which we reached it, empty if it reached us.
    `live`: it was heard of lately."""

    host: str
    dialled: str
    outbound: bool
    live: bool = True


class _Left(NamedTuple):
    """Who was behind a link that closed before everything it had sent was judged."""

    host: str
    peer: bool


class LinkTable:
    """All links of one node. `post` takes events; `tip` gives (height, work) for our hello.

    `refused_by` is told (dialled address, code) when a peer that we dialled refuses us. `connection_policy`
    knows what addresses and keys may do; without one a new one is made. `wall` is the Unix time that our
    hello tells, by default `clock`. `twin` is told the address of a link over which another process has
    proved to have our key, `foreign` the host of a node of another network that has dialled us.
    """

    def __init__(
        self,
        identity: LocalNode,
        post: Callable[[Event], None],
        tip: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        refused_by: Callable[[str, str], None],
        connection_policy: ConnectionPolicy | None = None,
        *,
        max_memory: int = MAX_MEMORY,
        max_strangers: int = MAX_STRANGERS_MEMORY,
        wall: Callable[[], float] | None = None,
        twin: Callable[[str], None] = lambda address: None,
        foreign: Callable[[str], None] = lambda host: None,
    ) -> None:
        self._identity, self._post, self._tip, self._clock = identity, post, tip, clock
        self._wall, self._twin, self._foreign = wall or clock, twin, foreign
        self._refused_by, self._connection_policy = (
            refused_by,
            connection_policy or ConnectionPolicy(clock, clock),
        )
        self._open: dict[int, OpenLink] = {}
        self.backpressure = Backpressure(self._open, clock)
        self.memory = MemoryLimit(self._open, max_memory, max_strangers)
        self._left: OrderedDict[int, _Left] = OrderedDict()
        self._sources: OrderedDict[int, str] = OrderedDict()
        """Of links that closed, as `source` gives them."""
        self._seen = _no_lines_seen()
        self._secret = os.urandom(16)
        self._past_traffic = (0, 0)
        self.drained: Callable[[int], None] = lambda link: None
        """Told that a link's lines are handed to its socket, after one had to wait, or that it is gone."""
        self._looked: float | None = None

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        connection = Connection(
            self._identity,
            outbound=link.outbound,
            challenge=os.urandom(32),
            dialled=link.dialled,
            own=(link.local,),
        )
        crowd = of_address(link.host) or f"link {link.id}"
        made = OpenLink(link, connection, self._clock(), *_buckets(CLIENT_RATES), crowd)
        made.dialled = link.dialled[0] if link.dialled else ""
        self._open[link.id] = made
        link.drained = lambda: self.drained(link.id)
        if link.outbound:
            link.send_line(encode_message(connection.hello(*self._tip(), int(self._wall()))))

    def line_received(self, link: Link, line: bytes) -> None:
        open_link = self._open.get(link.id)
        if open_link is None:
            return
        open_link.heard, open_link.doubted_until = self._clock(), None
        waits = (
            open_link.units.reserve(open_link.heard, LINE_UNITS),
            open_link.bytes.reserve(open_link.heard, len(line)),
        )
        self.backpressure.wait(open_link, *waits)
        stranger = open_link.connection.role is LinkRole.STRANGER
        refusal = None if stranger else error_in(line)
        if refusal is not None:
            log.info("%s:%s refused us: %s", link.host, link.port, refusal.message)
            self._refused_by(open_link.dialled, refusal.code)
            link.close()
            return
        peer = open_link.is_peer
        if peer and line.startswith(_VOTES_LINE) and self._seen.seen(line, link.id):
            return
        try:
            self.backpressure.wait(
                open_link, self._connection_policy.take_bytes(link.host, len(line), peer=peer)
            )
            message, answers = open_link.connection.receive(line, *self._tip(), int(self._wall()))
            if message is not None:
                self._spend(open_link, units(message) - LINE_UNITS)
        except RemoteProtocolError as error:
            self._refuse(open_link, error)
            return
        for answer in answers:
            link.send_line(encode_message(answer))
        if not peer and open_link.is_peer:
            self._handshake_done(open_link)
        if message is not None:
            self._take(open_link, message, len(line))

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        open_link = self._open.pop(link.id, None)
        if open_link is None:
            return
        if reason is not None and reason.code == "line-too-long":  # the one refusal that transport makes
            self._record_misbehavior(open_link, reason.code)
        self._sources[link.id] = _source(link)
        if len(self._sources) > MAX_LEFT:
            self._sources.popitem(last=False)
        peer_info = open_link.connection.peer_info
        if self.backpressure.closed(open_link) and not open_link.misbehaved:
            self._left[link.id] = _Left(link.host, peer_info is not None)
            if len(self._left) > MAX_LEFT:
                self._left.popitem(last=False)
        if peer_info is not None:
            sent, received = self._past_traffic
            self._past_traffic = (sent + link.bytes_sent, received + link.bytes_received)
            self._post(LinkDown(link.id))
        self.drained(link.id)

    # -- what the service calls ----------------------------------------------------------------

    def dialled(self, link: Link, address: str) -> None:
        """Note under which address a link was dialled."""
        open_link = self._open.get(link.id)
        if open_link is not None:
            open_link.dialled = address

    def confirm_address(self, link_id: int, address: str) -> None:
        """The key of this peer was seen to answer at an address."""
        open_link = self._open.get(link_id)
        if open_link is not None:
            open_link.confirmed = address

    def send(self, link_id: int, line: bytes) -> None:
        """A line to a peer, or the answer that a stranger is owed."""
        open_link = self._open.get(link_id)
        if open_link is None:
            return
        if open_link.is_peer:
            open_link.link.send_line(line)
        else:
            open_link.link.answer(line)

    def send_last(self, link_id: int, line: bytes) -> None:
        """The answer after which the reference client expects a closed connection."""
        open_link = self._open.get(link_id)
        if open_link is not None:
            open_link.link.close(line)

    def refuse(self, link_id: int, error: VotenetError) -> None:
        """Close a link with an error; an address that was left meanwhile gets its score all the same."""
        self._seen.forget(link_id)
        open_link = self._open.get(link_id)
        if open_link is not None:
            if error.code == "key-twice":
                self._doubt_others(open_link)
            self._refuse(open_link, error)
            return
        left = self._left.get(link_id)
        if left is not None and left.peer:
            del self._left[link_id]
            self._connection_policy.misbehaved(left.host, error.code)

    def refuse_all(self, error: VotenetError) -> None:
        """The core starts over: lines that it has not saved are new again."""
        self.backpressure.clear()
        for open_link in list(self._open.values()):
            open_link.link.refuse(error)
        self._seen = _no_lines_seen()

    def lane(self, link_id: int) -> str:
        """The lane of a link for long work: shared by the strangers of an address, or by its peers."""
        return self.origin(link_id).name

    def crowd(self, link_id: int) -> str:
        """The lane of a link for questions: shared by all links of its address, on this machine its own."""
        open_link = self.backpressure.of(link_id)
        return f"link {link_id}" if open_link is None else open_link.crowd

    def is_open(self, link_id: int) -> bool:
        """Whether an answer to this link still has a reader."""
        open_link = self._open.get(link_id)
        return open_link is not None and not open_link.link.closing

    def is_peer(self, link_id: int) -> bool:
        open_link = self._open.get(link_id)
        return open_link is not None and open_link.is_peer

    def is_sending(self, link_id: int) -> bool:
        """Whether part of a long line is not handed to the link's socket yet."""
        open_link = self._open.get(link_id)
        return open_link is not None and open_link.link.sending

    def origin(self, link_id: int) -> Origin:
        """Whose the votes of a link are in the pool: of all strangers, or all peers, of its address; on this
        machine of the link alone."""
        open_link, left = self.backpressure.of(link_id), self._left.get(link_id)
        if open_link is not None:
            address, peer = of_address(open_link.link.host), open_link.is_peer
        else:
            address, peer = (None, False) if left is None else (of_address(left.host), left.peer)
        if address is None:
            return Origin(f"link {link_id}", SHARE_OF_OURS)
        return Origin(f"peers at {address}", SHARE_OF_OURS) if peer else Origin(address, SHARE_OF_STRANGERS)

    def charge(self, link_id: int, cost: float) -> None:
        """A request has cost more units than its price: its sender pays, and waits, also after it left."""
        open_link, left = self._open.get(link_id), self._left.get(link_id)
        if open_link is not None:
            waits = [open_link.units.reserve(self._clock(), cost)]
            waits += [] if open_link.is_peer else [self._connection_policy.charge(open_link.link.host, cost)]
            self.backpressure.wait(open_link, *waits)
        elif left is not None and not left.peer:
            self._connection_policy.charge(left.host, cost)

    def victim(self, links: Iterable[Link]) -> Link | None:
        """Which link makes room for a new one, if one does: never a peer's.

        The address with the most links gives one up: the one without a question open, silent for longest.
        """
        strangers = [
            open_link for link in links if (open_link := self._open.get(link.id)) and not open_link.is_peer
        ]
        owners = {open_link.link.id: of_address(open_link.link.host) for open_link in strangers}
        crowds = Counter(owners.values())

        def useless(open_link: OpenLink) -> tuple[int, bool, float]:
            return crowds[owners[open_link.link.id]], not open_link.link.owes, -open_link.heard

        worst = max(strangers, key=useless, default=None)
        if worst is None or (worst.link.owes and crowds[owners[worst.link.id]] == 1):
            return None
        return worst.link

    def keep_alive(self) -> None:
        """End pauses that are over; ping silent peers; drop those that stay silent, and unfinished hellos."""
        now = self._clock()
        held_up = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        self.memory.enforce()
        self.backpressure.some_wait = False
        for open_link in list(self._open.values()):
            self.backpressure.resume(open_link)
            self.backpressure.some_wait |= open_link.paused
            if held_up > HELD_UP_SECONDS:
                open_link.heard = min(open_link.heard + held_up, now)
                if open_link.doubted_until is not None:
                    open_link.doubted_until += held_up
            if open_link.connection.role is LinkRole.STRANGER:
                continue
            silence = now - open_link.heard
            gone = open_link.doubted_until is not None and now > open_link.doubted_until
            if gone or silence > (LOST_AFTER if open_link.is_peer else HANDSHAKE_SECONDS):
                log.info("peer %s is silent for %d s: dropped", open_link.link.host, silence)
                open_link.link.abort()
            elif silence > PING_AFTER:  # never in a handshake: that is given up before
                open_link.link.send_line(encode_message(Ping()))

    def doubt(self, address: str) -> None:
        """A hint says that the peer at this address has left: let it prove otherwise."""
        if not address:  # all that accept no connections share it
            return
        for open_link in self._open.values():
            peer_info = open_link.connection.peer_info
            if peer_info is not None and address in (peer_info.listen, open_link.dialled):
                self._doubt(open_link, HINT_PATIENCE)

    def _doubt_others(self, refused: OpenLink) -> None:
        """A newer process has this key: those that had it before may be gone."""
        newer = refused.connection.peer_info
        for open_link in self._open.values():
            peer_info = open_link.connection.peer_info
            same = newer is not None and peer_info is not None and peer_info.node_key == newer.node_key
            if same and open_link is not refused:
                self._doubt(open_link, TWIN_PATIENCE)

    def _doubt(self, open_link: OpenLink, patience: float) -> None:
        """Ask a peer once whether it is there. Until then it counts: anybody may say that it has left."""
        until = self._clock() + patience
        if open_link.doubted_until is None:
            open_link.doubted_until = until
            open_link.link.send_line(encode_message(Ping()))
        open_link.doubted_until = min(open_link.doubted_until, until)

    def traffic(self) -> tuple[int, int]:
        """Bytes sent to and received from peers since the start, whatever they were."""
        sent, received = self._past_traffic
        for open_link in self._open.values():
            if open_link.connection.peer_info is not None:
                sent, received = sent + open_link.link.bytes_sent, received + open_link.link.bytes_received
        return sent, received

    def peers(self) -> list[tuple[Link, set[str]]]:
        """Every link to a peer, with the known addresses of that peer."""
        return [
            (open_link.link, {open_link.dialled, peer_info.listen} - {""})
            for open_link in self._open.values()
            if open_link.is_peer and (peer_info := open_link.connection.peer_info) is not None
        ]

    def behind(self, link_id: int) -> Behind | None:
        """Who is at the other end of a link, if it is still open."""
        open_link = self._open.get(link_id)
        if open_link is None:
            return None
        live = self._clock() - open_link.heard <= LIVE_SECONDS
        return Behind(open_link.link.host, open_link.dialled, open_link.link.outbound, live)

    def source(self, link_id: int) -> str:
        """The network group behind a link, also soon after it closed; LOCAL for this machine itself."""
        open_link = self._open.get(link_id)
        return self._sources.get(link_id, "gone") if open_link is None else _source(open_link.link)

    def key_at(self, address: str) -> str | None:
        """The key of the peer that we know by this address (`host:port`), while it is joined."""
        for open_link in self._open.values():
            peer_info = open_link.connection.peer_info
            if peer_info is not None and address in (open_link.confirmed, open_link.dialled):
                return peer_info.node_key
        return None

    def evict_banned(self) -> None:
        """Close the links of peers that are banned now."""
        for open_link in list(self._open.values()):
            peer_info = open_link.connection.peer_info
            refusal = (
                None
                if peer_info is None
                else self._connection_policy.refusal(open_link.link.host, peer_info.node_key)
            )
            if refusal is not None:
                self._refuse(open_link, refusal)

    def disconnect(self, link_id: int) -> None:
        """Close a link in peace."""
        open_link = self._open.get(link_id)
        if open_link is not None:
            open_link.link.close()

    def busy_addresses(self) -> set[str]:
        """Addresses that lead to a link which is open already, as far as we have dialled them ourselves."""
        open_link = self._open.values()
        return (
            {one.dialled for one in open_link if one.link.outbound} | {one.confirmed for one in open_link}
        ) - {""}

    # -- inside --------------------------------------------------------------------------------

    def _handshake_done(self, open_link: OpenLink) -> None:
        peer_info, link = open_link.connection.peer_info, open_link.link
        assert peer_info is not None
        refusal = self._connection_policy.refusal(link.host, peer_info.node_key)
        if peer_info.node_key == self._identity.key.public_hex:
            self._twin(open_link.dialled or link.host)
            refusal = RemoteProtocolError("key-twice", "another process runs with the key of this node")
        open_link.since = self._clock()
        if refusal is None and not link.outbound:
            refusal = self._make_room(open_link)
        if refusal is not None:
            open_link.connection.peer_info = None  # the core never hears of it
            self._refuse(open_link, refusal)
            return
        open_link.units, open_link.bytes = _buckets(PEER_RATES)
        open_link.max_pending, open_link.max_held = MAX_PENDING, MAX_HELD_OF_PEER
        link.allow_lines_of(MAX_PEER_LINE)
        self._post(PeerUp(link.id, peer_info, link.outbound))

    def _make_room(self, newcomer: OpenLink) -> RemoteProtocolError | None:
        """When too many peers have dialled us, one goes: the refusal, if it is this one. Named nodes stay."""
        if self._is_named(newcomer):
            return None
        inbound = {
            number: Inbound(number, open_link.link.host, open_link.since)
            for number, open_link in self._open.items()
            if open_link.is_peer
            and not open_link.link.outbound
            and not open_link.link.closing
            and not self._is_named(open_link)
        }
        enough = RemoteProtocolError("too-many-connections", "this node has enough peers")
        host, own = newcomer.link.host, newcomer.link.id
        if sum(peer.host == host for peer in inbound.values()) > MAX_INBOUND_OF_ADDRESS:
            return enough
        if len(inbound) <= MAX_INBOUND:
            return None
        worst = inbound_to_evict(list(inbound.values()), self._secret)
        if worst is None or worst == own:
            return enough
        self._refuse(self._open[worst], enough)
        return None

    def _is_named(self, open_link: OpenLink) -> bool:
        peer_info = open_link.connection.peer_info
        return peer_info is not None and self._connection_policy.is_named(peer_info.node_key)

    def _refuse(self, open_link: OpenLink, error: VotenetError) -> None:
        link = open_link.link
        log.info("closing link to %s:%s: %s [%s]", link.host, link.port, error.message, error.code)
        self._record_misbehavior(open_link, error.code)
        if error.code == "network-mismatch":
            self._foreign(link.host)
        link.refuse(error)

    def _record_misbehavior(self, open_link: OpenLink, code: str) -> None:
        """Score the address that a link comes from, once a link: a peer's, or one with a false proof.

        Never its key: lines on a link are not signed, and a stranger may have passed the handshake on. Not
        strangers: their cost is bounded, and many may share an address. And not an address that we dialled
        and that proved nothing: any peer could have named it to us.
        """
        proved_or_came = open_link.connection.peer_info is not None or not open_link.link.outbound
        if open_link.connection.role is LinkRole.STRANGER or not proved_or_came or open_link.misbehaved:
            return
        open_link.misbehaved = True
        self._connection_policy.misbehaved(open_link.link.host, code)

    def _spend(self, open_link: OpenLink, cost: float) -> None:
        """Charge a link, and its address. Raises RemoteProtocolError: rate-limited, for a stranger."""
        self.backpressure.wait(open_link, open_link.units.reserve(self._clock(), cost))
        waits = self._connection_policy.spend(open_link.link.host, cost, peer=open_link.is_peer)
        self.backpressure.wait(open_link, waits)

    def _take(self, open_link: OpenLink, message: Message, size: int) -> None:
        if not open_link.is_peer and message.replies:
            open_link.link.expect_answer()
        self.backpressure.received(open_link, size)
        self._post(Received(open_link.link.id, message, size))


def _buckets(rates: Rates) -> tuple[TokenBucket, TokenBucket]:
    """For units of work and for bytes."""
    return (
        TokenBucket(rates.units_per_second, rates.units_at_once),
        TokenBucket(rates.bytes_per_second, rates.bytes_at_once),
    )


def _source(link: Link) -> str:
    """As `LinkTable.source`: this machine may dial itself at any of its addresses."""
    return LOCAL if link.host == link.local.rpartition(":")[0].strip("[]") else group_of(link.host)


def _no_lines_seen() -> DuplicateFilter:
    return DuplicateFilter(int.from_bytes(os.urandom(8), "little"))
