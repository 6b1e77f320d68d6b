"""Texts are sent compressed to clients that take gzip."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from votenet.web.files import takes_gzip

LEAST_BYTES: Final = 1024
"""Smaller answers, as the small state, are sent as they are."""
LEVEL: Final = 5
"""A page at the best level, 9, takes twice the time and is hardly smaller."""
AS_THEY_ARE: Final = ("text/event-stream", "application/jsonl", "application/octet-stream")
"""An archive is mostly signatures and as long as it likes; tiles are hashes."""


class Compressed:
    """Around the application. No page holds a secret beside text of its reader: lengths tell nothing.

    Args:
        streams: paths of streams: they cost nothing here.
    """

    def __init__(self, app: ASGIApp, streams: Collection[str]) -> None:
        self._app, self._streams = app, streams
        self._packing = GZipMiddleware(app, LEAST_BYTES, LEVEL, exclude_content_types=AS_THEY_ARE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["path"] not in self._streams
        packs = wanted and takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
        await (self._packing if packs else self._app)(scope, receive, send)
