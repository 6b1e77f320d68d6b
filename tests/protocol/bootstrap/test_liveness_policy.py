"""Which peers are dialled when, and the results: all in virtual time."""

from __future__ import annotations

from msgspec.structs import replace

from support.memory_peer_store import MemoryPeerStore
from votenet.protocol.bootstrap.liveness_policy import (
    LEASE_SECONDS,
    MAX_LOOKED_AT,
    MISSES_PROVED,
    MISSES_UNPROVED,
    POSTPONE_SECONDS,
    UNKEYED_CHECK_SECONDS,
    Dial,
    LivenessPolicy,
)
from votenet.protocol.bootstrap.registry import PEER_JOINED, PEER_LEFT, Notice, PeerEntry, RegistryWriter

NOW = 1_700_000_000
KEY, NETWORK = "11" * 32, "22" * 32


class World:
    def __init__(self, *entries: PeerEntry) -> None:
        self.store = MemoryPeerStore()
        self.liveness_policy = LivenessPolicy(RegistryWriter(self.store))
        for entry in entries:
            self.store.put(entry)

    def until_dropped(self, alive: bool, last: int) -> tuple[list[int], list[Notice]]:
        """Seconds after NOW of each dial up to `last`, and what there was to tell."""
        dials, notices = [], []
        for now in range(NOW, NOW + last):
            for entry in self.liveness_policy.take_checks(10, now).entries:
                dials.append(now - NOW)
                notice = self.liveness_policy.checked(entry, alive, now)
                notices += [] if notice is None else [notice]
        return dials, notices


def test_a_new_peer_is_dialled_until_it_answers_and_then_told_of() -> None:
    world = World(PeerEntry("a:1", source="10.0.0.1", proved=False, check_at=NOW))
    (entry,) = world.liveness_policy.take_checks(10, NOW).entries
    assert world.liveness_policy.checked(entry, False, NOW) is None
    assert world.liveness_policy.take_checks(10, NOW).entries == []
    (entry,) = world.liveness_policy.take_checks(10, NOW + 1).entries
    assert world.liveness_policy.checked(entry, True, NOW + 1) == Notice(PEER_JOINED, "a:1")
    assert world.store.find("a:1") == replace(
        entry, proved=True, misses=0, check_at=NOW + 1 + UNKEYED_CHECK_SECONDS
    )


def test_one_that_never_answers_is_dropped_without_a_word() -> None:
    world = World(PeerEntry("a:1", source="10.0.0.1", proved=False, check_at=NOW))
    assert world.until_dropped(False, 200) == ([0, 1, 3, 7, 15, 31, 63], [])
    assert MISSES_UNPROVED == 7
    assert world.store.count() == 0


def test_an_unkeyed_peer_that_died_is_gone_in_an_hour_and_the_others_told() -> None:
    world = World(PeerEntry("a:1", check_at=NOW))
    dials, notices = world.until_dropped(False, 3600)
    assert dials == [0, 120, 360, 840, 1800]
    assert len(dials) == MISSES_PROVED
    assert notices == [Notice(PEER_LEFT, "a:1")]


def test_an_unkeyed_peer_that_answers_stays_and_is_dialled_once_an_hour() -> None:
    world = World(PeerEntry("a:1", check_at=NOW))
    assert world.until_dropped(True, 3 * UNKEYED_CHECK_SECONDS) == (
        [0, UNKEYED_CHECK_SECONDS, 2 * UNKEYED_CHECK_SECONDS],
        [],
    )


