"""Votes that are asked for: of one peer at a time, of each that has announced them, within bounds."""

from __future__ import annotations

import pytest

from support.nodes import HandNode
from votenet.protocol.node.vote_request_tracker import ASK_SECONDS, VoteRequestTracker
from votenet.protocol.wire.peer_messages import MAX_VOTES_IN_LINE, GetVotes


def short(number: int) -> bytes:
    """What we call a vote."""
    return number.to_bytes(8, "big")


def handle(link: int, number: int) -> bytes:
    """What the peer on a link calls it."""
    return bytes([link]) + number.to_bytes(7, "big")


class Asking:
    """VoteRequestTracker of a node with three peers."""

    def __init__(self) -> None:
        self.node = HandNode()
        for link in (1, 2, 3):
            self.node.meet(link)
        self.requests = VoteRequestTracker(self.node.state)
        self.now = 0.0

    def announce(self, link: int, *numbers: int) -> None:
        self.requests.ask(link, [(short(n), handle(link, n)) for n in numbers], self.now)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.requests.tick(self.now)

    def sent(self) -> list[tuple[int, bytes]]:
        """What was asked since the last look."""
        messages, self.node.state.ready.send = self.node.state.ready.send, []
        ids = [message.id for _, message in messages if isinstance(message, GetVotes)]
        assert None not in ids
        assert len(set(ids)) == len(ids), "an answer is told from others by its id"
        return [(link, message.ids) for link, message in messages if isinstance(message, GetVotes)]


def test_a_vote_is_asked_of_the_first_that_has_it_and_by_the_name_it_has_there() -> None:
    asking = Asking()
    asking.announce(1, 7, 8)
    asking.announce(2, 7, 9)
    asking.announce(1, 7)
    assert asking.sent() == [(1, handle(1, 7) + handle(1, 8)), (2, handle(2, 9))]


def test_a_missing_vote_is_asked_once_of_each_announcer() -> None:
    asking = Asking()
    for link in (1, 2, 3):
        asking.announce(link, 7)
    assert asking.sent() == [(1, handle(1, 7))]
    asking.tick(ASK_SECONDS - 0.1)
    assert asking.sent() == []
    asking.tick(0.1)
    assert asking.sent() == [(2, handle(2, 7))]
    asking.tick(ASK_SECONDS)
    assert asking.sent() == [(3, handle(3, 7))]
    asking.tick(ASK_SECONDS)
    assert asking.sent() == []
    asking.announce(1, 7)  # announced anew, for instance by its next process
    assert asking.sent() == [(1, handle(1, 7))]


def test_received_votes_are_not_asked_for_again() -> None:
    asking = Asking()
    asking.announce(1, 7), asking.announce(2, 7)
    asking.sent()
    asking.requests.came([short(7)]), asking.requests.came([short(7), short(8), short(99)])
    asking.tick(ASK_SECONDS)
    assert asking.sent() == []
    assert not asking.requests._owed


def test_requests_of_a_lost_peer_go_to_others_at_once() -> None:
    asking = Asking()
    asking.announce(1, 7, 8), asking.announce(2, 8), asking.announce(3, 8)
    asking.sent()
    for link in (1, 2):
        asking.node.lose(link)
    asking.node.core.ready(0.0)
    asking.requests.drop_peer(1, asking.now)
    assert asking.sent() == [(3, handle(3, 8))]
    assert len(asking.requests._asked) == 1


def test_more_than_fits_a_line_is_asked_in_several() -> None:
    asking = Asking()
    asking.announce(1, *range(MAX_VOTES_IN_LINE + 1))
    assert [len(ids) // 8 for _, ids in asking.sent()] == [MAX_VOTES_IN_LINE, 1]


def test_one_flood_of_announcements_is_bounded_and_leaves_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("votenet.protocol.node.vote_request_tracker.MAX_ASKED_OF_PEER", 100)
    monkeypatch.setattr("votenet.protocol.node.vote_request_tracker.MAX_ASKED", 150)
    asking = Asking()
    asking.announce(1, *range(1000))
    asking.announce(2, *range(1000, 1040))
    asking.announce(3, *range(2000, 3000))
    assert asking.requests._owed == {1: 100, 2: 40, 3: 10}
    assert len(asking.requests._asked) == 150
    asking.sent()
    asking.tick(ASK_SECONDS)
    assert (len(asking.requests._asked), len(asking.requests._owed)) == (0, 0)
    asking.announce(3, 5000)
    assert asking.sent() == [(3, handle(3, 5000))]
