"""Dialling a peer to see whether it is there, and whether it holds the key it is registered with."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

from votenet.core.keys import SigningKey
from votenet.errors import RemoteProtocolError, Unreachable
from votenet.network.link_limits import LinkLimits
from votenet.network.resolver import LineQueue, LookUpLimit, Names, dial
from votenet.network.transport import connect
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.error_lines import error_in
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.messages import encode_message

DIALBACK_SECONDS: Final = 2.0
PING_SECONDS: Final = 1.0
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
        self,
        names: Names,
        *,
        dial_seconds: float = DIALBACK_SECONDS,
        answer_seconds: float = PING_SECONDS,
    ) -> None:
        self._names, self._dial, self._answer = names, dial_seconds, answer_seconds
        self._key = SigningKey(os.urandom(32))

    async def present(self, entry: PeerEntry) -> bool:
        """Whether a registered peer is there: its key answers, or, without one, it takes a connection.

        Reference nodes answer no question. A peer that has proved its key before may also answer that it is
        busy.
        """
        if entry.node_key is None or entry.network_id is None:
            return await self._talk(entry.target, None) is not None
        asked = (entry.address, str(entry.target))
        line, connection = await self._say_hello(entry.target, entry.network_id, asked)
        if entry.proved and (refusal := error_in(line)) is not None:
            return refusal.code in BUSY
        return _proves(line, connection, entry.node_key)

    async def answers(self, target: Address, seconds: float | None = None) -> bool:
        """Whether anything answers a ping there, with a line of any kind, in time."""
        return bool(await self._talk(target, PING, seconds))

    async def refuses(self, target: Address) -> bool:
        """Whether the machine there says that nothing listens: a busy program is silent instead."""
        hosts = await self._names.look_up(target.host)
        limits = LinkLimits(max_line=MAX_PEER_LINE)
        for host in hosts:
            try:
                link = await connect(LineQueue(), Address(host, target.port), limits, timeout=self._dial)
            except Unreachable as error:
                if not isinstance(error.__cause__, ConnectionRefusedError):
                    return False
            else:
                link.abort()
                return False
        return bool(hosts)

    async def holds(
        self, target: Address, node_key: str, network_id: str, limits: Sequence[LookUpLimit] = ()
    ) -> bool:
        """Whether the node there proves to have this key and to be of this network (see `Connection`).

        `limits` are those of the look-up of its name.
        """
        return _proves(*await self._say_hello(target, network_id, (str(target),), limits), node_key)

    async def _say_hello(
        self, target: Address, network_id: str, asked: Sequence[str], limits: Sequence[LookUpLimit] = ()
    ) -> tuple[bytes, Connection]:
        """The answer to a hello, empty for none, and the conversation that it belongs to.

        `asked`: the spellings of the dialled address.
        """
        identity = LocalNode(self._key, network_id, "", mines=False)
        dialled = tuple(dict.fromkeys(asked))
        connection = Connection(identity, outbound=True, challenge=os.urandom(32), dialled=dialled)
        hello = encode_message(connection.hello(0, 0, int(time.time())))
        line = await self._talk(target, hello, look_up_limits=limits)
        return line or b"", connection

    async def _talk(
        self,
        target: Address,
        line: bytes | None,
        seconds: float | None = None,
        *,
        look_up_limits: Sequence[LookUpLimit] = (),
    ) -> bytes | None:
        """The first line that answers ours: empty for none (in time, or asked for), None without a link."""
        lines = LineQueue()
        patience = self._answer if seconds is None else seconds
        limits = LinkLimits(max_line=MAX_PEER_LINE, idle=patience + 1.0)
        try:
            link = await dial(
                self._names, lines, target, limits, timeout=self._dial, look_up_limits=look_up_limits
            )
        except Unreachable:
            return None
        try:
            if line is None:
                return b""
            link.send_line(line)
            return await lines.next(patience) or b""
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
    return connection.peer_info is not None and connection.peer_info.node_key == node_key
