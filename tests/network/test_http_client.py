"""One request to servers of all kinds. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from support.peers import served
from support.tls import certificate
from votenet.errors import Unreachable
from votenet.network import http_client
from votenet.network.http_client import HttpAnswer, http_get, http_post
from votenet.network.resolver import Names

PATIENCE = 60.0


@contextlib.asynccontextmanager
async def server(answer: bytes, got: list[bytes]) -> AsyncIterator[str]:
    """It sends `answer` once it has a head, and closes; `got` is the head and what follows it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(4) if head.startswith(b"POST") else b""
        got.append(head + body)
        writer.write(answer)

    async with served(talk) as address:
        yield f"http://{address}"


def ask(answer: bytes, path: str = "", *, body: bytes | None = None) -> tuple[HttpAnswer, bytes]:
    got: list[bytes] = []

    async def run() -> HttpAnswer:
        async with server(answer, got) as url:
            send = http_get if body is None else functools.partial(http_post, body=body)
            return await send(url + path, max_size=10, seconds=PATIENCE)

    return asyncio.run(run()), got[0]


def test_an_answer_with_its_status_and_body() -> None:
    answer, asked = ask(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", "/a?b=c")
    assert answer[:2] == (404, b"no!")
    assert asked.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert ask(b"HTTP/1.1 200 OK\r\n\r\nto the end")[0].body == b"to the end"


def test_a_text_is_posted() -> None:
    answer, asked = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", body=b"text")
    assert answer.status == 200
    assert asked.endswith(b"\r\n\r\ntext")
    assert b"Content-Length: 4" in asked


@pytest.mark.parametrize(
    "answer",
    [b"", b"220 mail.example\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11,
     b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000],
)  # fmt: skip
def test_what_is_no_answer_or_too_long(answer: bytes) -> None:
    with pytest.raises(Unreachable) as refused:
        ask(answer)
    assert refused.value.code == "unreachable"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "ftp://127.0.0.1/x", "http://", "http://127.0.0.1:no", "x", "http://a b/"]
)
def test_an_address_where_nothing_answers(url: str) -> None:
    with pytest.raises(Unreachable):
        asyncio.run(http_get(url, max_size=10, seconds=PATIENCE))


@contextlib.asynccontextmanager
async def tls_server(cert: Path, key: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
            writer.close()

    started = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with started:
        yield f"https://127.0.0.1:{started.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("days", "trusted", "says"),
    [(2, True, ""), (-1, True, "has expired"), (2, False, "does not hold")],
)
def test_a_certificate_holds_or_the_error_says_why_not(
    days: int, trusted: bool, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert if trusted else certificate(tmp_path, "other")[0]))

    async def run() -> HttpAnswer:
        async with tls_server(cert, key) as url:
            return await http_get(url, max_size=10, seconds=PATIENCE)

    if not says:
        assert asyncio.run(run()).body == b"ok"
        return
    with pytest.raises(Unreachable, match=says) as refused:
        asyncio.run(run())
    assert refused.value.code == "bad-certificate"
    assert refused.value.next_step


def test_a_file_of_certificates_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", "not-here.pem")

    async def run() -> HttpAnswer:
        async with tls_server(cert, key) as url:
            return await http_get(url, max_size=10, seconds=PATIENCE)

    with pytest.raises(Unreachable, match="does not hold") as refused:
        asyncio.run(run())
    assert "SSL_CERT_FILE names not-here.pem" in refused.value.next_step


def test_a_certificate_of_another_host_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    monkeypatch.setattr(http_client, "Names", lambda: Names(lambda _: ["127.0.0.1"]))

    async def run() -> HttpAnswer:
        async with tls_server(cert, key) as url:
            far = url.replace("127.0.0.1", "vote.example.org")
            return await http_get(far, max_size=10, seconds=PATIENCE)

    with pytest.raises(Unreachable, match=r"is that of another host.*vote\.example\.org") as refused:
        asyncio.run(run())
    assert refused.value.code == "bad-certificate"


@contextlib.asynccontextmanager
async def server_that(answers: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that does this once it was asked; its connections end with the block."""
    tasks = set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await answers(writer)
        writer.transport.abort()

    started = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with started:
        yield f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}/"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def no_word(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def an_endless_file(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    while True:
        writer.write(bytes(1 << 16))
        await writer.drain()


def test_a_silent_server_is_given_up_and_of_an_endless_file_no_more_is_read_than_may_be() -> None:
    async def run() -> None:
        async with server_that(no_word) as url:
            with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
                await http_get(url, max_size=10, seconds=0.1)
        async with server_that(an_endless_file) as url:
            with pytest.raises(Unreachable, match="its answer is too long"):
                await http_get(url, max_size=1 << 20, seconds=PATIENCE)

    asyncio.run(run())


def test_headers_are_told() -> None:
    answer, _ = ask(b"HTTP/1.1 302 Found\r\nLOCATION: /b\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.headers["location"]) == (302, "/b")


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "Names", lambda: Names(lambda _: []))
    with pytest.raises(Unreachable, match=r"the name vote\.example is not known here"):
        asyncio.run(http_get("http://vote.example/", max_size=10, seconds=PATIENCE))


def test_http_to_a_server_that_speaks_tls_says_to_try_https(tmp_path: Path) -> None:
    async def run() -> None:
        async with tls_server(*certificate(tmp_path)) as url:
            await http_get(url.replace("https", "http"), max_size=10, seconds=PATIENCE)

    with pytest.raises(Unreachable, match="does not speak HTTP") as refused:
        asyncio.run(run())
    assert "https://" in str(refused.value.next_step)
