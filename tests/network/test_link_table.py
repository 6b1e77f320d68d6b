"""The table of links: handshakes, what is dropped before it is parsed, back-pressure, silence."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from support import key_of, make_election, make_vote
from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.link_table import (
    GREETING_SECONDS,
    HINT_PATIENCE,
    LOST_AFTER,
    MAX_JOBS,
    MAX_PENDING,
    PING_AFTER,
    LinkTable,
)
from votenet.network.transport import Link
from votenet.protocol.connection import Connection, Identity
from votenet.protocol.events import Event, LinkDown, PeerUp, Received
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.messages import (
    GetStatus,
    HaveVotes,
    Ping,
    Pong,
    RequestBlockchain,
    Votes,
    encode_message,
)

NETWORK = make_election().network_hex


class FakeLink:
    """Records what a table does with a link."""

    def __init__(self, number: int, *, outbound: bool = False) -> None:
        self.id, self.outbound, self.host, self.port = number, outbound, "host", 1
        self.sent: list[bytes] = []
        self.owed = self.max_line = 0
        self.bytes_sent = self.bytes_received = 0
        self.paused = self.aborted = self.closed = False
        self.refused: list[str] = []
        self.turned_out: list[str] = []
        self.held, self.owes = 0, False

    def send_line(self, line: bytes) -> None:
        self.sent.append(line)

    def answer(self, line: bytes) -> None:
        self.owed -= 1
        self.sent.append(line)

    def expect_answer(self) -> None:
        self.owed += 1

    def close(self, final_line: bytes | None = None) -> None:
        self.closed = True
        if final_line is not None:
            self.sent.append(final_line)

    def refuse(self, error: VotenetError) -> None:
        self.refused.append(error.code)

    def turn_out(self, error: VotenetError) -> None:
        self.turned_out.append(error.code)

    def abort(self) -> None:
        self.aborted = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def allow_lines_of(self, max_line: int) -> None:
        self.max_line = max_line

    def types(self) -> list[Any]:
        return [json.loads(line)["type"] for line in self.sent]


class Table:
    """A LinkTable with a clock and everything it tells."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[Event] = []
        self.refusals: list[tuple[str, str]] = []
        self.links = LinkTable(
            Identity(key_of("us"), NETWORK, "us:1"),
            self.events.append,
            lambda: (5, 500),
            lambda: self.now,
            lambda address, code: self.refusals.append((address, code)),
        )

    def open(self, number: int, *, outbound: bool = False, dialled: str = "") -> FakeLink:
        link = FakeLink(number, outbound=outbound)
        self.links.link_opened(cast(Link, link))
        if dialled:
            self.links.dialled(cast(Link, link), dialled)
        return link

    def line(self, link: FakeLink, line: bytes) -> None:
        self.links.line_received(cast(Link, link), line)

    def peer(self, number: int, name: str = "peer", *, outbound: bool = False, dialled: str = "") -> FakeLink:
        """A link with its handshake done; what was sent meanwhile is forgotten."""
        link = self.open(number, outbound=outbound, dialled=dialled)
        identity = Identity(key_of(name), NETWORK, f"{name}:1")
        theirs = Connection(identity, outbound=not outbound, challenge=bytes([number] * 32))
        if not outbound:
            self.line(link, encode_message(theirs.hello(1, 100)))
        _, (answer,) = theirs.receive(link.sent.pop(0), 1, 100)
        self.line(link, encode_message(answer))
        link.sent.clear()
        return link


@pytest.mark.parametrize("outbound", [False, True])
def test_a_finished_handshake_is_an_event_and_allows_long_lines(outbound: bool) -> None:
    table = Table()
    link = table.peer(1, "peer", outbound=outbound)
    (event,) = table.events
    assert isinstance(event, PeerUp)
    assert (event.link, event.greeted.node_key, event.outbound) == (1, key_of("peer").public_hex, outbound)
    assert link.max_line == MAX_PEER_LINE
    table.links.link_closed(cast(Link, link), None)
    assert table.events[1:] == [LinkDown(1)]


def test_whoever_dials_says_hello_first() -> None:
    table = Table()
    assert table.open(1, outbound=True).types() == ["hello"]
    assert table.open(2).sent == []
    table.links.link_closed(cast(Link, table.open(3)), None)
    assert table.events == []  # a stranger that leaves is no event


