"""A real browser for tests: Debian's Chromium, driven by Playwright.

A page of the fixture `visit` (or `page`) fails its test on any error on the console, uncaught exception,
broken content policy, or request to another origin. A test that provokes such an error allows it:
`watch.allow(...)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, ViewportSize

PATIENCE_MS: Final = 60_000
"""Of every wait: a test waits for text, roles and attributes, never for time."""

FLAGS: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",
)
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}
SMALL_PHONE: Final[ViewportSize] = {"width": 320, "height": 568}
ZOOMED: Final[dict[str, Any]] = {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4}
"""A window of 1280 x 1024 pixels at 400 %."""

AXE_TAGS: Final = (
    *("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"),
    "best-practice",
)
GOLDEN: Final = Path(__file__).parent / "golden"


class Watch:
    """What goes wrong in the pages of a test."""

    def __init__(self) -> None:
        self.troubles: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """No trouble where this regular expression is found: the test provokes it."""
        self._allowed.append(re.compile(pattern))

    def follow(self, page: Page) -> None:
        """Watches a page, and what it opens."""
        home: list[str] = []

        def requested(request: Request) -> None:
            if request.url.startswith(("data:", "blob:", "about:")):
                return
            home[:] = home or [_origin(request.url)]
            if _origin(request.url) != home[0]:
                self.troubles.append(f"a request to another origin: {request.url}")

        def failed(error: Error) -> None:
            self.troubles.append(f"an uncaught error: {error}")

        page.on("request", requested)
        page.on("pageerror", failed)
        page.on("console", self._said)
        page.on("popup", self.follow)

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            where = said.location.get("url", "")
            self.troubles.append(f"an error on the console: {said.text} ({where})")

    def untold(self) -> list[str]:
        """The troubles that the test did not allow."""
        return [one for one in self.troubles if not any(allowed.search(one) for allowed in self._allowed)]


def _origin(url: str) -> str:
    """Of a file: the file itself, which may load no other."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "file" else f"{parts.scheme}://{parts.netloc}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for each process of tests. Skips where it, or what drives it, is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on this machine: install the Debian package chromium")
    try:
        api = importlib.import_module("playwright.sync_api")
    except ImportError:
        pytest.skip("no playwright: pip install 'votenet[dev]'")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=list(FLAGS),
            timeout=PATIENCE_MS,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        with _other_loops():
            yield browser
        browser.close()


@contextlib.contextmanager
def _other_loops() -> Iterator[None]:
    """Lets tests run event loops meanwhile: Playwright marks its own as running, between its calls too."""
    own = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(own)


@contextlib.contextmanager
def _loop_of(browser: Browser) -> Iterator[None]:
    """Marks Playwright's event loop as running: its calls need that."""
    asyncio._set_running_loop(browser._loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for what went wrong in its pages."""
    made = Watch()
    yield made
    assert not made.untold(), "\n".join(made.untold())


@pytest.fixture
def visit(chromium: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Makes pages, each of a reader of its own (no cookies, nothing stored).

    Its options are those of `Browser.new_context`, such as `viewport=PHONE`, `locale="id-ID"`,
    `java_script_enabled=False`.
    """
    contexts = []

    def visitor(**options: Any) -> Page:
        wanted: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"} | options
        context = chromium.new_context(**wanted)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.set_default_navigation_timeout(PATIENCE_MS)
        page = context.new_page()
        watch.follow(page)
        return page

    with _loop_of(chromium):
        yield visitor
        for context in contexts:
            context.close()


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    """A page of a reader who is new here."""
    return visit()


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Lets a page go on until something holds in this process, such as what `Watch` has seen of it."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def axe(page: Page, *, off: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and its best practices; `off`: rules that are not asked."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(importlib.import_module("axe_playwright_python.base").AXE_SCRIPT)
    options = {
        "resultTypes": ["violations"],
        "runOnly": {"type": "tag", "values": list(AXE_TAGS)},
        "rules": {"target-size": {"enabled": True}} | {rule: {"enabled": False} for rule in off},
    }
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


TOO_WIDE: Final = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll("body *")]
        .filter((each) => each.getBoundingClientRect().right > width + 1)
        .map((each) => each.outerHTML.slice(0, 120));
}"""

SMALL_TARGETS: Final = """(least) => {
    const labelled = (each) => /^(radio|checkbox|file)$/.test(each.type) && each.labels?.length > 0;
    const controls = "button, select, summary, input:not([type=hidden]), [role=button], a.button";
    return [...document.querySelectorAll(controls)]
        .map((each) => (labelled(each) ? each.labels[0] : each))
        .filter((each) => each.checkVisibility({ visibilityProperty: true }))
        .map((each) => [each.getBoundingClientRect(), each.outerHTML.slice(0, 120)])
        .filter(([box]) => box.width < least || box.height < least)
        .map(([box, html]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${html}`);
}"""


def too_wide(page: Page) -> list[str]:
    """What is wider than the window, where the page has to be scrolled sideways."""
    found: list[str] = page.evaluate(TOO_WIDE)
    return found


def small_targets(page: Page, least: int = 44) -> list[str]:
    """The controls that are lower or narrower than so many CSS pixels."""
    found: list[str] = page.evaluate(SMALL_TARGETS, least)
    return found


def reading_order(page: Page) -> str:
    """The roles and accessible names of a page, in the order in which they are read."""
    return str(page.locator("body").aria_snapshot())


def is_golden(name: str, text: str) -> bool:
    """Whether a text is that of `golden/NAME`; VOTENET_REWRITE=1 writes it instead."""
    path = GOLDEN / name
    if os.environ.get("VOTENET_REWRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return path.is_file() and path.read_text(encoding="utf-8") == text + "\n"
