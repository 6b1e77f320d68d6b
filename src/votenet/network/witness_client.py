"""The client of a witness: asks for a cosignature over HTTP (C2SP tlog-witness)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import h11

from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import MAX_NOTE_SIZE, SignedNote, VerifierKey
from votenet.core.log.witness import CheckpointRequest, WitnessSize, read_answer
from votenet.errors import Unreachable

WITNESS_SECONDS: Final = 10.0
"""Time that one request to a witness may take."""
MAX_TRIES: Final = 3
"""Requests for one checkpoint: another node may push a newer one between the answer 409 and ours."""


async def push_checkpoint(
    url: str,
    key: VerifierKey,
    note: SignedNote,
    prove: Callable[[int], Awaitable[Sequence[bytes]]],
    old: int = 0,
    seconds: float = WITNESS_SECONDS,
) -> SignedNote | WitnessSize:
    """The checkpoint with the witness' cosignature alone below it; its size if it holds a larger one.

    Args:
        url: the witness' submission prefix.
        note: a checkpoint that a log key signed, with whatever else its witness asks for.
        prove: the consistency proof from a smaller size, at least 1, to this checkpoint.
        old: the size that the witness is believed to hold.

    Raises:
        Unreachable: no answer in time, or none in HTTP.
        NotProven: witness-refused, bad-note, bad-cosignature.
    """
    size = parse_checkpoint(note.text).size
    known = WitnessSize(old)
    for _ in range(MAX_TRIES):
        path = tuple(await prove(known.size)) if 0 < known.size < size else ()
        request = CheckpointRequest(known.size, path, note)
        status, body = await _post(f"{url.rstrip('/')}/add-checkpoint", str(request).encode(), seconds)
        answer = read_answer(status, body, note.text, [key])
        if isinstance(answer, SignedNote):
            return answer
        known = answer
        if known.size > size:
            break
    return known


async def _post(url: str, body: bytes, seconds: float) -> tuple[int, str]:
    """Status and body of the answer; redirections are not followed. Raises Unreachable."""
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(url, body)
    except TimeoutError:
        raise Unreachable(f"{url} did not answer within {seconds:g} s") from None
    except (OSError, ValueError, h11.RemoteProtocolError) as error:
        raise Unreachable(f"{url} does not answer: {error}") from error


async def _exchange(url: str, body: bytes) -> tuple[int, str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no address that begins with http:// or https://")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure or None)
    try:
        conn = h11.Connection(h11.CLIENT)
        headers = [
            ("Host", parts.netloc.rpartition("@")[2]),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        request = h11.Request(method="POST", target=parts.path, headers=headers)
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(conn.send(event) or b"")
        with contextlib.suppress(ConnectionError):  # it may have answered before it read all
            await writer.drain()
        return await _read_response(conn, reader)
    finally:
        writer.transport.abort()


async def _read_response(conn: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, str]:
    status, body = 0, bytearray()
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(await reader.read(64 * 1024))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_NOTE_SIZE:
                raise ValueError("its answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return status, body.decode("utf-8", "replace")
        elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise ValueError("it closed the connection without an answer")
