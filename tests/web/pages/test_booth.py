"""The frame of the booth: what its script finds, and what a reader without JavaScript is told."""

from __future__ import annotations

import re
from pathlib import Path

from support.web_pages import NODES, html_of, secret_snapshot, shown, strange_snapshot, text_of
from votenet.web.settings import WebSettings


def test_it_has_a_place_for_the_script_and_words_without_it() -> None:
    _, html = html_of("/vote", shown("open"))
    assert '<div id="booth" data-step="loading">' in html
    assert '<script type="module" src="/static/booth.en.js"></script>' in html
    assert "Voting needs JavaScript" in text_of(html)
    assert f"votenet vote --code --node {NODES[0].address} --roll roll.json" in text_of(html)
    assert 'aria-current="page">Vote</a>' in html


def test_where_there_is_no_roll_the_command_takes_any_voter_id() -> None:
    _, html = html_of("/vote", strange_snapshot())
    assert re.search("votenet vote( --node [^ ]+)? VOTER CANDIDATE", text_of(html))


def test_it_is_there_while_no_node_answers() -> None:
    status, html = html_of("/vote", None, "id")
    assert status == 200
    assert "Pemungutan suara memerlukan JavaScript" in text_of(html)
    assert "/static/booth.id.js" in html


def test_a_kiosk_leads_nowhere_else() -> None:
    _, html = html_of("/vote", shown("open"), settings=WebSettings(kiosk=True))
    assert "data-kiosk" in html
    assert "/results" not in html
    assert 'href="?lang=id"' in html
    status, lost = html_of("/nowhere", shown("open"), settings=WebSettings(kiosk=True))
    links = set(re.findall(r'href="([^"?#]+)"', lost))
    led = {link for link in links if not link.startswith(("data:", "/static/"))}
    assert (status, led) == (404, {"/vote"})


def test_where_members_make_their_codes_the_booth_is_told() -> None:
    _, html = html_of("/vote", shown("open"), settings=WebSettings(enrolment=Path("members")))
    assert '<div id="booth" data-step="loading" data-own-codes>' in html


def test_the_booth_of_secret_votes_names_the_command_that_encrypts() -> None:
    _, html = html_of("/vote", secret_snapshot())
    assert "/static/booth.en.js" in html
    assert f"votenet vote --code --node {NODES[0].address} --roll roll.json" in text_of(html)
    assert "VOTER CANDIDATE" not in html
