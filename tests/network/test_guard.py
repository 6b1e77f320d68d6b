"""The guard in virtual time: connections, work, bans; and nobody pays for this machine's own programs."""

from __future__ import annotations

import re

import pytest

from support import key_of
from votenet.errors import RemoteProtocolError
from votenet.network.guard import BY_HAND, Guard
from votenet.protocol.blame import BAN_SECONDS, Ban, of_key
from votenet.protocol.limits import (
    ADDRESS_BYTES_AT_ONCE,
    ADDRESS_BYTES_PER_SECOND,
    ADDRESS_UNITS_AT_ONCE,
    ADDRESS_UNITS_PER_SECOND,
    CONNECTIONS_AT_ONCE,
    CONNECTIONS_PER_SECOND,
    PATIENCE_SECONDS,
    PEER_RATES,
)

OURS, FAR, OTHER = "127.0.0.1", "192.0.2.7", "192.0.2.8"
KEY = key_of("mallory").public_hex


class Watched:
    """A guard with a clock of its own; both clocks are the same."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.guard = Guard(lambda: self.now, lambda: self.now)


def test_an_address_may_connect_in_proportion() -> None:
    watched = Watched()
    refusals = [watched.guard.connect(FAR) for _ in range(int(CONNECTIONS_AT_ONCE) + 1)]
    assert refusals[:-1] == [None] * int(CONNECTIONS_AT_ONCE)
    assert refusals[-1] is not None
    assert refusals[-1].code == "rate-limited"
    assert watched.guard.connect(OTHER) is None
    watched.now += 1.5 / CONNECTIONS_PER_SECOND
    assert watched.guard.connect(FAR) is None


def test_s17_work_is_paid_for_by_waiting_and_a_deep_debt_is_refused_with_a_time() -> None:
    watched = Watched()
    assert watched.guard.spend(FAR, ADDRESS_UNITS_AT_ONCE) == 0.0
    assert watched.guard.spend(FAR, ADDRESS_UNITS_PER_SECOND * PATIENCE_SECONDS) == PATIENCE_SECONDS
    assert watched.guard.spend(FAR, ADDRESS_UNITS_PER_SECOND) == PATIENCE_SECONDS + 1
    assert watched.guard.spend(OTHER, 1.0) == 0.0
    with pytest.raises(RemoteProtocolError) as caught:
        watched.guard.spend(FAR, 1.0)
    assert caught.value.code == "rate-limited"
    found = re.search(r"in (\d+) s", caught.value.message)
    assert found is not None
    watched.now += int(found[1])
    assert watched.guard.spend(FAR, 0.0) == 0.0


def test_s17_bytes_of_an_address_are_counted_together_and_a_deep_debt_is_refused_with_a_time() -> None:
    watched = Watched()
    assert watched.guard.take_bytes(FAR, int(ADDRESS_BYTES_AT_ONCE)) == 0.0
    assert watched.guard.take_bytes(FAR, int(ADDRESS_BYTES_PER_SECOND * 6)) == 6.0
    assert watched.guard.take_bytes(OTHER, 1000) == 0.0
    assert watched.guard.spend(FAR, 1.0) == 0.0, "work is counted apart"
    with pytest.raises(RemoteProtocolError, match=r"too many bytes .* in 6 s"):
        watched.guard.take_bytes(FAR, 1)
    watched.now += 6
    assert watched.guard.take_bytes(FAR, 0) == 0.0
    assert watched.guard.take_bytes(OURS, 10**12) == 0.0


def test_s17_the_peers_of_an_address_wait_together_and_are_never_refused_for_it() -> None:
    watched = Watched()
    assert watched.guard.spend(FAR, PEER_RATES.units_at_once, peer=True) == 0.0
    assert watched.guard.spend(FAR, PEER_RATES.units_per_second * 60, peer=True) == 60.0
    assert watched.guard.spend(FAR, PEER_RATES.units_per_second, peer=True) == 61.0
    assert watched.guard.take_bytes(
        FAR, int(PEER_RATES.bytes_at_once + PEER_RATES.bytes_per_second), peer=True
    )
    assert watched.guard.spend(FAR, 1.0) == watched.guard.spend(OTHER, 1.0, peer=True) == 0.0
    assert watched.guard.spend(OURS, 1e12, peer=True) == 0.0


def test_s17_an_address_in_deep_debt_is_refused_before_anything_of_it_is_read() -> None:
    watched = Watched()
    assert watched.guard.take_bytes(FAR, int(ADDRESS_BYTES_AT_ONCE + ADDRESS_BYTES_PER_SECOND * 6)) == 6.0
    refusal = watched.guard.connect(FAR)
    assert refusal is not None
    assert refusal.code == "rate-limited"
    assert "in 6 s" in refusal.message
    assert watched.guard.connect(OTHER) is None
    watched.now += 1
    assert watched.guard.connect(FAR) is None


def test_programs_on_this_machine_have_no_common_limit() -> None:
    watched = Watched()
    assert all(watched.guard.connect(OURS) is None for _ in range(3000))
    assert watched.guard.spend(OURS, 1e12) == 0.0


def test_s15_a_liar_is_banned_by_address_and_no_key_for_what_came_over_a_link() -> None:
    watched = Watched()
    watched.guard.blame(FAR, "bad-work")
    honest = key_of("honest").public_hex
    for key in (KEY, honest):
        refusal = watched.guard.refusal(FAR, key)
        assert refusal is not None
        assert refusal.code == "banned"
        assert f"another {BAN_SECONDS} s" in refusal.message
        assert watched.guard.refusal(OTHER, key) is None
    watched.now += BAN_SECONDS
    assert watched.guard.refusal(FAR, KEY) is None


def test_a_liar_on_this_machine_takes_nobody_with_it() -> None:
    watched = Watched()
    watched.guard.blame(OURS, "bad-work")
    assert watched.guard.refusal(OURS, KEY) is None
    assert not watched.guard.blamed.changed


def test_a_key_that_the_operator_bans_is_refused_from_anywhere() -> None:
    watched = Watched()
    watched.guard.ban(of_key(KEY), 60)
    for host in (OURS, FAR):
        assert watched.guard.refusal(host, KEY) is not None
        assert watched.guard.refusal(host, key_of("honest").public_hex) is None
    assert watched.guard.blamed.changed


def test_keys_that_an_earlier_version_banned_are_let_in_again() -> None:
    later = 1_800_000_000
    bans = [
        Ban(of_key(KEY), later, 1, "bad-signature"),
        Ban(of_key("aa" * 32), later, 1, BY_HAND),
        Ban(of_key("bb" * 32), later, 1, f"{BY_HAND}:127.0.0.1:3002"),
    ]
    guard = Guard(lambda: 0.0, lambda: 1_700_000_000.0, [*bans, Ban(f"address:{FAR}", later, 1, "bad-work")])
    assert guard.refusal(OTHER, KEY) is None
    assert guard.refusal(OTHER, "aa" * 32) is not None
    assert guard.refusal(OTHER, "bb" * 32) is not None, "the operator named it by its address"
    assert guard.refusal(FAR, KEY) is not None


def test_false_proofs_add_up() -> None:
    watched = Watched()
    for _ in range(4):
        assert watched.guard.refusal(FAR, KEY) is None
        watched.guard.blame(FAR, "bad-hello")
    assert watched.guard.refusal(FAR, KEY) is not None


def test_a_clock_that_is_off_is_no_misbehaviour() -> None:
    watched = Watched()
    for _ in range(1000):
        watched.guard.blame(FAR, "bad-time")
    assert watched.guard.refusal(FAR, KEY) is None
