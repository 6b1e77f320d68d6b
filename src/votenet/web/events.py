"""Server-sent events: each one is the whole small state, and a slow reader gets the newest only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from votenet.errors import Stopping, VotenetError
from votenet.network.beat import until_beat
from votenet.web.limits import MAX_STREAMS, Shares, asked_by
from votenet.web.live_view import LiveView
from votenet.web.open_stream import OpenStream
from votenet.web.refusals import refusal
from votenet.web.snapshot import Snapshot, small_state

PATH: Final = "/api/v1/events"
COMMENT_SECONDS: Final = 5.0
"""A comment after so long without an event: readers say that they are not live after ten seconds."""
RETRY_MILLISECONDS: Final = 3000
RETRY: Final = b"retry: %d\n\n" % RETRY_MILLISECONDS
COMMENT: Final = b": live\n\n"
AT_ONCE: Final = 50
"""Streams that are fed before the loop does something else."""
AGAIN_SECONDS: Final = 30
"""A reader without a stream is told to ask for one after so long, and for the state meanwhile."""


def routes() -> list[BaseRoute]:
    shares = Shares(MAX_STREAMS)

    async def events(request: Request) -> Response:
        who = asked_by(request, request.app.state.settings.trusted_proxies)
        if not shares.take(who):
            error = VotenetError(
                "too many streams are open, in all or at this address",
                code="too-many-streams",
                next_step="Ask for /api/v1/state every few seconds instead.",
            )
            return refusal(request, error, headers={"Retry-After": str(AGAIN_SECONDS)})
        return EventStream(request.app.state.feeder, lambda: shares.give_back(who))

    return [Route(PATH, events)]


def event_of(snapshot: Snapshot) -> bytes:
    """One event as it is sent."""
    data = msgspec.json.encode(small_state(snapshot))
    return b"event: state\nid: %s\ndata: %s\n\n" % (snapshot.event_id.encode(), data)


class Feeder:
    """Sends each new state to all open streams, and a comment where none came for a while.

    One task does it for all. A stream whose reader does not read is left out, and then gets the newest state:
    nothing is queued.
    """

    def __init__(self, view: LiveView) -> None:
        self._view = view
        self._streams: dict[OpenStream, int] = {}
        """The version of the state that each one was sent; 0 for none."""

    def add(self, stream: OpenStream) -> None:
        """Feed a stream until its connection ends: first what is known now."""
        latest = self._view.latest
        stream.when_ended(self._remove)
        stream.send(RETRY if latest is None else RETRY + event_of(latest))
        self._streams[stream] = 0 if latest is None else latest.version
        self._view.streams = len(self._streams)

    def _remove(self, stream: OpenStream) -> None:
        del self._streams[stream]
        self._view.streams = len(self._streams)

    async def run(self) -> None:
        """Feed all streams until the server stops."""
        shown: Snapshot | None = None
        while True:
            try:
                async with asyncio.timeout(until_beat(COMMENT_SECONDS)):
                    shown = await self._view.changed(shown)
            except TimeoutError:
                pass
            except Stopping:
                return
            await self._feed(shown)

    async def _feed(self, shown: Snapshot | None) -> None:
        event = COMMENT if shown is None else event_of(shown)
        for number, stream in enumerate(list(self._streams), start=1):
            if not number % AT_ONCE:
                await asyncio.sleep(0)
            if stream.is_full or stream not in self._streams:
                continue
            if shown is not None and self._streams[stream] < shown.version:
                self._streams[stream] = shown.version
                stream.send(event)
            else:
                stream.send(COMMENT)


class EventStream(Response):
    """The head of an answer whose connection the feeder gets. `ended` is called when it is gone."""

    media_type = "text/event-stream"

    def __init__(self, feeder: Feeder, ended: Callable[[], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feeder, self._ended = feeder, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            self._ended()
            await send({"type": "http.response.body", "body": b""})
            return
        stream: OpenStream | None = scope["state"]["stream"]()
        if stream is None:
            self._ended()
            return
        stream.when_ended(lambda _: self._ended())
        self._feeder.add(stream)
