"""The page of cards: eight on a sheet, a QR code each, text of others as text; printed by a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from support.chromium import drawn, need_chromium
from support.elections import make_election
from support.secret_definitions import SecretSetup
from votenet.cli.election.card_page import CARDS_ON_A_SHEET, Card, card_page
from votenet.core.election.definition import Trustees
from votenet.core.election.voting_code import code_from, shown_code

DEFINITION = msgspec.structs.replace(
    make_election().definition, title="<script>alert(1)</script>", organiser="Club & Co", language="id"
)
LONG = "Wolfeschlegelsteinhausenbergerdorff " * 5


def cards(count: int) -> list[Card]:
    return [Card(f"id-{n}", "<b>Bo</b>", code_from(n.to_bytes(14))) for n in range(count)]


def test_a_page_for_eight_cards_each_with_code_link_and_picture() -> None:
    for count in (1, 8, 9):
        page = "\n".join(card_page(DEFINITION, cards(count), "https://vote.example", closes=None))
        assert page.count('<div class="sheet">') == -(-count // CARDS_ON_A_SHEET)
        assert page.count("<section") == page.count("<svg") == page.count("</section>") == count
        assert page.count("<div") == page.count("</div>")
    assert "<strong>vote.example/vote</strong>" in page
    assert '<html lang="id">' in page
    for card in cards(9):
        groups = shown_code(card.code).split("-")
        assert f"<span>{'-'.join(groups[:3])}-</span><span>{'-'.join(groups[3:])}</span>" in page


def test_very_many_cards_have_other_pictures_of_the_same_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    few = list(card_page(DEFINITION, cards(9), "https://vote.example", closes=None))
    monkeypatch.setattr("votenet.cli.election.card_page.MANY_CARDS", 9)
    many = list(card_page(DEFINITION, cards(9), "https://vote.example", closes=None))
    assert [line for line in few if "<svg" not in line] == [line for line in many if "<svg" not in line]
    assert many != few


def test_text_of_others_is_text_and_nothing_is_loaded() -> None:
    page = "\n".join(
        card_page(DEFINITION, cards(1), "http://h:1/a", closes=0, kind="invitation", note=["<i>"])
    )
    assert "<script" not in page
    assert "<b>" not in page
    assert (
        "&lt;script&gt;" in page,
        "&lt;b&gt;Bo" in page,
        "&lt;i&gt;" in page,
        "Club &amp; Co" in page,
    ) == ((True,) * 4)
    assert "http://h:1/a/enrol" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "2 trustees together could open your vote"),
        ("id", "2 pemegang kunci bersama dapat membukanya"),
    ],
)
def test_a_card_of_secret_ballots_leads_to_the_booth_and_says_what_is_not_secret(
    language: str, words: str
) -> None:
    definition = SecretSetup().define(language=language)
    page = "\n".join(card_page(definition, cards(3), "https://vote.example", closes=None))
    assert page.count("<section") == page.count("<svg") == page.count(words) == 3
    assert page.count("vote.example/vote") == 3
    public = "\n".join(card_page(DEFINITION, cards(1), "https://vote.example", closes=None))
    assert words not in public


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize(
    "trustees", [None, Trustees(keys=(), record="", threshold=16)], ids=["public", "secret"]
)
def test_a_browser_prints_eight_cards_on_a_page_and_cuts_nothing_off(
    tmp_path: Path, trustees: Trustees | None, language: str
) -> None:
    """With the longest texts: nothing of the code, the address and the help line lies outside its card."""
    probe = """<script>addEventListener("load", () => {
      const out = [];
      for (const card of document.querySelectorAll(".card")) {
        const box = card.getBoundingClientRect();
        for (const part of card.querySelectorAll(".top, .how, .code, .code span, .help, .qr")) {
          const own = part.getBoundingClientRect();
          const inside = own.top >= box.top && own.bottom <= box.bottom + .5 && own.right <= box.right;
          const whole = part.matches(".how, .code") ? part.scrollHeight <= part.clientHeight + 1 : true;
          if (!inside || !whole) out.push(part.className + " of a card is cut");
        }
        const lines = [...card.children].map((one) => one.getBoundingClientRect());
        lines.slice(1).forEach((one, at) => { if (one.top < lines[at].bottom - .5) out.push("overlap"); });
      }
      document.title = "cut: " + out.length + " " + out.slice(0, 3);
    })</script></body>"""
    long = msgspec.structs.replace(
        DEFINITION,
        title=("x" + LONG)[:190].strip(),
        organiser=LONG.strip(),
        opens=1,
        time_zone="UTC",
        trustees=trustees,
        language=language,
    )
    many = [Card("0017-" * 20, LONG, code_from(n.to_bytes(14))) for n in range(8)]
    page = "\n".join(card_page(long, many, f"http://{'long-name.' * 7}example:8080", closes=10**9))
    scripted = page.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    browser = need_chromium()
    shown = drawn(browser, tmp_path, scripted.replace("</body>", probe), "--dump-dom")
    assert "<title>cut: 0 </title>" in shown, re.findall("<title>.*</title>", shown)
    sheets, pdf = "\n".join(card_page(long, [*many, *many], "https://x", closes=None)), tmp_path / "cards.pdf"
    drawn(browser, tmp_path, sheets, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) == 2
