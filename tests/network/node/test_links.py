"""The table of links: handshakes, lines dropped before parsing, back-pressure, silence."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from support.elections import key_of, make_election, make_vote
from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.node.backpressure import (
    MAX_HELD,
    MAX_JOBS,
    MAX_PENDING,
    MAX_PENDING_OF_ADDRESS,
    MAX_PENDING_OF_STRANGER,
)
from votenet.network.node.connection_policy import ConnectionPolicy
from votenet.network.node.links import (
    HANDSHAKE_SECONDS,
    HINT_PATIENCE,
    LIVE_SECONDS,
    LOST_AFTER,
    MAX_INBOUND,
    MAX_INBOUND_OF_ADDRESS,
    PING_AFTER,
    SHARE_OF_OURS,
    SHARE_OF_STRANGERS,
    TWIN_PATIENCE,
    Behind,
    LinkTable,
)
from votenet.network.node.memory_limit import MEASURE_BYTES
from votenet.network.transport import Link
from votenet.protocol.node.events import Event, LinkDown, PeerUp, Received
from votenet.protocol.peers.misbehavior import of_key
from votenet.protocol.wire.client_messages import GetStatus
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.framing import MAX_CLIENT_LINE, MAX_PEER_LINE
from votenet.protocol.wire.limits import (
    CLIENT_RATES,
    LINE_UNITS,
    MAX_DEBT_SECONDS,
    PEER_RATES,
)
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import HaveVotes, HelloProof, Ping, Pong, RequestBlockchain, Votes

NETWORK = make_election().network_hex


class FakeLink:
    """Records what a table does with a link."""

    def __init__(self, number: int, *, outbound: bool = False, host: str = "host") -> None:
        self.id, self.outbound, self.host, self.port = number, outbound, host, 1
        self.sent: list[bytes] = []
        self.owed = self.max_line = 0
        self.bytes_sent = self.bytes_received = 0
        self.paused = self.aborted = self.closed = False
        self.refused: list[str] = []
        self.turned_out: list[str] = []
        self.held, self.owes, self.sending = 0, False, False
        self.drained: Callable[[], None] | None = None
        self.local, self.dialled = "us:1", ("there:1", "10.9.9.9:1") if outbound else ()

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

    def evict(self, error: VotenetError) -> None:
        self.turned_out.append(error.code)

    def abort(self) -> None:
        self.aborted = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    @property
    def closing(self) -> bool:
        return self.closed or self.aborted or bool(self.refused)

    def allow_lines_of(self, max_line: int) -> None:
        self.max_line = max_line

    def types(self) -> list[Any]:
        return [json.loads(line)["type"] for line in self.sent]


class Table:
    """A LinkTable with a clock and everything it tells."""

    def __init__(self, named: Sequence[str] = (), **limits: int) -> None:
        self.now = 1000.0
        self.connection_policy = ConnectionPolicy(lambda: self.now, lambda: self.now, named=named)
        self.events: list[Event] = []
        self.refusals: list[tuple[str, str]] = []
        self.twins: list[str] = []
        self.foreign: list[str] = []
        self.links = LinkTable(
            LocalNode(key_of("us"), NETWORK, "us:1"),
            self.events.append,
            lambda: (5, 500),
            lambda: self.now,
            lambda address, code: self.refusals.append((address, code)),
            self.connection_policy,
            twin=lambda address: self.twins.append(address),
            foreign=self.foreign.append,
            **limits,
        )

    def wait(self, seconds: float) -> None:
        """Time passes; the links are looked at a few times a second, as a node does."""
        for _ in range(int(seconds * 4) + 1):
            self.now += 0.25
            self.links.keep_alive()

    def open(self, number: int, *, outbound: bool = False, dialled: str = "", host: str = "host") -> FakeLink:
        link = FakeLink(number, outbound=outbound, host=host)
        self.links.link_opened(cast(Link, link))
        if dialled:
            self.links.dialled(cast(Link, link), dialled)
        return link

    def line(self, link: FakeLink, line: bytes) -> None:
        self.links.line_received(cast(Link, link), line)

    def peer(
        self,
        number: int,
        name: str = "peer",
        *,
        outbound: bool = False,
        dialled: str = "",
        host: str = "host",
        seed: int = 0,
    ) -> FakeLink:
        """A link with its handshake done; what was sent meanwhile is forgotten."""
        link = self.open(number, outbound=outbound, dialled=dialled, host=host)
        identity = LocalNode(key_of(name), NETWORK, f"{name.replace(' ', '-')}:1", seed=seed)
        theirs = Connection(identity, outbound=not outbound, challenge=number.to_bytes(32, "big"))
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
    assert (event.link, event.peer_info.node_key, event.outbound) == (1, key_of("peer").public_hex, outbound)
    assert link.max_line == MAX_PEER_LINE
    table.links.link_closed(cast(Link, link), None)
    assert table.events[1:] == [LinkDown(1)]


def test_the_dialling_side_says_hello_first() -> None:
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


def test_after_an_answer_to_a_reference_client_the_connection_is_closed() -> None:
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


def test_votes_that_came_before_are_dropped_before_they_are_parsed() -> None:
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
def test_a_refusal_by_a_peer_is_understood_in_both_directions(outbound: bool) -> None:
    table = Table()
    link = table.peer(1, outbound=outbound, dialled="there:1" if outbound else "")
    table.line(link, b'{"error":{"code":"duplicate-connection","message":"m"}}')
    assert table.refusals == [("there:1" if outbound else "", "duplicate-connection")]
    assert link.closed
    assert link.refused == []


def test_a_node_of_another_network_that_dials_us_is_refused_and_told() -> None:
    table = Table()
    link = table.open(1, host="10.0.0.7")
    theirs = Connection(
        LocalNode(key_of("them"), "ff" * 32, "them:1"), outbound=True, challenge=(1).to_bytes(32, "big")
    )
    table.line(link, encode_message(theirs.hello(1, 100)))
    assert table.foreign == ["10.0.0.7"]
    table.peer(2)
    assert table.foreign == ["10.0.0.7"]


def test_a_refusal_in_the_middle_of_the_handshake_is_told_to_the_dialler() -> None:
    table = Table()
    link = table.open(1, outbound=True, dialled="there:1")
    table.line(link, b'{"error":{"code":"network-mismatch","message":"m"}}')
    assert table.refusals == [("there:1", "network-mismatch")]


@pytest.mark.parametrize(("peer", "most"), [(False, MAX_PENDING_OF_STRANGER), (True, MAX_PENDING)])
def test_a_link_that_sends_faster_than_the_core_takes_is_paused(peer: bool, most: int) -> None:
    table = Table()
    link = table.peer(1) if peer else table.open(1)
    for _ in range(most):
        table.line(link, encode_message(Ping()))
    assert not link.paused
    table.line(link, encode_message(Ping()))
    assert link.paused
    for _ in range(most // 2):
        table.links.backpressure.stepped(1)
    assert link.paused
    table.links.backpressure.stepped(1)
    assert not link.paused


def test_links_of_an_address_take_turns_at_being_read_when_much_of_it_waits() -> None:
    table = Table()
    links = [table.open(number, host=FAR) for number in range(1, 61)]
    other = table.open(100, host=OTHER)
    for link in links:
        for _ in range(MAX_PENDING_OF_STRANGER):
            if not link.paused:
                table.line(link, encode_message(Ping()))
    table.line(other, encode_message(Ping()))
    taken = sum(isinstance(event, Received) for event in table.events) - 1
    assert taken <= MAX_PENDING_OF_ADDRESS + len(links), "at most one more of each link"
    waiting = [link for link in links if link.paused]
    assert len(waiting) >= len(links) - MAX_PENDING_OF_ADDRESS // MAX_PENDING_OF_STRANGER
    assert not other.paused
    resumed: list[FakeLink] = []
    for event in list(table.events):
        assert isinstance(event, Received)
        table.links.backpressure.stepped(event.link)
        fresh = [link for link in waiting if not link.paused and link not in resumed]
        assert len(fresh) <= 2, "the next one, and the one whose line was taken"
        resumed += fresh
    table.links.keep_alive()
    assert not any(link.paused for link in links)
    assert table.links.backpressure.is_idle


def test_a_closed_link_loses_its_turn_and_its_lines_stop_counting() -> None:
    table = Table()
    links = [table.open(number, host=FAR) for number in range(1, 21)]
    for link in links:
        while not link.paused:
            table.line(link, encode_message(Ping()))
    for link in links[:-1]:
        table.links.link_closed(cast(Link, link), None)
    assert links[-1].paused
    for event in list(table.events):
        assert isinstance(event, Received)
        table.links.backpressure.stepped(event.link)
    assert not links[-1].paused
    assert table.links.backpressure.is_idle


def test_a_link_with_too_many_checks_under_way_is_paused() -> None:
    table = Table()
    link = table.open(1)
    for _ in range(MAX_JOBS):
        assert not link.paused
        table.links.backpressure.job_started(1)
    assert link.paused
    table.links.backpressure.stepped(1)
    assert link.paused
    table.links.backpressure.job_done(1)
    assert not link.paused
    for act in (
        table.links.backpressure.job_started,
        table.links.backpressure.job_done,
        table.links.backpressure.stepped,
    ):
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
    table.wait(LOST_AFTER - PING_AFTER)
    assert (peer.aborted, stranger.aborted) == (True, False)


def test_time_in_which_this_process_was_stopped_is_not_silence() -> None:
    """Stopped for two minutes: what peers have said meanwhile is still to be read."""
    table = Table()
    peer = table.peer(1)
    table.wait(1.0)
    table.now += 120.0
    table.links.keep_alive()
    assert not peer.aborted
    table.wait(LOST_AFTER)
    assert peer.aborted


def test_a_peer_that_leaves_a_ping_unanswered_is_not_live() -> None:
    table = Table()
    table.peer(1)
    table.wait(PING_AFTER + 5.0)
    assert (found := table.links.behind(1)) is not None
    assert found.live
    table.wait(LIVE_SECONDS - PING_AFTER)
    assert (found := table.links.behind(1)) is not None
    assert not found.live


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
        theirs = Connection(LocalNode(key_of("x"), NETWORK, ""), outbound=True, challenge=bytes(32))
        table.line(link, encode_message(theirs.hello(0, 0)))
    table.now += HANDSHAKE_SECONDS
    table.links.keep_alive()
    assert not link.aborted
    table.now += 0.1
    table.links.keep_alive()
    assert link.aborted
    assert "ping" not in link.types()


def test_a_peer_that_is_said_to_have_left_must_answer_soon() -> None:
    table = Table()
    gone, there, other = table.peer(1, "gone"), table.peer(2, "there"), table.peer(3, "other")
    table.links.doubt("gone:1")
    table.links.doubt("there:1")
    assert (gone.types(), there.types(), other.sent) == (["ping"], ["ping"], [])
    table.line(there, encode_message(Pong()))
    table.now += HINT_PATIENCE + 0.1
    table.links.keep_alive()
    assert (gone.aborted, there.aborted, other.aborted) == (True, False, False)


def test_a_peer_that_is_said_to_have_left_counts_until_its_time_is_over() -> None:
    """Anybody may say so, again and again: neither the first nor the last of it moves the end."""
    table = Table()
    peer = table.peer(1, "there")
    for _ in range(3):
        table.links.doubt("there:1")
        behind = table.links.behind(1)
        assert behind is not None
        assert behind.live
        table.wait(HINT_PATIENCE / 4)
    assert peer.types() == ["ping"]
    table.line(peer, encode_message(Pong()))
    table.wait(HINT_PATIENCE / 2)
    table.links.doubt("there:1")
    assert peer.types() == ["ping", "ping"]
    table.wait(HINT_PATIENCE - 1.0)
    table.links.doubt("there:1")
    assert not peer.aborted
    table.wait(2.0)
    assert peer.aborted


def test_a_hint_without_an_address_has_no_effect() -> None:
    table = Table()
    peer = table.peer(1)
    table.links.doubt("")
    assert peer.sent == []


def test_a_link_comes_from_this_machine_at_any_address_of_it_also_when_it_is_gone() -> None:
    table = Table()
    hosts = {1: "127.0.0.1", 2: "192.0.2.1", 3: "192.0.2.2"}
    links = {number: table.open(number, host=host) for number, host in hosts.items()}
    for link in links.values():
        link.local = "192.0.2.1:3000"
    expected = {1: "local", 2: "local", 3: "192.0.0.0/16", 9: "gone"}
    assert {number: table.links.source(number) for number in expected} == expected
    for link in links.values():
        table.links.link_closed(cast(Link, link), None)
    assert {number: table.links.source(number) for number in expected} == expected


def test_addresses_that_lead_to_an_open_link_are_busy() -> None:
    table = Table()
    table.open(1, outbound=True, dialled="dialled:1")
    table.peer(2, "came")
    assert table.links.busy_addresses() == {"dialled:1"}, "where a peer says that it listens is a claim"
    table.links.confirm_address(2, "came:1"), table.links.confirm_address(99, "gone:1")
    assert table.links.busy_addresses() == {"dialled:1", "came:1"}
    assert table.links.key_at("came:1") == key_of("came").public_hex
    table.peer(3, "liar")
    assert table.links.key_at("liar:1") is None


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


# -- more than one's share --------------------------------------------------------------------------

FAR, OTHER = "192.0.2.7", "192.0.2.8"


def take_all(table: Table) -> None:
    """The core takes whatever waits, so that only the rates hold a link back."""
    for event in table.events:
        if isinstance(event, Received):
            table.links.backpressure.stepped(event.link)
    table.events.clear()


def lines_until_paused(table: Table, link: FakeLink, limit: int) -> int:
    for count in range(limit):
        if link.paused:
            return count
        table.line(link, encode_message(Pong() if link.max_line else Ping()))
        take_all(table)
    return limit


def test_a_link_that_sends_too_many_lines_is_not_read_for_a_while() -> None:
    table = Table()
    link = table.open(1)
    burst = int(CLIENT_RATES.units_at_once / LINE_UNITS)
    assert lines_until_paused(table, link, 2 * burst) == burst + 1
    table.links.keep_alive()
    assert link.paused
    table.now += 0.25
    table.links.keep_alive()
    assert not link.paused
    assert lines_until_paused(table, link, 2 * burst) == 0.25 * CLIENT_RATES.units_per_second / LINE_UNITS
    assert link.refused == []


def test_a_peer_may_send_more_and_has_its_limit_too() -> None:
    table = Table()
    peer = table.peer(1)
    burst = int(PEER_RATES.units_at_once / LINE_UNITS)
    assert burst > CLIENT_RATES.units_at_once
    table.links.charge(1, PEER_RATES.units_at_once - 2 * LINE_UNITS)
    assert lines_until_paused(table, peer, 10) == 3


def test_bytes_count_too() -> None:
    table = Table()
    link = table.open(1)
    line = b'{"type":"ping"}' + b" " * (MAX_CLIENT_LINE - 100)
    for _ in range(int(CLIENT_RATES.bytes_at_once) // len(line)):
        table.line(link, line)
        take_all(table)
    assert not link.paused
    table.line(link, line)
    take_all(table)
    assert link.paused


def test_an_address_in_debt_is_refused_with_a_time_and_another_is_not() -> None:
    table = Table()
    link, other = table.open(1, host=FAR), table.open(2, host=OTHER)
    table.links.charge(1, CLIENT_RATES.units_at_once + CLIENT_RATES.units_per_second * MAX_DEBT_SECONDS + 10)
    assert link.paused
    again = table.open(3, host=FAR)
    table.line(again, encode_message(Ping()))
    table.line(other, encode_message(Ping()))
    assert (again.refused, other.refused) == (["rate-limited"], [])
    assert len(table.events) == 1  # the refused question never reaches the core
    table.links.charge(3, 1.0)
    table.links.charge(99, 1.0)


def test_lines_that_wait_for_the_core_are_counted_in_bytes() -> None:
    table = Table()
    link = table.open(1)
    line = b'{"type":"ping"}' + b" " * (MAX_CLIENT_LINE - 100)
    most = MAX_HELD // len(line)
    for _ in range(most):
        table.line(link, line)
    assert not link.paused
    table.line(link, line)
    assert link.paused
    sizes = [table.links.backpressure.stepped(1) for _ in range(most)]
    assert sizes == [len(line)] * most
    assert not link.paused
    for size in sizes:
        table.links.backpressure.job_started(1, size)
    assert link.paused
    for size in sizes:
        table.links.backpressure.job_done(1, size)
    assert not link.paused
    assert table.links.backpressure.stepped(99) == 0


def hold(table: Table, *links: tuple[FakeLink, int]) -> None:
    for link, size in links:
        link.held = size
    table.links.memory.moved(MEASURE_BYTES + 1)


def test_when_strangers_hold_too_much_the_fattest_of_the_fattest_address_go() -> None:
    table = Table(max_strangers=1000)
    lone, small, big, bigger = (table.open(1, host=OTHER), *(table.open(n, host=FAR) for n in (2, 3, 4)))
    hold(table, (lone, 400), (small, 100), (big, 200), (bigger, 300))
    assert [link.turned_out for link in (lone, small, big, bigger)] == [[]] * 4
    lone.held = 401
    table.links.memory.moved(MEASURE_BYTES)
    assert bigger.turned_out == []
    table.links.memory.moved(1)
    assert [link.turned_out for link in (lone, small, big, bigger)] == [[], [], [], ["busy"]]


def test_when_peers_hold_too_much_no_stranger_pays_for_it() -> None:
    table = Table(max_memory=1000)
    honest, stranger = table.peer(1, "one", host=OTHER), table.open(2, host="127.0.0.1")
    crowd = [table.peer(number, f"crowd {number}", host=FAR) for number in (3, 4, 5)]
    hold(table, (honest, 300), (stranger, 50), *((link, 250) for link in crowd))
    assert (honest.turned_out, stranger.turned_out) == ([], [])
    assert [link.turned_out for link in crowd].count(["busy"]) == 2


def test_a_peer_that_we_have_dialled_goes_last() -> None:
    table = Table(max_memory=1000)
    ours, came = table.peer(1, "one", host=OTHER, outbound=True), table.peer(2, "two", host=FAR)
    hold(table, (ours, 700), (came, 400))
    assert (ours.turned_out, came.turned_out) == ([], ["busy"])


def test_waiting_lines_of_strangers_are_counted_as_objects() -> None:
    table = Table(max_strangers=1000)
    waits, fat = table.open(2, host=FAR), table.open(3, host=OTHER)
    table.links.backpressure.job_started(2, 160)
    hold(table, (fat, 500))
    assert waits.turned_out == fat.turned_out == []
    table.links.backpressure.job_started(2, 10)
    hold(table, (fat, 500))
    assert (waits.turned_out, fat.turned_out) == (["busy"], [])


def test_room_is_made_by_the_crowd_and_never_by_a_peer() -> None:
    table = Table()
    peer, lone = table.peer(1, host=FAR), table.open(2, host=OTHER)
    crowd = [table.open(number, host=FAR) for number in (3, 4, 5)]
    links = [cast(Link, link) for link in (peer, lone, *crowd)]
    crowd[0].owes = True
    table.now += 1
    table.line(crowd[1], encode_message(Ping()))
    assert table.links.victim(links) is crowd[2]
    crowd[1].owes = crowd[2].owes = True
    assert table.links.victim(links) in (crowd[0], crowd[2])
    assert table.links.victim(links[:2]) is lone
    lone.owes = True
    assert table.links.victim(links[:2]) is None
    assert table.links.victim(links[:1]) is None


def test_the_link_to_evict_is_found_without_parsing_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred connections come in one turn of the loop: with 512 links that took it half a second."""
    table = Table()
    links = [cast(Link, table.open(number, host=f"10.0.0.{number % 9}")) for number in range(1, 101)]
    parsed: list[str] = []

    def parse(text: str) -> ipaddress.IPv4Address:
        parsed.append(text)
        return ipaddress.IPv4Address(text)

    monkeypatch.setattr("votenet.protocol.peers.misbehavior.ipaddress.ip_address", parse)
    assert table.links.victim(links) in links
    assert not parsed


