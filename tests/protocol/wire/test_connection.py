"""The handshake with real keys, and every wrong turn of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import pytest

from support.elections import key_of, make_election
from support.message_samples import SAMPLES
from votenet.core.keys import verify
from votenet.errors import RemoteProtocolError
from votenet.protocol.wire.client_messages import GetStatus
from votenet.protocol.wire.connection import Connection, LocalNode, PeerInfo
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import MESSAGES, decode_message, encode_message
from votenet.protocol.wire.peer_messages import Hello, HelloProof, Ping, RequestBlockchain

NETWORK = make_election().network_hex


def identity(name: str, network: str = NETWORK) -> LocalNode:
    return LocalNode(key_of(name), network, f"{name}:3000")


def dialler(
    name: str = "ann", challenge: int = 1, network: str = NETWORK, dialled: Sequence[str] = ("bob:3000",)
) -> Connection:
    return Connection(
        identity(name, network), outbound=True, challenge=bytes([challenge] * 32), dialled=dialled
    )


def listener(
    name: str = "bob", challenge: int = 2, network: str = NETWORK, own: Sequence[str] = ()
) -> Connection:
    return Connection(identity(name, network), outbound=False, challenge=bytes([challenge] * 32), own=own)


def give(connection: Connection, message: Message) -> tuple[Message | None, list[Message]]:
    return connection.receive(encode_message(message), 3, 300)


def refusal(connection: Connection, message: Message) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        give(connection, message)
    assert connection.role is not LinkRole.PEER
    assert connection.peer_info is None
    return caught.value.code


def shake(ann: Connection, bob: Connection) -> tuple[Hello, Hello, HelloProof]:
    """A whole handshake: its three lines."""
    first = ann.hello(7, 700)
    _, (second,) = give(bob, first)
    _, (third,) = give(ann, second)
    assert give(bob, third) == (None, [])
    assert isinstance(second, Hello)
    assert isinstance(third, HelloProof)
    return first, second, third


def test_after_three_lines_both_know_each_other() -> None:
    ann, bob = dialler(), listener()
    first, second, third = shake(ann, bob)
    assert [type(m) for m in (first, second, third)] == [Hello, Hello, HelloProof]
    assert ann.role is bob.role is LinkRole.PEER
    assert bob.peer_info == PeerInfo(key_of("ann").public_hex, "ann:3000", 7, 700)
    assert ann.peer_info == PeerInfo(key_of("bob").public_hex, "bob:3000", 3, 300)
    assert first.dialled == ("bob:3000",)
    assert second.own_address
    assert type(second) in Hello.replies
    assert type(third) in Hello.replies


@pytest.mark.parametrize("dialled", [(), ("eve:5000",), ("eve:5000", "10.0.0.9:5000")])
def test_an_address_that_the_reader_does_not_know_leaves_the_link_unproven(dialled: tuple[str, ...]) -> None:
    """Eve passes on what Ann, who has dialled Eve, and Bob say."""
    ann, bob = dialler(dialled=dialled), listener(own=("10.0.0.2:3000",))
    shake(ann, bob)
    for side in (ann, bob):
        assert side.role is LinkRole.PEER
        assert side.peer_info is not None
        assert not side.peer_info.proven


@pytest.mark.parametrize(
    "dialled", [("Bob:3000",), ("b.example.org:3000", "10.0.0.2:3000"), ("10.0.0.2:3000",)]
)
def test_one_spelling_that_the_reader_knows_proves_the_link(dialled: tuple[str, ...]) -> None:
    ann, bob = dialler(dialled=dialled), listener(own=("10.0.0.2:3000",))
    shake(ann, bob)
    assert ann.peer_info is not None
    assert bob.peer_info is not None
    assert ann.peer_info.proven
    assert bob.peer_info.proven


CHANGES: dict[str, object] = {
    "dialled": ("bob:3000", "eve:1"),
    "height": 99,
    "listen": "eve:5000",
    "mines": False,
    "own_address": True,
    "seed": "00000000000000ff",
    "time": 99,
    "work": "ff",
}


@pytest.mark.parametrize("member", sorted(CHANGES))
def test_no_member_of_a_hello_can_be_changed_on_the_way(member: str) -> None:
    change = {member: CHANGES[member]}
    ann, bob = dialler(dialled=("eve:5000",)), listener()
    _, (second,) = give(bob, msgspec.structs.replace(ann.hello(7, 700), **change))
    assert refusal(ann, second) == "bad-hello"
    ann, bob = dialler(dialled=("eve:5000",)), listener()
    _, (second,) = give(bob, ann.hello(7, 700))
    assert refusal(ann, msgspec.structs.replace(second, **change)) == "bad-hello"


def test_every_member_that_may_be_written_is_covered() -> None:
    checked = {"challenge", "network_id", "node_key", "version", "proof"}  # by tests of their own
    assert set(CHANGES) | checked == set(Hello.__struct_fields__)


def test_a_proof_is_made_as_the_page_says() -> None:
    """docs/protocol.md, in other words than the program's: any language can do it."""
    ann, bob = dialler(dialled=("b.example.org:3000", "10.0.0.2:3000")), listener(own=("10.0.0.2:3000",))
    first, second, third = shake(ann, bob)
    absent = {"dialled": [], "listen": "", "mines": True, "own_address": False, "time": 0}
    lines = [json.loads(encode_message(hello)) for hello in (first, second)]
    dial, answer = (
        {**absent, **{k: v for k, v in line.items() if k not in ("type", "proof")}} for line in lines
    )
    assert len(dial) == len(answer) == 12
    for name, proof, dialled in (("bob", second.proof, False), ("ann", third.proof, True)):
        record = {"answer": answer, "dial": dial, "signer_dialled": dialled}
        signed = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert proof is not None
        key = bytes.fromhex(key_of(name).public_hex)
        assert verify(key, b"votenet/hello/2\n" + signed, bytes.fromhex(proof))


