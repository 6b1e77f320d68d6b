"""Archives under way: few at one time, and a reader that hardly reads gives way to one who asks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from votenet.web.limits import Shares

MAX_ARCHIVES: Final = 4
"""Archives that are written at one time: each reads whole blocks of a node, up to 32 MiB ahead."""
READER_GRACE_SECONDS: Final = 20.0
"""So long a reader may keep us waiting before it counts as slow."""
LEAST_BYTES_PER_SECOND: Final = 8 * 1024
"""A reader that takes less is slow: phones on the slowest networks take more."""


@dataclass(eq=False)
class ArchiveReader:
    """One who takes an archive. Time runs while we wait for the reader, not while we wait for a node."""

    who: str
    taken: int = 0
    """Bytes."""
    waited: float = 0.0
    """Seconds, without the wait that goes on."""
    waiting_since: float | None = None
    limit: asyncio.Timeout = field(default_factory=lambda: asyncio.Timeout(None))

    def is_slow(self, now: float) -> bool:
        goes_on = 0.0 if self.waiting_since is None else now - self.waiting_since
        return self.waited + goes_on > READER_GRACE_SECONDS + self.taken / LEAST_BYTES_PER_SECOND


class ArchivePlaces:
    """The places, shared among clients. A slow reader keeps its place until another reader asks for one."""

    def __init__(self) -> None:
        self._shares = Shares(MAX_ARCHIVES)
        self._readers: list[ArchiveReader] = []

    def take(self, who: str, now: float) -> ArchiveReader | None:
        """A place for this client; None: all are taken by readers that move, or this client has its share."""
        made = ArchiveReader(who)
        if not self._shares.take(who):
            slow = (one for one in self._readers if one.is_slow(now) and self._shares.take(who, one.who))
            gone = next(slow, None)
            if gone is None:
                return None
            self._readers.remove(gone)
            gone.limit.reschedule(asyncio.get_running_loop().time())
        self._readers.append(made)
        return made

    def give_back(self, reader: ArchiveReader) -> None:
        """End the time of a reader; nothing where its place went to another one."""
        if reader in self._readers:
            self._readers.remove(reader)
            self._shares.give_back(reader.who)


class ArchiveAnswer(StreamingResponse):
    """The lines of an archive. It ends in the middle, and the connection with it, where the place is lost.

    Args:
        first: the first line, which has come already from `rest`.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        places: ArchivePlaces,
        reader: ArchiveReader,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(_all_lines(first, rest), 200, headers, "application/jsonl")
        self._rest, self._places, self._reader = rest, places, reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reader = self._reader
        try:
            async with reader.limit, contextlib.aclosing(self._rest):
                await super().__call__(scope, receive, functools.partial(self._send, send))
        except TimeoutError:
            if not reader.limit.expired():
                raise
            scope["state"]["cut"]()
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._places.give_back(reader)

    async def _send(self, send: Send, message: Message) -> None:
        reader, started = self._reader, time.monotonic()
        reader.waiting_since = started
        await send(message)
        reader.waiting_since = None
        reader.waited += time.monotonic() - started
        reader.taken += len(message.get("body", b""))


async def _all_lines(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for line in rest:
        yield line
