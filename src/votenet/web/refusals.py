"""Errors as answers: JSON for the API, a page for people."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from votenet.errors import (
    ConfigError,
    Kind,
    NotProven,
    NotRunning,
    Rejected,
    StorageError,
    Unreachable,
    VotenetError,
)
from votenet.web.language import language_of
from votenet.web.live_view import WAITING
from votenet.web.settings import WebSettings
from votenet.web.templates import environment, render
from votenet.web.words import Words

STATUS: Final[dict[str, int]] = {
    "cross-site": 403,
    "too-slow": 408,
    "too-large": 413,
    "too-long": 414,
    "bad-content-type": 415,
    "too-many": 429,
    "too-many-streams": 503,
    "not-found": 404,
    "no-enrolment": 404,
    "bad-invitation": 403,
    "bad-path": 400,
    "bad-host": 400,
    "not-final": 409,
    "closed": 403,
    "not-open": 403,
    "not-on-roll": 403,
    "wrong-key": 403,
    "vote-from-future": 400,
    "cancelled": 403,
    "network-mismatch": 503,
    "waiting-for-nodes": 503,
    "defect": 500,
}
"""HTTP status of a code; others have that of their class."""
_OF_HTTP: Final = {404: "not-found", 405: "bad-method"}


def status_of(error: VotenetError) -> int:
    """The HTTP status for an error."""
    if (found := STATUS.get(error.code)) is not None:
        return found
    if isinstance(error, Rejected):
        return {Kind.TEMPORARY: 503, Kind.DUPLICATE: 409, Kind.PERMANENT: 400}[error.kind]
    if isinstance(error, Unreachable | NotRunning | StorageError | ConfigError):
        return 503
    return 502 if isinstance(error, NotProven) else 400


def refusal(
    request: Request,
    error: VotenetError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that says what happened, what to do, and a short code."""
    status = status_of(error) if status is None else status
    if _is_for_programs(request):
        response = as_json(error, status)
    else:
        response = render(
            request,
            "waiting.html" if error.code == WAITING else "error.html",
            status_code=status,
            code=error.code,
            message=error.message,
            next=str(error.next_step),
        )
    if status == 503:
        response.headers["Retry-After"] = "1"
    response.headers.update(headers or {})
    return response


def short_refusal(request: Request, error: VotenetError) -> Response:
    """The answer to a request that comes no further than the gate: many of them cost little.

    A small page in the reader's language, where a browser asks for one; else JSON.
    """
    status = status_of(error)
    if _is_for_programs(request) or "text/html" not in request.headers.get("accept", ""):
        return as_json(error, status)
    language = language_of(request)
    headers = {
        "Content-Language": language,
        "Cache-Control": "no-store",
        "Vary": "Accept, Accept-Language, Cookie",
    }
    return HTMLResponse(
        _small_page(request.app.state.settings, language, error.code, error.message, str(error.next_step)),
        status,
        headers,
    )


@functools.lru_cache(maxsize=256)
def _small_page(settings: WebSettings, language: str, code: str, message: str, next_step: str) -> str:
    words = Words(language)
    found = {"settings": settings, "lang": language, "words": words, "t": words.t}
    template = environment().get_template("refused.html")
    return template.render(found, code=code, message=message, next=next_step)


def as_json(error: VotenetError, status: int) -> Response:
    """An error as programs read it."""
    said: dict[str, object] = {"code": error.code, "message": error.message, "next": str(error.next_step)}
    if isinstance(error, Rejected) and error.details:
        said["details"] = error.details
    return JSONResponse({"error": said}, status, {"Cache-Control": "no-store"})


def _is_for_programs(request: Request) -> bool:
    path: str = request.scope["path"]
    return path.startswith(("/api/", "/log/"))


async def on_votenet_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, VotenetError)
    return refusal(request, error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """An answer for what Starlette refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = _OF_HTTP.get(error.status_code, "bad-request")
    message = {
        "not-found": "there is nothing at this address",
        "bad-method": "this address does not take such a request",
    }.get(code, str(error.detail))
    said = VotenetError(message, code=code, next_step="Start at the first page: /")
    return refusal(request, said, status=error.status_code, headers=error.headers)


async def on_defect(request: Request, error: Exception) -> Response:
    """The answer after an error that is not ours; the gate writes its trace into the log."""
    return refusal(request, defect())


def defect() -> VotenetError:
    return VotenetError(
        "the page's server has a defect",
        code="defect",
        next_step="Try again. If it stays so, tell the organisers.",
    )
