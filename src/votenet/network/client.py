"""A client of the node port: one connection, many requests, answers matched by id.

What lives here: NodeClient. What must not: what to do with several nodes (the callers').
"""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Any, Final, TypeVar

import msgspec

from votenet.errors import REFUSALS, Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network.transport import Link, LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import REPLIES, Message, as_line, decode_message, encode_message, is_code

"""Characters of an error of the other side: code and message. What is longer is cut."""
ANSWER_SECONDS: Final = 30.0
"""A node that checks a full line of votes while it catches up answers within a few seconds."""

M = TypeVar("M")


class NodeClient:
    """An open conversation with one node; an async context manager.

    Raises (on entry):
        Unreachable: nothing listens there, or it does not answer in time.
    """

    def __init__(self, address: Address, *, dial_timeout: float = 10.0) -> None:
        self.address = address
        self._dial_timeout = dial_timeout
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._link: Link | None = None
        self._error: VotenetError | None = None
        self._gone = asyncio.Event()

    async def __aenter__(self) -> NodeClient:
        limits = LinkLimits(max_line=2 * MAX_PEER_LINE)
        self._link = await connect(self, self.address, limits, timeout=self._dial_timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._link is not None:
            self._link.abort()  # every answer that was wanted has come: nothing is left to wait for
            await self._gone.wait()

    async def ask(self, request: Any, expected: type[M], timeout: float = ANSWER_SECONDS) -> M:
        """Send a request of the message table and wait for its answer.

        Raises:
            Unreachable: the connection broke, or no answer came within `timeout` seconds.
            Rejected: the node refused, with its code.
        """
        assert expected in REPLIES[type(request)], "the message table has no such answer"
        if self._link is None or self._error is not None:
            raise self._error or Unreachable(f"not connected to {self.address}")
        number = next(self._ids)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._link.send_line(encode_message(msgspec.structs.replace(request, id=number)))
            async with asyncio.timeout(timeout):
                message = await answer
        except TimeoutError as error:
            raise Unreachable(f"{self.address} gave no answer within {timeout:g} s") from error
        finally:
            del self._waiting[number]
        if not isinstance(message, expected):
            raise RemoteProtocolError("unexpected-message", f"{self.address} answered something else")
        return message

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        if line.startswith(b'{"error"'):
            self._fail(refusal_in(line))
            link.close()
            return
        try:
            message = decode_message(line)
        except RemoteProtocolError as error:
            self._fail(error)
            link.close()
            return
        number = getattr(message, "id", None)
        answer = self._waiting.get(number) if number is not None else None
        if answer is not None and not answer.done():
            answer.set_result(message)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        why = f": {reason.message}" if reason is not None else ""
        self._fail(Unreachable(f"{self.address} closed the connection{why}"))
        self._gone.set()

    def _fail(self, error: VotenetError) -> None:
        if self._error is None:
            self._error = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._error)


def refusal_in(line: bytes) -> VotenetError:
    """The error that an error line carries, as one of ours."""
    try:
        error = msgspec.json.decode(line)["error"]  # refuses half a surrogate pair: no terminal prints it
        code, message = str(error["code"]), as_line(str(error["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        code, message = "", ""
    if not is_code(code):
        return RemoteProtocolError("bad-message", "the other side sent an error that is not readable")
    if code in REFUSALS:
        return Rejected(code, message)
    return VotenetError(message, code=code)
