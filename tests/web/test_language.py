"""The language that a reader gets, and catalogues that say the same in each."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from votenet.web.language import LANGUAGES, accepted, catalogue, language_of
from votenet.web.live_view import LiveView


def request(query: str = "", **headers: str) -> Request:
    app = Starlette()
    app.state.view = LiveView()
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {
            "type": "http",
            "app": app,
            "method": "GET",
            "path": "/",
            "query_string": query.encode(),
            "headers": raw,
        }
    )


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        ("lang=id", "lang=en", "en", "id"),
        ("lang=xx", "lang=id", "en", "id"),
        ("", "lang=id", "en", "id"),
        ("", "lang=xx", "id-ID,en;q=0.5", "id"),
        ("", "", "en;q=0.3,id;q=0.9", "id"),
        ("", "", "id;q=0, en", "en"),
        ("", "", "fr, de", "en"),
        ("", "", "\x00;;;q=,,", "en"),
    ],
)
def test_the_query_then_the_cookie_then_the_browser(
    query: str, cookie: str, accept: str, language: str
) -> None:
    assert language_of(request(query, cookie=cookie, accept_language=accept)) == language


def test_the_header_of_a_browser() -> None:
    assert accepted("id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7") == ["id-ID", "id", "en-US", "en"]
    assert accepted("en;q=0.1, *;q=0.2") == ["*", "en"]


def test_the_catalogues_have_the_same_keys_and_placeholders() -> None:
    english = catalogue("en")
    assert english
    for language in LANGUAGES:
        other = catalogue(language)
        assert other.keys() == english.keys()
        for key, sentence in english.items():
            assert set(re.findall(r"{(\w+)}", sentence)) == set(re.findall(r"{(\w+)}", other[key])), key
