"""What every page has around its content: navigation, languages, whether the way is encrypted."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request

from votenet.core.election.definition import Election
from votenet.web.language import COOKIE
from votenet.web.snapshot import Snapshot
from votenet.web.words import Words

NAVIGATION: Final = (
    ("/", "nav.home"),
    ("/vote", "nav.vote"),
    ("/results", "nav.results"),
    ("/check", "nav.check"),
    ("/help", "nav.help"),
)
FOOTER: Final = (("/chain", "nav.chain"), ("/nodes", "nav.nodes"), ("/screen", "nav.screen"))
"""Pages for those who want to look closer."""
LANGUAGE_NAMES: Final = {"en": "English", "id": "Bahasa Indonesia"}
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class LanguageLink(NamedTuple):
    """A link to the same page in a language."""

    href: str
    text: str


def words_of(language: str, snapshot: Snapshot | None) -> Words:
    """The words of a page about this election; dates are in its time zone."""
    return words_about(language, None if snapshot is None else snapshot.election)


def words_about(language: str, election: Election | None) -> Words:
    """The same for an election that no node may have shown yet."""
    if election is None:
        return Words(language)
    definition = election.definition
    return Words(language, definition.time_zone, definition.language)


def frame(request: Request, words: Words) -> dict[str, Any]:
    """What `base.html` needs beside the content of a page."""
    path = request.url.path
    return {
        "words": words,
        "t": words.t,
        "number": words.number,
        "date": words.date,
        "name": words.name,
        "here": path,
        "section": section_of(path),
        "navigation": NAVIGATION,
        "footer_links": FOOTER,
        "language_links": [
            (code, LanguageLink(_in_language(request, code), text)) for code, text in LANGUAGE_NAMES.items()
        ],
        "encrypted": request.app.state.settings.https or request.url.hostname in LOOPBACK,
        "live": False,
    }


def section_of(path: str) -> str:
    """The entry of the navigation under which a page stands; empty for none."""
    found = [
        href
        for href, _ in (*NAVIGATION, *FOOTER)
        if path == href or (href != "/" and path.startswith(f"{href}/"))
    ]
    return found[0] if found else ""


def _in_language(request: Request, code: str) -> str:
    query = [(key, value) for key, value in request.query_params.multi_items() if key != COOKIE]
    return f"?{urlencode([*query, (COOKIE, code)])}"
