"""uvicorn as the page runs it: time limits for what is slow, a limit of connections, and an end at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import resource
import ssl
import time
from email.utils import formatdate
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from votenet.errors import ConfigError
from votenet.network.listener import stop_accepting
from votenet.web.headers import security_headers
from votenet.web.limits import (
    HEAD_SECONDS,
    KEEP_ALIVE_SECONDS,
    MAX_BROWSERS,
    MAX_BROWSERS_OF_ADDRESS,
    MAX_HEAD_BYTES,
    UNREAD_SECONDS,
)
from votenet.web.open_stream import OpenStream
from votenet.web.serving.connections import Connections, Room, TlsEntrance
from votenet.web.settings import WebSettings

BACKLOG: Final = 1024
OTHER_FILES: Final = 128
"""Open files beside connections of browsers: those to nodes, and the program's own."""
LAST_ANSWERS_SECONDS: Final = 0.4
"""Answers under way have this time when the server stops; then their connections are cut."""


class PageProtocol(H11Protocol):
    """One connection. It is cut if it is slow: to bring the head of a request, or to take an answer.

    While an answer is made no time runs here: the gate gives a body its time. The rest of a request that is
    answered already has as long as a head.
    """

    def __init__(self, *args: Any, room: Room, **more: Any) -> None:
        super().__init__(*args, **more)
        self._room, self._host = room, ""
        self._unread: asyncio.TimerHandle | None = None
        self._limit: float | None = None
        """Seconds after which the connection is cut; None: while an answer is made."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._host = self.client[0] if self.client else ""
        self.app_state["cut"] = transport.abort
        self.app_state["stream"] = functools.partial(open_stream, transport)
        self._set_limit(HEAD_SECONDS)
        if not self._room.add(self._host):
            self._refuse(503, b"Service Unavailable", b"too many connections\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_limit(None)
        self._room.remove(self._host)
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read. Its connection is cut if it goes on so."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP request gets the headers of every answer, too."""
        self._refuse(400, b"Bad Request", b"this is no HTTP request\n")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_what_comes()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._limit_what_comes()

    def _limit_what_comes(self) -> None:
        """Give a head HEAD_SECONDS from its first byte, and silence between requests KEEP_ALIVE_SECONDS."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._set_limit(None)
        elif self.conn.trailing_data[0] or self.conn.their_state is not h11.IDLE:
            self._set_limit(HEAD_SECONDS)
        elif self.cycle is not None:
            self._set_limit(KEEP_ALIVE_SECONDS)

    def _set_limit(self, seconds: float | None) -> None:
        """Cut the connection after so long; a time that runs already runs on."""
        if seconds == self._limit:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._limit = seconds
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def become_stream(self) -> OpenStream:
        """Leave the connection to a stream. The head of the answer is sent; the task that answers ends."""
        room, host, connections = self._room, self._host, self.connections

        def leave(stream: OpenStream) -> None:
            room.remove(host)
            connections.discard(stream)

        self._set_limit(None)
        stream = OpenStream(self.transport, chunked=self.scope["http_version"] != "1.0", ended=leave)
        if self._unread is not None:
            stream.pause_writing()
        self.resume_writing()
        connections.remove(self)
        connections.add(stream)  # type: ignore[arg-type]  # it has what the server uses of them
        self.cycle.disconnected = True
        return stream

    def _refuse(self, status: int, reason: bytes, body: bytes) -> None:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *([(b"retry-after", b"5")] if status == 503 else []),
            *security_headers(https=self.config.is_ssl),
        ]
        head = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, reason, head, body))
        self.transport.close()


def open_stream(transport: asyncio.Transport) -> OpenStream | None:
    """A stream instead of the protocol of a connection that has sent the head of an answer; None: it is gone.

    (It is found by its transport: a request that knew it would be a cycle for the garbage collector.)
    """
    protocol = transport.get_protocol()
    return protocol.become_stream() if isinstance(protocol, PageProtocol) else None


class DatedState(ServerState):
    """Has a Date header that is right when it is asked for, while uvicorn keeps one in a loop of its own."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"date", _date(int(time.time())))]

    @default_headers.setter
    def default_headers(self, value: object) -> None:
        """It is always the date."""


@functools.lru_cache(1)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


class PageServer(uvicorn.Server):
    """Runs until `stop`, and then ends within LAST_ANSWERS_SECONDS and a little."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = DatedState()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stop.set()

    def capture_signals(self) -> Any:
        """Signals are the program's, which stops the server by `stop`."""
        return contextlib.nullcontext()

    async def startup(self, sockets: Any = None) -> None:
        """Listen. TLS is the matter of the protocol, which counts connections before their handshake."""

        def connection() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state={})
            return made

        loop = asyncio.get_running_loop()
        self.servers = [await loop.create_server(connection, sock=sock, backlog=BACKLOG) for sock in sockets]
        self.started = True

    async def main_loop(self) -> None:
        """Wait for `stop`; uvicorn's own loop wakes ten times a second."""
        await self._stop.wait()

    async def shutdown(self, sockets: Any = None) -> None:
        """Take no more connections, end those that are idle, give answers a moment, cut the rest."""
        await stop_accepting(self.servers)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LAST_ANSWERS_SECONDS
        while self.server_state.tasks and loop.time() < deadline:
            await asyncio.wait(self.server_state.tasks, timeout=deadline - loop.time())
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:  # each sees that its client is gone
            _, stuck = await asyncio.wait(self.server_state.tasks, timeout=LAST_ANSWERS_SECONDS)
            for task in stuck:
                task.cancel()


def server_config(app: ASGIApp, settings: WebSettings) -> uvicorn.Config:
    """Raises ConfigError: bad-certificate."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(1, min(MAX_BROWSERS, files - OTHER_FILES))
    room = Connections(most, MAX_BROWSERS_OF_ADDRESS, settings.trusted_proxies)
    protocol: Any = functools.partial(PageProtocol, room=room)
    if settings.tls_cert is not None:
        protocol = functools.partial(TlsEntrance, PageProtocol, room, tls_context(settings))
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a stranger writes no lines into our log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    config.load()
    return config


def tls_context(settings: WebSettings) -> ssl.SSLContext:
    """TLS 1.2 and newer with the certificate of the settings. Raises ConfigError: bad-certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert settings.tls_cert is not None
    assert settings.tls_key is not None
    for path in (settings.tls_cert, settings.tls_key):
        if not path.is_file():  # a device would be read for ever
            raise _bad_certificate(f"{path} is not a file")
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_ask_no_password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _bad_certificate(f"cannot use {settings.tls_cert} with {settings.tls_key}: {why}") from error
    return context


def _ask_no_password() -> str:
    raise ValueError("the key is encrypted")


def _bad_certificate(message: str) -> ConfigError:
    return ConfigError(
        message,
        code="bad-certificate",
        next_step="Name a certificate in PEM with its chain, and the key that belongs to it, not encrypted.",
    )
