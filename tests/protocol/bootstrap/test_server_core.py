"""The registry's rules, step by step, with time, randomness and facts as arguments."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.memory_peer_store import MemoryPeerStore
from votenet.core.keys import SigningKey
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.bootstrap.bootstrap_messages import (
    MAX_ANSWER_LINE,
    GetPage,
    GetSample,
    ListPeers,
    RegisterAddress,
    RegisterSigned,
    RemoveAddress,
    RemoveSigned,
    Request,
    decode_peers,
    decode_request,
)
from votenet.protocol.bootstrap.peer_record import MAX_LIFETIME, sign_record, sign_removal
from votenet.protocol.bootstrap.registry import Notice, PeerEntry
from votenet.protocol.bootstrap.server_core import (
    LIST_CACHE_SECONDS,
    LONG_LIST,
    MAX_TOLD_DIRECTLY,
    PLAIN_SAMPLE,
    AdmissionPolicy,
    Answer,
    BootstrapCore,
    Call,
    CallResult,
    NeedsOwner,
    NeedsProbe,
    Probed,
)
from votenet.protocol.wire.address import Address

NOW = 1_700_000_000
KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
NETWORK = "ab" * 32
LOCAL, STRANGER, OWNER = "127.0.0.1", "203.0.113.9", "10.0.0.5"


class World:
    """A core over a registry in memory."""

    def __init__(self, **options: Any) -> None:
        self.store = MemoryPeerStore()
        self.core = BootstrapCore(self.store, random.Random(5), AdmissionPolicy(**options))

    def step(self, body: object, client: str = LOCAL, now: int = NOW, **facts: object) -> CallResult:
        if client == LOCAL:
            facts.setdefault("owner", True)  # the names here resolve
        return self.core.step(Call(Request(body), client, **facts), now)  # type: ignore[arg-type]

    def line(self, body: object, client: str = LOCAL, now: int = NOW, **facts: object) -> bytes:
        outcome = self.step(body, client, now, **facts)
        assert isinstance(outcome, Answer)
        return outcome.line

    def check(self, alive: bool = True, now: int = NOW) -> list[Notice]:
        """Dial the entries that are due; the notices that follow."""
        taken = self.core.liveness_policy.take_checks(100, now).entries
        found = [self.core.liveness_policy.checked(entry, alive, now) for entry in taken]
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


def test_the_reference_conversation_has_the_reference_bytes() -> None:
    world = World()
    assert world.line(ListPeers()) == b"[]"
    assert world.line(RegisterAddress("localhost:3000")) == b"Peer registered successfully"
    assert world.line(RegisterAddress("localhost:3000")) == b"Peer already registered"
    assert world.line(RegisterAddress("localhost:3001")) == b"Peer registered successfully"
    assert world.line(ListPeers()) == b'[{"address":"localhost:3000"},{"address":"localhost:3001"}]'
    assert world.line(RemoveAddress("localhost:3000")) == b"Peer removed successfully"
    assert world.line(RemoveAddress("localhost:3000")) == b"Peer not found"
    assert world.line(ListPeers()) == b'[{"address":"localhost:3001"}]'


def test_joins_and_leaves_are_told_once_to_all_others() -> None:
    world = World()
    for port in (1, 2, 3):
        world.step(RegisterAddress(f"localhost:{port}"))
    joined = world.step(RegisterAddress("localhost:4"))
    assert joined == Answer(b"Peer registered successfully", Notice("new_peer_joined", "localhost:4"))
    told = world.core.audience(Notice("new_peer_joined", "localhost:4"), NOW)
    assert [peer.address for peer in told] == [
        "localhost:1",
        "localhost:2",
        "localhost:3",
    ]
    assert world.step(RegisterAddress("localhost:4")) == Answer(b"Peer already registered")
    left = world.step(RemoveAddress("localhost:4"))
    assert left == Answer(b"Peer removed successfully", Notice("shutdown_peer", "localhost:4"))
    assert world.step(RemoveAddress("localhost:4")) == Answer(b"Peer not found")


@pytest.mark.parametrize("text", ["", "nowhere", "a:0", "a:70000", "a b:3", "::1:3"])
def test_a_malformed_address_is_refused(text: str) -> None:
    world = World()
    assert world.refusal(RegisterAddress(text)) == "bad-address"
    assert world.refusal(RemoveAddress(text)) == "bad-address"


def test_two_spellings_of_one_address_are_one_entry() -> None:
    world = World()
    world.step(RegisterAddress("LocalHost:03000"))
    assert world.line(RegisterAddress("localhost:3000")) == b"Peer already registered"
    assert world.line(ListPeers()) == b'[{"address":"LocalHost:3000"}]'


# -- who may ------------------------------------------------------------------------------------


def test_a_stranger_registers_and_removes_only_addresses_that_resolve_to_it() -> None:
    world = World()
    world.step(RegisterAddress("victim.example:3000"))
    for body in (RegisterAddress("other.example:1"), RemoveAddress("victim.example:3000")):
        host = body.address.partition(":")[0]
        assert world.step(body, STRANGER) == NeedsOwner(host)
        assert world.refusal(body, STRANGER, owner=False) == "not-owner"
    assert (
        world.line(RegisterAddress("mine.example:1"), STRANGER, owner=True) == b"Peer registered successfully"
    )
    assert world.line(RemoveAddress("mine.example:1"), STRANGER, owner=True) == b"Peer removed successfully"


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
        assert world.line(RegisterAddress(address), client) == b"Peer registered successfully"
    else:
        assert world.refusal(RegisterAddress(address), client) == "not-owner"
    assert world.refusal(signed("10.9.9.9:1"), "10.0.0.7") == "not-owner"


def test_answers_that_change_nothing_need_no_ownership() -> None:
    world = World()
    world.step(RegisterAddress("victim.example:3000"))
    assert world.line(RegisterAddress("victim.example:3000"), STRANGER) == b"Peer already registered"
    assert world.line(RemoveAddress("unknown.example:3000"), STRANGER) == b"Peer not found"


def test_the_registry_has_an_upper_end() -> None:
    world = World(max_peers=2)
    world.step(RegisterAddress("a:1"))
    world.step(RegisterAddress("a:2"))
    assert world.refusal(RegisterAddress("a:3")) == "registry-full"
    assert world.refusal(signed()) == "registry-full"
    world.step(RemoveAddress("a:1"))
    assert world.line(RegisterAddress("a:3")) == b"Peer registered successfully"


# -- keyed entries ------------------------------------------------------------------------------


def test_a_record_registers_renews_and_expires() -> None:
    world = World()
    assert world.step(signed(), OWNER) == Answer(b"Peer registered successfully")
    assert world.check() == [Notice("new_peer_joined", "10.0.0.5:3000")]
    assert world.step(signed(sequence=2, life=600), STRANGER) == Answer(b"Peer already registered")
    assert world.line(ListPeers(), now=NOW + 599) == b'[{"address":"10.0.0.5:3000"}]'
    assert world.line(ListPeers(), now=NOW + 605) == b"[]"
    assert world.line(RemoveAddress("10.0.0.5:3000"), now=NOW + 600) == b"Peer not found"


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
    world.step(RemoveAddress("10.0.0.5:3000"), STRANGER, probed=Probed(5, alive=False))
    assert world.refusal(signed(sequence=5)) == "stale-record"
    world.step(signed(sequence=6))
    world.core.liveness_policy.expire(10, NOW + 60)
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
    body = RemoveAddress("10.0.0.5:3000")
    for client in (LOCAL, OWNER, STRANGER):
        assert world.step(body, client) == NeedsProbe(Address("10.0.0.5", 3000), 3)
        assert world.refusal(body, client, probed=Probed(3, alive=True)) == "still-alive"
        assert (
            world.refusal(body, client, probed=Probed(2, alive=False)) == "still-alive"
        )  # renewed meanwhile
    dead = world.step(body, STRANGER, probed=Probed(3, alive=False))
    assert dead == Answer(b"Peer removed successfully", Notice("shutdown_peer", "10.0.0.5:3000"))


def test_a_reference_client_finds_a_keyed_peer_already_registered() -> None:
    world = World()
    world.step(signed())
    assert world.step(RegisterAddress("10.0.0.5:3000")) == Answer(b"Peer already registered")
    found = world.store.find("10.0.0.5:3000")
    assert found is not None
    assert found.node_key == KEY.public_hex


def test_a_key_is_added_to_an_unkeyed_entry_by_its_owner_only() -> None:
    world = World()
    world.step(RegisterAddress("10.0.0.5:3000"))
    assert world.refusal(signed(), STRANGER) == "not-owner"
    assert world.refusal(removal()) == "not-owner"
    needs = NeedsProbe(Address("10.0.0.5", 3000), 0, KEY.public_hex, NETWORK)
    assert world.step(signed(), OWNER) == needs
    assert world.refusal(signed(), OWNER, probed=Probed(0, alive=False)) == "not-owner"
    assert world.step(signed(), OWNER, probed=Probed(0, alive=True)) == Answer(b"Peer already registered")
    assert world.refusal(RemoveAddress("10.0.0.5:3000"), OWNER, probed=Probed(1, alive=True)) == "still-alive"


def test_expired_records_are_dropped_in_portions_and_told() -> None:
    world = World()
    for port in range(1, 8):
        world.step(signed(f"10.0.0.5:{port}"))
    world.step(RegisterAddress("localhost:1"))
    assert world.core.liveness_policy.expire(5, NOW + 60)[0] == 5
    gone, rest = world.core.liveness_policy.expire(5, NOW + 60)
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


@pytest.mark.parametrize("body", [RegisterAddress("10.0.0.5:3000"), signed()], ids=["reference", "signed"])
def test_a_strangers_registration_is_announced_only_after_a_dial(body: object) -> None:
    world = World()
    assert world.step(body, OWNER) == Answer(b"Peer registered successfully")
    assert world.line(ListPeers()) == b"[]"
    assert decode_peers(world.line(GetPage(10, 0))).peers == []
    assert decode_peers(world.line(GetSample(10))).peers == []
    assert world.core.audience(Notice("new_peer_joined", "a:1"), NOW) == []
    assert world.check() == [Notice("new_peer_joined", "10.0.0.5:3000")]
    assert world.line(ListPeers()) == b'[{"address":"10.0.0.5:3000"}]'


def test_the_end_of_an_unannounced_peer_is_not_announced() -> None:
    world = World()
    world.step(RegisterAddress("10.0.0.5:3000"), OWNER)
    assert world.step(RemoveAddress("10.0.0.5:3000"), OWNER) == Answer(b"Peer removed successfully")


def test_one_host_and_one_network_register_only_so_many() -> None:
    world = World(max_per_host=2, max_per_group=3)
    for port in (1, 2):
        world.step(RegisterAddress(f"10.0.0.5:{port}"), OWNER)
    assert world.refusal(RegisterAddress("10.0.0.5:3"), OWNER) == "too-many-peers"
    assert world.refusal(signed("10.0.0.5:4"), OWNER) == "too-many-peers"
    assert world.line(signed("10.0.0.6:1"), "10.0.0.6") == b"Peer registered successfully"
    assert world.refusal(RegisterAddress("10.0.0.7:1"), "10.0.0.7") == "too-many-peers"
    assert world.line(RegisterAddress("10.0.1.7:1"), "10.0.1.7") == b"Peer registered successfully"
    world.step(RemoveAddress("10.0.0.5:1"), OWNER)
    assert world.line(RegisterAddress("10.0.0.7:1"), "10.0.0.7") == b"Peer registered successfully"
    assert world.line(RegisterAddress("10.0.0.5:9")) == b"Peer registered successfully"  # the operator may


def test_a_changed_network_has_to_be_proved_again() -> None:
    world = World()
    world.step(signed(), OWNER)
    world.check()
    other = sign_record(KEY, "10.0.0.5:3000", "cd" * 32, sequence=2, expires=NOW + 60)
    assert world.line(RegisterSigned(other), OWNER) == b"Peer already registered"
    assert world.line(ListPeers()) == b"[]"


def test_a_proxy_on_this_machine_can_be_distrusted() -> None:
    world = World(trusts=lambda client: False)
    assert world.refusal(RegisterAddress("victim.example:1"), LOCAL, owner=False) == "not-owner"
    assert world.step(RegisterAddress("127.0.0.1:1"), LOCAL) == Answer(b"Peer registered successfully")
    assert world.line(ListPeers()) == b"[]"


# -- lists --------------------------------------------------------------------------------------


def test_pages_cover_everyone_once_while_peers_come_and_go() -> None:
    world = World()
    for port in range(1, 26):
        world.step(RegisterAddress(f"a:{port}"))
    seen: list[str] = []
    cursor: int | None = 0
    while cursor is not None:
        page = decode_peers(world.line(GetPage(10, cursor)))
        seen += [peer.address for peer in page.peers]
        cursor = page.next
        world.step(RemoveAddress(f"a:{len(seen)}"))
        world.step(RegisterAddress(f"b:{len(seen)}"))
    assert seen[:25] == [f"a:{port}" for port in range(1, 26)]
    assert len(seen) == len(set(seen))


def test_a_sample_is_fair_and_never_repeats() -> None:
    world = World()
    for port in range(1, 41):
        world.step(RegisterAddress(f"a:{port}"))
    for port in range(1, 21):
        world.step(RemoveAddress(f"a:{port}"))
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
    whole = filled(fits, 200).line(ListPeers())
    assert len(decode_peers(whole).peers) == fits
    assert len(whole) <= MAX_ANSWER_LINE
    beyond = filled(fits + 1, 200).line(ListPeers())
    assert len({peer.address for peer in decode_peers(beyond).peers}) == PLAIN_SAMPLE


def test_a_remembered_list_is_never_out_of_date() -> None:
    world = World()
    world.step(RegisterAddress("a:1"))
    assert world.line(ListPeers()) == b'[{"address":"a:1"}]'
    world.store.remove("a:1")  # as a rollback does, behind the core's back
    world.core.writer.rolled_back()
    assert world.line(ListPeers()) == b"[]"


def test_a_long_list_is_made_anew_every_two_seconds_however_much_changes() -> None:
    """Otherwise each question of a registry of 20,000, which changes all the time, would cost a list."""
    world = filled(2 * LONG_LIST // len('{"address":"00000:3000"},'), 5)
    before = world.line(ListPeers())
    world.step(RegisterAddress("new:1"))
    assert world.line(ListPeers()) is before
    assert b"new:1" in world.line(ListPeers(), now=NOW + LIST_CACHE_SECONDS)


def test_a_change_in_a_short_list_shows_at_once() -> None:
    world = filled(LONG_LIST // len('{"address":"00000:3000"},') - 10, 5)
    assert b"new:1" not in world.line(ListPeers())
    world.step(RegisterAddress("new:1"))
    assert b"new:1" in world.line(ListPeers())


def test_a_join_in_a_large_network_is_told_to_a_sample() -> None:
    world = filled(MAX_TOLD_DIRECTLY + 50, 5)
    told = [peer.address for peer in world.core.audience(Notice("new_peer_joined", "00007:3000"), NOW)]
    assert len(set(told)) in (MAX_TOLD_DIRECTLY, MAX_TOLD_DIRECTLY - 1)
    assert "00007:3000" not in told


def test_imported_addresses_are_added_to_existing_ones() -> None:
    world = World()
    world.step(RegisterAddress("a:1"))
    world.step(signed())
    assert world.core.import_addresses(["a:1", "10.0.0.5:3000", "b:2"], NOW) == 1
    assert world.store.addresses(10, NOW) == ["a:1", "10.0.0.5:3000", "b:2"]


# -- anything -----------------------------------------------------------------------------------

ADDRESSES = st.sampled_from(["a:1", "b:2", "10.0.0.5:3000", "[::1]:5", "bad", ""])
BODIES = st.one_of(
    ADDRESSES.map(RegisterAddress),
    ADDRESSES.map(RemoveAddress),
    st.builds(signed, st.sampled_from(["a:1", "10.0.0.5:3000"]), sequence=st.integers(0, 4)),
    st.builds(removal, st.sampled_from(["a:1", "10.0.0.5:3000"]), sequence=st.integers(0, 4)),
    st.just(ListPeers()),
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
                call = call._replace(owner=fact)
            elif isinstance(outcome, NeedsProbe):
                call = call._replace(probed=Probed(outcome.sequence, fact))
            else:
                break
        else:
            pytest.fail("a step asked for facts without end")
        listed = [peer.address for peer in decode_peers(world.line(ListPeers(), now=now)).peers]
        assert len({address.lower() for address in listed}) == len(listed)
        assert world.store.count() >= len(listed)


@given(st.binary(max_size=300))
def test_any_bytes_get_a_documented_error_or_an_answer(line: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError, Rejected):  # their codes are all in REFUSALS
        World().core.step(Call(decode_request(line), STRANGER), NOW)
