"""What the page of an election tells a newcomer: the definition, bootstrap servers, addresses of nodes.

All of it is the word of the page. The network id shows whether the definition is the right one, and each node
proves its key.
"""

from __future__ import annotations

import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import Annotated, Final, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from votenet.client.answers import wrong_answer
from votenet.client.nodes import readable_addresses
from votenet.core.election.definition import Election, election_from_file
from votenet.errors import ConfigError, Unreachable
from votenet.network.http_client import HttpAnswer, http_get
from votenet.protocol.wire.address import Address
from votenet.storage.genesis_file import MAX_GENESIS

MAX_LISTS: Final = 1024 * 1024
"""Bytes of a list of servers or nodes that is read."""
MAX_BOOTSTRAPS: Final = 8
MAX_NODES: Final = 64
"""Of the servers and the nodes that a page names, those that are looked at."""
_OK: Final = 200
_NOT_FOUND: Final = 404

T = TypeVar("T")


class PageEntry(NamedTuple):
    """`nodes` and `bootstraps` are as the page names them: perhaps of another machine's loopback.

    `clock_ahead`: seconds that the clock here is ahead of that of the page; None where the page tells none.
    """

    url: str
    election: Election
    bootstraps: tuple[Address, ...] = ()
    nodes: tuple[Address, ...] = ()
    clock_ahead: float | None = None


class _Join(msgspec.Struct):
    """`/join.json`."""

    network_id: str
    bootstrap: Annotated[list[str], msgspec.Meta(max_length=1000)] = []


class _Node(msgspec.Struct):
    address: str = ""


class _Nodes(msgspec.Struct):
    """`/api/v1/nodes`."""

    nodes: list[_Node] = []


def page_url(text: str) -> str:
    """The address of a page, without what follows host and path.

    Raises:
        ConfigError: bad-url.
    """
    try:
        parts = urlsplit(text.strip())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or brackets that do not close
        fits = False
    if not fits or "@" in parts.netloc or any(c.isspace() or not c.isprintable() for c in text.strip()):
        raise ConfigError(
            f"{text!r} is not the address of a page",
            code="bad-url",
            next_step="Write it like https://vote.example.org or http://10.0.0.5:8080",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


async def fetch_page(url: str) -> PageEntry:
    """What the page at an address (`page_url`) tells. Lists that it does not have are empty.

    Raises:
        Unreachable: it does not answer; bad-certificate; not-a-page, when something else answers there.
        NotProven: wrong-answer; the page contradicts itself.
    """
    election, clock_ahead = await _fetch_genesis(url)
    bootstraps: list[Address] = []
    if (told := await _fetch_list(f"{url}/join.json", _Join)) is not None:
        if told.network_id != election.network_hex:
            raise wrong_answer(url, "the servers of another network than that of its genesis file")
        bootstraps = readable_addresses(told.bootstrap)[:MAX_BOOTSTRAPS]
    listed = await _fetch_list(f"{url}/api/v1/nodes", _Nodes)
    nodes = readable_addresses(node.address for node in listed.nodes) if listed else []
    return PageEntry(url, election, tuple(bootstraps), tuple(nodes[:MAX_NODES]), clock_ahead)


async def _fetch_genesis(url: str) -> tuple[Election, float | None]:
    """The election, and how far the clock here is ahead of that of the page."""
    answer = await http_get(f"{url}/genesis.json", max_size=MAX_GENESIS)
    if answer.status == _OK:
        try:
            return election_from_file(answer.body, f"{url}/genesis.json"), _clock_ahead(answer, time.time())
        except ConfigError as error:
            raise _not_a_page(url, error.message) from error
    if answer.status // 100 == 3:
        raise _redirected(url, answer)
    if answer.status == _NOT_FOUND:
        raise _not_a_page(url, "it has no genesis.json")
    raise Unreachable(
        f"{url} has no genesis file now: it answers with status {answer.status}",
        next_step="Try again in a moment, or ask another page of this election.",
    )


def _not_a_page(url: str, why: str) -> Unreachable:
    return Unreachable(
        f"what answers at {url} is not the page of an election: {why}",
        code="not-a-page",
        next_step="Give the address as the organisers write it, https:// and port included.",
    )


def _redirected(url: str, answer: HttpAnswer) -> Unreachable:
    """The error about a page that sends its visitors elsewhere: it names that address."""
    error = _not_a_page(url, "it sends its visitors to another address")
    with contextlib.suppress(ValueError, ConfigError):
        there = page_url(urljoin(url, answer.headers.get("location", "")).removesuffix("/genesis.json"))
        if there.isascii() and len(there) < 200:
            return error.advising(f"If that address is the organisers', too, give it in its place: {there}")
    return error


def _clock_ahead(answer: HttpAnswer, now: float) -> float | None:
    with contextlib.suppress(KeyError, ValueError, TypeError, OverflowError):
        return now - parsedate_to_datetime(answer.headers["date"]).timestamp()
    return None


async def _fetch_list(url: str, kind: type[T]) -> T | None:
    """What a page answers there; None where it has no such list now, or something else."""
    try:
        answer = await http_get(url, max_size=MAX_LISTS)
        return msgspec.json.decode(answer.body, type=kind) if answer.status == _OK else None
    except (Unreachable, msgspec.DecodeError, UnicodeError, RecursionError):
        return None
