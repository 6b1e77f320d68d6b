"""The page in the demonstration: what it shows; a vote cast on it in a real browser, where there is one."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import shutil
import urllib.error
import urllib.request
from typing import Any, Final

from votenet.errors import VotenetError

BROWSING_SECONDS: Final = 60.0
"""For an answer of the page, and for each step in the browser."""
CHROMIUM_FLAGS: Final = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic", "--disable-dev-shm-usage",
)  # fmt: skip


def fetch(url: str) -> str:
    """What the page answers. Raises VotenetError."""
    try:
        with urllib.request.urlopen(url, timeout=BROWSING_SECONDS) as answer:
            return str(answer.read().decode())
    except (OSError, ValueError) as error:  # HTTPError is an OSError
        raise VotenetError(f"{url}: {error}", code="command-failed") from error


def fetch_json(url: str) -> Any:
    return json.loads(fetch(url))


def browser() -> tuple[Any, str] | None:
    """What drives a browser (Playwright's API) and the program; None where one of them is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None or importlib.util.find_spec("playwright") is None:
        return None
    return importlib.import_module("playwright.sync_api"), program


def vote_in_browser(found: tuple[Any, str], url: str, voter: str, answer: str) -> str:
    """Cast a vote on the page as a person does: blank in the first contest, `answer` in the second.

    Returns:
        the words under which the page says that it is final.

    Raises:
        VotenetError: a step could not be taken.
    """
    api, program = found
    try:
        with api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
            with contextlib.closing(chromium):
                page = chromium.new_page(locale="en-GB")
                page.set_default_timeout(1000 * BROWSING_SECONDS)
                return _vote(page, url, voter, answer)
    except api.Error as error:
        raise VotenetError(f"the booth: {str(error)[:400]}", code="command-failed") from error


def _vote(page: Any, url: str, voter: str, answer: str) -> str:
    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click()

    # 1. Who votes.
    page.goto(f"{url}/vote")
    page.get_by_label("Voter id").fill(voter)
    press("Continue")
    # 2. One contest after the other.
    page.get_by_label("I choose none of these (blank vote)").check()
    press("Next")
    page.get_by_label(answer, exact=True).check()
    press("Check my vote")
    # 3. One button; then it is received, and final.
    press("Cast my vote")
    page.locator("[data-step=final]").wait_for()
    return " ".join(str(page.locator("[data-step=final] h1").inner_text()).split())
