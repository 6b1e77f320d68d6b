"""Headers of every answer, and whether a request comes from a page of ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

CONTENT_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html votenet",
    ]
)
"""Content-Security-Policy of all answers that bring none of their own."""
CLOSED_FEATURES: Final = (
    *("accelerometer", "autoplay", "browsing-topics", "display-capture", "encrypted-media"),
    *("gamepad", "geolocation", "gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi"),
    *("payment", "serial", "usb", "xr-spatial-tracking"),
)
"""Features of a browser that no page of ours uses. (The booth may use the camera, to scan a card.)"""
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def security_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """The headers that every answer carries."""
    features = ", ".join([*(f"{name}=()" for name in CLOSED_FEATURES), "camera=(self)"])
    return [
        (b"content-security-policy", CONTENT_POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", features.encode()),
        *([HSTS] if https else []),
    ]


def is_cross_site(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a browser sends this request for a page of another origin.

    A client without Origin and Sec-Fetch-Site is no browser: no page of others can make it send anything.

    Args:
        headers: of the request, names in lower case.
        public_url: where browsers find this page; empty where it was not given.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        own, there = urlsplit(public_url), urlsplit(origin)
        if public_url and (there.scheme, there.netloc) == (own.scheme, own.netloc):
            return False
    except ValueError:
        return True
    return there.scheme not in ("http", "https") or there.netloc != headers.get("host", "")
