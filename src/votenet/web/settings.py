"""Settings of the page's server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from votenet.config import DEFAULT_WEB_PORT
from votenet.protocol.wire.address import Address


@dataclass(frozen=True, slots=True)
class WebSettings:
    """One field for each option of `votenet web`.

    `public_url` has no slash at its end; it is empty where it was not given.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_WEB_PORT
    nodes: tuple[Address, ...] = ()
    bootstrap: tuple[Address, ...] = ()
    genesis: Path | None = None
    network_id: str | None = None
    roll: Path | None = None
    enrolment: Path | None = None
    setup: Path | None = None
    kiosk: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    public_url: str = ""
    metrics: Address | None = None
    name: str = "web"

    @property
    def tls(self) -> bool:
        """Whether this server itself speaks TLS."""
        return self.tls_cert is not None

    @property
    def https(self) -> bool:
        """Whether browsers reach the page by https, here or at a proxy before it."""
        return self.tls or self.public_url.startswith("https://")

    @property
    def warning(self) -> str:
        """What the organiser should know about who can change the page; empty where all is well."""
        if self.tls or not self.beyond_loopback:
            return ""
        return (
            "without TLS anybody on the same network can change the page, and votes on their way:"
            " give --tls-cert FILE --tls-key FILE, or listen on 127.0.0.1 behind a proxy with TLS"
        )

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines can reach this server."""
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"
