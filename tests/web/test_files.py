"""Files that are served: once, with a tag, and with their hashes for those who compare."""

from __future__ import annotations

import hashlib

import pytest

from support.page import Page, play
from votenet.web.files import DOWNLOADS, hashes, static_files


def test_a_file_has_a_tag_by_which_it_is_not_sent_again() -> None:
    async def scenario(page: Page) -> None:
        first = await page.client.get("/static/style.css")
        assert first.headers["content-type"] == "text/css; charset=utf-8"
        tag = first.headers["etag"]
        again = await page.client.get("/static/style.css", headers={"if-none-match": f'"x", W/{tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert (await page.client.head("/static/style.css")).headers["etag"] == tag
        for name in ("nothing.js", "..%2fserver.py", "%2e%2e/server.py", ".hidden"):
            assert (await page.client.get(f"/static/{name}")).status_code in (400, 404)

    play(scenario)


def test_text_is_sent_small_to_those_that_take_gzip() -> None:
    async def scenario(page: Page) -> None:
        body = static_files()["booth.en.js"].body
        small = await page.client.get("/static/booth.en.js", headers={"accept-encoding": "br, gzip;q=0.5"})
        assert (small.headers["content-encoding"], small.content) == ("gzip", body)
        assert 3 * int(small.headers["content-length"]) < 2 * len(body)
        for refuses in ("identity", "gzip;q=0", "gzip;q=0.000", "br"):
            plain = await page.client.get("/static/booth.en.js", headers={"accept-encoding": refuses})
            assert "content-encoding" not in plain.headers
            assert (plain.content, plain.headers["vary"]) == (body, "Accept-Encoding")
            assert plain.headers["etag"] != small.headers["etag"]

    play(scenario)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_pages_for_a_disk_are_downloads_with_their_own_policy(name: str) -> None:
    async def scenario(page: Page) -> None:
        answer = await page.client.get(f"/{name}")
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.content == static_files()[name].body
        assert "script-src 'self'" not in answer.headers["content-security-policy"]

    play(scenario)


def test_the_hashes_are_of_all_that_is_served() -> None:
    found = dict(hashes())
    for name, file in static_files().items():
        assert found[f"static/{name}"] == hashlib.sha256(file.body).hexdigest()
    assert {"templates/error.html", "catalogue/en.json"} <= found.keys()
