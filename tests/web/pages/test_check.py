"""The page about receipts."""

from __future__ import annotations

from support.web_pages import html_of, secret_snapshot, shown, text_of


def test_it_says_how_to_check_without_believing_this_server() -> None:
    snapshot = shown("final")
    _, html = html_of("/check", snapshot)
    text = text_of(html)
    assert 'href="/verify.html" download="verify.html"' in html
    assert "votenet web --hashes" in text
    assert snapshot.network_id in text
    assert "needs JavaScript" in text


def test_it_works_while_no_node_answers() -> None:
    status, _ = html_of("/check", None, "id")
    assert status == 200


def test_receipts_of_secret_ballots_are_checked_in_the_same_way() -> None:
    snapshot = secret_snapshot()
    _, html = html_of("/check", snapshot)
    assert f'<div id="check" data-network="{snapshot.network_id}">' in html
    assert 'href="/verify.html" download="verify.html"' in html
    assert "Compare it with what you chose" not in text_of(html)
