"""What a page tells a newcomer, and what is no page. A real page with a real node, and scripted servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from tests.cli.conftest import RunningNode

from support.elections import make_election
from support.page import serving
from support.peers import served
from votenet.client.page_entry import MAX_BOOTSTRAPS, MAX_NODES, PageEntry, fetch_page, page_url
from votenet.errors import ConfigError, NotProven, Unreachable, VotenetError
from votenet.protocol.wire.address import Address

ELECTION = make_election()


def entry_of(answers: Mapping[str, object]) -> PageEntry:
    """What is read from a server that has these documents; bytes are sent as they are, behind a status."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        found = answers.get(path)
        if isinstance(found, bytes):
            writer.write(found)
            return
        status = b"404 Not Found" if found is None else b"200 OK"
        body = found if isinstance(found, str) else json.dumps(found)
        writer.write(b"HTTP/1.1 %s\r\nConnection: close\r\n\r\n%s" % (status, body.encode()))

    async def run() -> PageEntry:
        async with served(talk) as address:
            return await fetch_page(page_url(f"http://{address}"))

    return asyncio.run(run())


def genesis() -> dict[str, object]:
    return {"/genesis.json": ELECTION.to_file().decode()}


def test_a_real_page_tells_its_election_and_its_nodes(node: RunningNode) -> None:
    async def run() -> PageEntry:
        async with serving(node.address) as page:
            return await fetch_page(f"http://{page.address}")

    found = asyncio.run(run())
    assert found.election.network_id == node.election.network_id
    assert found.nodes == (node.address,)


def test_servers_and_nodes_that_a_page_names_are_bounded() -> None:
    join = {"network_id": ELECTION.network_hex, "bootstrap": [f"10.0.0.1:{n}" for n in range(1, 100)]}
    nodes = {"nodes": [{"address": f"10.0.0.2:{n}"} for n in range(1, 1000)], "named": 5}
    found = entry_of(genesis() | {"/join.json": join, "/api/v1/nodes": nodes})
    assert found.bootstraps == tuple(Address("10.0.0.1", n) for n in range(1, MAX_BOOTSTRAPS + 1))
    assert found.nodes == tuple(Address("10.0.0.2", n) for n in range(1, MAX_NODES + 1))


@pytest.mark.parametrize("rubbish", ["", "[]", '{"nodes": 7}', "<html>", '{"nodes": [{"address": "x"}]}'])
def test_lists_that_are_missing_or_something_else_are_empty(rubbish: str) -> None:
    found = entry_of(genesis() | {"/join.json": rubbish, "/api/v1/nodes": rubbish})
    assert (found.bootstraps, found.nodes) == ((), ())
    assert found.election.network_id == ELECTION.network_id


def test_a_page_that_names_servers_of_another_network_contradicts_itself() -> None:
    with pytest.raises(NotProven) as refused:
        entry_of(genesis() | {"/join.json": {"network_id": "00" * 32, "bootstrap": []}})
    assert refused.value.code == "wrong-answer"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "not-a-page"),
        ("<html>hello</html>", "not-a-page"),
        ("{}", "not-a-page"),
        (b"HTTP/1.1 308 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n", "not-a-page"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "unreachable"),
        (b"220 mail.example\r\n", "unreachable"),
    ],
)
def test_what_is_not_the_page_of_an_election(answer: object, code: str) -> None:
    with pytest.raises(Unreachable) as refused:
        entry_of({"/genesis.json": answer})
    assert (refused.value.code, bool(refused.value.next_step)) == (code, True)


def test_the_address_of_a_page_loses_what_stands_behind_it() -> None:
    assert page_url(" https://vote.example.org/ ") == "https://vote.example.org"
    assert page_url("http://10.0.0.5:8080/club/?lang=id#top") == "http://10.0.0.5:8080/club"
    assert page_url("http://[::1]:8080") == "http://[::1]:8080"


@pytest.mark.parametrize(
    "text",
    ["", "https://", "ftp://x", "vote.example.org", "http://:80", "http://x:99999", "http://[::1",
     "http://a b", "http://user:word@x", "http://x\x07"],
)  # fmt: skip
def test_what_is_not_the_address_of_a_page(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        page_url(text)
    assert (refused.value.code, bool(refused.value.next_step)) == ("bad-url", True)


def test_a_page_that_is_down_says_so() -> None:
    with pytest.raises(VotenetError) as refused:
        asyncio.run(fetch_page("http://127.0.0.1:1"))
    assert refused.value.code == "unreachable"


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://vote.example.org/genesis.json", "https://vote.example.org"),
        ("/club/genesis.json", "/club"),
        ("javascript:alert(1)", ""),
        ("https://x\xe9/", ""),
    ],
)
def test_a_page_that_sends_its_visitors_elsewhere_names_the_place_that_nobody_followed(
    location: str, named: str
) -> None:
    head = f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(Unreachable) as refused:
        entry_of({"/genesis.json": head.encode("latin-1")})
    assert "sends its visitors" in refused.value.message
    assert (named or "as the organisers write it") in str(refused.value.next_step)


def test_the_clock_of_a_page_is_compared_where_it_tells_one() -> None:
    body = ELECTION.to_file()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
    old = f"{head}Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n\r\n".encode() + body
    ahead = entry_of({"/genesis.json": old}).clock_ahead
    assert ahead is not None
    assert ahead > 86400
    for date in ("", "Date: yesterday\r\n"):
        told = f"{head}{date}\r\n".encode() + body
        assert entry_of({"/genesis.json": told}).clock_ahead is None
