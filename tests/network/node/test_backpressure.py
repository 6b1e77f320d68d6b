"""Back-pressure for itself: what is counted is given back, whatever comes in which order."""

from __future__ import annotations

import os
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of, make_election
from votenet.network.node.backpressure import (
    MAX_HELD,
    MAX_JOBS,
    MAX_PENDING_OF_STRANGER,
    Backpressure,
    OpenLink,
)
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.token_bucket import TokenBucket

IDENTITY = LocalNode(key_of("us"), make_election().network_hex, "us:1")


class Socket:
    """The part of a link that is paused and resumed."""

    def __init__(self, number: int) -> None:
        self.id, self.paused = number, False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


def opened(number: int, crowd: str) -> OpenLink:
    connection = Connection(IDENTITY, outbound=False, challenge=os.urandom(32))
    bucket = TokenBucket(1.0, 1.0)
    return OpenLink(cast(Any, Socket(number)), connection, 0.0, bucket, bucket, crowd)


@given(
    lines=st.lists(st.tuples(st.integers(0, 5), st.integers(1, MAX_HELD), st.integers(0, 2)), max_size=80),
    closing=st.sets(st.integers(0, 5)),
)
def test_when_all_is_judged_nothing_is_held_and_every_open_link_is_read(
    lines: list[tuple[int, int, int]], closing: set[int]
) -> None:
    links = {number: opened(number, f"address {number % 2}") for number in range(6)}
    backpressure = Backpressure(links, lambda: 0.0)
    checks = []
    for number, size, _ in lines:
        backpressure.received(links[number], size)
    for number in closing:
        assert backpressure.closed(links.pop(number)) == any(line[0] == number for line in lines)
    for number, _, jobs in lines:
        size = backpressure.stepped(number, jobs)
        checks += [(number, size)] * jobs
    for number, size in checks:
        backpressure.job_done(number, size)
    assert backpressure.is_idle
    assert not any(link.paused or link.link.paused for link in links.values())  # type: ignore[attr-defined]


def test_a_link_is_paused_by_messages_and_by_checks_and_reads_on_at_half() -> None:
    links = {1: opened(1, "address")}
    backpressure = Backpressure(links, lambda: 0.0)
    for _ in range(MAX_PENDING_OF_STRANGER + 1):
        backpressure.received(links[1], 10)
    assert links[1].paused
    while len(links[1].pending) > MAX_PENDING_OF_STRANGER // 2:
        assert links[1].paused
        backpressure.stepped(1)
    assert not links[1].paused
    for _ in range(MAX_JOBS):
        backpressure.job_started(1, 10)
    assert links[1].paused
    backpressure.job_done(1, 10)
    assert not links[1].paused
