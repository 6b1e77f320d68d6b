"""A voter in the booth, in a real browser: presses what a reader is told to press."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CATALOGUES: Final = Path(__file__).parents[2] / "frontend/src/catalogue"


class BoothVoter:
    """The voter of one page. `language`: of the buttons that are looked for."""

    def __init__(self, page: Page, url: str, language: str = "en") -> None:
        self.page, self.url = page, url
        self._words = json.loads((CATALOGUES / f"booth.{language}.json").read_text(encoding="utf-8"))

    def word(self, name: str) -> str:
        """The sentence with this name, such as `review.cast`."""
        found: Any = self._words
        for part in name.split("."):
            found = found[part]
        return str(found)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=self.word(name), exact=True)

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", level=1).filter(has_text=text)

    def scan(self, code: str) -> None:
        """Opens the link of a card."""
        self.page.goto(f"{self.url}/vote#{code}")
        self.button("identity.start").wait_for()

    def type_code(self, code: str) -> None:
        self.page.goto(f"{self.url}/vote")
        self.page.get_by_label(self.word("identity.codeLabel"), exact=True).fill(code)
        self.button("identity.continue").click()
        self.button("identity.start").wait_for()

    def choose(self, ballot: Mapping[str, Sequence[str]]) -> None:
        """From the first screen to the review. `ballot`: the choices of each contest, by its title."""
        self.button("identity.start").click()
        for number, (title, choices) in enumerate(ballot.items(), start=1):
            self.heading(title).wait_for()
            if not choices:
                self.page.get_by_label(self.word("contest.blank")).check()
            for name in choices:
                self._pick(name)
            self.button("contest.toReview" if number == len(ballot) else "next").click()
        self.heading(self.word("review.title")).wait_for()

    def _pick(self, name: str) -> None:
        """A name of a list, or the next name of an order."""
        radio = self.page.get_by_label(name, exact=True)
        ranked = self.page.get_by_role("button", name=self.word("contest.unplaced").replace("{name}", name))
        (radio.or_(ranked)).click()

    def cast(self) -> None:
        self.button("review.cast").click()

    def wait_until_final(self) -> None:
        """Until the vote is final and was read back."""
        self.page.locator('#booth[data-step="final"]').wait_for()
        self.button("after.yes").wait_for()

    def keep_receipt(self, folder: Path) -> Path:
        """The file that the browser saves."""
        with self.page.expect_download() as download:
            self.button("receipt.keep").click()
        self.page.get_by_text(self.word("receipt.kept").partition("{")[0]).first.wait_for()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path