def test_a_request_of_a_stranger_is_owed_an_answer_and_a_peers_is_not() -> None:
    table = Table()
    stranger, peer = table.open(1), table.peer(2)
    for link in (stranger, peer):
        table.line(link, encode_message(GetStatus(id=1)))
        table.line(link, encode_message(Ping()))
    assert (stranger.owed, peer.owed) == (2, 0)
    assert [type(e.message) for e in table.events if isinstance(e, Received)] == [GetStatus, Ping] * 2
    table.links.send(1, b"answer")
    table.links.send(2, b"answer")
    table.links.send(99, b"nobody")
    assert (stranger.owed, stranger.sent, peer.sent) == (1, [b"answer"], [b"answer"])


def test_s07_after_the_chapters_answer_the_connection_is_closed() -> None:
    table = Table()
    link = table.open(1)
    table.line(link, encode_message(RequestBlockchain()))
    table.links.send_last(1, b"chain")
    assert (link.sent, link.closed) == ([b"chain"], True)


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"x", "bad-json"), (b'{"type":"x"}', "unknown-type"), (b"{}", "bad-message"),
     (encode_message(HaveVotes(ids=b"")), "hello-required"), (b'{"error":{}}', "bad-message"),
     (b'{"type":"votes_taken","outcomes":[]}', "unexpected-message")],
)  # fmt: skip
def test_a_wrong_line_ends_the_link_with_its_code(line: bytes, code: str) -> None:
    table = Table()
    link = table.open(1)
    table.line(link, line)
    assert link.refused == [code]
    assert table.events == []


def test_s09_votes_that_came_before_are_dropped_before_they_are_parsed() -> None:
    table = Table()
    one, two = table.peer(1, "one"), table.peer(2, "two")
    line = encode_message(Votes(votes=(make_vote(make_election()).vote,)))
    table.line(one, line)
    table.line(two, line)
    assert len([e for e in table.events if isinstance(e, Received)]) == 1
    table.line(two, encode_message(HaveVotes(ids=b""))), table.line(two, encode_message(HaveVotes(ids=b"")))
    assert len([e for e in table.events if isinstance(e, Received)]) == 3


def test_votes_that_were_asked_for_get_through_each_time() -> None:
    """The same votes may have come unasked before, and been refused for lack of room."""
    table = Table()
    link = table.peer(1)
    vote = make_vote(make_election()).vote
    for request in (None, 1, 2):
        table.line(link, encode_message(Votes(votes=(vote,), id=request)))
    assert len([e for e in table.events if isinstance(e, Received)]) == 3


def test_the_lines_of_a_refused_peer_are_news_when_others_send_them() -> None:
    table = Table()
    eve, honest = table.peer(1, "eve"), table.peer(2, "honest")
    line = encode_message(Votes(votes=(make_vote(make_election()).vote,)))
    table.line(eve, line)
    table.links.refuse(1, RemoteProtocolError("bad-work", "b"))
    table.events.clear()
    table.line(honest, line)
    assert len(table.events) == 1


def test_after_a_new_start_of_the_core_everything_is_news() -> None:
    table = Table()
    line = encode_message(Votes(votes=(make_vote(make_election()).vote,)))
    table.line(table.peer(1), line)
    table.links.refuse_all(RemoteProtocolError("storage-failed", "full"))
    again = table.peer(2)
    table.events.clear()
    table.line(again, line)
    assert len(table.events) == 1


def test_bytes_of_peers_are_counted_also_after_they_have_left_and_those_of_strangers_are_not() -> None:
    table = Table()
    peer, gone, stranger = table.peer(1, "peer"), table.peer(2, "gone"), table.open(3)
    for link, count in ((peer, 1), (gone, 10), (stranger, 100)):
        link.bytes_sent, link.bytes_received = count, 2 * count
    table.links.link_closed(cast(Link, gone), None)
    assert table.links.traffic() == (11, 22)


@pytest.mark.parametrize("outbound", [True, False])
def test_a_refusal_by_a_peer_is_understood_whoever_dialled(outbound: bool) -> None:
    table = Table()
    link = table.peer(1, outbound=outbound, dialled="there:1" if outbound else "")
    table.line(link, b'{"error":{"code":"duplicate-connection","message":"m"}}')
    assert table.refusals == [("there:1" if outbound else "", "duplicate-connection")]
    assert link.closed
    assert link.refused == []


