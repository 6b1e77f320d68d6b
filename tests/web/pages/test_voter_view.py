"""The page of a voter: the key, whether it was replaced, whether the voter has voted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.amendments import amendment
from support.club_evening import MEMBERS
from support.elections import make_election
from support.web_pages import FixedReader, html_of, results_of, shown, text_of
from votenet.core.election.definition import Election
from votenet.web.api import chain
from votenet.web.api.lookups import WhereVoteIs
from votenet.web.pages.voter_view import voter_view
from votenet.web.words import Words

FINAL = shown("final")
EN = Words("en")


def at(voter_id: str, state: str = "unknown") -> WhereVoteIs:
    vote_id = None if state == "unknown" else "ab" * 32
    return WhereVoteIs(voter_id, state, vote_id, None, None, None, None, None, "a node", ())


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "reader_of", lambda view: FixedReader(view.snapshot.results.over))


def test_one_who_has_voted_and_one_who_has_not() -> None:
    status, html = html_of("/chain/voter/0003", FINAL)
    text = text_of(html)
    assert status == 200
    for words in ("Voter 0003", "Has voted", "On the roll Yes.", "There is a working key."):
        assert words in text
    assert 'href="/chain/vote/0003"' in html
    assert 'href="/chain/voter/0003"' in html_of("/chain/vote/0003", FINAL)[1]
    text = text_of(html_of("/chain/voter?voter=0036", FINAL)[1])
    assert "Has not voted" in text
    assert "0036 is on the roll and has not voted." in text


def test_a_replaced_key_is_told_with_its_reason() -> None:
    replaced = MEMBERS[38]
    html = html_of(f"/chain/voter/{replaced}", FINAL, "id")[1]
    assert "Panitia mengganti kuncinya." in text_of(html)
    assert "Lost the card" in text_of(html)
    election = FINAL.election
    assert election.registered is not None
    assert election.registered[replaced] in html


def test_no_names_and_no_voter_who_is_not_there() -> None:
    for path in ("/chain/voter/zoe", "/chain/voter/a%00b"):
        assert html_of(path, FINAL)[0] in (400, 404)
    assert html_of("/chain/voter", FINAL)[0] == 400


def test_without_a_roll_here_only_the_vote_is_known() -> None:
    election = make_election()
    view = voter_view(EN, election, at("v", "in-block"))
    assert view is not None
    assert (view.kind, view.state) == ("open", "Has voted")
    assert "no roll: the first vote" in view.facts[0][1]
    assert voter_view(EN, election, at("v")) is None
    away = Election(FINAL.election.definition)
    view = voter_view(EN, away, at("0003", "final"))
    assert view is not None
    assert "does not have the roll" in view.facts[0][1]
    added = away.amended([amendment(away, "add-voter", "dan", weight=2)])
    view = voter_view(EN, added, at("dan"))
    assert view is not None
    assert [str(change) for change, _ in view.changes] == [
        "<bdi>dan</bdi> was added to the roll with weight 2."
    ]
    snapshot = replace(FINAL, election=added, results=results_of(added))
    assert "Yes." in text_of(html_of("/chain/voter/dan", snapshot)[1])
