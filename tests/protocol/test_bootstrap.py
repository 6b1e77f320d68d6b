"""The registry's rules, step by step, with time, randomness and facts as arguments."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.keys import SigningKey
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.address import Address
from votenet.protocol.bootstrap import (
    LIST_CACHE_SECONDS,
    LONG_LIST,
    MAX_TOLD_DIRECTLY,
    PLAIN_SAMPLE,
    Answer,
    BootstrapCore,
    Call,
    NeedsOwner,
    NeedsProbe,
    Outcome,
    Probed,
)
from votenet.protocol.bootstrap_messages import (
    MAX_ANSWER_LINE,
    GetPage,
    GetPeers,
    GetSample,
    Register,
    RegisterSigned,
    Remove,
    RemoveSigned,
    Request,
    decode_peers,
    decode_request,
)
from votenet.protocol.peer_record import MAX_LIFETIME, sign_record, sign_removal
from votenet.protocol.registry import Notice, PeerEntry
from votenet.storage.memory_peer_store import MemoryPeerStore

NOW = 1_700_000_000
KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
NETWORK = "ab" * 32
LOCAL, STRANGER, OWNER = "127.0.0.1", "203.0.113.9", "10.0.0.5"


class World:
    """A core over a registry in memory."""

    def __init__(self, **options: Any) -> None:
        self.store = MemoryPeerStore()
        self.core = BootstrapCore(self.store, random.Random(5), **options)

    def step(self, body: object, client: str = LOCAL, now: int = NOW, **facts: object) -> Outcome:
        if client == LOCAL:
            facts.setdefault("owner", True)  # the names here resolve
        return self.core.step(Call(Request(body), client, **facts), now)  # type: ignore[arg-type]

    def line(self, body: object, client: str = LOCAL, now: int = NOW, **facts: object) -> bytes:
        outcome = self.step(body, client, now, **facts)
        assert isinstance(outcome, Answer)
        return outcome.line

    def check(self, alive: bool = True, now: int = NOW) -> list[Notice]:
        """Dial whoever is due; what there is to tell."""
        taken = self.core.upkeep.take_checks(100, now)
        found = [self.core.upkeep.checked(entry, alive, now) for entry in taken]
        return [notice for notice in found if notice is not None]

    def refusal(self, body: object, client: str = LOCAL, now: int = NOW, **facts: object) -> str:
        before = self.store.addresses(100, now)
        with pytest.raises(Rejected) as caught:
            self.step(body, client, now, **facts)
        assert self.store.addresses(100, now) == before
        return caught.value.code


def signed(
    address: str = "10.0.0.5:3000", *, key: SigningKey = KEY, sequence: int = 1, life: int = 60
) -> object:
    return RegisterSigned(sign_record(key, address, NETWORK, sequence=sequence, expires=NOW + life))


def removal(address: str = "10.0.0.5:3000", *, key: SigningKey = KEY, sequence: int = 9) -> object:
    return RemoveSigned(sign_removal(key, address, sequence=sequence))


def test_s01_the_chapters_conversation_has_the_chapters_bytes() -> None:
    world = World()
    assert world.line(GetPeers()) == b"[]"
    assert world.line(Register("localhost:3000")) == b"Peer registered successfully"
    assert world.line(Register("localhost:3000")) == b"Peer already registered"
    assert world.line(Register("localhost:3001")) == b"Peer registered successfully"
    assert world.line(GetPeers()) == b'[{"address":"localhost:3000"},{"address":"localhost:3001"}]'
    assert world.line(Remove("localhost:3000")) == b"Peer removed successfully"
    assert world.line(Remove("localhost:3000")) == b"Peer not found"
    assert world.line(GetPeers()) == b'[{"address":"localhost:3001"}]'


def test_s13_joins_and_leaves_are_told_once_to_all_others() -> None:
    world = World()
    for port in (1, 2, 3):
        world.step(Register(f"localhost:{port}"))
    joined = world.step(Register("localhost:4"))
    assert joined == Answer(b"Peer registered successfully", Notice("new_peer_joined", "localhost:4"))
    told = world.core.audience(Notice("new_peer_joined", "localhost:4"), NOW)
    assert [peer.address for peer in told] == [
        "localhost:1",
        "localhost:2",
        "localhost:3",
    ]
    assert world.step(Register("localhost:4")) == Answer(b"Peer already registered")
    left = world.step(Remove("localhost:4"))
    assert left == Answer(b"Peer removed successfully", Notice("shutdown_peer", "localhost:4"))
    assert world.step(Remove("localhost:4")) == Answer(b"Peer not found")


@pytest.mark.parametrize("text", ["", "nowhere", "a:0", "a:70000", "a b:3", "::1:3"])
def test_what_is_no_address_is_refused(text: str) -> None:
    world = World()
    assert world.refusal(Register(text)) == "bad-address"
    assert world.refusal(Remove(text)) == "bad-address"


def test_two_spellings_of_one_address_are_one_entry() -> None:
    world = World()
    world.step(Register("LocalHost:03000"))
    assert world.line(Register("localhost:3000")) == b"Peer already registered"
    assert world.line(GetPeers()) == b'[{"address":"LocalHost:3000"}]'


# -- who may ------------------------------------------------------------------------------------


def test_a_stranger_registers_and_removes_only_what_resolves_to_him() -> None:
    world = World()
    world.step(Register("victim.example:3000"))
    for body in (Register("other.example:1"), Remove("victim.example:3000")):
        host = body.address.partition(":")[0]
        assert world.step(body, STRANGER) == NeedsOwner(host)
        assert world.refusal(body, STRANGER, owner=False) == "not-owner"
    assert world.line(Register("mine.example:1"), STRANGER, owner=True) == b"Peer registered successfully"
    assert world.line(Remove("mine.example:1"), STRANGER, owner=True) == b"Peer removed successfully"


@pytest.mark.parametrize(
    ("client", "address", "mine"),
    [
        ("10.0.0.5", "10.0.0.5:3000", True),
        ("10.0.0.5", "10.0.0.6:3000", False),
        ("::ffff:10.0.0.5", "10.0.0.5:3000", True),
        ("fe80::1%eth0", "[fe80::1]:3000", True),
        ("2001:db8::1", "[2001:db8:0:0::1]:3000", True),
        ("2001:db8::1", "[2001:db8::2]:3000", False),
        ("10.0.0.5", "127.0.0.1:3000", False),
        ("127.0.0.5", "10.0.0.6:3000", True),
        ("::1", "10.0.0.6:3000", True),
        ("::ffff:127.0.0.1", "10.0.0.6:3000", True),
    ],
)
def test_an_ip_address_is_compared_without_asking_anybody(client: str, address: str, mine: bool) -> None:
    world = World()
    if mine:
        assert world.line(Register(address), client) == b"Peer registered successfully"
    else:
        assert world.refusal(Register(address), client) == "not-owner"
    assert world.refusal(signed("10.9.9.9:1"), "10.0.0.7") == "not-owner"


def test_answers_that_change_nothing_need_no_ownership() -> None:
    world = World()
    world.step(Register("victim.example:3000"))
    assert world.line(Register("victim.example:3000"), STRANGER) == b"Peer already registered"
    assert world.line(Remove("unknown.example:3000"), STRANGER) == b"Peer not found"


def test_the_registry_has_an_upper_end() -> None:
    world = World(max_peers=2)
    world.step(Register("a:1"))
    world.step(Register("a:2"))
    assert world.refusal(Register("a:3")) == "registry-full"
    assert world.refusal(signed()) == "registry-full"
    world.step(Remove("a:1"))
    assert world.line(Register("a:3")) == b"Peer registered successfully"


# -- keyed entries ------------------------------------------------------------------------------


def test_a_record_registers_renews_and_expires() -> None:
    world = World()
    assert world.step(signed(), OWNER) == Answer(b"Peer registered successfully")
    assert world.check() == [Notice("new_peer_joined", "10.0.0.5:3000")]
    assert world.step(signed(sequence=2, life=600), STRANGER) == Answer(b"Peer already registered")
    assert world.line(GetPeers(), now=NOW + 599) == b'[{"address":"10.0.0.5:3000"}]'
    assert world.line(GetPeers(), now=NOW + 605) == b"[]"
    assert world.line(Remove("10.0.0.5:3000"), now=NOW + 600) == b"Peer not found"


@pytest.mark.parametrize("sequence", [0, 1, 4, 5])
def test_an_old_record_is_not_taken_again(sequence: int) -> None:
    world = World()
    world.step(signed(sequence=5))
    assert world.refusal(signed(sequence=sequence)) == "stale-record"


def test_a_removed_peers_record_cannot_be_replayed() -> None:
    world = World()
    world.step(signed(sequence=5, life=MAX_LIFETIME))
    assert world.line(removal(sequence=6)) == b"Peer removed successfully"
    assert world.refusal(signed(sequence=5, life=MAX_LIFETIME)) == "stale-record"
    assert world.refusal(signed(sequence=6)) == "stale-record"
    assert world.line(signed(sequence=7)) == b"Peer registered successfully"


def test_a_dead_peers_record_cannot_be_replayed_either() -> None:
    world = World()
    world.step(signed(sequence=5))
    world.step(Remove("10.0.0.5:3000"), STRANGER, probed=Probed(5, alive=False))
    assert world.refusal(signed(sequence=5)) == "stale-record"
    world.step(signed(sequence=6))
    world.core.upkeep.expire(10, NOW + 60)
    assert world.refusal(signed(sequence=6, life=600), now=NOW + 60) == "stale-record"
    assert world.line(signed(sequence=7, life=600), now=NOW + 60) == b"Peer registered successfully"


def test_a_record_that_expired_unnoticed_joins_again() -> None:
    world = World()
    world.step(signed(sequence=1))
    again = world.step(signed(sequence=2, life=600), now=NOW + 60)
    assert again == Answer(b"Peer registered successfully", Notice("new_peer_joined", "10.0.0.5:3000"))


def test_another_key_cannot_take_over_or_remove() -> None:
    world = World()
    world.step(signed())
    assert world.refusal(signed(key=OTHER, sequence=9), probed=Probed(1, alive=False)) == "not-owner"
    assert world.refusal(signed("10.0.0.5:3000", key=OTHER, sequence=9), STRANGER) == "not-owner"
    assert world.refusal(removal(key=OTHER)) == "not-owner"
    assert world.refusal(removal(sequence=1)) == "stale-record"
    assert world.line(removal("10.0.0.9:1")) == b"Peer not found"
    assert world.line(removal()) == b"Peer removed successfully"


def test_a_keyed_entry_is_removed_without_its_key_only_when_it_is_dead() -> None:
    world = World()
    world.step(signed(sequence=3))
    body = Remove("10.0.0.5:3000")
    for client in (LOCAL, OWNER, STRANGER):
        assert world.step(body, client) == NeedsProbe(Address("10.0.0.5", 3000), 3)
        assert world.refusal(body, client, probed=Probed(3, alive=True)) == "still-alive"
        assert (
            world.refusal(body, client, probed=Probed(2, alive=False)) == "still-alive"
        )  # renewed meanwhile
    dead = world.step(body, STRANGER, probed=Probed(3, alive=False))
    assert dead == Answer(b"Peer removed successfully", Notice("shutdown_peer", "10.0.0.5:3000"))


def test_the_chapters_client_finds_a_keyed_peer_already_registered() -> None:
    world = World()
    world.step(signed())
    assert world.step(Register("10.0.0.5:3000")) == Answer(b"Peer already registered")
    found = world.store.find("10.0.0.5:3000")
    assert found is not None
    assert found.node_key == KEY.public_hex


def test_a_key_is_added_to_an_unkeyed_entry_by_its_owner_only() -> None:
    world = World()
    world.step(Register("10.0.0.5:3000"))
    assert world.refusal(signed(), STRANGER) == "not-owner"
    assert world.refusal(removal()) == "not-owner"
    needs = NeedsProbe(Address("10.0.0.5", 3000), 0, KEY.public_hex, NETWORK)
    assert world.step(signed(), OWNER) == needs
    assert world.refusal(signed(), OWNER, probed=Probed(0, alive=False)) == "not-owner"
    assert world.step(signed(), OWNER, probed=Probed(0, alive=True)) == Answer(b"Peer already registered")
    assert world.refusal(Remove("10.0.0.5:3000"), OWNER, probed=Probed(1, alive=True)) == "still-alive"


def test_expired_records_are_dropped_in_portions_and_told() -> None:
    world = World()
    for port in range(1, 8):
        world.step(signed(f"10.0.0.5:{port}"))
    world.step(Register("localhost:1"))
    assert world.core.upkeep.expire(5, NOW + 60)[0] == 5
    gone, rest = world.core.upkeep.expire(5, NOW + 60)
    assert gone == 2
    assert [notice.kind for notice in rest] == ["shutdown_peer"] * 2
    assert world.store.addresses(10, 0) == ["localhost:1"]


def test_a_node_that_lost_its_key_gets_its_address_back_where_the_new_key_answers() -> None:
    world = World()
    world.step(signed(sequence=5), OWNER)
    world.check()
    body = signed(key=OTHER, sequence=1)
    needs = NeedsProbe(Address("10.0.0.5", 3000), 5, OTHER.public_hex, NETWORK)
    assert world.step(body, OWNER) == needs
    assert world.refusal(body, OWNER, probed=Probed(5, alive=False)) == "not-owner"  # the old one runs
    assert world.refusal(body, OWNER, probed=Probed(4, alive=True)) == "not-owner"  # renewed meanwhile
    assert world.step(body, OWNER, probed=Probed(5, alive=True)) == Answer(b"Peer already registered")
    found = world.store.find("10.0.0.5:3000")
    assert found is not None
    assert (found.node_key, found.proved) == (OTHER.public_hex, True)
    back = signed(sequence=5)
    assert world.refusal(back, OWNER) == "stale-record"  # the lost key's record is spent


# -- what is told to others ---------------------------------------------------------------------


@pytest.mark.parametrize("body", [Register("10.0.0.5:3000"), signed()], ids=["chapter", "signed"])
def test_nobody_hears_of_a_strangers_registration_before_it_was_dialled(body: object) -> None:
    world = World()
    assert world.step(body, OWNER) == Answer(b"Peer registered successfully")
    assert world.line(GetPeers()) == b"[]"
    assert decode_peers(world.line(GetPage(10, 0))).peers == []
    assert decode_peers(world.line(GetSample(10))).peers == []
    assert world.core.audience(Notice("new_peer_joined", "a:1"), NOW) == []
    assert world.check() == [Notice("new_peer_joined", "10.0.0.5:3000")]
    assert world.line(GetPeers()) == b'[{"address":"10.0.0.5:3000"}]'


def test_who_was_never_told_of_needs_no_farewell() -> None:
    world = World()
    world.step(Register("10.0.0.5:3000"), OWNER)
    assert world.step(Remove("10.0.0.5:3000"), OWNER) == Answer(b"Peer removed successfully")


def test_one_host_and_one_network_register_only_so_many() -> None:
    world = World(max_per_host=2, max_per_group=3)
    for port in (1, 2):
        world.step(Register(f"10.0.0.5:{port}"), OWNER)
    assert world.refusal(Register("10.0.0.5:3"), OWNER) == "too-many-peers"
    assert world.refusal(signed("10.0.0.5:4"), OWNER) == "too-many-peers"
    assert world.line(signed("10.0.0.6:1"), "10.0.0.6") == b"Peer registered successfully"
    assert world.refusal(Register("10.0.0.7:1"), "10.0.0.7") == "too-many-peers"
    assert world.line(Register("10.0.1.7:1"), "10.0.1.7") == b"Peer registered successfully"
    world.step(Remove("10.0.0.5:1"), OWNER)
    assert world.line(Register("10.0.0.7:1"), "10.0.0.7") == b"Peer registered successfully"
    assert world.line(Register("10.0.0.5:9")) == b"Peer registered successfully"  # the operator may


def test_a_changed_network_has_to_be_proved_again() -> None:
    world = World()
    world.step(signed(), OWNER)
    world.check()
    other = sign_record(KEY, "10.0.0.5:3000", "cd" * 32, sequence=2, expires=NOW + 60)
    assert world.line(RegisterSigned(other), OWNER) == b"Peer already registered"
    assert world.line(GetPeers()) == b"[]"


def test_a_proxy_on_this_machine_can_be_distrusted() -> None:
    world = World(trusts=lambda client: False)
    assert world.refusal(Register("victim.example:1"), LOCAL, owner=False) == "not-owner"
    assert world.step(Register("127.0.0.1:1"), LOCAL) == Answer(b"Peer registered successfully")
    assert world.line(GetPeers()) == b"[]"


# -- lists --------------------------------------------------------------------------------------


def test_pages_cover_everyone_once_while_peers_come_and_go() -> None:
    world = World()
    for port in range(1, 26):
        world.step(Register(f"a:{port}"))
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = decode_peers(world.line(GetPage(10, cursor)))
        seen += [peer.address for peer in page.peers]
        cursor = page.next
        world.step(Remove(f"a:{len(seen)}"))
        world.step(Register(f"b:{len(seen)}"))
    assert seen[:25] == [f"a:{port}" for port in range(1, 26)]
    assert len(seen) == len(set(seen))


def test_a_sample_is_fair_and_never_repeats() -> None:
    world = World()
    for port in range(1, 41):
        world.step(Register(f"a:{port}"))
    for port in range(1, 21):
        world.step(Remove(f"a:{port}"))
    seen: Counter[str] = Counter()
    for _ in range(2000):
        peers = [peer.address for peer in decode_peers(world.line(GetSample(5))).peers]
        assert len(set(peers)) == 5
        seen.update(peers)
    assert set(seen) == {f"a:{port}" for port in range(21, 41)}
    assert max(seen.values()) < 1.4 * min(seen.values())
    assert len(decode_peers(world.line(GetSample(1000))).peers) == 20


def test_keyed_peers_are_listed_with_their_keys() -> None:
    world = World()
    world.step(signed())
    (peer,) = decode_peers(world.line(GetPage(10, 0))).peers
    assert (peer.address, peer.node_key, peer.network_id) == ("10.0.0.5:3000", KEY.public_hex, NETWORK)


def filled(number: int, length: int) -> World:
    world = World()
    for i in range(number):
        world.store.put(PeerEntry(f"{i:0{length}}:3000"))
    return world


def test_the_plain_list_is_whole_while_it_fits_and_a_sample_beyond() -> None:
    fits = MAX_ANSWER_LINE // len('{"address":"%s:3000"},' % ("0" * 200))
    whole = filled(fits, 200).line(GetPeers())
    assert len(decode_peers(whole).peers) == fits
    assert len(whole) <= MAX_ANSWER_LINE
    beyond = filled(fits + 1, 200).line(GetPeers())
    assert len({peer.address for peer in decode_peers(beyond).peers}) == PLAIN_SAMPLE


def test_a_remembered_list_is_never_out_of_date() -> None:
    world = World()
    world.step(Register("a:1"))
    assert world.line(GetPeers()) == b'[{"address":"a:1"}]'
    world.store.remove("a:1")  # as a rollback does, behind the core's back
    world.core.rolled_back()
    assert world.line(GetPeers()) == b"[]"


def test_a_long_list_is_made_anew_every_two_seconds_however_much_changes() -> None:
    """Otherwise each question of a registry of 20,000, which changes all the time, would cost a list."""
    world = filled(2 * LONG_LIST // len('{"address":"00000:3000"},'), 5)
    before = world.line(GetPeers())
    world.step(Register("new:1"))
    assert world.line(GetPeers()) is before
    assert b"new:1" in world.line(GetPeers(), now=NOW + LIST_CACHE_SECONDS)


def test_a_change_in_a_short_list_shows_at_once() -> None:
    world = filled(LONG_LIST // len('{"address":"00000:3000"},') - 10, 5)
    assert b"new:1" not in world.line(GetPeers())
    world.step(Register("new:1"))
    assert b"new:1" in world.line(GetPeers())


def test_a_join_in_a_large_network_is_told_to_a_sample() -> None:
    world = filled(MAX_TOLD_DIRECTLY + 50, 5)
    told = [peer.address for peer in world.core.audience(Notice("new_peer_joined", "00007:3000"), NOW)]
    assert len(set(told)) in (MAX_TOLD_DIRECTLY, MAX_TOLD_DIRECTLY - 1)
    assert "00007:3000" not in told


def test_s02_imported_addresses_join_those_that_are_there() -> None:
    world = World()
    world.step(Register("a:1"))
    world.step(signed())
    assert world.core.import_addresses(["a:1", "10.0.0.5:3000", "b:2"], NOW) == 1
    assert world.store.addresses(10, NOW) == ["a:1", "10.0.0.5:3000", "b:2"]


# -- anything -----------------------------------------------------------------------------------

ADDRESSES = st.sampled_from(["a:1", "b:2", "10.0.0.5:3000", "[::1]:5", "bad", ""])
BODIES = st.one_of(
    ADDRESSES.map(Register),
    ADDRESSES.map(Remove),
    st.builds(signed, st.sampled_from(["a:1", "10.0.0.5:3000"]), sequence=st.integers(0, 4)),
    st.builds(removal, st.sampled_from(["a:1", "10.0.0.5:3000"]), sequence=st.integers(0, 4)),
    st.just(GetPeers()),
    st.builds(GetPage, st.integers(1, 3), st.integers(0, 9)),
    st.builds(GetSample, st.integers(1, 9)),
)
STEPS = st.lists(
    st.tuples(BODIES, st.sampled_from([LOCAL, OWNER, STRANGER]), st.booleans(), st.integers(0, 40))
)


@given(STEPS)
def test_any_history_keeps_the_registry_whole(steps: list[tuple[object, str, bool, int]]) -> None:
    world = World()
    now = NOW
    for body, client, fact, passed in steps:
        now += passed
        call = Call(Request(body), client)  # type: ignore[arg-type]
        for _ in range(3):
            try:
                outcome = world.core.step(call, now)
            except Rejected:  # its code is in REFUSALS, or it could not have been made
                break
            if isinstance(outcome, NeedsOwner):
                call = replace(call, owner=fact)
            elif isinstance(outcome, NeedsProbe):
                call = replace(call, probed=Probed(outcome.sequence, fact))
            else:
                break
        else:
            pytest.fail("a step asked for facts without end")
        listed = [peer.address for peer in decode_peers(world.line(GetPeers(), now=now)).peers]
        assert len({address.lower() for address in listed}) == len(listed)
        assert world.store.count() >= len(listed)


@given(st.binary(max_size=300))
def test_any_bytes_get_a_documented_error_or_an_answer(line: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError, Rejected):  # their codes are all in REFUSALS
        World().core.step(Call(decode_request(line), STRANGER), NOW)