def test_a_refusal_in_the_middle_of_the_handshake_is_told_to_the_dialler() -> None:
    table = Table()
    link = table.open(1, outbound=True, dialled="there:1")
    table.line(link, b'{"error":{"code":"network-mismatch","message":"m"}}')
    assert table.refusals == [("there:1", "network-mismatch")]


def test_a_link_that_sends_faster_than_the_core_takes_is_paused() -> None:
    table = Table()
    link = table.open(1)
    for _ in range(MAX_PENDING):
        table.line(link, encode_message(Ping()))
    assert not link.paused
    table.line(link, encode_message(Ping()))
    assert link.paused
    for _ in range(MAX_PENDING // 2):
        table.links.stepped(1)
    assert link.paused
    table.links.stepped(1)
    assert not link.paused


def test_a_link_with_too_many_checks_under_way_is_paused() -> None:
    table = Table()
    link = table.open(1)
    for _ in range(MAX_JOBS):
        assert not link.paused
        table.links.job_started(1)
    assert link.paused
    table.links.stepped(1)
    assert link.paused
    table.links.job_done(1)
    assert not link.paused
    for act in (table.links.job_started, table.links.job_done, table.links.stepped):
        act(99)  # a link that is gone


def test_a_silent_peer_is_pinged_and_then_given_up_and_a_stranger_is_not() -> None:
    table = Table()
    peer, stranger = table.peer(1), table.open(2)
    table.now += PING_AFTER
    table.links.keep_alive()
    assert peer.sent == []
    table.now += 0.1
    table.links.keep_alive()
    assert (peer.types(), stranger.sent) == (["ping"], [])
    table.now = 1000.0 + LOST_AFTER + 0.1
    table.links.keep_alive()
    assert (peer.aborted, stranger.aborted) == (True, False)


def test_any_line_keeps_a_peer() -> None:
    table = Table()
    peer = table.peer(1)
    table.now += LOST_AFTER
    table.line(peer, encode_message(Pong()))
    table.now += LOST_AFTER
    table.links.keep_alive()
    assert not peer.aborted


@pytest.mark.parametrize("outbound", [True, False])
def test_a_handshake_that_falls_silent_is_given_up(outbound: bool) -> None:
    """A stopped process accepts connections through its kernel: its address must not stay busy for long."""
    table = Table()
    link = table.open(1, outbound=outbound, dialled="there:1")
    if not outbound:
        theirs = Connection(Identity(key_of("x"), NETWORK, ""), outbound=True, challenge=bytes(32))
        table.line(link, encode_message(theirs.hello(0, 0)))
    table.now += GREETING_SECONDS
    table.links.keep_alive()
    assert not link.aborted
    table.now += 0.1
    table.links.keep_alive()
    assert link.aborted
    assert "ping" not in link.types()


def test_s13_a_peer_that_is_said_to_have_left_must_answer_soon() -> None:
    table = Table()
    gone, there, other = table.peer(1, "gone"), table.peer(2, "there"), table.peer(3, "other")
    table.links.doubt("gone:1")
    table.links.doubt("there:1")
    assert (gone.types(), there.types(), other.sent) == (["ping"], ["ping"], [])
    table.line(there, encode_message(Pong()))
    table.now += HINT_PATIENCE + 0.1
    table.links.keep_alive()
    assert (gone.aborted, there.aborted, other.aborted) == (True, False, False)


def test_a_hint_without_an_address_doubts_nobody() -> None:
    table = Table()
    peer = table.peer(1)
    table.links.doubt("")
    assert peer.sent == []


def test_addresses_that_lead_to_an_open_link_are_busy() -> None:
    table = Table()
    table.open(1, outbound=True, dialled="dialled:1")
    table.peer(2, "came")
    assert table.links.busy_addresses() == {"dialled:1", "came:1"}


def test_all_can_be_refused_at_once() -> None:
    table = Table()
    links = [table.open(1), table.peer(2)]
    table.links.refuse_all(RemoteProtocolError("storage-failed", "full"))
    table.links.refuse(1, RemoteProtocolError("busy", "b"))
    table.links.refuse(99, RemoteProtocolError("busy", "b"))
    assert [link.refused for link in links] == [["storage-failed", "busy"], ["storage-failed"]]


def test_lines_of_a_link_that_is_closed_are_dropped() -> None:
    table = Table()
    link = table.peer(1)
    table.links.link_closed(cast(Link, link), None)
    table.events.clear()
    table.line(link, encode_message(Ping()))
    assert table.events == []
