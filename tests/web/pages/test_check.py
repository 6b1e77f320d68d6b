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


def test_receipts_of_secret_ballots_are_checked_by_a_command() -> None:
    snapshot = secret_snapshot()
    _, html = html_of("/check", snapshot)
    text = text_of(html)
    assert f"votenet verify receipt.json --network {snapshot.network_id}" in text
    assert "Compare it with what you chose" not in text
    assert 'href="/verify.html"' not in html
