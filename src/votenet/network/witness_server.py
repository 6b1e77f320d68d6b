"""The HTTP server of a witness: it saves what it cosigns before it answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from votenet.core.log.witness import (
    MAX_REQUEST_BYTES,
    TrustedRequest,
    WitnessAnswer,
    WitnessPolicy,
    origin_hash,
)
from votenet.errors import StorageError
from votenet.network.listener import bind_error, stop_accepting
from votenet.protocol.wire.address import Address, network_of_one, plain_ip
from votenet.storage.witness_store import WitnessStore

MAX_CONNECTIONS: Final = 256
"""Connections at one time; a request on one more is answered with 503."""
MAX_OPEN_CONNECTIONS: Final = 2 * MAX_CONNECTIONS
"""With those that can only be answered with 503. One more is cut: the files of the store need room, too."""
MAX_CONNECTIONS_OF_ADDRESS: Final = 64
"""Connections of one address, or one /64 network of IPv6; 127.0.0.1, where a proxy may be, has none."""
REQUEST_SECONDS: Final = 10.0
"""Time that a request may take to arrive, and a connection may be silent."""
LAST_REQUESTS_SECONDS: Final = 5
"""Time that requests have to end when the server is stopped."""

log = logging.getLogger("votenet.witness")


class WitnessServer:
    """Answers add-checkpoint and checkpoint. One request at a time reaches the disk."""

    def __init__(self, policy: WitnessPolicy, store: WitnessStore) -> None:
        self._policy, self._store = policy, store
        self._origins = {origin_hash(origin): origin for origin in policy.logs}
        self._one_at_a_time = asyncio.Lock()
        self.app = Starlette(
            routes=[
                Route("/add-checkpoint", self._add_checkpoint, methods=["POST"]),
                Route("/{origin}/checkpoint", self._checkpoint, methods=["GET"]),
            ]
        )

    async def _add_checkpoint(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                body = await _read(request)
        except TimeoutError:
            return PlainTextResponse("the request took too long\n", 408, {"Connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse("the request is too long\n", 413, {"Connection": "close"})
        async with self._one_at_a_time:
            try:
                answer = await asyncio.to_thread(self._answer, body)
            except StorageError as error:
                log.error("event=not_saved error=%r", error.message)
                return PlainTextResponse("this witness cannot save\n", 503)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    def _answer(self, body: bytes) -> WitnessAnswer:
        read = self._policy.read(body)
        if isinstance(read, WitnessAnswer):
            return read
        origin, size = read.checkpoint.origin, read.checkpoint.size
        answer = self._store.update(origin, lambda latest: self._policy.judge(read, latest, int(time.time())))
        if answer.status == 200:
            log.info("event=cosigned origin=%s size=%d", origin, size)
        elif answer.status == 422:
            self._warn(read)
        return answer

    def _warn(self, refused: TrustedRequest) -> None:
        """Trusted keys signed a checkpoint that does not extend the one before: it may prove a lie."""
        log.warning(
            "event=inconsistent origin=%s old=%d note=%r",
            refused.checkpoint.origin,
            refused.request.old,
            str(refused.request.note),
        )

    async def _checkpoint(self, request: Request) -> Response:
        origin = self._origins.get(request.path_params["origin"])
        async with self._one_at_a_time:  # else it might show what is not saved yet
            note = None if origin is None else await asyncio.to_thread(self._store.note, origin)
        if note is None:
            return PlainTextResponse("this witness has cosigned no checkpoint of this log\n", 404)
        return PlainTextResponse(str(note))


async def _read(request: Request) -> bytes | None:
    """The body; None if it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_REQUEST_BYTES:
            return None
    return bytes(body)


class _BoundedProtocol(H11Protocol):
    """Closes a connection that is one too many, or for REQUEST_SECONDS brings no whole head of a request or
    takes no answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._check = self.loop.call_later(REQUEST_SECONDS, self._check_progress, None)
        if len(self.connections) > MAX_OPEN_CONNECTIONS or self._is_crowded():
            transport.abort()

    def _is_crowded(self) -> bool:
        ours = _address_of(self)
        same = [other for other in self.connections if _address_of(other) == ours]
        return ours is not None and len(same) > MAX_CONNECTIONS_OF_ADDRESS

    def connection_lost(self, exc: Exception | None) -> None:
        self._check.cancel()
        super().connection_lost(exc)

    def _check_progress(self, before: object) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        unread = self.transport.get_write_buffer_size() > 0
        if unread and self.cycle is before:  # a close would wait until the client reads
            self.transport.abort()
        elif waiting and self.cycle is before:
            self.transport.close()
        else:
            self._check = self.loop.call_later(REQUEST_SECONDS, self._check_progress, self.cycle)


def _address_of(connection: Any) -> str | None:
    """Whose a connection is; None for 127.0.0.1 and ::1, and if the other side is gone already."""
    host = connection.client[0] if connection.client else "::1"
    return None if plain_ip(host) in ("127.0.0.1", "::1") else network_of_one(host)


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Signals are the program's, which stops the server by `should_exit`."""
        return contextlib.nullcontext()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await stop_accepting(self.servers)
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def serve_witness(
    address: Address, policy: WitnessPolicy, store: WitnessStore
) -> AsyncIterator[Address]:
    """Answer until the block ends; yields where it listens. Raises Locked, ConfigError: it cannot listen."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family, backlog=MAX_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        raise bind_error(address, error) from error
    config = uvicorn.Config(
        WitnessServer(policy, store).app,
        http=_BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a stranger writes no lines into our log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=LAST_REQUESTS_SECONDS,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listening]))
        try:
            yield Address(address.host, listening.getsockname()[1])
        finally:
            server.should_exit = True
