"""The connection policy in virtual time: connections, work, bans, and programs of this machine."""

from __future__ import annotations

import re

import pytest

from support.elections import key_of
from votenet.errors import RemoteProtocolError
from votenet.network.node.connection_policy import BY_HAND, ConnectionPolicy
from votenet.protocol.peers.misbehavior import BAN_SECONDS, Ban, of_key
from votenet.protocol.wire.limits import (
    CLIENT_RATES,
    CONNECTIONS_AT_ONCE,
    CONNECTIONS_PER_SECOND,
    MAX_DEBT_SECONDS,
    PEER_RATES,
)

OURS, FAR, OTHER = "127.0.0.1", "192.0.2.7", "192.0.2.8"
KEY = key_of("mallory").public_hex


class Watched:
    """A guard with a clock of its own; both clocks are the same."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.connection_policy = ConnectionPolicy(lambda: self.now, lambda: self.now)


def test_an_address_may_connect_in_proportion() -> None:
    watched = Watched()
    refusals = [watched.connection_policy.connect(FAR) for _ in range(int(CONNECTIONS_AT_ONCE) + 1)]
    assert refusals[:-1] == [None] * int(CONNECTIONS_AT_ONCE)
    assert refusals[-1] is not None
    assert refusals[-1].code == "rate-limited"
    assert watched.connection_policy.connect(OTHER) is None
    watched.now += 1.5 / CONNECTIONS_PER_SECOND
    assert watched.connection_policy.connect(FAR) is None


def test_work_is_paid_for_by_waiting_and_a_deep_debt_is_refused_with_a_time() -> None:
    watched = Watched()
    assert watched.connection_policy.spend(FAR, CLIENT_RATES.units_at_once) == 0.0
    assert (
        watched.connection_policy.spend(FAR, CLIENT_RATES.units_per_second * MAX_DEBT_SECONDS)
        == MAX_DEBT_SECONDS
    )
    assert watched.connection_policy.spend(FAR, CLIENT_RATES.units_per_second) == MAX_DEBT_SECONDS + 1
    assert watched.connection_policy.spend(OTHER, 1.0) == 0.0
    with pytest.raises(RemoteProtocolError) as caught:
        watched.connection_policy.spend(FAR, 1.0)
    assert caught.value.code == "rate-limited"
    found = re.search(r"in (\d+) s", caught.value.message)
    assert found is not None
    watched.now += int(found[1])
    assert watched.connection_policy.spend(FAR, 0.0) == 0.0


def test_bytes_of_an_address_are_counted_together_and_a_deep_debt_is_refused_with_a_time() -> None:
    watched = Watched()
    assert watched.connection_policy.take_bytes(FAR, int(CLIENT_RATES.bytes_at_once)) == 0.0
    assert watched.connection_policy.take_bytes(FAR, int(CLIENT_RATES.bytes_per_second * 6)) == 6.0
    assert watched.connection_policy.take_bytes(OTHER, 1000) == 0.0
    assert watched.connection_policy.spend(FAR, 1.0) == 0.0, "work is counted apart"
    with pytest.raises(RemoteProtocolError, match=r"too many bytes .* in 6 s"):
        watched.connection_policy.take_bytes(FAR, 1)
    watched.now += 6
    assert watched.connection_policy.take_bytes(FAR, 0) == 0.0
    assert watched.connection_policy.take_bytes(OURS, 10**12) == 0.0


def test_the_peers_of_an_address_wait_together_and_are_never_refused_for_it() -> None:
    watched = Watched()
    assert watched.connection_policy.spend(FAR, PEER_RATES.units_at_once, peer=True) == 0.0
    assert watched.connection_policy.spend(FAR, PEER_RATES.units_per_second * 60, peer=True) == 60.0
    assert watched.connection_policy.spend(FAR, PEER_RATES.units_per_second, peer=True) == 61.0
    assert watched.connection_policy.take_bytes(
        FAR, int(PEER_RATES.bytes_at_once + PEER_RATES.bytes_per_second), peer=True
    )
    assert (
        watched.connection_policy.spend(FAR, 1.0)
        == watched.connection_policy.spend(OTHER, 1.0, peer=True)
        == 0.0
    )
    assert watched.connection_policy.spend(OURS, 1e12, peer=True) == 0.0


def test_an_address_in_deep_debt_is_refused_before_its_lines_are_read() -> None:
    watched = Watched()
    assert (
        watched.connection_policy.take_bytes(
            FAR, int(CLIENT_RATES.bytes_at_once + CLIENT_RATES.bytes_per_second * 6)
        )
        == 6.0
    )
    refusal = watched.connection_policy.connect(FAR)
    assert refusal is not None
    assert refusal.code == "rate-limited"
    assert "in 6 s" in refusal.message
    assert watched.connection_policy.connect(OTHER) is None
    watched.now += 1
    assert watched.connection_policy.connect(FAR) is None


def test_programs_on_this_machine_have_no_common_limit() -> None:
    watched = Watched()
    assert all(watched.connection_policy.connect(OURS) is None for _ in range(3000))
    assert watched.connection_policy.spend(OURS, 1e12) == 0.0


def test_a_liar_is_banned_by_its_address_and_never_by_a_key() -> None:
    watched = Watched()
    watched.connection_policy.misbehaved(FAR, "bad-work")
    honest = key_of("honest").public_hex
    for key in (KEY, honest):
        refusal = watched.connection_policy.refusal(FAR, key)
        assert refusal is not None
        assert refusal.code == "banned"
        assert f"another {BAN_SECONDS} s" in refusal.message
        assert watched.connection_policy.refusal(OTHER, key) is None
    watched.now += BAN_SECONDS
    assert watched.connection_policy.refusal(FAR, KEY) is None


def test_a_liar_on_this_machine_affects_no_other_program() -> None:
    watched = Watched()
    watched.connection_policy.misbehaved(OURS, "bad-work")
    assert watched.connection_policy.refusal(OURS, KEY) is None
    assert not watched.connection_policy.scores.changed


def test_a_key_that_the_operator_bans_is_refused_from_anywhere() -> None:
    watched = Watched()
    watched.connection_policy.ban(of_key(KEY), 60)
    for host in (OURS, FAR):
        assert watched.connection_policy.refusal(host, KEY) is not None
        assert watched.connection_policy.refusal(host, key_of("honest").public_hex) is None
    assert watched.connection_policy.scores.changed


def test_keys_that_an_earlier_version_banned_are_let_in_again() -> None:
    later = 1_800_000_000
    bans = [
        Ban(of_key(KEY), later, 1, "bad-signature"),
        Ban(of_key("aa" * 32), later, 1, BY_HAND),
        Ban(of_key("bb" * 32), later, 1, f"{BY_HAND}:127.0.0.1:3002"),
    ]
    connection_policy = ConnectionPolicy(
        lambda: 0.0, lambda: 1_700_000_000.0, [*bans, Ban(f"address:{FAR}", later, 1, "bad-work")]
    )
    assert connection_policy.refusal(OTHER, KEY) is None
    assert connection_policy.refusal(OTHER, "aa" * 32) is not None
    assert connection_policy.refusal(OTHER, "bb" * 32) is not None, "the operator named it by its address"
    assert connection_policy.refusal(FAR, KEY) is not None


def test_false_proofs_add_up() -> None:
    watched = Watched()
    for _ in range(4):
        assert watched.connection_policy.refusal(FAR, KEY) is None
        watched.connection_policy.misbehaved(FAR, "bad-hello")
    assert watched.connection_policy.refusal(FAR, KEY) is not None


def test_a_clock_that_is_off_is_no_misbehaviour() -> None:
    watched = Watched()
    for _ in range(1000):
        watched.connection_policy.misbehaved(FAR, "bad-time")
    assert watched.connection_policy.refusal(FAR, KEY) is None


def test_no_score_bans_a_named_node_and_its_operator_may() -> None:
    named, relay = key_of("named").public_hex, key_of("relay").public_hex
    policy = ConnectionPolicy(lambda: 0.0, lambda: 1_700_000_000.0, named=[named])
    policy.misbehaved(FAR, "bad-signature")
    assert policy.refusal(FAR, relay) is not None
    assert policy.refusal(FAR, named) is None
    policy.ban(of_key(named), 60)
    assert policy.refusal(OTHER, named) is not None
