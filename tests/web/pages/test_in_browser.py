"""Every page in every state in a real browser: WCAG 2.2 AA, 320 pixels, 400 %, dark, both languages."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.qr_reader import read_qr_codes
from support.web_pages import FixedReader, FixedView, club_evening_shown, shown, strange_snapshot
from votenet.cli.election.card_page import Card, card_page
from votenet.core.election.definition import Election
from votenet.core.election.voting_code import code_from, shown_code
from votenet.web.api import chain
from votenet.web.serving.server import serve_page
from votenet.web.settings import WebSettings
from votenet.web.snapshot import Snapshot
from web.browser import PHONE, SMALL_PHONE, ZOOMED, axe, small_targets, too_wide

Visit = Callable[..., Any]


class ShownPages:
    """A real server in a thread of its own; `show` chooses what it shows from then on."""

    def __init__(self) -> None:
        self._view = FixedView(None, club_evening_shown(True)[1])
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._stop = asyncio.Event()
        self.url = ""
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> ShownPages:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        self._loop.close()

    def show(self, snapshot: Snapshot | None, genesis: Election | None = None) -> None:
        self._view.genesis = genesis
        self._view.latest = snapshot

    async def _serve(self) -> None:
        async with serve_page(self._view, WebSettings(port=0)) as address:  # type: ignore[arg-type]
            self.url = f"http://{address}"
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(scope="module")
def pages() -> Iterator[ShownPages]:
    with pytest.MonkeyPatch.context() as patch, ShownPages() as served:
        patch.setattr(chain, "reader_of", lambda view: FixedReader(view.snapshot.results.over))
        yield served


CASES = [
    *(("/", state) for state in ("before", "open", "cancelled")),
    *(("/results", state) for state in ("open", "hidden", "final")),
    *(("/screen", "open"), ("/nodes", "open"), ("/check", "open"), ("/help", "open"), ("/nope", "open")),
    *(
        (path, "final")
        for path in ("/chain?q=nobody", "/chain/block/11", "/chain/vote/0004", "/chain/voter/0041")
    ),
]


def test_every_page_is_accessible_and_fits_a_small_phone(pages: ShownPages, visit: Visit, watch: Any) -> None:
    """The languages and the colours take turns: a page differs by its words alone."""
    watch.allow("404")
    readers = [
        visit(viewport=SMALL_PHONE, color_scheme="light", locale="en-GB"),
        visit(viewport=SMALL_PHONE, color_scheme="dark", locale="id-ID", timezone_id="Asia/Jakarta"),
    ]
    for number, (path, state) in enumerate(CASES):
        pages.show(shown(state))
        page = readers[number % 2]
        page.goto(pages.url + path)
        assert page.locator("h1").count() == 1
        assert not axe(page), (path, state)
        assert not too_wide(page), (path, state)
        assert not small_targets(page), (path, state)


def test_the_local_time_stands_beside_that_of_the_election(pages: ShownPages, visit: Visit) -> None:
    pages.show(shown("open"))  # closes at 23:40 in Berlin, where it is winter
    theirs = "Selasa, 14 November 2023, pukul 23.40 (Europe/Berlin, UTC+01:00)"
    ours = re.compile(r"– Rab, 15 Nov\D* 05.40 di zona waktu Anda \(UTC\+07:00\)")
    for options, local in (
        ({"timezone_id": "Asia/Jakarta"}, True),
        ({"timezone_id": "Europe/Paris"}, False),
        ({"timezone_id": "Asia/Jakarta", "java_script_enabled": False}, False),
    ):
        page = visit(locale="id-ID", **options)
        for path in ("/", "/chain"):  # one that follows the state, and one that does not
            page.goto(pages.url + path)
            page.locator("time", has_text="14 November 2023").first.wait_for()
            assert (page.locator(".local-time").count() > 0) is local, path
        page.goto(f"{pages.url}/screen")
        page.locator("time", has_text="14 November 2023").first.wait_for()
        assert page.locator(".local-time").count() == 0, "its readers may be anywhere"
        page.goto(pages.url)
        page.get_by_text(theirs).first.wait_for()
        if local:
            page.locator("time", has_text=theirs).filter(has_text=ours).first.wait_for()


def test_a_page_that_waits_for_its_nodes_becomes_the_page_by_itself(
    pages: ShownPages, visit: Visit, watch: Any
) -> None:
    watch.allow("503")
    found = shown("open")
    readers = (visit(viewport=SMALL_PHONE), visit(viewport=SMALL_PHONE, locale="id-ID"))
    titles = ("Waiting for the nodes", "Menunggu simpul")
    pages.show(None, found.election)
    for page, title in zip(readers, titles, strict=True):
        page.goto(pages.url)
        page.get_by_text(title).first.wait_for()
        page.get_by_text(found.election.network_hex).wait_for()
        assert page.locator("h1").inner_text() == found.election.definition.title
        assert not axe(page)
        assert not too_wide(page)
        assert not small_targets(page)
    pages.show(found, found.election)
    for page, title in zip(readers, ("What to do next", "Langkah berikutnya"), strict=True):
        page.get_by_role("heading", name=title).wait_for()
    pages.show(found)


def test_foreign_names_do_not_break_a_page(pages: ShownPages, visit: Visit) -> None:
    pages.show(strange_snapshot())
    page = visit(**ZOOMED)
    for path in ("/", "/results", "/screen", "/nodes"):
        page.goto(pages.url + path)
        assert not too_wide(page), path
        assert not axe(page), path


def test_a_program_reads_the_codes_of_a_projector_and_of_printed_cards(
    pages: ShownPages, visit: Visit, tmp_path: Path
) -> None:
    wall = visit(viewport={"width": 1920, "height": 1080})
    certificate = club_evening_shown(True)[1]
    assert certificate is not None
    for snapshot in (shown("open"), strange_snapshot()):
        pages.show(snapshot)
        wall.goto(f"{pages.url}/screen")
        found = read_qr_codes(tmp_path, [wall.screenshot()])
        assert f"{pages.url}/vote\n" in found
        assert certificate.note.text in found
        assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight"), "nobody scrolls it"
    codes = [code_from(bytes([number]) * 14) for number in range(8)]
    cards = [Card(f"{number}", "Ann", code) for number, code in enumerate(codes)]
    paper = tmp_path / "cards.html"
    definition = shown("open").election.definition
    paper.write_text("\n".join(card_page(definition, cards, "http://192.168.178.20:8080", closes=None)))
    sheet = visit(device_scale_factor=150 / 96)  # 150 dots an inch
    sheet.emulate_media(media="print")
    sheet.goto(paper.as_uri())
    found = read_qr_codes(tmp_path, [code.screenshot() for code in sheet.locator(".qr").all()])
    assert found.split() == [f"http://192.168.178.20:8080/vote#{shown_code(code)}" for code in codes]


def test_four_contests_stand_side_by_side_on_a_projector(pages: ShownPages, visit: Visit) -> None:
    for width, height in ((1920, 1080), (1280, 720)):
        wall = visit(viewport={"width": width, "height": height})
        for state, lang in (("open", "en"), ("final", "id"), ("closed", "id")):
            pages.show(shown(state))
            wall.goto(f"{pages.url}/screen?lang={lang}")
            assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight"), "nobody scrolls it"
            assert not too_wide(wall)
            parts = [section.bounding_box() for section in wall.locator(".screen-contests section").all()]
            assert len({box["y"] for box in parts if box}) == 1
            assert len(parts) == 4
            for table in wall.locator(".screen-contests section").all():
                assert table.evaluate("(each) => each.scrollWidth <= each.clientWidth"), (
                    "nothing reaches over"
                )


def test_the_name_of_a_table_is_seen_whole_on_a_phone(pages: ShownPages, visit: Visit) -> None:
    pages.show(shown("final"))
    page = visit(viewport=PHONE)
    for path, lang in itertools.product(("/nodes", "/results"), ("en", "id")):
        page.goto(f"{pages.url}{path}?lang={lang}")
        for scrolled in page.locator(".scroll").all():
            assert scrolled.evaluate(
                "(each) => [...each.querySelectorAll('caption')].every("
                "(name) => name.getBoundingClientRect().right <= each.getBoundingClientRect().right + 1)"
            )


def test_no_node_answers(pages: ShownPages, visit: Visit, watch: Any) -> None:
    watch.allow("503")
    pages.show(None)
    page = visit(viewport=SMALL_PHONE)
    page.goto(f"{pages.url}/results?lang=id")
    page.get_by_role("heading", name="Tidak ada simpul yang menjawab").wait_for()
    assert not axe(page)
    assert not too_wide(page)


def test_the_language_changes_and_stays_without_scripts(pages: ShownPages, visit: Visit) -> None:
    pages.show(shown("final"))
    page = visit(java_script_enabled=False)
    page.goto(f"{pages.url}/chain?from=5")
    page.get_by_role("link", name="Bahasa Indonesia").click()
    page.get_by_role("heading", name="Semua suara").wait_for()
    assert "from=5" in page.url
    page.get_by_role("searchbox").fill("0004")
    page.get_by_role("button", name="Cari").click()
    page.get_by_role("heading", name="Suara 0004").or_(
        page.get_by_role("link", name="Suara 0004")
    ).first.wait_for()
    assert page.locator("html").get_attribute("lang") == "id"


def test_keyboard_reaches_the_content_first(pages: ShownPages, visit: Visit) -> None:
    pages.show(shown("open"))
    page = visit()
    page.goto(pages.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/vote"
