"""Which bootstrap servers are asked when: one request at a time, back-off, renewals, learnt servers."""

from __future__ import annotations

from votenet.protocol.peers.bootstrap_servers import (
    FORGET_LEARNT_AFTER,
    LIST_SECONDS,
    MAX_LEARNT,
    POLL_WHEN_CUT_OFF_SECONDS,
    RENEW_SECONDS,
    SERVER_RETRY_SECONDS,
    AskBootstrap,
    BootstrapServers,
)
from votenet.protocol.wire.address import Address

ONE, TWO = Address("10.255.0.1", 4000), Address("10.254.0.1", 4000)


def due(servers: BootstrapServers, now: float, *, cut_off: bool = False) -> list[AskBootstrap]:
    return servers.due(now, cut_off=cut_off)


def test_each_server_is_asked_at_once_and_not_twice_at_one_time() -> None:
    servers = BootstrapServers([ONE, TWO], polls=True)
    assert due(servers, 0.0) == [AskBootstrap(ONE, True), AskBootstrap(TWO, True)]
    assert due(servers, 1000.0) == []


def test_a_list_is_fetched_again_and_the_record_renewed_in_time() -> None:
    servers = BootstrapServers([ONE], polls=True)
    due(servers, 0.0)
    assert servers.answered(ONE, True, [], 0.0)
    assert due(servers, LIST_SECONDS - 1) == []
    assert due(servers, LIST_SECONDS) == [AskBootstrap(ONE, False)]
    assert not servers.answered(ONE, True, [], LIST_SECONDS)
    assert due(servers, LIST_SECONDS + RENEW_SECONDS) == [AskBootstrap(ONE, True)]


def test_without_polls_a_server_is_asked_at_renewals_only() -> None:
    servers = BootstrapServers([ONE], polls=False)
    due(servers, 0.0)
    servers.answered(ONE, True, [], 0.0)
    assert due(servers, RENEW_SECONDS - 1, cut_off=True) == []
    assert due(servers, RENEW_SECONDS) == [AskBootstrap(ONE, True)]


def test_a_node_that_is_cut_off_asks_sooner_but_not_a_server_that_fails() -> None:
    servers = BootstrapServers([ONE, TWO], polls=True)
    due(servers, 0.0)
    servers.answered(ONE, True, [], 0.0)
    for _ in SERVER_RETRY_SECONDS:
        servers.failed(TWO, 0.0)
    assert due(servers, POLL_WHEN_CUT_OFF_SECONDS, cut_off=True) == [AskBootstrap(ONE, False)]


def test_a_server_that_fails_is_tried_again_with_back_off() -> None:
    servers = BootstrapServers([ONE], polls=True)
    now = 0.0
    for number, wait in enumerate(SERVER_RETRY_SECONDS):
        assert due(servers, now) == [AskBootstrap(ONE, True)]
        assert servers.failed(ONE, now) == (number == 0)
        assert due(servers, now + wait * 0.9) == []
        now += wait
    assert servers.silent()
    assert servers.answering() == []


def test_servers_that_peers_name_are_few_and_forgotten_after_many_failures() -> None:
    servers = BootstrapServers([ONE], polls=True)
    for number in range(9):
        servers.learn(Address("10.9.0.1", 4000 + number))
    assert len(servers.known()) == 1 + MAX_LEARNT
    learnt = servers.known()[-1]
    assert not servers.answered(learnt, True, ["10.1.0.1:1"], 0.0)
    assert servers.listed() == frozenset(), "only the configured servers are relied upon"
    for _ in range(FORGET_LEARNT_AFTER):
        servers.failed(learnt, 0.0)
        servers.failed(ONE, 0.0)
    assert learnt not in servers.known()
    assert ONE in servers.known()


def test_a_start_knows_when_all_configured_servers_were_tried() -> None:
    assert BootstrapServers([], polls=True).all_tried_at() == 0.0
    servers = BootstrapServers([ONE, TWO], polls=True)
    servers.answered(ONE, True, ["10.1.0.1:1"], 5.0)
    assert servers.all_tried_at() is None
    servers.failed(TWO, 7.0)
    servers.answered(ONE, True, ["10.2.0.1:1"], 9.0)
    assert servers.all_tried_at() == 7.0
    assert servers.listed() == {"10.2.0.1:1"}
    assert servers.answering() == [ONE]
    assert servers.up_to_date()
