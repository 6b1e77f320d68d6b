"""Texts are compressed for those who take it; streams, files that others check, and short answers are not."""

from __future__ import annotations

import httpx

from support.page import Page, play

GZIP = {"accept-encoding": "gzip"}


async def head_of(page: Page, path: str, **headers: str) -> httpx.Response:
    async with page.client.stream("GET", path, headers=headers or GZIP) as answer:
        return answer


def test_pages_and_long_answers_are_compressed() -> None:
    async def scenario(page: Page) -> None:
        plain = await page.client.get("/help", headers={"accept-encoding": "identity"})
        packed = await page.client.get("/help", headers=GZIP)
        assert (packed.text, packed.headers["content-encoding"]) == (plain.text, "gzip")
        assert "content-encoding" not in plain.headers
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert {"Accept-Encoding", "Accept-Language", "Cookie"} <= set(packed.headers["vary"].split(", "))
        for path in ("/api/v1/openapi.json", "/static/style.css", "/verify.html", "/nothing"):
            assert (await head_of(page, path)).headers["content-encoding"] == "gzip", path
            refusing = await head_of(page, path, **{"accept-encoding": "br, gzip;q=0"})
            assert "content-encoding" not in refusing.headers, path

    play(scenario)


def test_streams_and_short_answers_are_as_they_are() -> None:
    async def scenario(page: Page) -> None:
        for path, kind in (("/api/v1/events", "text/event-stream"), ("/api/v1/nothing", "application/json")):
            answer = await head_of(page, path)
            assert answer.headers["content-type"].startswith(kind)
            assert "content-encoding" not in answer.headers

    play(scenario)
