"""The projector's page."""

from __future__ import annotations

from support.web_pages import html_of, secret_snapshot, shown, text_of


def test_while_voting_is_open_it_shows_the_way_to_the_booth() -> None:
    _, html = html_of("/screen", shown("open"))
    assert 'aria-label="Code for the camera of a phone: http://127.0.0.1/vote"' in html
    assert "Voting is open" in text_of(html)


def test_at_the_end_it_says_who_won_and_what_was_signed() -> None:
    _, html = html_of("/screen", shown("final"))
    text = text_of(html)
    assert "Final, signed by 4 of 5" in text
    assert "Winner: Bo Berg" in text
    assert "Code for the camera" not in html
    assert "What the nodes have signed" in text


def test_no_counts_before_closing_where_the_election_wants_none() -> None:
    text = text_of(html_of("/screen", shown("hidden"))[1])
    assert "35 of 41 have voted" in text
    assert "Bo Berg" not in text


def test_with_secret_ballots_the_code_leads_to_the_booth() -> None:
    assert "Vote here" in text_of(html_of("/screen", secret_snapshot())[1])
