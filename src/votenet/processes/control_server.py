"""The supervisor's end of its control socket: callers, limits, framing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from votenet.errors import Command, NextStep, VotenetError
from votenet.processes.control import MAX_REQUEST, VERSION, peer_uid
from votenet.processes.socket_file import SocketFile

CALL_SECONDS: Final = 5.0
"""For the whole request line, from a local program that has it ready."""
_SEND_SECONDS: Final = 10.0
"""For one answer line to a reader that has stopped reading."""
_LAST_ANSWERS_SECONDS: Final = 1.0
"""For the answers under way when the supervisor ends."""
_UNREAD_SECONDS: Final = 1.0
_UNREAD_READS: Final = 64
"""4 MiB of a refused request; more is cut off."""
MAX_CALLS: Final = 64
"""Connections at one time; more wait in the backlog."""

Progress = Callable[[Mapping[str, Any]], Awaitable[None]]
Handler = Callable[[dict[str, Any], Progress], Awaitable[Mapping[str, Any]]]


class ControlServer:
    """Serves requests in the caller's TaskGroup; an async context manager. Bound by the constructor."""

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

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, let answers under way be read, then hang up."""
        self._loop.remove_reader(self._socket)
        self._file.close()
        if self._calls:
            await asyncio.wait(self._calls, timeout=_LAST_ANSWERS_SECONDS)
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
        serving = self._serve(link)
        try:
            call = self._tasks.create_task(serving, name="control call")
        except RuntimeError:  # the group is ending: the caller is told by the end of its connection
            serving.close()
            link.close()
            return
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
        except Exception:  # an answer that cannot be encoded costs this call, not the network
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
        except Exception as error:
            traceback.print_exc()
            answer = _refusal(internal_error(error))
        await _send(link, answer)
        if not answer["ok"]:
            await _read_the_rest(link)


def internal_error(error: Exception) -> VotenetError:
    """An unforeseen error as people are told of it; its stack goes to the log."""
    return VotenetError(
        f"a mistake in votenet: {type(error).__name__}: {error}",
        code="internal",
        next_step=NextStep(
            "Nothing else is affected; please report it with the log: {}", Command("logs", "supervisor")
        ),
    )


def _refusal(error: VotenetError) -> dict[str, Any]:
    fields = {**error.as_dict(), "exit_code": error.exit_code}
    if isinstance(error.next_step, NextStep):  # the caller puts the name of its instance into the commands
        fields["next_step_parts"] = error.next_step.to_json()
    return {"ok": False, "error": fields}


async def _read_the_rest(link: socket.socket) -> None:
    """Read what a refused caller still sends: closing with unread input would cut off our answer."""
    link.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(_UNREAD_SECONDS):
        for _ in range(_UNREAD_READS):
            if not await asyncio.get_running_loop().sock_recv(link, 65536):
                return


async def _send(link: socket.socket, answer: Mapping[str, Any]) -> None:
    line = json.dumps({"v": VERSION, **answer}).encode() + b"\n"
    async with asyncio.timeout(_SEND_SECONDS):
        await asyncio.get_running_loop().sock_sendall(link, line)


async def _request(link: socket.socket) -> dict[str, Any]:
    data = b""
    async with asyncio.timeout(CALL_SECONDS):
        while b"\n" not in data:
            if len(data) > MAX_REQUEST:
                raise VotenetError(f"a request has at most {MAX_REQUEST} bytes", code="line-too-long")
            more = await asyncio.get_running_loop().sock_recv(link, 65536)
            if not more:
                raise VotenetError("the request line was not ended", code="incomplete-line")
            data += more
    return parse_request(data.partition(b"\n")[0])


def parse_request(line: bytes) -> dict[str, Any]:
    """A request line to its object. Raises VotenetError: bad-json, version-mismatch or bad-message."""
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
