"""`/screen`: for a projector: the state in huge words, turnout, results, QR codes."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages.qr import qr_code
from votenet.web.pages.results import counts
from votenet.web.snapshot import Snapshot
from votenet.web.templates import render
from votenet.web.words import Words


class Code(NamedTuple):
    """A QR code and what it says in letters."""

    svg: Markup
    text: Markup


async def screen(request: Request) -> Response:
    view = request.app.state.view
    snapshot = view.snapshot
    words = words_of(language_of(request), snapshot)
    base = request.app.state.settings.public_url or str(request.base_url).rstrip("/")
    certificate = view.log.newest
    return render(
        request,
        "screen.html",
        live=True,
        booth=booth_code(words, snapshot, f"{base}/vote"),
        checkpoint=checkpoint_code(words, certificate and certificate.note.text),
        **counts(words, snapshot),
    )


def booth_code(words: Words, snapshot: Snapshot, url: str) -> Code | None:
    """The way to the booth, while voting is open or has not begun."""
    if snapshot.state not in ("before", "open"):
        return None
    return Code(qr_code(url, words.t("screen.vote-code", url=url)), words.name(url.partition("://")[2]))


def checkpoint_code(words: Words, note: str | None) -> Code | None:
    """The size and the root of the log that named nodes have signed: two people can compare them later."""
    if not note:
        return None
    return Code(qr_code(note, words.t("screen.checkpoint")), Markup(""))
