"""The open links of a node: who is behind each, what it may still send, what it is owed.

What lives here: LinkTable, the LinkHandler of a node: lines in, events out, back-pressure,
keep-alive, and who has to go when memory or connections run out. What must not: decisions about
messages (`protocol/`), dialling (`discovery.py`), what is too much (`protocol/limits.py`).
"""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from votenet.core.mempool import Origin
from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.client import refusal_in
from votenet.network.guard import Guard
from votenet.network.seen import SeenLines
from votenet.network.transport import Link, LinkLimits
from votenet.protocol.blame import of_address
from votenet.protocol.connection import Connection, Identity
from votenet.protocol.events import Event, LinkDown, PeerUp, Received
from votenet.protocol.eviction import Inbound, worst_of
from votenet.protocol.framing import MAX_CLIENT_LINE, MAX_PEER_LINE
from votenet.protocol.limits import CLIENT_RATES, LINE_UNITS, PEER_RATES, Rates, units
from votenet.protocol.messages import REPLIES, Message, Ping, Role, encode_message
from votenet.protocol.token_bucket import TokenBucket

CLIENT_LIMITS: Final = LinkLimits(max_line=MAX_CLIENT_LINE, at_once=32 * 1024, unread=1024 * 1024)
MAX_HELD: Final = 2 * MAX_CLIENT_LINE
MAX_HELD_OF_PEER: Final = 2 * MAX_PEER_LINE
"""Bytes of lines of one link that wait for the core or are being checked, before it is paused."""
MAX_HELD_OF_ADDRESS: Final = 8 * MAX_CLIENT_LINE
"""The same of all links of an address, closed ones too, before those without a handshake are paused."""
MAX_MEMORY: Final = 96 * 1024 * 1024
"""Memory of all links together: lines not yet whole, taken, being checked; unsent answers."""
MAX_STRANGERS_MEMORY: Final = 64 * 1024 * 1024
"""Of this for links without a handshake."""
TAKEN_APART: Final = 3
"""Bytes of memory for each of a line that waits for the core or is being checked: its votes are objects."""
MEASURE_BYTES: Final = 16 * 1024 * 1024
"""After so many bytes in or out the memory of all links is added up."""
MAX_LEFT: Final = 4096
"""Links that closed with something unjudged, remembered so that leaving is no way out."""
MAX_PEERS: Final = 256
MAX_PEERS_OF_ADDRESS: Final = 64
"""Peers that have dialled us, and those of one address: what `votenet up` starts at most on one machine."""
MAX_PENDING: Final = 64
"""Messages of a peer's link that wait for the core before the link is paused."""
MAX_PENDING_OF_STRANGER: Final = 8
"""The same for a client's link."""
MAX_PENDING_OF_ADDRESS: Final = 64
"""Messages of all links of an address that wait for the core, before its links take turns at being read: so
many the loop takes apart before it looks at what others sent."""
MAX_JOBS: Final = 4
"""Lines of one link in the checking thread: each may hold 1,000 votes, 60 ms of work."""
PING_AFTER: Final = 20.0
"""Seconds of silence before a peer is asked whether it is there."""
LOST_AFTER: Final = 60.0
"""Seconds of silence after which a peer is given up: three pings without an answer."""
SHARE_OF_STRANGERS: Final = 1
SHARE_OF_OURS: Final = 7
"""What the strangers of an address may take of the pool, as a multiple of what is left to others: half of it
at most; and the peers of one, or a link of this machine: seven eighths."""
GREETING_SECONDS: Final = 10.0
"""Silence in the middle of a handshake after which the other side is given up: until then an address that
we have dialled counts as joined, and is not dialled again."""
LIVE_SECONDS: Final = PING_AFTER + 10.0
"""A peer that is silent for longer has left a ping unanswered: it is kept, and does not count."""
LATE_SECONDS: Final = 2.0
"""Between two looks at the links. When it was longer this process was held up, and hears nothing meanwhile:
that time is nobody's silence."""
HINT_PATIENCE: Final = 20.0
"""A peer that a stranger says has left has this long to answer a ping: a busy one is not gone."""
TWIN_PATIENCE: Final = 5.0
"""The same for a peer whose key another process has proved to have: where a machine lost its power and is up
again, the old link is dead."""
_VOTES_LINE: Final = b'{"type":"votes"'

log = logging.getLogger("votenet.links")


