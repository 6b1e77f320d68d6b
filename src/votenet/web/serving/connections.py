"""How many connections there may be: those by TLS are counted before their handshake."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Protocol

from uvicorn.server import ServerState

from votenet.web.limits import HEAD_SECONDS, Network, client_of, is_trusted


class Room(Protocol):
    """Where a connection is counted."""

    def add(self, host: str) -> bool:
        """Count a connection. Returns whether there is room for it."""

    def remove(self, host: str) -> None:
        """Count no longer what was counted, whether there was room for it or not."""


class Connections:
    """How many connections there may be, and how many each client (`client_of`) has."""

    def __init__(self, most: int, of_address: int, trusted: Collection[Network]) -> None:
        self._most, self._of_address, self._trusted = most, of_address, trusted
        self._clients: Counter[str] = Counter()

    def __len__(self) -> int:
        """Connections that are counted now."""
        return self._clients.total()

    def add(self, host: str) -> bool:
        """Count a connection. Returns whether there is room for it. A trusted proxy has what there is."""
        who = client_of(host)
        self._clients[who] += 1
        full = len(self) > self._most
        return not full and (self._clients[who] <= self._of_address or is_trusted(host, self._trusted))

    def remove(self, host: str) -> None:
        who = client_of(host)
        self._clients[who] -= 1
        if not self._clients[who]:
            del self._clients[who]


class TlsEntrance(asyncio.Protocol):
    """A connection that is accepted: its TLS handshake begins, or it is cut because it is one too many.

    asyncio's servers with TLS tell of a connection after its handshake. So nobody would count those that send
    nothing, and one address could take all open files with them.

    Args:
        protocol: makes what speaks inside TLS, with this object as its `room`, and with what uvicorn gives.
        room: where the connection is counted until its socket is closed.
        server_state: of the server, which ends the handshake when it stops.
        given: what else uvicorn gives.
    """

    transport: asyncio.Transport

    def __init__(
        self,
        protocol: Callable[..., asyncio.Protocol],
        room: Connections,
        context: ssl.SSLContext,
        *,
        server_state: ServerState,
        **given: Any,
    ) -> None:
        self._protocol, self._room, self._context, self._given = protocol, room, context, given
        self._state, self._host = server_state, ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport, self._host = transport, transport.get_extra_info("peername")[0]
        if not self._room.add(self._host):
            transport.abort()
            return
        self._state.connections.add(self)  # type: ignore[arg-type]  # it has what the server uses of them
        inside = self._protocol(room=self, server_state=self._state, **self._given)
        tls = _CountedTls(self, inside, self._context)
        transport.set_protocol(tls)
        tls.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Its socket is closed. This is called once, whatever has ended the connection."""
        self._state.connections.discard(self)
        self._room.remove(self._host)

    def shutdown(self) -> None:
        """End the handshake: the server stops."""
        self.transport.abort()

    # -- the room of the protocol inside TLS -------------------------------------------------------

    def add(self, _host: str) -> bool:
        """The handshake is done: the server knows the protocol inside from now on. It is counted already."""
        self._state.connections.discard(self)
        return True

    def remove(self, _host: str) -> None:
        """The connection is counted until its socket is closed."""


class _CountedTls(SSLProtocol):
    """TLS by the class that asyncio's servers have for it, which no document of asyncio describes.

    A handshake takes HEAD_SECONDS at most, where asyncio waits a minute.
    """

    def __init__(self, entrance: TlsEntrance, inside: asyncio.Protocol, context: ssl.SSLContext) -> None:
        self._entrance = entrance
        more: Any = {"waiter": None, "server_side": True, "ssl_handshake_timeout": HEAD_SECONDS}
        super().__init__(asyncio.get_running_loop(), inside, context, **more)

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[override]
        self._entrance.connection_lost(exc)
        super().connection_lost(exc)
