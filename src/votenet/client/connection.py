"""One connection to one node: many requests at a time, answers matched by their ids."""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from votenet.errors import RemoteProtocolError, Unreachable, VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.transport import Link, connect
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.error_lines import error_in
from votenet.protocol.wire.framing import MAX_PEER_LINE
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message, encode_message

NODE_ANSWER_SECONDS: Final = 30.0
"""A node that checks a full line of votes while it catches up answers within a few seconds."""

M = TypeVar("M")


class NodeConnection:
    """An open conversation with one node; an async context manager.

    Raises (on entry):
        Unreachable: nothing listens there, or it does not answer within `dial_timeout` seconds.
    """

    max_line = 2 * MAX_PEER_LINE
    """Bytes of the longest answer that is read."""

    def __init__(
        self, address: Address, *, dial_timeout: float = 10.0, answer_timeout: float = NODE_ANSWER_SECONDS
    ) -> None:
        self.address = address
        self._dial_timeout, self._answer_timeout = dial_timeout, answer_timeout
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message | None]] = {}
        self._link: Link | None = None
        self._error: VotenetError | None = None
        self._gone = asyncio.Event()

    @property
    def broken(self) -> bool:
        """Whether the conversation is over: every further request fails."""
        return self._error is not None

    async def __aenter__(self) -> Self:
        limits = LinkLimits(max_line=self.max_line)
        self._link = await connect(self, self.address, limits, timeout=self._dial_timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it now. Requests without an answer fail with Unreachable."""
        if self._link is not None:
            self._link.abort()
            await self._gone.wait()

    async def ask(self, request: Any, expected: type[M], timeout: float | None = None) -> M:
        """Send a request of the message table and wait for its answer.

        Raises:
            Unreachable: the connection broke, or no answer came within `timeout` seconds.
            Rejected: the node refused, with its code.
        """
        assert expected in request.replies, "the message has no such answer"
        number = next(self._ids)
        self._send(msgspec.structs.replace(request, id=number), number)
        message = await self._answer(number, timeout)
        if not isinstance(message, expected):
            raise RemoteProtocolError("unexpected-message", f"{self.address} answered something else")
        return message

    # -- LinkHandler ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        try:
            if (refusal := error_in(line)) is not None:
                raise refusal
            self._take(link, line)
        except VotenetError as error:
            self._fail(error)
            link.close()

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        why = f": {reason.message}" if reason is not None else ""
        self._fail(Unreachable(f"{self.address} closed the connection{why}"))
        self._gone.set()

    # -- inside --------------------------------------------------------------------------------

    def _take(self, link: Link, line: bytes) -> None:
        """One line that is no error. Raises RemoteProtocolError."""
        message = decode_message(line)
        self._answered(getattr(message, "id", None), message)

    def _send(self, request: Any, number: int) -> None:
        """Send a request whose answer `_answered` gets with this number. Raises what broke the connection."""
        if self._link is None or self._error is not None:
            raise self._error or Unreachable(f"not connected to {self.address}")
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._link.send_line(encode_message(request))

    async def _answer(self, number: int, timeout: float | None = None) -> Message | None:
        seconds = self._answer_timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting[number]
        except TimeoutError as error:
            raise Unreachable(f"{self.address} gave no answer within {seconds:g} s") from error
        finally:
            del self._waiting[number]

    def _answered(self, number: int | None, message: Message | None) -> None:
        answer = None if number is None else self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _fail(self, error: VotenetError) -> None:
        self._error = self._error or error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._error)
                answer.exception()  # asyncio need not report one that is no longer waited for