# -- blame ------------------------------------------------------------------------------------------


def test_a_lying_peer_is_banned_by_its_address_and_not_by_its_key() -> None:
    table = Table()
    liar = table.peer(1, "liar", host=FAR)
    for _ in range(2):  # two lies in one batch are one lie
        table.links.refuse(1, RemoteProtocolError("bad-work", "m"))
    assert liar.refused == ["bad-work"] * 2
    assert [ban.times for ban in table.connection_policy.scores.remembered(table.now)] == [1]
    table.events.clear()
    again = table.peer(3, "new name", host=FAR)
    assert again.refused == ["banned"]
    table.links.link_closed(cast(Link, again), None)
    assert table.events == []  # the core has never heard of it
    assert table.peer(4, "liar", host=OTHER).refused == [], "a stranger may have passed its handshake on"


def test_another_process_with_our_key_is_refused_and_told_of() -> None:
    table = Table()
    twin = table.peer(1, "us", host=FAR, seed=7)
    assert twin.refused == ["key-twice"]
    assert table.twins == [FAR]
    assert table.events == []


def test_where_a_key_comes_twice_the_older_link_must_show_that_it_lives() -> None:
    table = Table()
    old, new = table.peer(1, "them"), table.peer(2, "them")
    table.links.refuse(2, RemoteProtocolError("key-twice", "m"))
    assert (old.types(), new.types()) == (["ping"], [])
    table.wait(TWIN_PATIENCE + 1.0)
    assert old.aborted


