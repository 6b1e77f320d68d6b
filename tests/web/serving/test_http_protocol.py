"""Connections that are slow or too many, TLS, and how the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
from uvicorn.server import ServerState

from support.page import Page, play, read_to_end, serving, until
from support.tls import certificate
from votenet.errors import ConfigError
from votenet.web.files import static_files
from votenet.web.limits import HEAD_SECONDS, KEEP_ALIVE_SECONDS
from votenet.web.serving import http_protocol
from votenet.web.serving.http_protocol import server_config, tls_context
from votenet.web.settings import WebSettings

GET = b"GET /static/style.css HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"


class Clock:
    """An event loop whose timers go off when the test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: list[tuple[float, Callable[..., object], tuple[object, ...], Any]] = []
        self.create_task = asyncio.get_running_loop().create_task

    def call_later(self, seconds: float, work: Callable[..., object], *args: object) -> Any:
        handle = Mock(is_cancelled=False)
        handle.cancel.side_effect = lambda: setattr(handle, "is_cancelled", True)
        self._timers.append((self._now + seconds, work, args, handle))
        return handle

    def pass_time(self, seconds: float) -> None:
        end = self._now + seconds
        while due := [timer for timer in self._timers if timer[0] <= end and not timer[3].is_cancelled]:
            first = min(due, key=lambda timer: timer[0])
            self._timers.remove(first)
            self._now = first[0]
            first[1](*first[2])
        self._now = end


class Wire:
    """One connection to the page in the time of a `Clock`; every request is answered with `OK`."""

    def __init__(self) -> None:
        async def app(scope: object, receive: object, send: Callable[..., Awaitable[None]]) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"OK"})

        config = server_config(app, WebSettings())  # type: ignore[arg-type]
        self.clock, self._state, self.is_closed = Clock(), ServerState(), False
        self._transport = Mock(get_extra_info=lambda name: ("192.0.2.1", 1) if name == "peername" else None)
        self._transport.is_closing = lambda: self.is_closed
        self._transport.close = self._transport.abort = lambda: setattr(self, "is_closed", True)
        made: Any = config.http_protocol_class
        self._protocol = made(config=config, server_state=self._state, app_state={}, _loop=self.clock)
        self._protocol.connection_made(self._transport)

    async def send(self, data: bytes) -> int:
        """Returns how many requests are answered by now."""
        self._protocol.data_received(data)
        while self._state.tasks:
            await asyncio.wait(self._state.tasks)
        return sum(b"HTTP/1.1 200 " in call.args[0] for call in self._transport.write.call_args_list)


