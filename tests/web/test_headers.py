"""Headers of answers, and which requests come from pages of others."""

from __future__ import annotations

import pytest

from votenet.web.headers import CONTENT_POLICY, HSTS, is_cross_site, security_headers


def test_nothing_is_loaded_from_elsewhere_or_inline() -> None:
    assert CONTENT_POLICY.startswith("default-src 'none'; script-src 'self'; worker-src 'self'; ")
    assert "unsafe" not in CONTENT_POLICY
    assert "frame-ancestors 'none'" in CONTENT_POLICY


def test_https_is_insisted_on_only_where_it_is_spoken() -> None:
    assert HSTS in security_headers(https=True)
    assert HSTS not in security_headers(https=False)


@pytest.mark.parametrize(
    ("headers", "cross_site"),
    [
        ({}, False),
        ({"origin": "http://here:8080", "host": "here:8080"}, False),
        ({"origin": "http://evil", "host": "here:8080"}, True),
        ({"origin": "null", "host": "here:8080"}, True),
        ({"origin": "http://[", "host": "here:8080"}, True),
        ({"origin": "ftp://here", "host": "here"}, True),
        ({"origin": "https://vote.example", "host": "127.0.0.1:8080"}, False),
        ({"origin": "http://vote.example", "host": "127.0.0.1:8080"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://h", "host": "h"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site", "origin": "http://h", "host": "h"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
    ],
)
def test_what_a_page_of_others_sends(headers: dict[str, str], cross_site: bool) -> None:
    assert is_cross_site(headers, "https://vote.example") is cross_site