def test_strangers_are_not_blamed_for_they_may_share_an_address_with_voters() -> None:
    table = Table()
    for number in range(1, 50):
        table.line(table.open(number, host=FAR), b"garbage")
    assert table.peer(99, host=FAR).refused == []


def test_a_false_proof_counts_against_the_address_unless_this_node_dialled_it() -> None:
    table = Table()
    for number in range(1, 10):
        link = table.open(number, outbound=True, host=OTHER)
        table.line(link, b"HTTP/1.1 400 Bad Request")
        assert link.refused == ["bad-json"]
    assert table.peer(98, "a", host=OTHER).refused == []
    for number in range(10, 14):
        link = table.open(number, host=FAR)
        theirs = Connection(LocalNode(key_of("victim"), NETWORK, ""), outbound=True, challenge=bytes(32))
        table.line(link, encode_message(theirs.hello(0, 0)))
        table.line(link, encode_message(HelloProof(proof="00" * 64)))
        assert link.refused == ["bad-hello"]
    assert table.peer(99, "b", host=FAR).refused == ["banned"]
    assert table.peer(97, "victim", host=OTHER).refused == []


def test_an_endless_line_of_a_peer_is_blamed_though_the_transport_refused_it() -> None:
    table = Table()
    for number in range(1, 5):
        peer = table.peer(number, "peer", host=FAR)
        error = RemoteProtocolError("line-too-long", "m")
        table.links.link_closed(cast(Link, peer), error)
    assert table.peer(9, "another", host=FAR).refused == ["banned"]


