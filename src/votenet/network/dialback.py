"""Dialling a peer to see whether it is there, and whether it holds the key it is registered with.

What lives here: DialBack: one short connection a look, three ways to look. What must not: when and how
often to look (`checks.py` on strangers' behalf, `caretaker.py` on our own), what follows from it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

from votenet.core.keys import SigningKey
from votenet.errors import RemoteProtocolError, Unreachable, VotenetError
from votenet.network.client import refusal_in
from votenet.network.names import Names, dial
from votenet.network.transport import Link, LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.connection import Connection, Identity
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import encode_message
from votenet.protocol.registry import PeerEntry

DIAL_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 1.0
"""A healthy node answers a ping or a hello within milliseconds, even while it mines."""
BUSY: Final = frozenset({"busy", "rate-limited", "too-many-connections"})
"""Codes of a node that is there and has no time for us."""
PING: Final = b'{"type":"ping"}'


class DialBack:
    """Looks for peers. All methods are False when the peer cannot be reached or is silent.

    Raises:
        Rejected: busy, when too many names are being looked up.
    """

    def __init__(
        self, names: Names, *, dial_seconds: float = DIAL_SECONDS, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._names, self._dial, self._answer = names, dial_seconds, answer_seconds
        self._key = SigningKey(os.urandom(32))

    async def present(self, entry: PeerEntry) -> bool:
        """Whether a registered peer is there: its key answers, or, without one, it takes a connection.

        One that has proved its key before, and says now that it is busy, is there, too.

        (The chapter's peers answer to nothing that could be asked of them.)
        """
        if entry.node_key is None or entry.network_id is None:
            return await self._talk(entry.target, None) is not None
        asked = (entry.address, str(entry.target))
        line, connection = await self._greet(entry.target, entry.network_id, asked)
        if entry.proved and line.startswith(b'{"error"'):
            return refusal_in(line).code in BUSY
        return _proves(line, connection, entry.node_key)

    async def answers(self, target: Address, seconds: float | None = None) -> bool:
        """Whether anything answers a ping there, with a line of any kind, in time."""
        return bool(await self._talk(target, PING, seconds))

    async def refuses(self, target: Address) -> bool:
        """Whether the machine there says that nobody listens: a busy program is silent instead."""
        hosts = await self._names.look_up(target.host)
        limits = LinkLimits(max_line=MAX_PEER_LINE)
        for host in hosts:
            try:
                link = await connect(_FirstLine(), Address(host, target.port), limits, timeout=self._dial)
            except Unreachable as error:
                if not isinstance(error.__cause__, ConnectionRefusedError):
                    return False
            else:
                link.abort()
                return False
        return bool(hosts)

    async def holds(self, target: Address, node_key: str, network_id: str, asked: Sequence[str] = ()) -> bool:
        """Whether the node there proves to have this key and to be of this network (see `Connection`).

        `asked`: the spellings of the address that is looked at, by default that of `target`.
        """
        return _proves(*await self._greet(target, network_id, asked), node_key)

    async def _greet(
        self, target: Address, network_id: str, asked: Sequence[str]
    ) -> tuple[bytes, Connection]:
        """What answers a hello, empty for nothing, and the conversation that it belongs to."""
        identity = Identity(self._key, network_id, "", mines=False)
        dialled = tuple(dict.fromkeys(asked or (str(target),)))
        connection = Connection(identity, outbound=True, challenge=os.urandom(32), dialled=dialled)
        line = await self._talk(target, encode_message(connection.hello(0, 0, int(time.time()))))
        return line or b"", connection

    async def _talk(self, target: Address, line: bytes | None, seconds: float | None = None) -> bytes | None:
        """The first line that answers ours: empty for none (in time, or asked for), None without a link."""
        first = _FirstLine()
        patience = self._answer if seconds is None else seconds
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=patience + 1.0)
        try:
            link = await dial(self._names, first, target, limits, timeout=self._dial)
        except Unreachable:
            return None
        try:
            if line is None:
                return b""
            link.send_line(line)
            async with asyncio.timeout(patience):
                return await first.came
        except TimeoutError:
            return b""
        finally:
            link.abort()


def _proves(line: bytes, connection: Connection, node_key: str) -> bool:
    try:
        if line:
            connection.receive(line, 0, 0)
    except RemoteProtocolError:
        return False
    return connection.greeted is not None and connection.greeted.node_key == node_key


class _FirstLine:
    """LinkHandler: `came` is the first line, empty when the link ends without one."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        if not self.came.done():
            self.came.set_result(line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        if not self.came.done():
            self.came.set_result(b"")
