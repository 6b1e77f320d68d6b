"""The page: its structure, its words, and that no text of others becomes part of it."""

from __future__ import annotations

import dataclasses
from functools import cache
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.reports import NOW, checks_of, club_report, weighed_blank_report, with_text
from votenet.cli.report.html_report import html_report
from votenet.core.records.election_report import ElectionReport
from votenet.text import visible

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What a browser sees: the elements in their order, their attributes, the text in each."""

    def __init__(self, report: ElectionReport) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed("\n".join(html_report(report, checks_of(report), NOW)))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element ends where it should"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    @property
    def words(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style")


def test_a_final_result_names_winners_rounds_signers_and_how_to_check() -> None:
    report = club_report()
    page = Page(report)
    assert page.open == []
    assert ("strong", "Final result") in page.texts
    for said in (
        "Winner: ", "Winners: ", "Carried.", "General meeting of the Rowing Club", "Rowing Club 1911",
        "35 of 41 (85.4%)", "Europe/Berlin", "before amendments: ", "Joined in May", "Lost the card",
        "Quota", "Threshold", "Rounds 1 to 3", "Exhausted", "leaves", "is handed on", "elected",
        "Ballots that prefer the row to the column", "another vote of this voter is counted",
        "in time at 1 of 5 named nodes, 2 are needed", "node 3", "Harbour Society", report.network_id,
        report.tip, "votenet export -o election.jsonl", "votenet audit election.jsonl",
        "votenet verify result.json", "verifier/votenet_verifier.py archive", "Place and date",
    ):  # fmt: skip
        assert said in page.words, said


def test_the_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    page = Page(club_report())
    assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"src", "href", "onload", "onclick"} & names
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert ("lang", "en") in page.attributes
    assert page.tags.count("table") == page.tags.count("caption")
    assert page.tags.count("h1") == 1
    scopes = [value for name, value in page.attributes if name == "scope"]
    assert len(scopes) == page.tags.count("th")


def test_before_the_end_it_is_provisional_and_has_no_winner() -> None:
    page = Page(club_report(closed=False))
    assert ("strong", "Provisional") in page.texts
    assert "Ahead so far: " in page.words
    assert "So far it would be carried." in page.words
    for word in ("Winner", "Carried.", "Final result", "Not counted", "Place and date"):
        assert word not in page.words
    assert "would be elected" in page.words


def test_counts_that_are_not_shown_yet_are_not_on_the_page() -> None:
    page = Page(club_report(closed=False, results="after-close"))
    assert "Voting has ended: counts are shown once the named nodes have closed the poll." in page.words
    assert "35 of 41" in page.words
    for word in ("Ahead", "Share of ballots", "Round"):
        assert word not in page.words


def test_an_election_that_was_cancelled_says_so_large_and_counts_nothing() -> None:
    going_on = club_report(closed=False)
    contests = tuple(
        dataclasses.replace(facts, count=None, lots=(), has_rounds=False) for facts in going_on.contests
    )
    cancelled = dataclasses.replace(
        going_on, cancelled_at=2_000_000_000, undecided="the election was cancelled", contests=contests
    )
    page = Page(cancelled)
    assert "The authority of the election cancelled it at " in page.words
    assert ("strong", "Cancelled") in page.texts
    assert "The election was cancelled: nothing is counted." in page.words
    for word in ("Winner", "Ahead", "Provisional", "Share of ballots"):
        assert word not in page.words


def check_that_it_stays_text(hostile: str) -> None:
    page, plain = Page(with_text(club_report(), hostile)), page_without_hostile_text()
    lines = len(hostile.splitlines())
    assert [tag for tag in page.tags if tag != "p"] == [tag for tag in plain.tags if tag != "p"]
    assert page.tags.count("p") == plain.tags.count("p") + (lines - 1) * len(club_report().contests)
    assert {name for name, _ in page.attributes} == {name for name, _ in plain.attributes}
    assert visible(hostile).strip() in page.words


@cache
def page_without_hostile_text() -> Page:
    return Page(with_text(club_report(), "plain"))


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "\"' onload=x", "</style><b>", "&lt;", "]]>", "<!--"]
)
def test_no_text_of_others_becomes_part_of_the_page(hostile: str) -> None:
    check_that_it_stays_text(hostile)


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=40))
def test_nor_does_any_other_text(text: str) -> None:
    check_that_it_stays_text(text)


def test_a_weight_of_blank_ballots_is_not_called_their_number() -> None:
    words = Page(weighed_blank_report()).words
    assert "Ballots 3 Weight of the ballots 7, 2 of it blank" in words
