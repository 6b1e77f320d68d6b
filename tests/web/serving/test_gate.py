"""What every request passes before a page sees it, over real sockets."""

from __future__ import annotations

import asyncio
import functools

import pytest

from support.page import Page, play
from votenet.web.headers import security_headers
from votenet.web.limits import MAX_BODY_BYTES, MAX_PATH
from votenet.web.refusals import STATUS
from votenet.web.serving import gate
from votenet.web.words import Words

JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def _all_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is not reset because the rest of a refused request came late."""
    monkeypatch.setattr(gate, "REFUSED_BODY_SECONDS", 60.0)


def code_of(answer: object) -> str:
    return answer.json()["error"]["code"]  # type: ignore[attr-defined, no-any-return]


def test_every_answer_has_the_headers() -> None:
    async def scenario(page: Page) -> None:
        answers = [
            await page.client.get("/nothing"),
            await page.client.get("/api/v1/nothing"),
            await page.client.get("/static/style.css"),
            await page.client.head("/static/style.css"),
            await page.client.get("/" + "a" * MAX_PATH),
            await page.client.post("/", content=b"{}", headers=JSON | {"origin": "http://evil"}),
            await page.client.options("/"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 200, 200, 414, 403, 405]
        raw = await page.exchange(b"rubbish\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 400 ")
        for name, value in security_headers(https=False):
            assert all(answer.headers[name.decode()] == value.decode() for answer in answers)
            assert b"%s: %s\r\n" % (name, value) in raw
        assert all("server" not in answer.headers for answer in answers)

    play(scenario)


@pytest.mark.parametrize(
    "path", ["/%00", "/a%0ab", "/..%2f..%2fetc/passwd", "//evil.example/", "/a/./b", "/%5c..", "/%ff"]
)
def test_odd_addresses_are_refused(path: str) -> None:
    async def scenario(page: Page) -> None:
        answer = await page.exchange(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400 "), answer

    play(scenario)


@pytest.mark.parametrize("host", ["a/b", "[", "a b", "x:99:99", "é", "a?b#c", "x" * 300, "user@x", "[::1"])
def test_a_host_that_is_no_host(host: str) -> None:
    async def scenario(page: Page) -> None:
        for path in ("/", "/api/v1/nothing"):
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            assert (await page.exchange(request.encode())).startswith(b"HTTP/1.1 400 ")

    play(scenario)


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1:8080", "[::1]:8080", "vote.example.org."])
def test_a_host_that_may_be_one(host: str) -> None:
    async def scenario(page: Page) -> None:
        request = f"GET /nothing HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert (await page.exchange(request.encode())).startswith(b"HTTP/1.1 404 ")

    play(scenario)


@pytest.mark.parametrize("lang", ["en", "id"])
def test_people_get_a_small_page_in_their_language_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    monkeypatch.setattr(gate, "POSTS_AT_ONCE", 2.0)
    monkeypatch.setattr(gate, "POSTS_PER_SECOND", 0.001)
    browser = {"accept": "text/html,*/*;q=0.8", "accept-language": lang}

    async def scenario(page: Page) -> None:
        post = functools.partial(page.client.post, headers=JSON | browser)
        answers = {
            "bad-path": await page.client.get("/a%5Cb", headers=browser),
            "too-long": await page.client.get("/" + "a" * MAX_PATH, headers=browser),
            "bad-host": await page.client.get("/", headers=browser | {"host": "a/b"}),
            "bad-content-type": await page.client.post("/", content=b"x", headers=browser),
            "too-large": await post("/", content=bytes(MAX_BODY_BYTES + 1)),
            "too-many": await post("/", content=b"{}"),
        }
        for code, answer in answers.items():
            assert answer.status_code == STATUS[code]
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.headers["content-language"] == lang
            assert f'<html lang="{lang}">' in answer.text
            assert str(Words(lang).t(f"help.code.{code}")) in answer.text
            assert f">{Words(lang).t('error.code', code=code)}<" in answer.text
            assert len(answer.content) < 2048, "it costs little"
        assert int(answers["too-many"].headers["retry-after"]) > 0
        program = await page.client.get("/api/v1/a%5Cb", headers=browser)
        assert (program.status_code, code_of(program)) == (400, "bad-path")

    play(scenario)


def test_no_answer_repeats_the_host_of_the_request() -> None:
    async def scenario(page: Page) -> None:
        for path in ("/", "/nothing/", "/api/v1/events/", "http://evil.example/"):
            request = f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
            assert b"evil.example" not in await page.exchange(request.encode())

    play(scenario)


def test_what_is_sent_must_be_ours_and_json_and_short() -> None:
    async def scenario(page: Page) -> None:
        async def sent(body: bytes = b"{}", **headers: str) -> str:
            given = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
            return code_of(await page.client.post("/api/v1/nothing", content=body, headers=given))

        assert await sent() == "not-found"
        assert await sent(origin=f"http://{page.address}") == "not-found"
        assert await sent(sec_fetch_site="cross-site") == "cross-site"
        assert await sent(origin="http://evil.example") == "cross-site"
        assert await sent(content_type="text/plain") == "bad-content-type"
        assert await sent(bytes(MAX_BODY_BYTES)) == "not-found"
        assert await sent(bytes(MAX_BODY_BYTES + 1)) == "too-large"

        async def parts() -> object:
            for _ in range(65):
                yield bytes(1024)

        chunked = await page.client.post("/api/v1/nothing", content=parts(), headers=JSON)  # type: ignore[arg-type]
        assert (chunked.status_code, code_of(chunked)) == (413, "too-large")

    play(scenario)


def test_the_answer_to_a_refused_body_is_not_lost_with_the_connection() -> None:
    """A connection that is closed with unread bytes is reset, and takes an answer with it."""
    head = (
        b"POST /api/v1/votes HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60000\r\n\r\n"
    )

    async def scenario(page: Page) -> None:
        for _ in range(20):
            reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
            writer.write(head)
            for _ in range(60):
                writer.write(bytes(1000))
                await asyncio.sleep(0)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 415 ")
            writer.close()
            await writer.wait_closed()

    play(scenario)


def test_a_body_that_comes_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.2)

    async def scenario(page: Page) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{"
        answer = await page.exchange(head)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in answer

    play(scenario)


def test_a_client_that_asks_too_much_waits_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that is believed each client has its own bucket, and without it they share one."""
    from ipaddress import ip_network

    monkeypatch.setattr(gate, "REQUESTS_AT_ONCE", 20.0)
    monkeypatch.setattr(gate, "REQUESTS_PER_SECOND", 0.001)

    async def scenario(page: Page) -> None:
        async def ask(who: str) -> int:
            answer = await page.client.get("/static/style.css", headers={"x-forwarded-for": who})
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) > 0
                assert code_of(answer) == "too-many"
            return answer.status_code

        flood = [await ask("198.51.100.1") for _ in range(50)]
        assert (flood.count(200), flood.count(429)) == (20, 30)
        assert await asyncio.gather(*(ask(f"198.51.100.{n}") for n in range(2, 12))) == [200] * 10

    play(scenario, trusted_proxies=(ip_network("127.0.0.1"),))


