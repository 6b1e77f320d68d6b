"""The open links of a node: who is behind each, what it may still send, what it is owed.

What lives here: LinkTable, the LinkHandler of a node: lines in, events out, back-pressure,
keep-alive. What must not: decisions about messages (`protocol/`), dialling (`discovery.py`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.client import refusal_in
from votenet.network.seen import SeenLines
from votenet.network.transport import Link, LinkLimits
from votenet.protocol.connection import Connection, Identity
from votenet.protocol.events import Event, LinkDown, PeerUp, Received
from votenet.protocol.framing import MAX_CLIENT_LINE, MAX_PEER_LINE
from votenet.protocol.messages import REPLIES, Message, Ping, Role, encode_message

CLIENT_LIMITS: Final = LinkLimits(max_line=MAX_CLIENT_LINE)
MAX_PENDING: Final = 64
"""Messages of one link that wait for the core before the link is paused."""
MAX_JOBS: Final = 4
"""Lines of one link in the checking thread: each may hold 1,000 votes, 60 ms of work."""
PING_AFTER: Final = 20.0
"""Seconds of silence before a peer is asked whether it is there."""
LOST_AFTER: Final = 60.0
"""Seconds of silence after which a peer is given up: three pings without an answer."""
GREETING_SECONDS: Final = 10.0
"""Silence in the middle of a handshake after which the other side is given up: until then its address
counts as joined, and is not dialled."""
HINT_PATIENCE: Final = 5.0
"""A peer that somebody says has left has this long to answer a ping."""
_VOTES_LINE: Final = b'{"type":"votes"'

log = logging.getLogger("votenet.links")


@dataclass(slots=True)
class _Open:
    """One open link."""

    link: Link
    connection: Connection
    heard: float
    dialled: str = ""
    pending: int = 0
    jobs: int = 0
    paused: bool = False


class LinkTable:
    """All links of one node. `post` takes events; `tip` gives (height, work) for our hello.

    `refused_by` is told (dialled address, code) when a peer that we dialled refuses us.
    """

    def __init__(
        self,
        identity: Identity,
        post: Callable[[Event], None],
        tip: Callable[[], tuple[int, int]],
        clock: Callable[[], float],
        refused_by: Callable[[str, str], None],
    ) -> None:
        self._identity, self._post, self._tip, self._clock = identity, post, tip, clock
        self._refused_by = refused_by
        self._open: dict[int, _Open] = {}
        self._seen = SeenLines(int.from_bytes(os.urandom(8), "little"))

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        connection = Connection(self._identity, outbound=link.outbound, challenge=os.urandom(32))
        self._open[link.id] = _Open(link, connection, self._clock())
        if link.outbound:
            link.send_line(encode_message(connection.hello(*self._tip())))

    def line_received(self, link: Link, line: bytes) -> None:
        found = self._open.get(link.id)
        if found is None:
            return
        found.heard = self._clock()
        stranger = found.connection.role is Role.STRANGER
        if not stranger and line.startswith(b'{"error"'):
            refusal = refusal_in(line)
            log.info("%s:%s refused us: %s", link.host, link.port, refusal.message)
            self._refused_by(found.dialled, refusal.code)
            link.close()
            return
        peer = found.connection.role is Role.PEER
        if peer and line.startswith(_VOTES_LINE) and self._seen.seen(line):
            return
        try:
            message, answers = found.connection.receive(line, *self._tip())
        except RemoteProtocolError as error:
            log.info("closing link to %s:%s: %s [%s]", link.host, link.port, error.message, error.code)
            link.refuse(error)
            return
        for answer in answers:
            link.send_line(encode_message(answer))
        if not peer and found.connection.role is Role.PEER:
            self._greeted(found)
        if message is not None:
            self._take(found, message)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        found = self._open.pop(link.id, None)
        if found is not None and found.connection.greeted is not None:
            self._post(LinkDown(link.id))

    # -- what the service calls ----------------------------------------------------------------

    def dialled(self, link: Link, address: str) -> None:
        """Note under which address a link was dialled."""
        found = self._open.get(link.id)
        if found is not None:
            found.dialled = address

    def send(self, link_id: int, line: bytes) -> None:
        """A line to a peer, or the answer that a stranger is owed."""
        found = self._open.get(link_id)
        if found is None:
            return
        if found.connection.role is Role.PEER:
            found.link.send_line(line)
        else:
            found.link.answer(line)

    def send_last(self, link_id: int, line: bytes) -> None:
        """The answer after which the chapter's programs expect a closed connection."""
        found = self._open.get(link_id)
        if found is not None:
            found.link.close(line)

    def refuse(self, link_id: int, error: VotenetError) -> None:
        found = self._open.get(link_id)
        if found is not None:
            log.info("closing link to %s:%s: %s", found.link.host, found.link.port, error.message)
            found.link.refuse(error)

    def refuse_all(self, error: VotenetError) -> None:
        for found in list(self._open.values()):
            found.link.refuse(error)

    def stepped(self, link_id: int) -> None:
        """The core has taken one message of this link."""
        found = self._open.get(link_id)
        if found is not None:
            found.pending -= 1
            self._ease(found)

    def job_started(self, link_id: int) -> None:
        found = self._open.get(link_id)
        if found is not None:
            found.jobs += 1
            self._press(found)

    def job_done(self, link_id: int) -> None:
        found = self._open.get(link_id)
        if found is not None:
            found.jobs -= 1
            self._ease(found)

    def keep_alive(self) -> None:
        """Ping peers that are silent; give up those that stay so, or that never finish their hello."""
        now = self._clock()
        for found in list(self._open.values()):
            if found.connection.role is Role.STRANGER:
                continue
            silence = now - found.heard
            if silence > (LOST_AFTER if found.connection.role is Role.PEER else GREETING_SECONDS):
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
                found.heard = min(found.heard, self._clock() - LOST_AFTER + HINT_PATIENCE)
                found.link.send_line(encode_message(Ping()))

    def busy_addresses(self) -> set[str]:
        """Addresses that lead to a link which is open already."""
        addresses = set()
        for found in self._open.values():
            if found.link.outbound:
                addresses.add(found.dialled)
            if found.connection.greeted is not None:
                addresses.add(found.connection.greeted.listen)
        return addresses

    # -- inside --------------------------------------------------------------------------------

    def _greeted(self, found: _Open) -> None:
        greeted = found.connection.greeted
        assert greeted is not None
        found.link.allow_lines_of(MAX_PEER_LINE)
        self._post(PeerUp(found.link.id, greeted, found.link.outbound))

    def _take(self, found: _Open, message: Message) -> None:
        if found.connection.role is not Role.PEER and type(message) in REPLIES:
            found.link.expect_answer()
        found.pending += 1
        self._press(found)
        self._post(Received(found.link.id, message))

    def _press(self, found: _Open) -> None:
        if not found.paused and (found.pending > MAX_PENDING or found.jobs >= MAX_JOBS):
            found.paused = True
            found.link.pause()

    def _ease(self, found: _Open) -> None:
        if found.paused and found.pending <= MAX_PENDING // 2 and found.jobs < MAX_JOBS:
            found.paused = False
            found.link.resume()
