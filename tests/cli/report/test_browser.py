"""The page in a real browser: what it draws, on a phone's width and on paper."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from support.chromium import drawn, need_chromium
from support.reports import NOW, checks_of, club_report, with_text
from votenet.cli.report.html_report import html_report

PHONE = 390
HOSTILE = "<script>document.title='broken out'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def browser() -> str:
    """The path of the browser."""
    return need_chromium()


def test_a_phone_shows_all_of_the_page_in_its_width_and_text_of_others_stays_text(
    browser: str, tmp_path: Path
) -> None:
    report = with_text(club_report(), HOSTILE)
    page = "\n".join(html_report(report, checks_of(report), NOW))
    frame = (
        f'<title>none</title><iframe srcdoc="{html.escape(page)}" style="width:{PHONE}px;height:900px">'
        "</iframe><script>onload = () => { const page = document.querySelector('iframe').contentDocument;"
        "const root = page.documentElement; document.title = `${root.scrollWidth - root.clientWidth}"
        " ${page.scripts.length} ${page.images.length} ${page.querySelectorAll('table').length}`; }</script>"
    )
    shown = drawn(browser, tmp_path, frame, "--dump-dom")
    found = re.search(r"<title>(.*?)</title>", shown)
    assert found is not None, shown
    too_wide, scripts, images, tables = map(int, found[1].split())
    assert (too_wide, scripts, images) == (0, 0, 0)
    assert tables == page.count("<table>")


def test_it_is_printed_on_pages(browser: str, tmp_path: Path) -> None:
    page = "\n".join(html_report(club_report(), checks_of(club_report()), NOW))
    paper = tmp_path / "page.pdf"
    drawn(browser, tmp_path, page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    data = paper.read_bytes()
    assert data.startswith(b"%PDF-")
    pages = [int(count) for count in re.findall(rb"/Count (\d+)", data)]
    assert max(pages) > 1