def test_one_address_may_be_so_many_peers_and_no_more() -> None:
    table = Table()
    for number in range(1, MAX_INBOUND_OF_ADDRESS + 1):
        assert table.peer(number, f"{number}", host=FAR).refused == []
    assert table.peer(1001, "one more", host=FAR).refused == ["too-many-connections"]
    assert table.peer(1002, "elsewhere", host=OTHER).refused == []
    assert table.peer(1003, "dialled by us", outbound=True, host=FAR).refused == []


def test_when_all_places_are_taken_a_newcomer_of_another_network_gets_one_from_the_crowd() -> None:
    table = Table()
    crowd = [table.peer(n, f"{n}", host=f"66.6.{n % 8}.7") for n in range(1, MAX_INBOUND + 1)]
    assert not any(link.refused for link in crowd)
    assert table.peer(1001, "honest", host="10.1.0.1").refused == []
    assert [link.id for link in crowd if link.refused] == [MAX_INBOUND], "the youngest of the crowd went"
    assert crowd[-1].refused == ["too-many-connections"]
    assert table.peer(1002, "one more of them", host="66.6.0.9").refused == ["too-many-connections"]
    assert len([link for link in crowd if link.refused]) == 1


def test_named_nodes_have_room_however_many_have_dialled_and_make_none() -> None:
    table = Table(named=[key_of("named 1").public_hex, key_of("named 2").public_hex])
    first = table.peer(5000, "named 1", host=FAR)
    crowd = [table.peer(n, f"{n}", host=f"66.6.{n % 8}.7") for n in range(1, MAX_INBOUND + 1)]
    assert table.peer(5001, "named 2", host="66.6.1.7").refused == []
    assert not any(link.refused for link in (first, *crowd))
    table.peer(5002, "one more", host="66.7.1.7")
    assert first.refused == []


