"""Live and final results."""

from __future__ import annotations

import re

import pytest

from support.web_pages import html_of, secret_snapshot, shown, text_of


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("state", ["open", "closed"])
def test_before_the_end_nobody_is_elected(state: str, language: str) -> None:
    text = text_of(html_of("/results", shown(state), language)[1])
    assert not re.search(r"\b(winners?|elected|terpilih|pemenang)\b", text, re.IGNORECASE)
    assert ("Ahead so far: Bo Berg" if language == "en" else "Unggul sementara: Bo Berg") in text


def test_the_final_result() -> None:
    _, html = html_of("/results", shown("final"))
    text = text_of(html)
    for words in (
        "Final, signed by 4 of 5",
        "Winner: Bo Berg",
        "Winners: Eva , Finn and Gil",
        "The motion is carried.",
        "Ballots that prefer the row to the column",
        "35 of 41 have voted (85.4%)",
        "Lost the card",
    ):
        assert words in text
    assert 'href="/api/v1/final-result" download' in html


def test_the_word_on_signatures_stands_where_nodes_have_signed() -> None:
    for state, signed in (("final", True), ("before", False)):
        text = text_of(html_of("/results", shown(state))[1])
        assert ("as long as at most 1 of the 5 nodes lie" in text) is signed
        assert "you can count again from the files below" in text


def test_no_counts_where_none_are_shown() -> None:
    for state in ("before", "hidden", "cancelled"):
        _, html = html_of("/results", shown(state))
        assert "<table" not in html
        assert "Bo Berg" not in text_of(html)
        assert "/api/v1/final-result" not in html
    assert "/api/v1/archive" not in html_of("/results", shown("hidden"))[1]


def test_secret_votes_that_wait_for_trustees_can_be_kept_and_have_no_counts() -> None:
    _, html = html_of("/results", secret_snapshot("final", (1,)))
    assert "waits for 1 of 3 trustees" in text_of(html)
    assert 'href="/api/v1/archive" download' in html
    assert "/api/v1/final-result" not in html
    assert "/results.csv" not in html
