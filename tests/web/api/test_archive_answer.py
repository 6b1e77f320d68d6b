"""Places for archives: shared, and lost by a reader that does not read when another one asks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.page import until
from votenet.web.api import archive_answer
from votenet.web.api.archive_answer import (
    LEAST_BYTES_PER_SECOND,
    READER_GRACE_SECONDS,
    ArchiveAnswer,
    ArchivePlaces,
    ArchiveReader,
)
from votenet.web.serving.http_protocol import PageServer, server_config
from votenet.web.settings import WebSettings

LINE = b"x" * 65536


def test_a_reader_is_slow_by_what_it_takes_while_it_is_waited_for() -> None:
    reader = ArchiveReader("a")
    assert not reader.is_slow(1e9), "a node may take its time"
    reader.waiting_since = 100.0
    assert not reader.is_slow(100 + READER_GRACE_SECONDS)
    assert reader.is_slow(101 + READER_GRACE_SECONDS)
    phone = ArchiveReader("a", taken=1000 * LEAST_BYTES_PER_SECOND, waited=999.0)
    assert not phone.is_slow(1e9)


def test_a_slow_reader_gives_way_to_a_client_that_may_have_its_place() -> None:
    async def main() -> None:
        places = ArchivePlaces()
        own = [places.take("a", 0.0) for _ in range(3)]
        assert own[0] is not None
        assert own[1] is not None
        assert own[2] is None, "an address has half of the four places"
        assert places.take("b", 0.0) is not None
        assert (places.take("b", 0.0), places.take("c", 0.0) is None) == (None, False)
        assert places.take("d", 0.0) is None, "all four move"
        async with contextlib.AsyncExitStack() as opened:
            await opened.enter_async_context(own[0].limit)
            own[0].waiting_since = 0.0
            assert places.take("d", READER_GRACE_SECONDS) is None
            assert places.take("b", READER_GRACE_SECONDS + 1) is None, (
                "as many as the slow one would have then"
            )
            assert places.take("d", READER_GRACE_SECONDS + 1) is not None
            with pytest.raises(TimeoutError):
                async with opened.pop_all():
                    await asyncio.Event().wait()
        places.give_back(own[0])
        assert places.take("e", READER_GRACE_SECONDS + 1) is None, "its place was given away, and once"
        places.give_back(own[1])
        assert places.take("e", READER_GRACE_SECONDS + 1) is not None

    asyncio.run(main())


def test_a_reader_that_does_not_read_loses_its_place_and_its_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has 64 KiB lines for ever; the kernel takes some of them, and then the reader is waited for."""
    monkeypatch.setattr(archive_answer, "MAX_ARCHIVES", 1)
    monkeypatch.setattr(archive_answer, "READER_GRACE_SECONDS", -1e9)
    closed = []

    async def lines() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                await asyncio.sleep(0)
                yield LINE
        finally:
            closed.append(True)

    async def main() -> None:
        places, readers = ArchivePlaces(), []

        async def archive(request: Request) -> Response:
            place = places.take("a", asyncio.get_running_loop().time())
            if place is None:
                return Response(status_code=503)
            readers.append(place)
            source = lines()
            return ArchiveAnswer(await anext(source), source, places, place, {})

        server = PageServer(server_config(Starlette(routes=[Route("/", archive)]), WebSettings()))
        listening = socket.create_server(("127.0.0.1", 0))
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]))
            first, second = [await asyncio.open_connection(*listening.getsockname()) for _ in range(2)]
            cast(asyncio.Transport, first[1].transport).pause_reading()
            first[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: readers and readers[0].waiting_since is not None)
            second[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await second[0].readline()).startswith(b"HTTP/1.1 200 ")
            await until(lambda: closed)
            cast(asyncio.Transport, first[1].transport).resume_reading()
            with contextlib.suppress(ConnectionError):
                while await first[0].read(1 << 20):
                    pass
            for _, writer in (first, second):
                writer.close()
            await until(lambda: len(closed) == 2)
            server.stop()
        listening.close()

    asyncio.run(main())
    assert not caplog.records


def test_a_reader_that_is_gone_loses_its_place_while_its_source_is_still_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive_answer, "MAX_ARCHIVES", 1)

    async def main() -> None:
        places, closing, cut = ArchivePlaces(), asyncio.Event(), []
        gone = places.take("a", 0.0)
        assert gone is not None

        async def lines() -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    yield LINE
            finally:
                closing.set()
                await asyncio.Event().wait()

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            await asyncio.sleep(0)

        source = lines()
        answer = ArchiveAnswer(await anext(source), source, places, gone, {})
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}, "state": {"cut": lambda: cut.append(True)}}
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(answer(scope, receive, send))
            await closing.wait()
            gone.waited = 1e9
            assert places.take("b", 0.0) is not None
        assert cut

    asyncio.run(main())