def test_the_operator_sees_the_key_of_a_link_and_a_ban_closes_it() -> None:
    table = Table()
    peer, other = table.peer(1, "them", host=FAR), table.peer(2, "others", host=OTHER)
    assert table.links.behind(1) == Behind(FAR, "", False)
    assert table.links.behind(9) is None
    table.connection_policy.ban(of_key(key_of("them").public_hex), 60)
    table.links.evict_banned()
    assert (peer.refused, other.refused) == (["banned"], [])
    table.links.disconnect(2), table.links.disconnect(9)
    assert other.closed


def test_strangers_of_one_address_share_a_lane_and_peers_have_their_own() -> None:
    table = Table()
    table.open(1, host=FAR), table.open(2, host=FAR), table.peer(3, host=FAR)
    table.open(4, host="127.0.0.1"), table.open(5, host="127.0.0.1")
    lanes = [table.links.lane(number) for number in (1, 2, 3, 4, 5, 0)]
    assert lanes[0] == lanes[1]
    assert len(set(lanes)) == 5


def test_all_links_of_an_address_share_its_turns_at_questions_and_those_of_this_machine_do_not() -> None:
    table = Table()
    table.open(1, host=FAR), table.peer(2, host=FAR), table.open(3, host=OTHER)
    table.open(4, host="127.0.0.1"), table.open(5, host="127.0.0.1")
    crowds = [table.links.crowd(number) for number in range(1, 6)]
    assert crowds[0] == crowds[1]
    assert len(set(crowds)) == 4
    table.links.link_closed(cast(Link, table.open(6, host=FAR)), None)
    assert table.links.crowd(6) == "link 6", "nothing of it waits"


