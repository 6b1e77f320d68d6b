"""Peer addresses, `host:port`: parsing and printing, one spelling for each IP address, and their networks."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, NamedTuple

from votenet.errors import Rejected

MAX_ADDRESS: Final = 262
"""A DNS name has at most 253 characters (RFC 1035), brackets and a port add at most 9."""

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_NUMBER = re.compile(r"(.*\.)?(0[xX][0-9A-Fa-f]*|[0-9]+)\.?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,16})?")


class Address(NamedTuple):
    """Where a peer listens. `str()` gives `host:port`, with brackets around an IPv6 host."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`host:port` or `[v6]:port` to an Address; an IP address in its one spelling.

    Raises:
        Rejected: code bad-address, with what is wrong with it.
    """
    if not isinstance(text, str) or not text or len(text) > MAX_ADDRESS:
        raise Rejected("bad-address", "an address is a text of 1 to 262 characters, host:port")
    host, colon, port_text = text.rpartition(":")
    if not colon or not host:
        raise Rejected("bad-address", f"{text!r} has no host:port form")
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5):
        raise Rejected("bad-address", f"{text!r}: the port is not a number")
    port = int(port_text)
    if not 1 <= port <= 65535:
        raise Rejected("bad-address", f"{text!r}: the port must be between 1 and 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host or not _IPV6.fullmatch(host) or plain_ip(host) is None:
            raise Rejected("bad-address", f"{text!r}: not an IPv6 address in the brackets")
    elif ":" in host:
        raise Rejected("bad-address", f"{text!r}: write an IPv6 host in brackets, [::1]:3000")
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise Rejected("bad-address", f"{text!r}: not a host name or an IP address")
    if _IPV4.fullmatch(host):  # most are: spares the work of `ipaddress`
        return Address(host, port)
    literal = None if "%" in host else plain_ip(host)
    if literal is None and ":" not in host and _NUMBER.fullmatch(host):  # resolvers read 127.1 and 0x7f000001
        raise Rejected("bad-address", f"{text!r}: write an IPv4 address with all four numbers")
    return Address(literal or host, port)


def parse_peer_address(text: str) -> Address:
    """As `parse_address`, and one that other hosts could dial.

    Raises:
        Rejected: code bad-address.
    """
    address = parse_address(text)
    if "%" in address.host:
        raise Rejected("bad-address", f"{text!r}: a zone means something to its own host only")
    ipv4 = _IPV4.fullmatch(address.host)
    ipv6 = ipaddress.IPv6Address(address.host) if ":" in address.host else None
    if address.host == "0.0.0.0" or (ipv6 and ipv6.is_unspecified):
        raise Rejected("bad-address", f"{text!r} is every address of a host: name one that others can dial")
    if (ipv4 and int(ipv4[1]) >= 224) or (ipv6 and ipv6.is_multicast):  # 240.0.0.0/4 is reserved
        raise Rejected("bad-address", f"{text!r}: no program can listen at this address")
    return address


def is_loopback(host: str) -> bool:
    """Whether a host is the machine itself to everybody who dials it."""
    plain = plain_ip(host)
    return (
        host.lower().rstrip(".") == "localhost" if plain is None else ipaddress.ip_address(plain).is_loopback
    )


def is_own_host(host: str) -> bool:
    """Whether everybody who dials a host dials their own machine: loopback, or every address of it."""
    plain = plain_ip(host)
    if plain is None:  # names below localhost are loopback, too (RFC 6761)
        return host.lower().rstrip(".").endswith(".localhost") or is_loopback(host)
    return ipaddress.ip_address(plain).is_unspecified or is_loopback(host)


@lru_cache(maxsize=4096)
def plain_ip(text: str) -> str | None:
    """One spelling for an IP address (no zone, no IPv4 in IPv6 clothes); None for a name."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


@lru_cache(maxsize=4096)
def network_group(ip: str) -> str:
    """The network one owner usually has: `10.0.5.0/24`, `2001:db8:1::/48`; empty for a name."""
    plain = plain_ip(ip)
    if plain is None:
        return ""
    length = 48 if ":" in plain else 24
    return str(ipaddress.ip_network(f"{plain}/{length}", strict=False))


@lru_cache(maxsize=4096)
def network_of_one(host: str) -> str:
    """What surely has one owner: an IPv4 address, the /64 network of an IPv6 address; a name as it is."""
    plain = plain_ip(host)
    if plain is None or ":" not in plain:
        return plain or host
    return str(ipaddress.ip_network(f"{plain}/64", strict=False))
