"""live.js in a real browser: a page keeps up with its server, and says when it does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import votenet
from web.browser import PATIENCE_MS, Watch

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = Path(votenet.__file__).parent / "web/static/live.js"
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; "
    "require-trusted-types-for 'script'; trusted-types votenet"
)


class Election:
    """A server with one page and a stream of states."""

    def __init__(self) -> None:
        self.votes = 0
        self.streams_are_refused = self.is_away = False
        self.renders = self.polls = 0
        self._changed = threading.Condition()
        self._ended = False
        election = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                election.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def vote(self) -> None:
        with self._changed:
            self.votes += 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def state(self) -> bytes:
        return json.dumps(
            {"height": self.votes, "tip": "ab", "votes": self.votes, "at": 1, "stale": 0}
        ).encode()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.is_away:
            request.close_connection = True
        elif request.path == "/api/v1/events":
            self._stream(request)
        elif request.path == "/api/v1/state":
            self.polls += 1
            self._send(request, 200, "application/json", self.state())
        elif request.path == "/live.js":
            self._send(request, 200, "text/javascript", SCRIPT.read_bytes())
        elif request.path == "/":
            self.renders += 1
            self._send(request, 200, "text/html; charset=utf-8", self._page().encode())
        else:
            self._send(request, 404, "text/plain", b"")

    def _page(self) -> str:
        extra = "<p id='won'>Alice has won</p>" if self.votes > 2 else ""
        return f"""<!doctype html><html lang="en" data-local-time="= {{time}}, {{zone}}"><head>
            <title>{self.votes} votes</title>
            <link rel="icon" href="data:,"><script src="/live.js" defer></script></head><body>
            <p id="live-note" role="status" data-silent="Not live since {{time}}."></p>
            <main data-live="{self.votes}.ab" tabindex="-1">{extra}<h1>Votes: {self.votes}</h1>
            <time datetime="2027-05-31T12:00:00+02:00">12:00</time>
            <details><summary>More</summary><p>Of {self.votes}</p></details>
            <button id="b">Press</button></main></body></html>"""

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Content-Security-Policy", POLICY)
        request.end_headers()
        request.wfile.write(body)

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        if self.streams_are_refused:
            self._send(request, 503, "application/json", b"{}")
            return
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        shown = -1
        while True:
            with self._changed:
                news = self._changed.wait_for(lambda before=shown: self.votes != before or self._ended, 1)
                if self._ended:
                    return
                if news:
                    shown, text = self.votes, b"event: state\ndata: %s\n\n" % self.state()
                elif self.is_away:
                    continue
                else:
                    text = b": live\n\n"  # a page is told within ten seconds that all is well
            try:
                request.wfile.write(text)
                request.wfile.flush()
            except OSError:
                return


@pytest.fixture
def election() -> Iterator[Election]:
    made = Election()
    yield made
    made.end()


def test_a_page_keeps_up_and_leaves_the_reader_where_she_is(election: Election, page: Page) -> None:
    page.goto(election.url)
    page.get_by_text("More").click()
    page.locator("#b").focus()
    for votes in (1, 2, 3):
        election.vote()
        page.get_by_role("heading", name=f"Votes: {votes}").wait_for()
    page.get_by_text("Alice has won").wait_for()
    page.get_by_text("Of 3").wait_for()
    assert page.title() == "3 votes"
    assert page.locator("time").inner_text() == "12:00 = 10:00, UTC+00:00"
    assert page.evaluate("document.activeElement.id") == "b"
    assert page.locator("details").get_attribute("open") is not None
    assert page.locator("#live-note").inner_text() == ""


def test_refused_streams_are_replaced_by_questions(election: Election, page: Page, watch: Watch) -> None:
    watch.allow("503")
    election.streams_are_refused = True
    page.clock.install()
    page.goto(election.url)
    election.vote()
    run_until(page, lambda: page.get_by_role("heading").inner_text() == "Votes: 1")
    assert election.polls > 0


def test_silence_is_told_until_there_are_news_again(election: Election, page: Page, watch: Watch) -> None:
    watch.allow("ERR_EMPTY_RESPONSE")
    page.clock.install()
    page.goto(election.url)
    election.vote()
    page.get_by_role("heading", name="Votes: 1").wait_for()
    note = page.get_by_role("status")
    assert note.inner_text() == ""
    election.is_away = True
    run_until(page, lambda: note.inner_text().startswith("Not live since "))
    election.is_away = False
    run_until(page, lambda: note.inner_text() == "")
    election.vote()
    run_until(page, lambda: page.get_by_role("heading").inner_text() == "Votes: 2")


def run_until(page: Page, holds: Callable[[], bool]) -> None:
    """Lets the page's clock run until a condition holds."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        page.clock.run_for(1_000)