def test_which_links_can_be_answered_while_a_line_is_being_sent() -> None:
    table, drained = Table(), list[int]()
    table.links.drained = drained.append
    stranger, peer = table.open(1), table.peer(2)
    assert [table.links.is_peer(number) for number in (1, 2, 9)] == [False, True, False]
    assert [table.links.is_open(number) for number in (1, 2, 9)] == [True, True, False]
    peer.sending = True
    assert [table.links.is_sending(number) for number in (1, 2, 9)] == [False, True, False]
    peer.drained()  # type: ignore[misc]
    stranger.close()
    assert not table.links.is_open(1)
    table.links.link_closed(cast(Link, stranger), None)
    assert drained == [2, 1]


def test_finished_work_is_charged_even_to_an_address_in_debt() -> None:
    """Its next question is refused; what it has had is paid first."""
    table = Table()
    asker = table.open(1, host=FAR)
    table.links.charge(1, CLIENT_RATES.units_at_once + 20 * CLIENT_RATES.units_per_second)
    table.links.charge(1, 10 * CLIENT_RATES.units_per_second)
    assert (asker.paused, asker.refused) == (True, [])
    again = table.open(2, host=FAR)
    table.line(again, encode_message(Ping()))
    assert again.refused == ["rate-limited"]
    table.now += 20
    later = table.open(3, host=FAR)
    table.line(later, encode_message(Ping()))
    assert later.refused == ["rate-limited"], "the second charge counts too"


