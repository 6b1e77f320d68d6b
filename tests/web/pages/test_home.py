"""The first page: what the election is, and what to do next in each state."""

from __future__ import annotations

import re

import pytest

from support.web_pages import STATES, html_of, secret_snapshot, shown, strange_snapshot, text_of

NOT_FOR_VOTERS = re.compile(r"\b(hash|block|nonce|blok)\b", re.IGNORECASE)
BUTTONS = {
    "before": set(),
    "open": {"/vote", "/results", "/check"},
    "hidden": {"/vote", "/check"},
    "closed": {"/results", "/check"},
    "final": {"/results", "/check"},
    "cancelled": set(),
}


@pytest.mark.parametrize("state", STATES)
def test_what_to_do_next(state: str) -> None:
    status, html = html_of("/", shown(state))
    assert status == 200
    assert set(re.findall(r'class="button[^"]*" href="([^"]+)"', html)) == BUTTONS[state]


@pytest.mark.parametrize("path", ["/", "/results"])
@pytest.mark.parametrize("language", ["en", "id"])
def test_words_of_a_twelve_year_old(path: str, language: str) -> None:
    for state in STATES:
        _, html = html_of(path, shown(state), language)
        assert not NOT_FOR_VOTERS.search(text_of(html)), state


def test_all_that_is_voted_on_stands_here() -> None:
    text = text_of(html_of("/", shown("before"))[1])
    for words in ("Rowing Club 1911", "Chair", "Ann Archer", "New bylaws", "41 members", "Europe/Berlin"):
        assert words in text
    assert "Pemungutan suara belum dimulai" in text_of(html_of("/", shown("before"), "id")[1])


def test_foreign_text_is_text() -> None:
    _, html = html_of("/", strange_snapshot())
    assert "<b>Ann" not in html
    assert "&lt;b&gt;Ann&lt;/b&gt; &amp; &#34;عبد الله&#34; {count}" in html


def test_without_an_answer_of_any_node() -> None:
    status, html = html_of("/", None)
    assert status == 503
    assert "No node answers" in text_of(html)
    assert 'href="/help#unreachable"' in html


@pytest.mark.parametrize(
    ("language", "words"), [("en", "encrypted on your own device"), ("id", "dienkripsi di perangkat Anda")]
)
def test_secret_votes_are_encrypted_in_the_booth(language: str, words: str) -> None:
    _, html = html_of("/", secret_snapshot(), language)
    assert words in text_of(html)
    assert "/vote" in re.findall(r'class="button[^"]*" href="([^"]+)"', html)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Once enough trustees have decrypted"), ("id", "Setelah cukup banyak")]
)
def test_final_secret_votes_lead_to_no_result_before_trustees_have_decrypted(
    language: str, words: str
) -> None:
    _, html = html_of("/", secret_snapshot("final"), language)
    assert words in text_of(html)
    assert set(re.findall(r'class="button[^"]*" href="([^"]+)"', html)) == {"/check"}
