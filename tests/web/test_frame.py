"""What stands around the content of a page."""

from __future__ import annotations

from support.web_pages import html_of, secret_snapshot, shown
from votenet.web.frame import section_of, words_of


def test_sections() -> None:
    found = [section_of(path) for path in ("/", "/vote", "/chain/block/3", "/votes", "/nope")]
    assert found == ["/", "/vote", "/chain", "", ""]


def test_words_are_those_of_the_election() -> None:
    assert words_of("en", None).date(0).endswith("(UTC)</time>")
    assert "Europe/Berlin" in words_of("en", shown("open")).date(0)


def test_every_page_says_what_it_does_not_protect_and_switches_the_language() -> None:
    _, html = html_of("/check?x=a%26b", shown("open"))
    assert 'href="?x=a%26b&amp;lang=id" lang="id"' in html
    assert "Votes are public." in html
    assert "not encrypted" not in html  # this machine talks to itself
    assert '<html lang="en" ' in html
    _, html = html_of("/check", shown("open"), "id")
    assert '<html lang="id" ' in html
    assert "Suara bersifat terbuka." in html


def test_no_page_says_that_secret_votes_are_public() -> None:
    for path in ("/", "/vote", "/results", "/check", "/nodes", "/help"):
        _, html = html_of(path, secret_snapshot())
        assert "Votes are public" not in html
        assert "read who voted how" not in html
        limits = (
            "open single votes",
            "who has voted",
            "prints a card",
            "prove a vote to others",
            "could read votes",
        )
        for limit in limits:
            assert limit in html, path
    _, html = html_of("/help", secret_snapshot(), "id")
    assert "Suara dienkripsi." in html
    assert "siapa memilih apa" not in html