def test_the_pool_is_shared_by_addresses_and_on_this_machine_by_links() -> None:
    table = Table()
    table.open(1, host=FAR), table.open(2, host=FAR), table.open(3, host=OTHER)
    table.peer(4, host=FAR), table.peer(5, "another", host=FAR)
    table.open(6, host="127.0.0.1"), table.open(7, host="::1")
    one, two, other, peer, second, ours, local = (table.links.origin(number) for number in range(1, 8))
    assert one == two
    assert peer == second
    assert len({one.name, other.name, peer.name, ours.name, local.name}) == 5
    assert {one.share, other.share} == {SHARE_OF_STRANGERS}
    assert {peer.share, ours.share, local.share} == {SHARE_OF_OURS}


def test_bytes_of_all_links_of_an_address_are_counted_together() -> None:
    table = Table()
    line = encode_message(Ping()) + b" " * (MAX_CLIENT_LINE // 2)
    links = [table.open(number, host=FAR) for number in range(1, 61)]
    for _ in range(10):
        for link in links:
            if not link.refused:
                table.line(link, line)
    refused = [link for link in links if link.refused]
    assert refused
    assert {code for link in refused for code in link.refused} == {"rate-limited"}
    assert all(link.paused for link in links if not link.refused)
    assert not table.open(100, host=OTHER).paused
    taken = len(line) * sum(isinstance(event, Received) for event in table.events)
    most = CLIENT_RATES.bytes_at_once + (MAX_DEBT_SECONDS + 1) * CLIENT_RATES.bytes_per_second
    assert taken <= most, "what one link may send, however many there are"


def test_lines_that_wait_are_counted_for_an_address_and_leaving_does_not_help() -> None:
    table = Table()
    crowd = [table.open(number, host=FAR) for number in range(1, 21)]
    other, local = table.open(100, host=OTHER), table.open(101, host="127.0.0.1")
    line = encode_message(Ping()) + b" " * (MAX_CLIENT_LINE - 100)
    for link in crowd[:9]:
        assert not link.paused
        table.line(link, line)
    assert all(link.paused for link in crowd), "those that have sent nothing, too"
    assert not other.paused
    assert not local.paused
    for link in crowd[:5]:
        table.links.link_closed(cast(Link, link), None)
    table.links.keep_alive()
    assert all(link.paused for link in crowd[5:])
    sizes = {number: table.links.backpressure.stepped(number, 1) for number in range(1, 10)}
    assert set(sizes.values()) == {len(line)}
    table.links.keep_alive()
    assert all(link.paused for link in crowd[5:])
    for number, size in sizes.items():
        table.links.backpressure.job_done(number, size)
    assert not any(link.paused for link in crowd[5:])
    assert table.links.backpressure.is_idle


# -- leaving is no way out ---------------------------------------------------------------------------


def test_a_liar_that_left_before_the_check_is_banned_all_the_same() -> None:
    table = Table()
    liar = table.peer(1, "liar", host=FAR)
    table.links.backpressure.job_started(1, 10)
    table.links.link_closed(cast(Link, liar), None)
    table.links.backpressure.job_done(1, 10)
    for _ in range(2):
        table.links.refuse(1, RemoteProtocolError("bad-signature", "m"))
    assert [ban.times for ban in table.connection_policy.scores.remembered(table.now)] == [1]
    assert table.peer(2, "another", host=FAR).refused == ["banned"]


def test_a_stranger_that_left_still_pays_for_its_checks() -> None:
    table = Table()
    gone, there = table.open(1, host=FAR), table.open(2, host=FAR)
    table.line(gone, encode_message(Ping()))
    table.links.link_closed(cast(Link, gone), None)
    assert table.links.lane(1) == table.links.lane(2)
    for _ in range(3):
        table.links.charge(1, CLIENT_RATES.units_at_once)
    table.line(there, encode_message(Ping()))
    assert there.refused == ["rate-limited"]


def test_links_that_leave_nothing_behind_are_forgotten() -> None:
    table = Table()
    peer = table.peer(1, "peer", host=FAR)
    table.links.link_closed(cast(Link, peer), None)
    table.links.refuse(1, RemoteProtocolError("bad-signature", "m"))
    assert table.peer(2, "peer", host=FAR).refused == []