def test_pages_questions_and_votes_have_a_bucket_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "POSTS_AT_ONCE", 2.0)
    monkeypatch.setattr(gate, "POSTS_PER_SECOND", 0.001)
    monkeypatch.setattr(gate, "REQUESTS_AT_ONCE", 2.0)
    monkeypatch.setattr(gate, "REQUESTS_PER_SECOND", 0.001)

    async def scenario(page: Page) -> None:
        sent = [await page.client.post("/nothing", content=b"{}", headers=JSON) for _ in range(3)]
        assert [answer.status_code for answer in sent] == [404, 404, 429]
        for path, taken in (("/static/style.css", 200), ("/api/v1/nothing", 404)):
            asked = [await page.client.get(path) for _ in range(3)]
            assert [answer.status_code for answer in asked] == [taken, taken, 429]

    play(scenario)


def test_a_defect_is_an_answer_and_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, object]:
        raise ZeroDivisionError

    monkeypatch.setattr("votenet.web.files.static_files", broken)

    async def scenario(page: Page) -> None:
        answer = await page.client.get("/static/style.css")
        assert answer.status_code == 500
        assert "defect" in answer.text
        assert "content-security-policy" in answer.headers
        assert "ZeroDivisionError" not in answer.text

    play(scenario)
    assert "event=defect" in caplog.text
