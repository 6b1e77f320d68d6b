"""A node is killed while fifty voters cast on the page: each vote that was answered is counted."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.api_fuzz import PAGE, start_page
from support.elections import make_vote
from support.named_programs import NAMED, NamedPrograms
from votenet.core.ledger.vote import HashedVote

VOTES = 50
BEFORE = 10
"""Votes that are answered before the node is killed."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NamedPrograms]:
    made = NamedPrograms(tmp_path)
    try:
        for index in range(NAMED):
            made.start_named(index)
        yield made
    finally:
        made.end()


def ask(url: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of an answer; 0 where there is none."""
    link = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=60)
    try:
        link.request(method, path, body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        link.close()


def test_no_vote_that_was_answered_is_lost_with_the_node_that_took_it(network: NamedPrograms) -> None:
    url = start_page(network)
    now = int(time.time())
    votes = [make_vote(network.election, f"voter-{n}", time=now) for n in range(VOTES)]
    network.wait_for(lambda: network.submit(0, [make_vote(network.election, "first", time=now)]))
    answered, enough = dict[str, int](), threading.Event()

    def post(vote: HashedVote) -> int:
        status, _ = ask(url, "POST", "/api/v1/votes", vote.record)
        answered[vote.voter_id] = status
        if sum(code == 200 for code in answered.copy().values()) >= BEFORE:
            enough.set()
        return status

    with ThreadPoolExecutor(8) as pool:
        casts = [pool.submit(post, vote) for vote in votes]
        assert enough.wait(60), network.log(PAGE)
        network.kill(network.name(0))
        for cast in casts:
            cast.result()
    assert set(answered.values()) <= {200, 503}
    # Who was told to send the same vote again does so.
    for vote in votes:
        if answered[vote.voter_id] != 200:
            network.wait_for(lambda vote=vote: post(vote) == 200)  # type: ignore[misc]
    network.wait_for(
        lambda: all(
            (found := network.results(index)).get("votes") == VOTES + 1
            and found.get("height") == found.get("final_height")
            for index in range(1, NAMED)
        )
    )
    for vote in votes[:: VOTES // 5]:
        network.wait_for(lambda vote=vote: is_final(url, vote))  # type: ignore[misc]


def is_final(url: str, vote: HashedVote) -> bool:
    """Whether the page says so of this very vote."""
    status, body = ask(url, "GET", f"/api/v1/vote?voter={vote.voter_id}")
    found = json.loads(body) if status == 200 else {}
    return (found.get("state"), found.get("vote_id")) == ("final", vote.id.hex())