def in_turn(scenario: Callable[[Wire], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Wire())

    asyncio.run(main())


def test_silence_between_two_requests_may_last_and_what_then_comes_has_its_whole_time() -> None:
    async def scenario(wire: Wire) -> None:
        wire.clock.pass_time(HEAD_SECONDS - 1)
        assert await wire.send(GET) == 1
        for answered in (2, 3):
            wire.clock.pass_time(KEEP_ALIVE_SECONDS - 1)
            assert await wire.send(GET[:20]) == answered - 1
            wire.clock.pass_time(HEAD_SECONDS - 1)
            assert not wire.is_closed
            assert await wire.send(GET[20:]) == answered
        wire.clock.pass_time(KEEP_ALIVE_SECONDS - 1)
        assert not wire.is_closed
        wire.clock.pass_time(1)
        assert wire.is_closed

    in_turn(scenario)


@pytest.mark.parametrize("before", [b"", GET, GET + GET])
def test_a_head_that_comes_in_drops_has_no_more_time(before: bytes) -> None:
    async def scenario(wire: Wire) -> None:
        answered = await wire.send(before + b"G")
        for byte in GET[1 : int(HEAD_SECONDS)]:
            wire.clock.pass_time(1)
            assert not wire.is_closed
            assert await wire.send(bytes([byte])) == answered == before.count(b"GET")
        wire.clock.pass_time(1)
        assert wire.is_closed

    in_turn(scenario)


def test_the_rest_of_a_request_that_is_answered_has_no_more_time_than_a_head() -> None:
    async def scenario(wire: Wire) -> None:
        assert await wire.send(GET.replace(b"Host", b"Content-Length: 1000\r\nHost")) == 1
        for _ in range(int(HEAD_SECONDS) - 1):
            wire.clock.pass_time(1)
            await wire.send(b"x")
        assert not wire.is_closed
        wire.clock.pass_time(1)
        assert wire.is_closed

    in_turn(scenario)


def test_clients_that_send_nothing_or_half_a_head_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(page: Page) -> None:
        reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
        silent, half = await asyncio.gather(page.exchange(b""), page.exchange(b"GET /sta"))
        assert (silent, half) == (b"", b"")
        writer.write(b"GET /sta")
        assert b"HTTP/1.1 " not in await read_to_end(reader)
        writer.close()

    play(scenario)


@pytest.mark.parametrize("limit", ["MAX_BROWSERS", "MAX_BROWSERS_OF_ADDRESS"])
def test_one_connection_too_many(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(http_protocol, limit, 3)

    async def scenario(page: Page) -> None:
        host, port = page.address.host, page.address.port
        idle = [await asyncio.open_connection(host, port) for _ in range(3)]
        for _, writer in idle:  # each has been taken once it is answered
            writer.write(GET)
        for reader, _ in idle:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert (await page.exchange(b"")).startswith(b"HTTP/1.1 503 ")
        idle[0][1].close()
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200 "):  # until the server has seen that one is gone
            answer = await page.exchange(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for _, writer in idle[1:]:
            writer.close()

    play(scenario)


def test_a_client_that_does_not_read_what_it_asked_for_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_SECONDS", 0.2)
    size = len(static_files()["verify.html"].body)

    async def scenario(page: Page) -> None:
        before = len(asyncio.all_tasks())
        reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
        transport = cast(asyncio.Transport, writer.transport)
        transport.pause_reading()
        writer.write(GET.replace(b"style.css", b"verify.html") * 300)
        await until(lambda: len(asyncio.all_tasks()) > before)
        await until(lambda: len(asyncio.all_tasks()) == before)
        transport.resume_reading()
        got = 0
        with contextlib.suppress(ConnectionError):
            while part := await reader.read(1 << 20):
                got += len(part)
        assert got < 300 * size
        writer.close()

    play(scenario)


def test_requests_that_come_together_are_answered_in_order() -> None:
    async def scenario(page: Page) -> None:
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert (await page.exchange(GET * 5 + last)).count(b"HTTP/1.1 200 ") == 6

    play(scenario)


def test_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)

    async def scenario(page: Page) -> None:
        answer = await page.client.get("/static/style.css")
        assert answer.status_code == 200
        assert "max-age" in answer.headers["strict-transport-security"]
        assert not (await page.exchange(GET)).startswith(b"HTTP/1.1 200")
        async with page.client.stream("GET", "/api/v1/events") as stream:
            assert (await anext(stream.aiter_bytes())).startswith(b"retry: 3000")
        await until(lambda: not page.view.streams)

    play(scenario, tls_cert=cert, tls_key=key)


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    (cert, key), (_, other) = certificate(tmp_path), certificate(tmp_path, "b")
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("no certificate")
    tls_context(WebSettings(tls_cert=cert, tls_key=key))
    locked = tmp_path / "locked"
    secret = ("-passout", "pass:secret", "-aes256")
    argv = ["openssl", "pkey", "-in", str(key), "-out", str(locked), *secret]
    subprocess.run(argv, check=True, capture_output=True)
    keys = (other, rubbish, locked, Path("/dev/zero"))
    certificates = (rubbish, tmp_path / "none", tmp_path, Path("/dev/zero"))
    for pair in (*((cert, one) for one in keys), *((one, key) for one in certificates)):
        with pytest.raises(ConfigError) as refused:
            tls_context(WebSettings(tls_cert=pair[0], tls_key=pair[1]))
        assert refused.value.code == "bad-certificate"
        assert any(str(path) in refused.value.message for path in pair)
        assert refused.value.next_step


def test_it_ends_though_clients_read_nothing_and_send_half() -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            async with serving() as page:
                host, port = page.address.host, page.address.port
                links = [await asyncio.open_connection(host, port) for _ in range(20)]
                for number, (_, writer) in enumerate(links):
                    writer.write(
                        (b"", GET, b"GET /", b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")[number % 4]
                    )
                await until(lambda: page.view.streams == 5)
            for reader, writer in links:
                await read_to_end(reader)
                writer.close()

    asyncio.run(main())
