"""A look at a peer: is it there, does it answer, does it hold the key."""

from __future__ import annotations

from msgspec.structs import replace

from support.peers import deaf, greeting, listening, run
from votenet.core.keys import SigningKey
from votenet.network.dialback import DialBack
from votenet.network.resolver import Names
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.wire.address import Address

KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
NETWORK = "ab" * 32
QUICK = 0.2
"""The patience with peers that say nothing, or not what was asked for."""


def look(seconds: float = 60.0) -> DialBack:
    return DialBack(Names(), dial_seconds=seconds, answer_seconds=seconds)


def test_any_line_is_an_answer_and_silence_is_none() -> None:
    async def test() -> None:
        async with listening(lambda line: b'{"error":{}}\n') as (address, got):
            assert await look().answers(address)
            assert got == [b'{"type":"ping"}\n']
        async with listening(lambda line: b"half a line") as (address, _):
            assert not await look(QUICK).answers(address)
        with deaf() as address:
            assert not await look(QUICK).answers(address)
        assert not await look(QUICK).answers(Address("127.0.0.1", 1))
        assert not await look(QUICK).answers(Address("does-not-exist.invalid", 1))

    run(test)


def test_a_key_is_proved_by_the_node_that_has_it_on_its_own_network() -> None:
    async def test() -> None:
        async with listening(greeting(KEY, NETWORK)) as (address, _):
            assert await look().holds(address, KEY.public_hex, NETWORK)
            assert not await look(QUICK).holds(address, OTHER.public_hex, NETWORK)
            assert not await look(QUICK).holds(address, KEY.public_hex, "cd" * 32)
        async with listening(lambda line: b'{"type":"pong"}\n') as (address, _):
            assert not await look(QUICK).holds(address, KEY.public_hex, NETWORK)
        async with listening(lambda line: line) as (address, _):  # an echo proves nothing
            assert not await look(QUICK).holds(address, KEY.public_hex, NETWORK)
        async with listening(lambda line: b"\xff\n") as (address, _):
            assert not await look(QUICK).holds(address, KEY.public_hex, NETWORK)

    run(test)


def test_a_keyed_peer_must_prove_its_key_and_an_unkeyed_one_take_a_connection() -> None:
    async def test() -> None:
        async with listening(greeting(KEY, NETWORK)) as (address, _):
            assert await look().present(PeerEntry(str(address), KEY.public_hex, NETWORK, 1, 99))
            assert not await look(QUICK).present(PeerEntry(str(address), OTHER.public_hex, NETWORK, 1, 99))
        async with listening(greeting(KEY, NETWORK)) as (address, got):
            assert await look().present(PeerEntry(str(address)))
        assert got == [], "nothing is asked of it"
        assert not await look(QUICK).present(PeerEntry(str(address)))

    run(test)


def test_the_address_of_the_connection_is_dialled_and_not_that_of_the_name() -> None:
    async def test() -> None:
        asked: list[str] = []
        found = DialBack(Names(lambda host: asked.append(host) or []), dial_seconds=60.0)  # type: ignore[func-returns-value]
        async with listening(lambda line: b"", "127.0.0.9") as (address, _):
            assert await found.present(PeerEntry(f"a.example:{address.port}", source="127.0.0.9"))
        assert asked == []

    run(test)


def test_a_peer_that_has_proved_its_key_and_is_busy_now_is_there() -> None:
    async def test() -> None:
        for code, there in (("busy", True), ("too-many-connections", True), ("network-mismatch", False)):
            line = b'{"error":{"code":"%s","message":"m"}}\n' % code.encode()
            async with listening(lambda _, line=line: line) as (address, _):
                entry = PeerEntry(str(address), KEY.public_hex, NETWORK, 1, 99)
                assert await look().present(entry) == there
                assert not await look(QUICK).present(replace(entry, proved=False))

    run(test)


def test_a_port_that_refuses_is_told_from_a_program_that_is_silent() -> None:
    async def test() -> None:
        async with listening(lambda line: b"") as (address, _):
            assert not await look(QUICK).refuses(address)
        assert await look().refuses(address)
        with deaf() as address:
            assert not await look(QUICK).refuses(address)
        assert not await look(QUICK).refuses(Address("does-not-exist.invalid", 1))

    run(test)
