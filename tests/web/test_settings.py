"""What follows from the settings of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from votenet.web.settings import WebSettings


@pytest.mark.parametrize(
    ("host", "beyond"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("a", True),
    ],
)
def test_who_can_reach_it(host: str, beyond: bool) -> None:
    assert WebSettings(host=host).beyond_loopback is beyond


def test_who_listens_beyond_this_machine_without_tls_is_told() -> None:
    assert "anybody on the same network can change the page" in WebSettings(host="0.0.0.0").warning
    assert not WebSettings().warning
    assert not WebSettings(host="0.0.0.0", tls_cert=Path("a"), tls_key=Path("b")).warning


def test_https_is_spoken_here_or_at_a_proxy() -> None:
    assert not WebSettings().https
    assert WebSettings(tls_cert=Path("a"), tls_key=Path("b")).https
    assert WebSettings(public_url="https://vote.example.org").https
    assert not WebSettings(public_url="https://vote.example.org").tls
