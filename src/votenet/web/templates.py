"""Templates with automatic escaping, and what each of them finds."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from votenet.text import spoken, visible
from votenet.web.frame import frame, words_about
from votenet.web.language import COOKIE, LANGUAGES, language_of


@functools.cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(str(files("votenet.web") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["visible"] = visible
    made.filters["spoken"] = spoken
    return made


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """A page from a template.

    Beside `values` it finds `url`, `lang`, `path`, `settings`, what `frame` gives, `snapshot`, which is None
    while no node has answered yet, `election`, which is None while it is not known, and `secret_ballots`.
    """
    language = language_of(request)
    view = request.app.state.view
    snapshot = None if view is None else view.latest
    election = None if view is None else view.known_election
    found = {
        **frame(request, words_about(language, election)),
        "url": url,
        "lang": language,
        "path": request.url.path,
        "settings": request.app.state.settings,
        "snapshot": snapshot,
        "election": election,
        "secret_ballots": election is not None and election.secret is not None,
        **values,
    }
    text = environment().get_template(name).render(found)
    headers = {"Content-Language": language, "Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}
    response = HTMLResponse(text, status_code, headers)
    if request.query_params.get(COOKIE) in LANGUAGES:
        response.set_cookie(
            COOKIE, language, max_age=31536000, samesite="lax", secure=request.app.state.settings.https
        )
    return response


def url(path: str, **query: object) -> str:
    """A path of this page with a query."""
    return f"{path}?{urlencode(query)}" if query else path
