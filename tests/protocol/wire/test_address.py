"""Addresses: accepted forms, refusals with bad-address, and back to text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import Rejected
from votenet.protocol.wire.address import (
    MAX_ADDRESS,
    Address,
    is_own_host,
    network_group,
    network_of_one,
    parse_address,
    parse_peer_address,
    plain_ip,
)

GOOD = {
    "localhost:3000": Address("localhost", 3000),
    "127.0.0.1:1": Address("127.0.0.1", 1),
    "node-1.example.org:65535": Address("node-1.example.org", 65535),
    "[::1]:3000": Address("::1", 3000),
    "[fe80::1%eth0]:3000": Address("fe80::1%eth0", 3000),
    "under_score:80": Address("under_score", 80),
}
BAD = [
    "",
    "localhost",
    "localhost:",
    ":3000",
    "localhost:0",
    "localhost:70000",
    "localhost:-1",
    "localhost:+80",
    "localhost:８０",
    "localhost:3000 ",
    "local host:3000",
    "::1:3000",
    "[::1]",
    "[::1]3000",
    "[localhost]:3000",
    "-bad:3000",
    "bad-:3000",
    "a..b:3000",
    "http://localhost:3000",
    "localhost:3000\n",
    "ümlaut:3000",
    "x" * 64 + ":3000",
    "a." * 130 + "a:3000",
    "\0:3000",
    "127.1:3000",
    "0x7f000001:3000",
    "2130706433:3000",
    "a.256.0.0.1:3000",
    "10.0.0.1.:3000",
    "[:::1]:3000",
    "[:1]:1",
    "[1::2::3]:1",
    "[:%eth0]:1",
]
NOT_FOR_OTHERS = [
    "0.0.0.0:3000",
    "[::]:3000",
    "[::ffff:0.0.0.0]:3000",
    "224.0.0.1:1",
    "[ff02::1]:1",
    "240.0.0.1:1",
    "255.255.255.255:1",
    "[fe80::1%eth0]:3000",
    *BAD,
]


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_read_and_written_back(text: str) -> None:
    assert parse_address(text) == GOOD[text]
    assert str(GOOD[text]) == text


@pytest.mark.parametrize("text", BAD)
def test_a_malformed_address_is_refused_with_a_code(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_address(text)
    assert caught.value.code == "bad-address"
    assert caught.value.next_step


@pytest.mark.parametrize("text", NOT_FOR_OTHERS)
def test_an_address_that_others_cannot_dial_is_no_peer_address(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_peer_address(text)
    assert caught.value.code == "bad-address"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("[0:0:0:0:0:0:0:1]:03000", "[::1]:3000"),
        ("[::FFFF:10.0.0.1]:3000", "10.0.0.1:3000"),
        ("[2001:DB8::0:7]:1", "[2001:db8::7]:1"),
        ("10.0.0.1:1", "10.0.0.1:1"),
        ("a1.example:1", "a1.example:1"),
    ],
)
def test_an_ip_address_is_written_in_one_way(text: str, plain: str) -> None:
    assert str(parse_address(text)) == str(parse_peer_address(text)) == plain


@given(st.text(max_size=MAX_ADDRESS + 10))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except Rejected as error:
        code = error.code
    else:
        code = "bad-address"
        assert parse_address(str(address)) == address
    assert code == "bad-address"


@pytest.mark.parametrize(
    ("text", "plain", "group"),
    [
        ("10.0.5.9", "10.0.5.9", "10.0.5.0/24"),
        ("::ffff:10.0.5.9", "10.0.5.9", "10.0.5.0/24"),
        ("2001:DB8:1:2:0::7", "2001:db8:1:2::7", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::1", "fe80::/48"),
        ("a.example", None, ""),
        ("", None, ""),
    ],
)
def test_ip_addresses_have_one_spelling_and_a_network(text: str, plain: str | None, group: str) -> None:
    assert plain_ip(text) == plain
    assert network_group(text) == group


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.9.9.9", "::1", "::1%lo", "::ffff:127.0.0.1", "0.0.0.0", "::", "::ffff:0.0.0.0",
        "localhost", "localhost.", "LocalHost", "vote.localhost", "vote.localhost.",
    ],
)  # fmt: skip
def test_a_host_that_is_the_own_machine_of_everybody(host: str) -> None:
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host", ["", "10.0.0.1", "128.0.0.1", "::2", "fe80::1%lo", "notlocalhost", "localhost.example.org"]
)
def test_a_host_that_is_one_machine_for_everybody(host: str) -> None:
    assert not is_own_host(host)


@pytest.mark.parametrize(
    ("host", "one"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a.example", "a.example"),
    ],
)
def test_what_surely_has_one_owner(host: str, one: str) -> None:
    assert network_of_one(host) == one
