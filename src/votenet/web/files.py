"""The files that the page brings along: scripts, styles, verify.html and trustee.html."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from votenet.errors import VotenetError

DOWNLOADS: Final = ("verify.html", "trustee.html")
"""Each is one file that works without a network; it brings its own Content-Security-Policy."""
TEXT: Final = (".js", ".css", ".html", ".txt", ".svg", ".json")
"""Endings of files that gzip makes smaller."""
FOLDERS: Final = ("static", "templates", "catalogue")
"""Of the package: all that the answers to browsers are made of, beside the program."""


class StaticFile(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def routes() -> list[BaseRoute]:
    return [Route("/static/{name}", static), *(Route(f"/{name}", download) for name in DOWNLOADS)]


async def static(request: Request) -> Response:
    return _answer(request, request.path_params["name"])


async def download(request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    response = _answer(request, name)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _answer(request: Request, name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise VotenetError("there is no such file", code="not-found", next_step="Start at the first page: /")
    packed = takes_gzip(request.headers.get("accept-encoding", "")) and name.endswith(TEXT)
    etag = f'"{found.etag[1:-1]}-gzip"' if packed else found.etag
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if name in DOWNLOADS:
        headers["Content-Security-Policy"] = DOWNLOAD_POLICY
    asked = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in asked:
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(_packed(name) if packed else found.body, headers=headers, media_type=found.media_type)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for word in accepted.lower().replace(" ", "").split(","):
        coding, _, weight = word.partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or weight == ""
    return False


@functools.cache
def _packed(name: str) -> bytes:
    return gzip.compress(static_files()[name].body, mtime=0)


DOWNLOAD_POLICY: Final = "frame-ancestors 'none'"
"""Its own, in the file, allows its inline script by its hash and nothing else: it cannot send anything."""


@functools.cache
def static_files() -> dict[str, StaticFile]:
    """What is served below /static/, by name. Read once: a page and its script stay of one version."""
    found = {}
    for path in sorted(_folder("static").iterdir()):
        if path.is_file() and not path.name.startswith("."):
            body = path.read_bytes()
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            kind = "text/javascript" if path.suffix == ".js" else kind
            found[path.name] = StaticFile(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def hashes() -> Iterator[tuple[str, str]]:
    """Name and SHA-256 (hexadecimal) of every file that is served, or that pages are made of."""
    for folder in FOLDERS:
        for path in sorted(_folder(folder).iterdir()):
            if path.is_file() and not path.name.startswith("."):
                yield f"{folder}/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest()


def _folder(name: str) -> Path:
    return Path(str(files("votenet.web"))) / name
