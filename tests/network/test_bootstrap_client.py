"""The client, against this server and against one that answers like the reference server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from support.peers import served
from votenet.core.keys import SigningKey
from votenet.errors import Rejected, RemoteProtocolError, Unreachable, VotenetError
from votenet.network.bootstrap.server import serve_bootstrap
from votenet.network.bootstrap_client import all_peers, get_peers, register, register_many, remove
from votenet.protocol.bootstrap.bootstrap_messages import MAX_ANSWER_LINE, KnownPeer
from votenet.protocol.bootstrap.peer_record import sign_record, sign_removal
from votenet.protocol.wire.address import Address
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

KEY = SigningKey(bytes(32))


def run(folder: Path, test: Callable[[Address], Awaitable[None]]) -> None:
    async def main() -> None:
        with contextlib.closing(SqlitePeerStore(folder / "peers.db")) as store:
            async with asyncio.timeout(60), serve_bootstrap(Address("127.0.0.1", 0), store) as server:
                await test(server.address)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def speaking(answers: dict[bytes, bytes]) -> AsyncIterator[Address]:
    """A server that knows these request lines and closes after each, like the reference server."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(answers.get(line, b""))
        await writer.drain()

    async with served(talk) as address:
        yield address


def test_register_list_and_remove(tmp_path: Path) -> None:
    async def test(bootstrap: Address) -> None:
        assert await get_peers(bootstrap) == []
        assert await register(bootstrap, "localhost:3000") == "Peer registered successfully"
        assert await register(bootstrap, "localhost:3000") == "Peer already registered"
        assert await get_peers(bootstrap) == [KnownPeer("localhost:3000")]
        assert await remove(bootstrap, "localhost:3000") == "Peer removed successfully"
        assert await remove(bootstrap, "localhost:3000") == "Peer not found"

    run(tmp_path, test)


def test_works_with_the_reference_server() -> None:
    async def test() -> None:
        reference = {
            b'{"type":"REGISTER","payload":"localhost:3000"}\n': b"Peer registered successfully\n",
            b'{"type":"GET_PEERS","payload":""}\n': b'[{"address":"localhost:3000"},{"address":"b:1"}]\n',
            b'{"type":"GET_PEERS","payload":{"limit":2000,"after":0}}\n': b'[{"address":"localhost:3000"}]\n',
            b'{"type":"REMOVE","payload":"localhost:3000"}\n': b"Peer removed successfully\n",
        }
        async with speaking(reference) as bootstrap:
            assert await register(bootstrap, "localhost:3000") == "Peer registered successfully"
            assert await get_peers(bootstrap) == [KnownPeer("localhost:3000"), KnownPeer("b:1")]
            assert [peer async for peer in all_peers(bootstrap)] == [KnownPeer("localhost:3000")]
            assert await remove(bootstrap, "localhost:3000") == "Peer removed successfully"
            with pytest.raises(Unreachable, match="without an answer"):
                await remove(bootstrap, "localhost:3001")

    asyncio.run(test())


def test_of_a_list_that_is_too_long_a_few_are_kept_or_none_is_read() -> None:
    """A server that only a peer has named may answer with anything."""

    async def test() -> None:
        addresses = [f"10.0.{n // 256}.{n % 256}:3000" for n in range(1000)]
        line = json.dumps([{"address": address} for address in addresses]).encode() + b"\n"
        asked = b'{"type":"GET_PEERS","payload":{"sample":7}}\n'
        removal = b'{"type":"REMOVE","payload":"a:1"}\n'
        async with speaking({asked: line, removal: b"x" * (MAX_ANSWER_LINE + 1) + b"\n"}) as bootstrap:
            kept = await get_peers(bootstrap, sample=7, most=7)
            assert len({peer.address for peer in kept} & set(addresses)) == 7
            assert len(await get_peers(bootstrap, sample=7)) == 1000
            with pytest.raises(Unreachable):
                await get_peers(bootstrap, sample=7, max_line=1000)
            with pytest.raises(Unreachable):
                await remove(bootstrap, "a:1")

    asyncio.run(test())


def test_a_signed_record_registers_renews_and_leaves(tmp_path: Path) -> None:
    async def test(bootstrap: Address) -> None:
        address, expires = "127.0.0.1:3000", int(time.time()) + 60
        first = sign_record(KEY, address, "ab" * 32, sequence=1, expires=expires)
        assert await register(bootstrap, first) == "Peer registered successfully"
        with pytest.raises(Rejected) as stale:
            await register(bootstrap, first)
        assert stale.value.code == "stale-record"
        second = sign_record(KEY, address, "ab" * 32, sequence=2, expires=expires + 60)
        assert await register(bootstrap, second) == "Peer already registered"
        (listed,) = await get_peers(bootstrap, sample=5)
        assert listed == KnownPeer(address, KEY.public_hex, "ab" * 32)
        assert await remove(bootstrap, sign_removal(KEY, address, sequence=3)) == "Peer removed successfully"

    run(tmp_path, test)


def test_everybody_is_listed_page_by_page_and_imports_are_pipelined(tmp_path: Path) -> None:
    async def test(bootstrap: Address) -> None:
        addresses = [f"localhost:{port}" for port in range(1, 1301)]
        answers = await register_many(bootstrap, [*addresses, "nowhere", addresses[0]])
        assert answers[:1300] == ["Peer registered successfully"] * 1300
        assert isinstance(answers[1300], VotenetError)
        assert answers[1301] == "Peer already registered"
        assert [peer.address async for peer in all_peers(bootstrap, page=100)] == addresses
        assert len(await get_peers(bootstrap, sample=7)) == 7

    run(tmp_path, test)


def test_refusals_carry_the_servers_code(tmp_path: Path) -> None:
    async def test(bootstrap: Address) -> None:
        with pytest.raises(Rejected) as caught:
            await register(bootstrap, "localhost:70000")
        assert caught.value.code == "bad-address"
        assert caught.value.next_step

    run(tmp_path, test)


def test_a_dead_or_silent_server_is_unreachable() -> None:
    async def test() -> None:
        with pytest.raises(Unreachable):
            await register(Address("127.0.0.1", 1), "localhost:3000")
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = Address(*silent.getsockname())
            with pytest.raises(Unreachable, match=r"within 0\.2 s"):
                await get_peers(address, timeout=0.2)

    asyncio.run(test())


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n", b"\xff\xfe\n", b'{"error":1}\n', b"{}\n"]
)
def test_another_kind_of_server_is_named_as_such(answer: bytes) -> None:
    async def test() -> None:
        requests = [b'{"type":"GET_PEERS","payload":""}\n', b'{"type":"REMOVE","payload":"a:1"}\n']
        async with speaking(dict.fromkeys(requests, answer)) as address:
            with pytest.raises(RemoteProtocolError):
                await get_peers(address)
            with pytest.raises(RemoteProtocolError):
                await remove(address, "a:1")

    asyncio.run(test())
