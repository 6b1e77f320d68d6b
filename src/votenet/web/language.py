"""The page's two languages: which one a reader gets, and the sentences of the catalogues."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

import msgspec
from starlette.requests import Request

LANGUAGES: Final = ("en", "id")
COOKIE: Final = "lang"


def language_of(request: Request) -> str:
    """The language of a reader: of `?lang=`, the cookie, the browser or the election; else English."""
    view = request.app.state.view
    election = view.latest.election.definition.language if view is not None and view.latest else ""
    asked = [request.query_params.get(COOKIE, ""), request.cookies.get(COOKIE, "")]
    wanted = [*asked, *accepted(request.headers.get("accept-language", "")), election]
    return next((tag for text in wanted if (tag := _primary(text)) in LANGUAGES), LANGUAGES[0])


def accepted(header: str) -> list[str]:
    """The tags of an Accept-Language header, the most wanted first. Tags with q=0 are left out."""
    found: list[tuple[float, str]] = []
    for part in header[:1000].split(","):
        tag, _, rest = part.partition(";")
        weight = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest) if rest else None
        found.append((float(weight[1]) if weight else 1.0, tag.strip()))
    return [tag for weight, tag in sorted(found, key=lambda pair: -pair[0]) if weight > 0]


def _primary(tag: str) -> str:
    return tag.partition("-")[0].strip().lower()


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """The sentences of a language by their dotted keys."""
    path = files("votenet.web") / "catalogue" / f"{language}.json"
    return dict(_flat("", msgspec.json.decode(path.read_bytes())))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _flat(f"{prefix}.{key}" if prefix else key, inner)
