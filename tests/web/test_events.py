"""Event streams: the whole state each time, a limit, readers that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from types import SimpleNamespace
from typing import cast

import pytest

from support.elections import make_election
from support.lying_node import lying_node, results_info, status_info
from support.page import Page, play, until
from votenet.web import events
from votenet.web.live_view import LiveView
from votenet.web.open_stream import OpenStream

ELECTION = make_election()
OPEN = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"


async def blocks(lines: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """The parts of a stream that an empty line ends."""
    block: list[str] = []
    async for line in lines:
        if line:
            block.append(line)
        else:
            yield block
            block = []


def test_each_event_is_the_whole_state_and_a_comment_comes_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.2)
    votes = [0]
    told = {
        "get_status": lambda _: status_info(ELECTION) | {"votes": votes[0], "height": 1},
        "get_results": lambda _: results_info(ELECTION, Alice=votes[0]),
    }

    async def scenario(page: Page) -> None:
        async with page.client.stream("GET", "/api/v1/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            stream = blocks(answer.aiter_lines())
            assert await anext(stream) == ["retry: 3000"]
            first = await anext(stream)
            assert first[:2] == ["event: state", f"id: 1.{'00' * 32}"]
            assert json.loads(first[2].removeprefix("data: "))["votes"] == 0
            assert await anext(stream) == [": live"]
            votes[0] = 5
            async for block in stream:
                if block != [": live"] and json.loads(block[2].removeprefix("data: "))["votes"] == 5:
                    break
            assert page.view.streams == 1
        await until(lambda: not page.view.streams)

    with lying_node(ELECTION, told) as node:
        play(scenario, node)


def test_readers_beyond_their_share_are_told_to_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four streams an address gets two, the next address one, and this machine what is left."""
    monkeypatch.setattr(events, "MAX_STREAMS", 4)

    async def scenario(page: Page) -> None:
        async def status(who: str | None) -> int:
            answer = await opened.enter_async_context(
                page.client.stream("GET", "/api/v1/events", headers={"x-forwarded-for": who} if who else {})
            )
            if answer.status_code == 503:
                said = json.loads(await answer.aread())["error"]
                assert (said["code"], "/api/v1/state" in said["next"]) == ("too-many-streams", True)
                assert answer.headers["retry-after"] == "30"
            return answer.status_code

        async with contextlib.AsyncExitStack() as opened:
            assert [await status("198.51.100.1") for _ in range(3)] == [200, 200, 503]
            assert [await status("198.51.100.2") for _ in range(2)] == [200, 503]
            assert [await status(None) for _ in range(2)] == [200, 503]
            assert page.view.streams == 4
        await until(lambda: not page.view.streams)
        async with contextlib.AsyncExitStack() as opened:
            assert await status("198.51.100.1") == 200

    play(scenario, trusted_proxies=(ip_network("127.0.0.1"),))


def test_a_head_request_opens_no_stream() -> None:
    async def scenario(page: Page) -> None:
        answer = await page.client.head("/api/v1/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert page.view.streams == 0

    play(scenario)


def test_a_reader_of_http_1_0_gets_the_same_without_chunks() -> None:
    async def scenario(page: Page) -> None:
        reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
        writer.write(OPEN.replace(b"1.1", b"1.0"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert await reader.readuntil(b"\n\n") == events.RETRY
        writer.close()
        await until(lambda: not page.view.streams)

    play(scenario)


class Reader:
    """Stands for an `OpenStream`."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.is_full = False

    def when_ended(self, call: Callable[[Reader], None]) -> None:
        self.leave = lambda: call(self)

    def send(self, text: bytes) -> None:
        assert not self.is_full
        self.got.append(text)


class View:
    """Stands for a `LiveView`; its states are their versions."""

    def __init__(self) -> None:
        self.latest: SimpleNamespace | None = None
        self.streams = 0
        self._news = asyncio.Event()

    def show(self, version: int) -> None:
        self.latest = SimpleNamespace(version=version)
        self._news.set()
        self._news = asyncio.Event()

    async def changed(self, after: SimpleNamespace | None) -> SimpleNamespace:
        while self.latest is None or self.latest is after:
            await self._news.wait()
        return self.latest


def test_a_reader_that_does_not_read_gets_the_newest_state_when_it_reads_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "event_of", lambda snapshot: b"state %d" % snapshot.version)
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.01)
    monkeypatch.setattr(events, "AT_ONCE", 2)

    async def scenario(tasks: asyncio.TaskGroup) -> None:
        view = View()
        feeder = events.Feeder(cast(LiveView, view))
        feeding = tasks.create_task(feeder.run())
        slow, prompt, gone = readers = Reader(), Reader(), Reader()
        for reader in readers:
            feeder.add(cast(OpenStream, reader))
        await until(lambda: events.COMMENT in slow.got)
        gone.leave()
        assert view.streams == 2
        seen = len(gone.got)
        slow.is_full = True
        for version in (1, 2, 3):
            view.show(version)
            await until(lambda version=version: b"state %d" % version in prompt.got)  # type: ignore[misc]
        slow.is_full = False
        await until(lambda: b"state 3" in slow.got)
        late = Reader()
        feeder.add(cast(OpenStream, late))
        await until(lambda: events.COMMENT in late.got)
        for reader, states in ((slow, [3]), (prompt, [1, 2, 3])):
            assert reader.got[0] == events.RETRY
            assert [text for text in reader.got[1:] if text != events.COMMENT] == [
                b"state %d" % version for version in states
            ]
        assert late.got[0] == events.RETRY + b"state 3"
        assert set(late.got[1:]) == {events.COMMENT}
        assert len(gone.got) == seen
        feeding.cancel()

    async def main() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            await scenario(tasks)

    asyncio.run(main())