def test_a_keyed_peer_is_dialled_only_after_a_suspicion() -> None:
    entry = PeerEntry("a:1", KEY, NETWORK, 1, NOW + 7200)
    world = World(entry)
    assert world.liveness_policy.take_checks(10, NOW + 7000).entries == []
    world.liveness_policy.suspect("a:1", NOW)
    world.liveness_policy.suspect("unknown:1", NOW)
    (taken,) = world.liveness_policy.take_checks(10, NOW).entries
    assert world.liveness_policy.checked(taken, True, NOW) is None
    assert world.store.find("a:1") == entry
    world.liveness_policy.suspect("a:1", NOW)
    (taken,) = world.liveness_policy.take_checks(10, NOW).entries
    world.liveness_policy.checked(taken, False, NOW)
    world.liveness_policy.suspect("a:1", NOW + 1)  # changes nothing: it has its turn already
    assert world.liveness_policy.take_checks(10, NOW + 119).entries == []
    assert len(world.liveness_policy.take_checks(10, NOW + 120).entries) == 1


def test_a_check_is_handed_out_once_and_again_when_its_result_is_lost() -> None:
    world = World(PeerEntry("a:1", check_at=NOW))
    assert len(world.liveness_policy.take_checks(10, NOW).entries) == 1
    assert world.liveness_policy.take_checks(10, NOW + LEASE_SECONDS - 1).entries == []
    assert len(world.liveness_policy.take_checks(10, NOW + LEASE_SECONDS).entries) == 1
    world.liveness_policy.postpone("a:1", NOW + 500)
    world.liveness_policy.postpone("unknown:1", NOW)
    assert world.liveness_policy.take_checks(10, NOW + 499).entries == []


def test_a_result_about_a_gone_or_replaced_peer_is_ignored() -> None:
    world = World(PeerEntry("a:1", check_at=NOW))
    (taken,) = world.liveness_policy.take_checks(10, NOW).entries
    replaced = PeerEntry("a:1", KEY, NETWORK, 1, NOW + 60)
    world.store.put(replaced)
    assert world.liveness_policy.checked(taken, False, NOW) is None
    assert world.store.find("a:1") == replaced
    world.store.remove("a:1")
    assert world.liveness_policy.checked(taken, True, NOW) is None
    assert world.store.count() == 0


def test_expiry_goes_in_portions_and_is_told_only_of_those_known() -> None:
    world = World(*(PeerEntry(f"a:{n}", f"{n:02}" * 32, NETWORK, n, NOW, proved=n != 2) for n in range(1, 4)))
    assert world.liveness_policy.expire(2, NOW) == (2, [Notice(PEER_LEFT, "a:1")])
    assert world.liveness_policy.expire(2, NOW) == (1, [Notice(PEER_LEFT, "a:3")])
    assert world.liveness_policy.expire(2, NOW) == (0, [])
    assert world.store.retired("03" * 32, "a:3") == 3


def when(entry: PeerEntry) -> Dial:
    return Dial(entry.address.partition(":")[0])


def test_entries_that_may_not_be_dialled_now_give_way_to_those_that_may() -> None:
    world = World(*(PeerEntry(f"{dial.value}:{n}", check_at=NOW) for dial in Dial for n in (1, 2)))
    taken = world.liveness_policy.take_checks(3, NOW, when)
    assert ([e.address for e in taken.entries], taken.postponed, taken.more) == (["now:1", "now:2"], 2, False)
    soon = world.liveness_policy.take_checks(3, NOW)
    assert [entry.address for entry in soon.entries] == ["soon:1", "soon:2"]
    later = world.liveness_policy.take_checks(3, NOW + POSTPONE_SECONDS)
    assert [entry.address for entry in later.entries] == ["later:1", "later:2"]


def test_entries_behind_many_that_may_not_be_dialled_now_are_reached_in_the_next_turn() -> None:
    crowd = (PeerEntry(f"soon:{n}", check_at=NOW - 1) for n in range(1, MAX_LOOKED_AT + 1))
    world = World(*crowd, PeerEntry("now:1", check_at=NOW))
    first = world.liveness_policy.take_checks(4, NOW, when)
    assert (first.entries, first.postponed, first.more) == ([], MAX_LOOKED_AT, True)
    second = world.liveness_policy.take_checks(4, NOW, when)
    assert [entry.address for entry in second.entries] == ["now:1"]