def test_both_learn_how_far_the_clock_of_the_other_is_ahead() -> None:
    ann, bob = dialler(), listener()
    _, (second,) = bob.receive(encode_message(ann.hello(0, 0, 1_000)), 0, 0, 1_060)
    _, (third,) = ann.receive(encode_message(second), 0, 0, 1_000)
    bob.receive(encode_message(third), 0, 0, 1_060)
    assert ann.peer_info is not None
    assert bob.peer_info is not None
    assert (ann.peer_info.ahead, bob.peer_info.ahead) == (60, -60)


def test_another_process_with_our_key_is_believed_when_it_proves_it() -> None:
    """It has the key, but not the seed that every start draws."""
    twin = LocalNode(key_of("ann"), NETWORK, "copy:3000", seed=7)
    ann = dialler(dialled=("copy:3000",))
    copy = Connection(twin, outbound=False, challenge=bytes(32))
    shake(ann, copy)
    assert ann.peer_info is not None
    assert ann.peer_info.node_key == key_of("ann").public_hex
    fresh = dialler(dialled=("copy:3000",))
    liar = msgspec.structs.replace(fresh.hello(0, 0), seed="0000000000000007", proof="00" * 64)
    assert refusal(fresh, liar) == "bad-hello"


def test_a_hello_of_the_first_version_is_refused_with_a_clear_error() -> None:
    line = encode_message(dialler().hello(0, 0)).replace(b'"version":2', b'"version":1')
    with pytest.raises(RemoteProtocolError) as caught:
        listener().receive(line.replace(b'"dialled":["bob:3000"],', b""), 0, 0)
    assert caught.value.code == "version-mismatch"
    assert caught.value.message == "this node speaks version 2 of the handshake, not 1"


def test_peers_may_speak_only_after_the_proof() -> None:
    ann, bob = dialler(), listener()
    first = ann.hello(0, 0)
    votes = decode_message(b'{"type":"have_votes","ids":""}')
    assert refusal(bob, votes) == "hello-required"
    _, (second,) = give(bob, first)
    assert refusal(bob, votes) == "hello-required"
    _, (third,) = give(ann, second)
    give(bob, third)
    assert give(bob, votes) == (votes, [])
    assert give(ann, votes) == (votes, [])


def test_another_network_is_refused_by_both_sides() -> None:
    other = make_election(title="another election").network_hex
    assert refusal(listener(), dialler(network=other).hello(0, 0)) == "network-mismatch"
    ann = dialler()
    _, (answer,) = give(listener(), ann.hello(0, 0))
    assert refusal(ann, msgspec.structs.replace(answer, network_id=other)) == "network-mismatch"


def test_another_version_is_refused() -> None:
    hello = msgspec.structs.replace(dialler().hello(0, 0), version=1)
    assert refusal(listener(), hello) == "version-mismatch"


