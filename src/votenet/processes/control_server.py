"""The supervisor's end of its control socket.

What lives here: binding, checking who calls, limits, framing. What must not: what a command does;
the supervisor passes a handler.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from votenet.errors import VotenetError
from votenet.processes.control import MAX_REQUEST, VERSION, peer_uid
from votenet.processes.files import SocketFile

REQUEST_SECONDS: Final = 5.0
"""For the whole request line, from a local program that has it ready."""
SEND_SECONDS: Final = 10.0
"""For one answer line to a reader that has stopped reading."""
GOODBYE_SECONDS: Final = 1.0
"""For the answers under way when the supervisor ends."""
LINGER_SECONDS: Final = 1.0
LINGER_READS: Final = 64
"""4 MiB of somebody's mistake; more is cut off."""
MAX_CALLS: Final = 64
"""Connections at one time; more wait in the backlog."""

Progress = Callable[[Mapping[str, Any]], Awaitable[None]]
Handler = Callable[[dict[str, Any], Progress], Awaitable[Mapping[str, Any]]]


class ControlServer:
    """Serves requests in the caller's TaskGroup; an async context manager. Bound by the constructor.

    The caller holds the lock of the instance, so a socket file that is already there is stale.
    """

    def __init__(self, path: Path, handler: Handler, tasks: asyncio.TaskGroup) -> None:
        self.path, self._handler, self._tasks = path, handler, tasks
        self._calls: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._bind()

    def _bind(self) -> None:
        self._file = SocketFile(self.path, socket.SOCK_STREAM)
        self._socket = self._file.socket
        self._socket.listen(128)

    @property
    def there(self) -> bool:
        """Whether callers still find it."""
        return self._file.there

    def bind_again(self) -> None:
        """After its file was removed. Calls under way go on. Raises OSError."""
        old = self._file
        self._bind()
        self._loop.remove_reader(old.socket)
        old.close()
        self._listen_again()

    async def __aenter__(self) -> ControlServer:
        self._loop.add_reader(self._socket, self._accept)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, let answers under way be read, then hang up."""
        self._loop.remove_reader(self._socket)
        self._file.close()
        if self._calls:
            await asyncio.wait(self._calls, timeout=GOODBYE_SECONDS)
        for call in list(self._calls):
            call.cancel()

    def _accept(self) -> None:
        try:
            link, _ = self._socket.accept()
        except BlockingIOError:
            return
        except OSError:  # out of descriptors, or the caller is already gone: not in a tight loop
            self._loop.remove_reader(self._socket)
            self._loop.call_later(0.1, self._listen_again)
            return
        call = self._tasks.create_task(self._serve(link), name="control call")
        self._calls.add(call)
        call.add_done_callback(lambda call: self._ended(call, link))
        if len(self._calls) >= MAX_CALLS:
            self._loop.remove_reader(self._socket)

    def _ended(self, call: asyncio.Task[None], link: socket.socket) -> None:
        """Also for a call that was cancelled before its first step."""
        link.close()
        self._calls.discard(call)
        self._listen_again()

    def _listen_again(self) -> None:
        if self._socket.fileno() >= 0 and len(self._calls) < MAX_CALLS:
            self._loop.add_reader(self._socket, self._accept)

    async def _serve(self, link: socket.socket) -> None:
        link.setblocking(False)
        try:
            if peer_uid(link) in (os.geteuid(), 0):
                await self._answer(link)
        except OSError:
            pass  # the caller is gone, or did not read (TimeoutError)
        except Exception:  # an answer that cannot be written down: it costs this call, not the network
            traceback.print_exc()

    async def _answer(self, link: socket.socket) -> None:
        async def progress(event: Mapping[str, Any]) -> None:
            await _send(link, event)

        try:
            request = await _request(link)
            answer: Mapping[str, Any] = {"ok": True, **await self._handler(request, progress)}
        except VotenetError as error:
            answer = _refusal(error)
        except OSError:
            raise  # the caller is gone
        except Exception as error:  # a mistake of ours costs an answer, never the network its supervisor
            traceback.print_exc()
            answer = _refusal(internal_error(error))
        await _send(link, answer)
        if not answer["ok"]:
            await _linger(link)


def internal_error(error: Exception) -> VotenetError:
    """What people are told of a mistake in votenet itself; its stack goes to the log."""
    return VotenetError(
        f"a mistake in votenet: {type(error).__name__}: {error}",
        code="internal",
        next_step="Nothing else is affected; please report it with the log: votenet logs supervisor",
    )


def _refusal(error: VotenetError) -> dict[str, Any]:
    return {"ok": False, "error": {**error.as_dict(), "exit_code": error.exit_code}}


async def _linger(link: socket.socket) -> None:
    """Read what a refused caller still sends: closing with unread input would cut off our answer."""
    link.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(LINGER_SECONDS):
        for _ in range(LINGER_READS):
            if not await asyncio.get_running_loop().sock_recv(link, 65536):
                return


async def _send(link: socket.socket, answer: Mapping[str, Any]) -> None:
    line = json.dumps({"v": VERSION, **answer}).encode() + b"\n"
    async with asyncio.timeout(SEND_SECONDS):
        await asyncio.get_running_loop().sock_sendall(link, line)


async def _request(link: socket.socket) -> dict[str, Any]:
    data = b""
    async with asyncio.timeout(REQUEST_SECONDS):
        while b"\n" not in data:
            if len(data) > MAX_REQUEST:
                raise VotenetError(f"a request has at most {MAX_REQUEST} bytes", code="line-too-long")
            more = await asyncio.get_running_loop().sock_recv(link, 65536)
            if not more:
                raise VotenetError("the request line was not ended", code="incomplete-line")
            data += more
    return parse_request(data.partition(b"\n")[0])


def parse_request(line: bytes) -> dict[str, Any]:
    """A request line to its object.

    Raises:
        VotenetError: code bad-json, version-mismatch or bad-message.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise VotenetError("the request is not JSON", code="bad-json") from None
    if not isinstance(request, dict):
        raise VotenetError("the request is not a JSON object", code="bad-json")
    if request.get("v") != VERSION:
        raise VotenetError(
            f"this supervisor speaks version {VERSION}, not {request.get('v')!r}",
            code="version-mismatch",
            next_step="Use the version of votenet that started this network.",
        )
    if not isinstance(request.get("command"), str):
        raise VotenetError("the request names no command", code="bad-message")
    return request
