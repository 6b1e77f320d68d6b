"""Addresses of voters and votes: each id has one, and it leads through the gate."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest

from support.web_pages import html_of, shown
from votenet.errors import Rejected
from votenet.web.api.chain import Found
from votenet.web.pages import explorer, voter_view
from votenet.web.pages.links import vote_link, voter_link
from votenet.web.serving.gate import check_address

FINAL = shown("final")


@pytest.mark.parametrize(
    "voter_id",
    ["a//b", ".", "..", "../x?y", "a/.", "/a", "a/", "a\\b", "\ufffd", "ab" * 32, "é?&#%2e", "é" * 128],
)
def test_the_link_of_every_voter_id_leads_through_the_gate_to_its_vote(
    monkeypatch: pytest.MonkeyPatch, voter_id: str
) -> None:
    asked = []

    async def page_of(view: object, voter: str) -> None:
        asked.append(voter)
        raise Rejected("not-found", "")

    async def find_nothing(view: object, text: str) -> Found:
        return Found("none")

    monkeypatch.setattr(explorer, "vote_page", page_of)
    monkeypatch.setattr(voter_view, "where_is", page_of)
    monkeypatch.setattr(explorer, "find", find_nothing)
    parts = urlsplit(urljoin("http://x/chain", vote_link(voter_id)))
    check_address(unquote(parts.path), parts.path.encode(), parts.query.encode(), "x")
    assert html_of(f"{parts.path}?{parts.query}", FINAL)[0] == 404
    assert asked == [voter_id]


def test_plain_ids_stand_in_the_path() -> None:
    assert (vote_link("x?y"), voter_link("x?y")) == ("/chain/vote/x%3Fy", "/chain/voter/x%3Fy")
