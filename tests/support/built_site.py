"""Every page of the built documentation site, opened in a real browser as a phone and as a desktop shows it.

python -m support.built_site FOLDER     (make docs)

A page fails that asks another machine for anything, writes an error on the console, lacks a picture, or is
wider than the screen. Its search must find a word.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, Request, ViewportSize, sync_playwright

from web.browser import FLAGS, PATIENCE_MS, PHONE

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 900}
LOST_PICTURES: Final = """() => [...document.images]
    .filter(image => image.loading !== "lazy" && !(image.complete && image.naturalWidth > 0))
    .map(image => image.src)"""
TOO_WIDE: Final = "() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
SEARCHED: Final = "cosignature"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of each request."""


class Reader:
    """A reader of the site: opens its pages and remembers what was wrong."""

    def __init__(self, page: Page, url: str) -> None:
        self._page, self._url, self._at = page, url, ""
        self.troubles: list[str] = []
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self._say(str(error)))
        page.on("console", lambda said: self._say(said.text) if said.type == "error" else None)

    def open(self, name: str) -> None:
        self._at = name
        self._page.goto(f"{self._url}/{name}", wait_until="load")
        for picture in self._page.evaluate(LOST_PICTURES):
            self._say(f"no picture {picture}")
        if (pixels := self._page.evaluate(TOO_WIDE)) > 0:
            self._say(f"{pixels} pixels wider than the screen")

    def search(self, word: str) -> None:
        """Waits until the search of the page that is open finds a word."""
        self._page.get_by_placeholder("Search").fill(word)
        self._page.locator(".md-search-result__item").first.wait_for()

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._url}/", "data:", "blob:")):
            self._say(f"asks {request.url}")

    def _say(self, what: str) -> None:
        self.troubles.append(f"{self._at}: {what}")


def read(folder: Path, url: str) -> list[str]:
    """What is wrong with the pages in a folder that is served there."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    assert len(names) > 30, f"few pages: {names}"
    troubles: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(FLAGS), timeout=PATIENCE_MS
        )
        for size in (PHONE, DESKTOP):
            page = browser.new_page(viewport=size)
            page.set_default_timeout(PATIENCE_MS)
            reader = Reader(page, url)
            for name in names:
                reader.open(name)
            if size is DESKTOP:
                reader.open("index.html")
                reader.search(SEARCHED)
            troubles += [f"{size['width']} pixels: {one}" for one in reader.troubles]
        browser.close()
    print(f"{len(names)} pages opened, on {PHONE['width']} and {DESKTOP['width']} pixels")
    return troubles


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        troubles = read(folder, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
    for one in troubles:
        print(one, file=sys.stderr)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