@dataclass(slots=True)
class _Open:
    """One open link."""

    link: Link
    connection: Connection
    heard: float
    units: TokenBucket
    bytes: TokenBucket
    crowd: str
    """Its address; on this machine the link itself."""
    dialled: str = ""
    met: str = ""
    """Where its key was seen to answer when the address in its hello was dialled back."""
    since: float = 0.0
    """When it became a peer."""
    pending: deque[int] = field(default_factory=deque)
    """Sizes of the lines whose messages wait for the core, in order."""
    jobs: int = 0
    held: int = 0
    """Bytes of lines that wait for the core or are being checked."""
    idle_until: float = 0.0
    """The link is not read before: it has sent more than its share."""
    max_pending: int = MAX_PENDING_OF_STRANGER
    max_held: int = MAX_HELD
    max_held_of_address: int = MAX_HELD_OF_ADDRESS
    paused: bool = False
    blamed: bool = False

    @property
    def is_peer(self) -> bool:
        return self.connection.role is Role.PEER

    @property
    def memory(self) -> int:
        return TAKEN_APART * self.held + self.link.held


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

    `refused_by` is told (dialled address, code) when a peer that we dialled refuses us. `guard` knows
    what addresses and keys may do; without one a new one is made. `wall` is the Unix time that our hello
    tells, by default `clock`. `twin` is told the address of a link over which another process has proved to
    have our key.
    """

    def __init__(
        self,
        identity: Identity,
        post: Callable[[Event], None],
        tip: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        refused_by: Callable[[str, str], None],
        guard: Guard | None = None,
        *,
        max_memory: int = MAX_MEMORY,
        max_strangers: int = MAX_STRANGERS_MEMORY,
        wall: Callable[[], float] | None = None,
        twin: Callable[[str], None] = lambda address: None,
    ) -> None:
        self._identity, self._post, self._tip, self._clock = identity, post, tip, clock
        self._wall, self._twin = wall or clock, twin
        self._refused_by, self._guard = refused_by, guard or Guard(clock, clock)
        self._max_memory, self._max_strangers, self._moved = max_memory, max_strangers, 0
        self._open: dict[int, _Open] = {}
        self._gone: dict[int, _Open] = {}
        """Links that closed while lines of theirs wait, or are being checked."""
        self._held_of: Counter[str] = Counter()
        """Bytes of such lines by crowd."""
        self._pending_of: Counter[str] = Counter()
        """Messages that wait for the core by crowd."""
        self._turns: dict[str, dict[int, _Open]] = {}
        """Links that are not read, by crowd, in the order in which they are next."""
        self._left: OrderedDict[int, _Left] = OrderedDict()
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
        made = _Open(link, connection, self._clock(), *_buckets(CLIENT_RATES), crowd)
        made.dialled = link.dialled[0] if link.dialled else ""
        self._open[link.id] = made
        link.drained = lambda: self.drained(link.id)
        if link.outbound:
            link.send_line(encode_message(connection.hello(*self._tip(), int(self._wall()))))

    def line_received(self, link: Link, line: bytes) -> None:
        found = self._open.get(link.id)
        if found is None:
            return
        found.heard = self._clock()
        waits = found.units.reserve(found.heard, LINE_UNITS), found.bytes.reserve(found.heard, len(line))
        self._wait(found, *waits)
        stranger = found.connection.role is Role.STRANGER
        if not stranger and line.startswith(b'{"error"'):
            refusal = refusal_in(line)
            log.info("%s:%s refused us: %s", link.host, link.port, refusal.message)
            self._refused_by(found.dialled, refusal.code)
            link.close()
            return
        peer = found.is_peer
        if peer and line.startswith(_VOTES_LINE) and self._seen.seen(line, link.id):
            return
        try:
            self._wait(found, self._guard.take_bytes(link.host, len(line), peer=peer))
            message, answers = found.connection.receive(line, *self._tip(), int(self._wall()))
            if message is not None:
                self._spend(found, units(message) - LINE_UNITS)
        except RemoteProtocolError as error:
            self._refuse(found, error)
            return
        for answer in answers:
            link.send_line(encode_message(answer))
        if not peer and found.is_peer:
            self._greeted(found)
        if message is not None:
            self._take(found, message, len(line))

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        found = self._open.pop(link.id, None)
        if found is None:
            return
        if reason is not None and reason.code == "line-too-long":  # the one refusal that transport makes
            self._blame(found, reason.code)
        greeted = found.connection.greeted
        self._forget_turn(found)
        if found.pending or found.jobs:
            self._gone[link.id] = found
        if (found.pending or found.jobs) and not found.blamed:
            self._left[link.id] = _Left(link.host, greeted is not None)
            if len(self._left) > MAX_LEFT:
                self._left.popitem(last=False)
        if greeted is not None:
            sent, received = self._past_traffic
            self._past_traffic = (sent + link.bytes_sent, received + link.bytes_received)
            self._post(LinkDown(link.id))
        self.drained(link.id)

    # -- what the service calls ----------------------------------------------------------------

    def dialled(self, link: Link, address: str) -> None:
        """Note under which address a link was dialled."""
        found = self._open.get(link.id)
        if found is not None:
            found.dialled = address

    def met(self, link_id: int, address: str) -> None:
        """The key of this peer was seen to answer at an address."""
        found = self._open.get(link_id)
        if found is not None:
            found.met = address

    def takes(self, link_id: int) -> bool:
        """Whether a line to this link still goes somewhere."""
        found = self._open.get(link_id)
        return found is not None and not found.link.closing

    def send(self, link_id: int, line: bytes) -> None:
        """A line to a peer, or the answer that a stranger is owed."""
        found = self._open.get(link_id)
        if found is None:
            return
        if found.is_peer:
            found.link.send_line(line)
        else:
            found.link.answer(line)

    def send_last(self, link_id: int, line: bytes) -> None:
        """The answer after which the chapter's programs expect a closed connection."""
        found = self._open.get(link_id)
        if found is not None:
            found.link.close(line)

    def refuse(self, link_id: int, error: VotenetError) -> None:
        """Close a link with an error; an address that was left meanwhile is blamed all the same."""
        self._seen.forget(link_id)
        found = self._open.get(link_id)
        if found is not None:
            if error.code == "key-twice":
                self._doubt_others(found)
            self._refuse(found, error)
            return
        left = self._left.get(link_id)
        if left is not None and left.peer:
            del self._left[link_id]
            self._guard.blame(left.host, error.code)

    def refuse_all(self, error: VotenetError) -> None:
        """The core starts over: what it has not saved is news again."""
        for found in list(self._open.values()):
            found.pending.clear()
            found.held = found.jobs = 0
            found.link.refuse(error)
        self._gone.clear()
        self._held_of.clear()
        self._pending_of.clear()
        self._turns.clear()
        self._seen = _no_lines_seen()

    def stepped(self, link_id: int, jobs: int = 0) -> int:
        """The core has taken one message of this link, or left it: the bytes of its line.

        `jobs`: how many checks of this link's lines came of it. Each holds that many bytes until `job_done`.
        """
        found = self._open.get(link_id) or self._gone.get(link_id)
        if found is None or not found.pending:
            return 0
        size = found.pending.popleft()
        self._pending_of[found.crowd] -= 1
        if not self._pending_of[found.crowd]:
            del self._pending_of[found.crowd]
        found.jobs += jobs
        if jobs:
            self._hold(found, size * (jobs - 1))
        else:
            self._release(found, size)
        self._next_turn(found.crowd)
        return size

    def job_started(self, link_id: int, size: int = 0) -> None:
        """A line of `size` bytes is being checked."""
        found = self._open.get(link_id) or self._gone.get(link_id)
        if found is not None:
            found.jobs += 1
            self._hold(found, size)

    def job_done(self, link_id: int, size: int = 0) -> None:
        found = self._open.get(link_id) or self._gone.get(link_id)
        if found is not None:
            found.jobs -= 1
            self._release(found, size)

    def _hold(self, found: _Open, size: int) -> None:
        """A line waits: for the core, or for its check. Its link, or all of its address, may have to wait."""
        found.held += size
        before = self._held_of[found.crowd]
        self._held_of[found.crowd] = before + size
        self._press(found)
        if before <= MAX_HELD_OF_ADDRESS < before + size:
            for other in self._open.values():
                if other.crowd == found.crowd:
                    self._press(other)

    def _release(self, found: _Open, size: int) -> None:
        found.held -= size
        before = self._held_of[found.crowd]
        left = self._held_of[found.crowd] = before - size
        if not left:
            del self._held_of[found.crowd]
        if not found.pending and not found.jobs:
            self._gone.pop(found.link.id, None)
        self._ease(found)
        if left <= MAX_HELD_OF_ADDRESS // 2 < before:
            for other in list(self._open.values()):
                if other.crowd == found.crowd:
                    self._ease(other)

    def lane(self, link_id: int) -> str:
        """With whom a link shares its turns at long work: strangers of one address, or peers of one."""
        return self.origin(link_id).name

    def crowd(self, link_id: int) -> str:
        """With whom a link shares its turns at questions: all links of its address, peers or not; on this
        machine nobody."""
        found = self._open.get(link_id) or self._gone.get(link_id)
        return f"link {link_id}" if found is None else found.crowd

    def is_open(self, link_id: int) -> bool:
        """Whether somebody is there who may be answered."""
        found = self._open.get(link_id)
        return found is not None and not found.link.closing

    def is_peer(self, link_id: int) -> bool:
        found = self._open.get(link_id)
        return found is not None and found.is_peer

    def is_sending(self, link_id: int) -> bool:
        """Whether part of a long line is not handed to the link's socket yet."""
        found = self._open.get(link_id)
        return found is not None and found.link.sending

    def origin(self, link_id: int) -> Origin:
        """Whose the votes of a link are in the pool: of all strangers, or all peers, of its address; on this
        machine of the link alone."""
        found, left = self._open.get(link_id) or self._gone.get(link_id), self._left.get(link_id)
        if found is not None:
            address, peer = of_address(found.link.host), found.is_peer
        else:
            address, peer = (None, False) if left is None else (of_address(left.host), left.peer)
        if address is None:
            return Origin(f"link {link_id}", SHARE_OF_OURS)
        return Origin(f"peers at {address}", SHARE_OF_OURS) if peer else Origin(address, SHARE_OF_STRANGERS)

    def charge(self, link_id: int, cost: float) -> None:
        """A request has cost more units than its price: its sender pays, and waits, also after it left."""
        found, left = self._open.get(link_id), self._left.get(link_id)
        if found is not None:
            waits = [found.units.reserve(self._clock(), cost)]
            waits += [] if found.is_peer else [self._guard.charge(found.link.host, cost)]
            self._wait(found, *waits)
        elif left is not None and not left.peer:
            self._guard.charge(left.host, cost)

    def moved(self, size: int) -> None:
        """A link has taken or been given so many bytes."""
        self._moved += size
        if self._moved > MEASURE_BYTES:
            self._shed()

    def victim(self, links: Iterable[Link]) -> Link | None:
        """Which link makes room for a new one, if one does: never a peer's.

        The address with the most links gives one up: the one without a question open, silent for longest.
        """
        strangers = [found for link in links if (found := self._open.get(link.id)) and not found.is_peer]
        owners = {found.link.id: of_address(found.link.host) for found in strangers}
        crowds = Counter(owners.values())

        def useless(found: _Open) -> tuple[int, bool, float]:
            return crowds[owners[found.link.id]], not found.link.owes, -found.heard

        worst = max(strangers, key=useless, default=None)
        if worst is None or (worst.link.owes and crowds[owners[worst.link.id]] == 1):
            return None
        return worst.link

    def keep_alive(self) -> None:
        """Read on where a pause is over; ping peers that are silent; give up those that stay so, or that
        never finish their hello. A few times a second."""
        now = self._clock()
        held_up = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        self._shed()
        for found in list(self._open.values()):
            self._ease(found)
            if held_up > LATE_SECONDS:
                found.heard = min(found.heard + held_up, now)
            if found.connection.role is Role.STRANGER:
                continue
            silence = now - found.heard
            if silence > (LOST_AFTER if found.is_peer else GREETING_SECONDS):
                log.info("peer %s is silent for %d s: dropped", found.link.host, silence)
                found.link.abort()
            elif silence > PING_AFTER:  # never in a handshake: that is given up before
                found.link.send_line(encode_message(Ping()))

    def doubt(self, address: str) -> None:
        """Somebody says that the peer at this address has left: let it prove otherwise."""
        if not address:  # all that accept no connections share it
            return
        for found in self._open.values():
            greeted = found.connection.greeted
            if greeted is not None and address in (greeted.listen, found.dialled):
                self._doubt(found, HINT_PATIENCE)

    def _doubt_others(self, refused: _Open) -> None:
        """A newer process has this key: those that had it before may be gone."""
        newer = refused.connection.greeted
        for found in self._open.values():
            greeted = found.connection.greeted
            same = newer is not None and greeted is not None and greeted.node_key == newer.node_key
            if same and found is not refused:
                self._doubt(found, TWIN_PATIENCE)

    def _doubt(self, found: _Open, patience: float) -> None:
        found.heard = min(found.heard, self._clock() - LOST_AFTER + patience)
        found.link.send_line(encode_message(Ping()))

    def traffic(self) -> tuple[int, int]:
        """Bytes sent to and received from peers since the start, whatever they were."""
        sent, received = self._past_traffic
        for found in self._open.values():
            if found.connection.greeted is not None:
                sent, received = sent + found.link.bytes_sent, received + found.link.bytes_received
        return sent, received

    def peers(self) -> list[tuple[Link, set[str]]]:
        """Every link to a peer, with the addresses by which that one is known."""
        return [
            (found.link, {found.dialled, greeted.listen} - {""})
            for found in self._open.values()
            if found.is_peer and (greeted := found.connection.greeted) is not None
        ]

    def behind(self, link_id: int) -> Behind | None:
        """Who is at the other end of a link, if it is still open."""
        found = self._open.get(link_id)
        if found is None:
            return None
        live = self._clock() - found.heard <= LIVE_SECONDS
        return Behind(found.link.host, found.dialled, found.link.outbound, live)

    def key_at(self, address: str) -> str | None:
        """The key of the peer that we know by this address (`host:port`), while it is joined."""
        for found in self._open.values():
            greeted = found.connection.greeted
            if greeted is not None and address in (found.met, found.dialled):
                return greeted.node_key
        return None

    def turn_out_banned(self) -> None:
        """Somebody was banned: whoever may not be a peer any more goes."""
        for found in list(self._open.values()):
            greeted = found.connection.greeted
            refusal = None if greeted is None else self._guard.refusal(found.link.host, greeted.node_key)
            if refusal is not None:
                self._refuse(found, refusal)

    def part(self, link_id: int) -> None:
        """Close a link in peace."""
        found = self._open.get(link_id)
        if found is not None:
            found.link.close()

    def busy_addresses(self) -> set[str]:
        """Addresses that lead to a link which is open already, as far as we have dialled them ourselves."""
        found = self._open.values()
        return ({one.dialled for one in found if one.link.outbound} | {one.met for one in found}) - {""}

    # -- inside --------------------------------------------------------------------------------

    def _greeted(self, found: _Open) -> None:
        greeted, link = found.connection.greeted, found.link
        assert greeted is not None
        refusal = self._guard.refusal(link.host, greeted.node_key)
        if greeted.node_key == self._identity.key.public_hex:
            self._twin(found.dialled or link.host)
            refusal = RemoteProtocolError("key-twice", "another process runs with the key of this node")
        found.since = self._clock()
        if refusal is None and not link.outbound:
            refusal = self._make_room(found)
        if refusal is not None:
            found.connection.greeted = None  # the core never hears of it
            self._refuse(found, refusal)
            return
        found.units, found.bytes = _buckets(PEER_RATES)
        found.max_pending, found.max_held = MAX_PENDING, MAX_HELD_OF_PEER
        link.allow_lines_of(MAX_PEER_LINE)
        self._post(PeerUp(link.id, greeted, link.outbound))

    def _make_room(self, newcomer: _Open) -> RemoteProtocolError | None:
        """When too many peers have dialled us, one goes: the refusal, if it is this one."""
        inbound = {
            number: Inbound(number, found.link.host, found.since)
            for number, found in self._open.items()
            if found.is_peer and not found.link.outbound and not found.link.closing
        }
        enough = RemoteProtocolError("too-many-connections", "this node has enough peers")
        host, own = newcomer.link.host, newcomer.link.id
        if sum(peer.host == host for peer in inbound.values()) > MAX_PEERS_OF_ADDRESS:
            return enough
        if len(inbound) <= MAX_PEERS:
            return None
        worst = worst_of(list(inbound.values()), self._secret)
        if worst is None or worst == own:
            return enough
        self._refuse(self._open[worst], enough)
        return None

    def _refuse(self, found: _Open, error: VotenetError) -> None:
        link = found.link
        log.info("closing link to %s:%s: %s [%s]", link.host, link.port, error.message, error.code)
        self._blame(found, error.code)
        link.refuse(error)

    def _blame(self, found: _Open, code: str) -> None:
        """Blame the address that a peer's link comes from, once a link, or one that came with a false proof.

        Never its key: what comes over a link is signed by nobody, and a stranger may have passed the
        handshake on. Not strangers: what they may cost is bounded, and many may share an address. And not
        an address that we dialled and that proved nothing: anybody could have named it to us.
        """
        proved_or_came = found.connection.greeted is not None or not found.link.outbound
        if found.connection.role is Role.STRANGER or not proved_or_came or found.blamed:
            return
        found.blamed = True
        self._guard.blame(found.link.host, code)

    def _spend(self, found: _Open, cost: float) -> None:
        """Charge a link, and its address. Raises RemoteProtocolError: rate-limited, for a stranger."""
        self._wait(found, found.units.reserve(self._clock(), cost))
        self._wait(found, self._guard.spend(found.link.host, cost, peer=found.is_peer))

    def _take(self, found: _Open, message: Message, size: int) -> None:
        if not found.is_peer and type(message) in REPLIES:
            found.link.expect_answer()
        found.pending.append(size)
        self._pending_of[found.crowd] += 1
        self._hold(found, size)
        self._post(Received(found.link.id, message))

    def _wait(self, found: _Open, *seconds: float) -> None:
        """Read no more of a link for the longest of these times."""
        longest = max(seconds)
        if longest > 0.0:
            found.idle_until = max(found.idle_until, self._clock() + longest)
            self._press(found)

    def _press(self, found: _Open) -> None:
        if not found.paused and (
            len(found.pending) > found.max_pending
            or found.jobs >= MAX_JOBS
            or found.held > found.max_held
            or self._held_of[found.crowd] > found.max_held_of_address
            or found.idle_until > self._clock()
            or self._pending_of[found.crowd] > MAX_PENDING_OF_ADDRESS
        ):
            found.paused = True
            found.link.pause()
            self._turns.setdefault(found.crowd, {})[found.link.id] = found

    def _ease(self, found: _Open) -> None:
        if (
            found.paused
            and len(found.pending) <= found.max_pending // 2
            and found.jobs < MAX_JOBS
            and found.held <= found.max_held // 2
            and self._held_of[found.crowd] <= found.max_held_of_address // 2
            and found.idle_until <= self._clock()
        ):
            if self._pending_of[found.crowd] > MAX_PENDING_OF_ADDRESS // 2:
                self._turns.setdefault(found.crowd, {}).setdefault(found.link.id, found)
                return
            found.paused = False
            found.link.resume()

    def _next_turn(self, crowd: str) -> None:
        """Of the links of an address that are not read, the next may be."""
        turns = self._turns.get(crowd)
        if not turns or self._pending_of[crowd] > MAX_PENDING_OF_ADDRESS // 2:
            return
        found = next(iter(turns.values()))
        self._forget_turn(found)
        self._ease(found)

    def _forget_turn(self, found: _Open) -> None:
        turns = self._turns.get(found.crowd, {})
        turns.pop(found.link.id, None)
        if not turns:
            self._turns.pop(found.crowd, None)

    def _shed(self) -> None:
        """While strangers, or all links together, hold too much: addresses that hold most give links up."""
        self._moved = 0
        peers = [found for found in self._open.values() if found.is_peer]
        strangers = [found for found in self._open.values() if not found.is_peer]
        left = self._turn_out_fattest(strangers, self._max_strangers)
        self._turn_out_fattest(peers, self._max_memory - left)

    def _turn_out_fattest(self, links: list[_Open], most: int) -> int:
        """If these links hold more than `most`, close some until it is a quarter less; what they hold then.

        First those of the address that holds most in all, so that no crowd pushes others out; last those that
        we have dialled ourselves, and may be catching up from.
        """
        total = sum(found.memory for found in links)
        if total <= most:
            return total
        crowds = Counter[str]()
        for found in links:
            crowds[found.crowd] += found.memory
        links.sort(key=lambda found: (found.link.outbound, -crowds[found.crowd], -found.memory))
        for found in links:
            if total <= most // 4 * 3:
                break
            link = found.link
            log.warning("%d bytes wait for all links: closing %s:%s", total, link.host, link.port)
            total -= found.memory
            link.turn_out(RemoteProtocolError("busy", "this node's memory for connections is used up"))
        return total


def _buckets(rates: Rates) -> tuple[TokenBucket, TokenBucket]:
    """For units of work and for bytes."""
    return (
        TokenBucket(rates.units_per_second, rates.units_at_once),
        TokenBucket(rates.bytes_per_second, rates.bytes_at_once),
    )


def _no_lines_seen() -> SeenLines:
    return SeenLines(int.from_bytes(os.urandom(8), "little"))