def test_a_node_that_dials_itself_notices() -> None:
    assert refusal(listener("ann"), dialler("ann").hello(0, 0)) == "self-connection"
    ann = dialler()
    answer = msgspec.structs.replace(ann.hello(0, 0), challenge="00" * 32, proof="00" * 64)
    assert refusal(ann, answer) == "self-connection"


def test_a_proof_by_another_key_is_refused_by_both_sides() -> None:
    ann, bob = dialler(), listener()
    _, (second,) = give(bob, ann.hello(0, 0))
    assert isinstance(second, Hello)
    _, (third,) = give(ann, second)
    assert isinstance(third, HelloProof)
    damaged = third.proof[:-1] + ("0" if third.proof[-1] != "0" else "1")
    assert refusal(bob, HelloProof(proof=damaged)) == "bad-hello"
    fresh = dialler()
    fresh.hello(0, 0)
    impostor = msgspec.structs.replace(second, node_key=key_of("eve").public_hex)
    assert refusal(fresh, impostor) == "bad-hello"


def test_an_answer_without_a_proof_is_refused() -> None:
    ann, bob = dialler(), listener()
    _, (second,) = give(bob, ann.hello(0, 0))
    assert refusal(ann, msgspec.structs.replace(second, proof=None)) == "bad-hello"


def test_lines_of_another_session_prove_nothing() -> None:
    first, second, third = shake(dialler(), listener())
    ann, bob = dialler(challenge=3), listener(challenge=4)
    ann.hello(0, 0)
    assert refusal(ann, second) == "bad-hello"
    give(bob, first)
    assert refusal(bob, third) == "bad-hello"


def test_a_proof_got_by_dialling_one_node_does_not_open_another() -> None:
    """Eve dials Bob in Ann's name, with the challenge that Ann gave her, and shows Ann the answer."""
    eve_to_ann = dialler("bob", challenge=9)  # Eve has no key of Bob's: only his public half is used
    ann = listener("ann", challenge=5)
    _, (from_ann,) = give(ann, eve_to_ann.hello(0, 0))
    assert isinstance(from_ann, Hello)
    in_anns_name = msgspec.structs.replace(dialler("ann").hello(0, 0), challenge=from_ann.challenge)
    _, (from_bob,) = give(listener("bob"), in_anns_name)
    assert isinstance(from_bob, Hello)
    assert from_bob.proof is not None
    assert refusal(ann, HelloProof(proof=from_bob.proof)) == "bad-hello"


def test_hello_is_said_once() -> None:
    bob = listener()
    hello = dialler().hello(0, 0)
    give(bob, hello)
    assert refusal(bob, hello) == "unexpected-message"
    ann, bob = dialler(), listener()
    first, second, third = shake(ann, bob)
    for connection, message in ((bob, first), (ann, second), (bob, third)):
        with pytest.raises(RemoteProtocolError) as caught:
            give(connection, message)
        assert caught.value.code == "unexpected-message"


def test_a_proof_before_hello_is_not_expected() -> None:
    proof = HelloProof(proof="00" * 64)
    assert refusal(listener(), proof) == "unexpected-message"
    ann = dialler()
    ann.hello(0, 0)
    assert refusal(ann, proof) == "unexpected-message"


def test_strangers_may_ask_without_hello_and_peers_still_may() -> None:
    bob = listener()
    for message in (Ping(id=1), GetStatus(id=2), RequestBlockchain()):
        assert give(bob, message) == (message, [])
    ann = dialler()
    shake(ann, bob)
    assert give(bob, GetStatus(id=2)) == (GetStatus(id=2), [])


def test_in_the_middle_of_a_handshake_only_the_handshake_goes_on() -> None:
    bob = listener()
    give(bob, dialler().hello(0, 0))
    assert refusal(bob, Ping()) == "hello-required"


@pytest.mark.parametrize("role", list(LinkRole))
@pytest.mark.parametrize("kind", [kind for kind in MESSAGES.values() if not kind.senders])
def test_answers_for_clients_are_not_expected_from_anybody(role: LinkRole, kind: type) -> None:
    bob = listener()
    bob.role = role
    with pytest.raises(RemoteProtocolError) as caught:
        give(bob, next(sample for sample in SAMPLES if type(sample) is kind))
    assert caught.value.code == "unexpected-message"
