"""/check, the page of a vote and the first page in a real browser, with a real network behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from web.browser import PHONE, axe, until
from web.network import PageNetwork, page_network

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


CHECKED = "Checked in this browser"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageNetwork]:
    with page_network(tmp_path_factory.mktemp("network")) as made:
        for number in range(3):
            made.vote(f"voter-{number}", ["Alice"], ["Lake", "River"])
        made.wait_until_final(3)
        for voter in ("voter-1", "voter-2"):
            made.wait_for(lambda voter=voter: made.get(f"/api/v1/receipt?voter={voter}")[0] == 200)
        yield made


def test_a_receipt_is_checked_on_the_page_of_the_election(
    network: PageNetwork, page: Page, tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(network.get("/api/v1/receipt?voter=voter-1")[1])
    page.goto(f"{network.url}/check")
    page.locator("#files").set_input_files(receipt)
    page.get_by_text("The file is of the election of this page.").wait_for()
    page.get_by_text("The vote is final.").wait_for()
    assert axe(page) == []


def test_the_same_in_indonesian_by_keyboard_alone(
    network: PageNetwork, visit: Callable[..., Page], tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(network.get("/api/v1/receipt?voter=voter-2")[1])
    page = visit(locale="id-ID", viewport=PHONE)
    page.on("filechooser", lambda chooser: chooser.set_files(receipt))  # known long before the key is pressed
    page.goto(f"{network.url}/check")
    page.locator("#files").wait_for(state="attached")

    def tab_to(place: str) -> None:
        """Presses Tab until the focus is on an element; it is somewhere in one round of the page."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(place) => document.activeElement.matches(place)", place):
                return
        raise AssertionError(f"Tab does not lead to {place}")

    tab_to("#files")
    page.keyboard.press("Space")
    page.get_by_text("Berkas ini dari pemilihan pada halaman ini.").wait_for()
    page.get_by_text("Suara ini final.").wait_for()
    assert page.get_by_role("status").filter(has_text="receipt.json").count() == 1
    tab_to("#check > button")
    page.keyboard.press("Enter")
    page.get_by_text("Suara ini final.").wait_for(state="detached")
    assert axe(page) == []


def test_the_path_of_a_vote_is_checked(network: PageNetwork, page: Page) -> None:
    page.goto(f"{network.url}/chain/vote/voter-1")
    page.get_by_text(CHECKED).wait_for()
    assert axe(page) == []


def test_a_page_that_shows_another_vote_is_found_out(network: PageNetwork, page: Page) -> None:
    def changed(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("Alice", "Bob"))

    page.route("**/chain/vote/*", changed)
    page.goto(f"{network.url}/chain/vote/voter-1")
    page.get_by_text("This browser checked the path, and it does not hold").wait_for()
    assert page.get_by_text(CHECKED).count() == 0


def test_the_first_page_keeps_up_with_votes(network: PageNetwork, page: Page) -> None:
    page.goto(network.url)
    page.get_by_text("3 votes so far").wait_for()
    network.vote("late", ["Bob"], ["River"])
    page.get_by_text("4 votes so far").wait_for()
    until(page, lambda: page.locator("#live-note").inner_text() == "")
