"""What every request passes: buckets, the rules for what is sent, headers, and an answer after a defect."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import time
from collections import Counter
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from votenet.errors import VotenetError
from votenet.network.metrics import Metrics
from votenet.web.headers import is_cross_site, security_headers
from votenet.web.limits import (
    BODY_SECONDS,
    MAX_BODY_BYTES,
    MAX_PATH,
    NO_PATH,
    POSTS_AT_ONCE,
    POSTS_PER_SECOND,
    REQUESTS_AT_ONCE,
    REQUESTS_PER_SECOND,
    TokenBuckets,
    asked_by,
)
from votenet.web.live_view import LiveView
from votenet.web.refusals import as_json, defect, short_refusal, status_of
from votenet.web.settings import WebSettings

SENDS: Final = frozenset({"POST"})
REFUSED_BODY_SECONDS: Final = 2.0
"""What still comes of a refused request is read for so long at most, up to REFUSED_BODY_BYTES."""
REFUSED_BODY_BYTES: Final = 1024 * 1024
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

log = logging.getLogger("votenet.web")


class Gate:
    """The outermost ASGI application, around the one with the routes."""

    def __init__(self, app: ASGIApp, view: LiveView, settings: WebSettings, metrics: Metrics) -> None:
        self._app, self._view, self._settings = app, view, settings
        self._answers = metrics.counter("answers_total", "Answers by their HTTP status.", "status")
        self._refused = metrics.counter("refused_total", "Requests that no page has seen.", "code")
        self._headers = security_headers(https=settings.https)
        # Three allowances: phones that load pages again and again keep no voter of their hall from voting.
        self._pages = TokenBuckets(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND)
        self._questions = TokenBuckets(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND)
        self._posts = TokenBuckets(POSTS_AT_ONCE, POSTS_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = _Answer(send, self._headers, self._answers)
        try:
            try:
                receive = await self._admit(scope, receive)
            except VotenetError as error:
                self._refused[error.code] += 1
                refused = short_refusal(Request({**scope, "app": self._app}), error)
                if isinstance(error, TooMany):
                    refused.headers["Retry-After"] = str(error.seconds)
                if scope["method"] in SENDS:  # the rest of the request may be under way
                    refused.headers["Connection"] = "close"
                await refused(scope, receive, answer.send)
                return
            self._view.asked()
            await self._app(scope, receive, answer.send)
        except Exception:
            log.exception("event=defect method=%s path=%r", scope["method"], scope["path"][:200])
            if not answer.started:
                broken = as_json(defect(), status_of(defect()))
                broken.headers["Connection"] = "close"
                await broken(scope, receive, answer.send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` for the application. Raises VotenetError for a request that it does not get."""
        headers, sends = Headers(scope=scope), scope["method"] in SENDS
        try:
            self._take_token(scope, sends=sends)
            check_address(scope["path"], scope["raw_path"], scope["query_string"], headers.get("host", ""))
            if sends:
                check_sent(headers, self._settings.public_url)
        except VotenetError:
            if sends:
                await _drain(receive)
            raise
        return _replay(await whole_body(receive)) if sends else receive

    def _take_token(self, scope: Scope, *, sends: bool) -> None:
        who = asked_by(Request(scope), self._settings.trusted_proxies)
        api = scope["path"].startswith(("/api/", "/log/"))
        bucket = self._posts if sends else self._questions if api else self._pages
        if wait := bucket.wait(who, time.monotonic()):
            raise TooMany(math.ceil(wait))


class TooMany(VotenetError):
    """A client has used up its share."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "too many requests came from this address", code="too-many", next_step=f"Wait {seconds} s."
        )
        self.seconds = seconds


def check_address(path: str, raw: bytes, query: bytes, host: str) -> None:
    """Raises VotenetError for an address that no page of ours has: nothing behind this has to expect one."""
    if len(raw) + len(query) > MAX_PATH:
        raise VotenetError("the address is too long", code="too-long", next_step="Start at the first page: /")
    if host and not _HOST.fullmatch(host):
        raise VotenetError(
            "the Host header is not the name of a machine",
            code="bad-host",
            next_step="Open the page by its address.",
        )
    if NO_PATH.search(path):
        raise VotenetError(
            "there can be no page at such an address", code="bad-path", next_step="Start at the first page: /"
        )


def check_sent(headers: Headers, public_url: str) -> None:
    """Raises VotenetError for a request that a page of others sends, or that is not JSON, or too large."""
    if is_cross_site(headers, public_url):
        raise VotenetError(
            "a page of another site has sent this",
            code="cross-site",
            next_step="Open the page of the election itself, and do it there.",
        )
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise VotenetError(
            "the request is not JSON",
            code="bad-content-type",
            next_step="Send it with Content-Type: application/json",
        )
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise _too_large()


async def whole_body(receive: Receive) -> bytes:
    """The body of a request. Raises VotenetError: too-large, too-slow, gone."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise VotenetError("the sender is gone", code="gone")
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    if message.get("more_body", False):
                        await _drain(receive)
                    raise _too_large()
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise VotenetError(
            f"the request was not complete within {BODY_SECONDS:g} s",
            code="too-slow",
            next_step="Try again where the connection is better.",
        ) from None


async def _drain(receive: Receive) -> None:
    """Read what still comes of a refused request, for a while: the system resets a connection that is closed
    with unread bytes, and the client never sees the answer."""
    read = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REFUSED_BODY_SECONDS):
            while read < REFUSED_BODY_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large() -> VotenetError:
    return VotenetError(
        f"a request may have {MAX_BODY_BYTES // 1024} KiB", code="too-large", next_step="Send less."
    )


def _replay(body: bytes) -> Receive:
    """`receive` of a request whose body is here already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


class _Answer:
    """The way of an answer to the client: it gets the headers that every answer has."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]], counts: Counter[str]) -> None:
        self._send, self._headers, self._counts = send, headers, counts
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._counts[str(message["status"])] += 1
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            given += [pair for pair in self._headers if pair[0] not in names]
            message = {**message, "headers": given}
        await self._send(message)
