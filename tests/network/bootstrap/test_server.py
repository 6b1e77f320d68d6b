"""The bootstrap server on real sockets with a real database: bytes, durability, limits, notices, the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.peers import PATIENCE, greeting, listening, run, served, until
from support.ports import free_port
from votenet.core.keys import SigningKey
from votenet.network.bootstrap.server import BATCH_SIZE, LIMITS, BootstrapServer, serve_bootstrap
from votenet.network.dialback import DialBack
from votenet.network.resolver import Names
from votenet.network.transport import Link
from votenet.protocol.bootstrap.bootstrap_messages import MAX_ANSWER_LINE, decode_request, encode_request
from votenet.protocol.bootstrap.peer_record import sign_record
from votenet.protocol.bootstrap.registry import PeerEntry
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, Call
from votenet.protocol.wire.address import Address
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

KEY = SigningKey(bytes(32))
STRANGER = "127.9.9.9"
"""Of this machine, so that it can be dialled back; but it is trusted no more than any other."""
NO_TRUST = AdmissionPolicy(trusts=lambda client: False)
TRUSTED = AdmissionPolicy(trusts=lambda client: client == "127.0.0.1")


def looked_up(resolve: Callable[[str], list[str]]) -> Names:
    """With patience: on a busy machine the thread of a look-up may come late."""
    return Names(resolve, seconds=PATIENCE)


@contextlib.asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[BootstrapServer]:
    options.setdefault("names", looked_up(lambda host: [] if host.endswith(".invalid") else ["127.0.0.1"]))
    options.setdefault("dialback", DialBack(options["names"], dial_seconds=20.0, answer_seconds=20.0))
    options.setdefault("policy", TRUSTED)
    with contextlib.closing(SqlitePeerStore(folder / "peers.db")) as store:
        async with serve_bootstrap(Address("127.0.0.1", 0), store, **options) as server:
            yield server


async def ask(server: BootstrapServer, request: bytes) -> bytes:
    """Like the reference client: dial, write one line, read up to the newline; here also up to the end."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(request + b"\n")
    line = await reader.readuntil(b"\n")
    assert await reader.read() == b""  # the server closes, like the reference server
    writer.close()
    await writer.wait_closed()
    return line


async def code_of(server: BootstrapServer, request: bytes) -> str:
    return error_code(await ask(server, request))


def error_code(line: bytes) -> str:
    error = json.loads(line)["error"]
    assert set(error) >= {"code", "message"}
    return str(error["code"])


def saved(server: BootstrapServer) -> list[str]:
    """What another process would find on the disk now."""
    path = server.store.connection.execute("PRAGMA database_list").fetchone()[2]  # type: ignore[attr-defined]
    with contextlib.closing(SqlitePeerStore(Path(path), read_only=True)) as store:
        return store.addresses(100_000, 0)


@contextlib.asynccontextmanager
async def peer(answer: bytes | None = b'{"type":"pong"}') -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    """A peer that listens: its address and the lines it gets; it answers each, if it does."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readuntil(b"\n")
        if answer is not None:
            lines.put_nowait(line)
            writer.write(answer + b"\n")
        else:
            await reader.read()

    async with served(talk) as address:
        yield str(address), lines


def pretend_from(server: BootstrapServer, client: str) -> None:
    """All later connections seem to come from this IP address."""
    opened = server.link_opened

    def link_opened(link: Link) -> None:
        link.host = client
        opened(link)

    server.link_opened = link_opened  # type: ignore[method-assign]


def signed(address: str, sequence: int = 1, expires: int = 0) -> bytes:
    expires = expires or int(time.time()) + 3600
    return encode_request(
        "REGISTER", sign_record(KEY, address, "ab" * 32, sequence=sequence, expires=expires)
    )


# -- the reference conversation ----------------------------------------------------------------


def test_register_list_and_remove_have_the_bytes_of_the_reference_server(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            register = b'{"type":"REGISTER","payload":"localhost:3000"}'
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"
            assert await ask(server, register) == b"Peer registered successfully\n"
            assert await ask(server, register) == b"Peer already registered\n"
            assert await ask(server, b'{"type":"GET_PEERS"}') == b'[{"address":"localhost:3000"}]\n'
            assert (
                await ask(server, b'{"type":"GET_PEERS","payload":""}\r')
                == b'[{"address":"localhost:3000"}]\n'
            )
            remove = b'{"type":"REMOVE","payload":"localhost:3000"}'
            assert await ask(server, remove) == b"Peer removed successfully\n"
            assert await ask(server, remove) == b"Peer not found\n"

    run(test)


def test_a_client_that_does_not_wait_for_its_answer_is_registered(tmp_path: Path) -> None:
    """The reference node's RegisterToBootstrap writes its line and closes."""

    async def test() -> None:
        async with serving(tmp_path) as server:
            for port in range(1, 101):
                _, writer = await asyncio.open_connection(*server.address)
                writer.write(b'{"type":"REGISTER","payload":"localhost:%d"}\n' % port)
                writer.close()
                await writer.wait_closed()
            await until(lambda: server.count() == 100)
            assert len(json.loads(await ask(server, b'{"type":"GET_PEERS"}'))) == 100

    run(test)


def test_only_the_first_line_counts_unless_the_client_asks_to_keep_the_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            two = b'{"type":"REGISTER","payload":"a:1"}\n{"type":"REGISTER","payload":"a:2"}'
            assert await ask(server, two) == b"Peer registered successfully\n"
            assert await ask(server, b'{"type":"GET_PEERS"}') == b'[{"address":"a:1"}]\n'

    run(test)


def test_many_clients_at_once_lose_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            requests = [encode_request("REGISTER", f"localhost:{port}") for port in range(1, 301)] * 2
            answers = await asyncio.gather(*(ask(server, request) for request in requests))
            assert answers.count(b"Peer registered successfully\n") == 300
            assert answers.count(b"Peer already registered\n") == 300
            assert sorted(saved(server)) == sorted(f"localhost:{port}" for port in range(1, 301))

    run(test)


# -- saved, answered, in order -----------------------------------------------------------------


def test_an_answer_means_that_it_is_on_disk(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            for port in range(1, 20):
                await ask(server, encode_request("REGISTER", f"a:{port}"))
                assert len(saved(server)) == port

    run(test)


def test_pipelined_requests_are_answered_in_order_and_saved_together(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            commits: list[str] = []
            server.store.connection.set_trace_callback(commits.append)  # type: ignore[attr-defined]
            reader, writer = await asyncio.open_connection(*server.address)
            number = 3000
            for port in range(1, number + 1):
                writer.write(encode_request("REGISTER", f"127.0.0.9:{port}", keep_open=True) + b"\n")
                writer.write(encode_request("REGISTER", f"127.0.0.9:{port}", keep_open=True) + b"\n")
            writer.write(b'{"type":"REGISTER","payload":"nowhere","keep_open":true}\n')
            writer.write(b'{"type":"GET_PEERS","payload":{"sample":1},"keep_open":true}\n')
            writer.write(
                b'{"type":"REMOVE","payload":"127.0.0.9:1"}\n{"type":"REMOVE","payload":"127.0.0.9:2"}\n'
            )
            lines = (await reader.read()).splitlines()
            assert (
                lines[: 2 * number] == [b"Peer registered successfully", b"Peer already registered"] * number
            )
            assert error_code(lines[2 * number]) == "bad-address"  # refused, and the connection stays
            assert len(json.loads(lines[2 * number + 1])["peers"]) == 1
            assert lines[2 * number + 2 :] == [b"Peer removed successfully"]
            writer.close()
            assert commits.count("COMMIT") < number / 10
            assert len(saved(server)) == number - 1

    run(test)


def test_a_full_disk_is_answered_and_survived(tmp_path: Path) -> None:
    def register(port: int) -> bytes:
        return encode_request("REGISTER", f"a-rather-long-name-{port}.example:{port}")

    async def test() -> None:
        async with serving(tmp_path) as server:
            # Peers that no notice reaches are noted in turns of their own, for which there may be room.
            server.liveness_checker._saved = lambda error: None
            await ask(server, encode_request("REGISTER", "a:1"))
            conn = server.store.connection  # type: ignore[attr-defined]
            (pages,) = conn.execute("PRAGMA page_count").fetchone()
            conn.execute(f"PRAGMA max_page_count = {pages}")
            reader, writer = await asyncio.open_connection(*server.address)
            for port in range(2, 1000):
                writer.write(register(port)[:-1])
                writer.write(b',"keep_open":true}\n')
            writer.write(b'{"type":"GET_PEERS"}\n')
            *answers, listed = (await reader.read()).splitlines()
            writer.close()
            accepted = [line for line in answers if line == b"Peer registered successfully"]
            assert {error_code(line) for line in answers if line not in accepted} == {"storage-failed"}
            assert len(json.loads(listed)) == 1 + len(accepted)
            # The last of them may have been so few that they fitted in: go on to one that does not.
            more = 0
            while (line := await ask(server, register(1000 + more))) == b"Peer registered successfully\n":
                more += 1
            assert error_code(line) == "storage-failed"
            assert "full" in server.storage_failure
            assert len(saved(server)) == 1 + len(accepted) + more
            conn.execute("PRAGMA max_page_count = 100000")
            assert await ask(server, encode_request("REGISTER", "b:1")) == b"Peer registered successfully\n"
            assert server.storage_failure == ""

    run(test)


def test_a_name_that_hangs_delays_no_other_link_and_keeps_the_order(tmp_path: Path) -> None:
    release = threading.Event()

    def resolve(host: str) -> list[str]:
        if host == "slow.example":
            release.wait(PATIENCE)
        return [STRANGER]

    async def test() -> None:
        async with serving(tmp_path, names=looked_up(resolve)) as server:
            pretend_from(server, STRANGER)
            reader, writer = await asyncio.open_connection(*server.address)
            for name in ("slow", "quick", "slow"):
                writer.write(encode_request("REGISTER", f"{name}.example:1", keep_open=True) + b"\n")
            writer.write(b'{"type":"GET_PEERS"}\n')
            other = await ask(server, encode_request("REGISTER", "other.example:1"))
            assert other == b"Peer registered successfully\n"
            release.set()
            lines = (await reader.read()).splitlines()
            writer.close()
            assert lines[:3] == [b"Peer registered successfully"] * 2 + [b"Peer already registered"]
            assert json.loads(lines[3]) == []  # no peer has answered a dial yet
            store = server.store
            assert [store.find(f"{name}.example:1") is None for name in ("slow", "quick", "other")] == [
                False
            ] * 3

    run(test)


def test_a_reader_of_long_lists_gets_them_all_and_costs_one_at_a_time(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            with server.store.saving():
                for number in range(3500):
                    server.store.put(PeerEntry(f"{number:0250}:1"))
            reader, writer = await asyncio.open_connection(*server.address, limit=2 * MAX_ANSWER_LINE)
            writer.write(b'{"type":"GET_PEERS","keep_open":true}\n' * 30)
            highest = 0
            for _ in range(100):
                await asyncio.sleep(0)
                highest = max(highest, server.unread())
            for _ in range(30):
                assert len(json.loads(await reader.readuntil(b"\n"))) == 3500
                highest = max(highest, server.unread())
            writer.close()
            assert 0 < highest <= 2 * MAX_ANSWER_LINE

    run(test)


def test_more_requests_than_one_batch_are_all_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:

            async def many(start: int) -> int:
                reader, writer = await asyncio.open_connection(*server.address)
                numbers = range(start, start + BATCH_SIZE)
                writer.writelines(
                    encode_request("REGISTER", f"a{n}:1", keep_open=True) + b"\n" for n in numbers
                )
                writer.write_eof()
                lines = (await reader.read()).splitlines()
                writer.close()
                return lines.count(b"Peer registered successfully")

            counts = await asyncio.gather(*(many(start * BATCH_SIZE) for start in range(3)))
            assert counts == [BATCH_SIZE] * 3

    run(test)


def test_a_crowd_that_asks_for_long_pages_does_not_stop_the_loop(tmp_path: Path) -> None:
    """Counted in requests, not in time: between two turns of the loop one page is made, at most a few."""

    async def test() -> None:
        async with serving(tmp_path) as server:
            with server.store.saving():
                for number in range(2000):
                    server.store.put(PeerEntry(f"a{number}:1"))
            links = [await asyncio.open_connection(*server.address) for _ in range(150)]
            for _, writer in links:
                writer.write(b'{"type":"GET_PEERS","payload":{"limit":2000}}\n')
            made, most = 0, 0
            while made < len(links):
                await asyncio.sleep(0)
                now = server.stats()["counts"]["answers"].get("GetPage", 0)  # type: ignore[index]
                made, most = now, max(most, now - made)
            assert most < 75, "in one turn of the loop"
            # All at once: on a busy machine the last of a row would be taken for slow readers.
            pages = await asyncio.gather(*(reader.read() for reader, _ in links))
            assert {page.count(b'"address"') for page in pages} == {2000}
            for _, writer in links:
                writer.close()

    run(test)


# -- bad input ---------------------------------------------------------------------------------

BAD = {
    b"garbage": "bad-json",
    b"\x00\xff\xfe\x80binary": "bad-json",
    b"": "bad-json",
    b"[1,2,3]": "bad-json",
    b"GET / HTTP/1.0": "bad-json",
    b'{"type":"REGISTER","payload":3000}': "bad-message",
    b'{"type":"REGISTER"}': "bad-message",
    b'{"type":"REGISTER","payload":{"record":{},"signature":"00"}}': "bad-message",
    b'{"type":["REGISTER"],"payload":"a:1"}': "bad-message",
    b'{"type":"EXIT","payload":"a:1"}': "unknown-type",
    b'{"type":"REGISTER","payload":"a:70000"}': "bad-address",
    b'{"type":"REGISTER","payload":"a"}': "bad-address",
    b'{"type":"REMOVE","payload":""}': "bad-address",
    signed("127.0.0.1:3000").replace(b'"sequence":1', b'"sequence":2'): "bad-record",
    signed("127.0.0.1:3000", expires=5): "expired-record",
    signed("127.0.0.1:3000", expires=int(time.time()) + 73 * 3600): "expired-record",
    signed("127.0.0.1:3000", expires=2**53 - 1): "expired-record",
    b'{"type":"REGISTER","payload":"a:0"}': "bad-address",
    b'{"type":"REGISTER","payload":"a:-1"}': "bad-address",
    b'{"type":"REGISTER","payload":"http://a:80"}': "bad-address",
    b'{"type":"REGISTER","payload":"::1:3000"}': "bad-address",
    b'{"type":"REGISTER","payload":"[::1]"}': "bad-address",
    b'{"type":"REGISTER","payload":"[a.example]:80"}': "bad-address",
    b'{"type":"REGISTER","payload":"a\\u0000b:80"}': "bad-address",
}


def test_bad_input_gets_an_error_line_with_its_code_and_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            for request, code in BAD.items():
                assert await code_of(server, request) == code, request
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"

    run(test)


def test_a_line_of_ten_megabytes_is_cut_off_early(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            with contextlib.suppress(ConnectionError):
                for _ in range(160):
                    writer.write(b"x" * 65536)
                    await writer.drain()
            with contextlib.suppress(ConnectionError):
                assert error_code(await reader.readuntil(b"\n")) == "line-too-long"
            writer.close()
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b"x" * 5000)
            assert error_code(await reader.readuntil(b"\n")) == "line-too-long"
            writer.close()
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"

    run(test)


def test_half_a_line_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(b'{"type":"REGISTER","payload":"a:1"}')
            writer.write_eof()
            assert error_code(await reader.read()) == "incomplete-line"
            writer.close()
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"

    run(test)


def test_slow_and_silent_senders_are_sent_away(tmp_path: Path) -> None:
    async def test() -> None:
        limits = replace(LIMITS, first_line=0.2, partial_line=0.2, idle=0.3)
        async with serving(tmp_path, limits=limits) as server:
            for begin in (b"", b'{"type":', b'{"type":"GET_PEERS","keep_open":true}\n'):
                reader, writer = await asyncio.open_connection(*server.address)
                writer.write(begin)
                assert error_code((await reader.read()).splitlines()[-1]) == "idle-timeout"
                writer.close()

    run(test)


def test_one_connection_too_many_is_told_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, max_links=5) as server:
            held = [await asyncio.open_connection(*server.address) for _ in range(5)]
            for _, writer in held:
                writer.write(b'{"type":"GET_PEERS","keep_open":true}\n')
            for reader, _ in held:
                assert await reader.readuntil(b"\n") == b"[]\n"
            reader, writer = await asyncio.open_connection(*server.address)
            assert error_code(await reader.read()) == "too-many-connections"
            writer.close()
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            await until(lambda: server.stats()["connections"] == 0)
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"

    run(test)


# -- who may -----------------------------------------------------------------------------------


def test_a_stranger_cannot_remove_or_register_others(tmp_path: Path) -> None:
    async def test() -> None:
        names = looked_up(lambda host: {"mine.example": ["10.9.9.9", STRANGER]}.get(host, []))
        async with serving(tmp_path, names=names) as server:
            await ask(server, encode_request("REGISTER", "localhost:3000"))
            pretend_from(server, STRANGER)
            assert await code_of(server, encode_request("REMOVE", "localhost:3000")) == "not-owner"
            assert await code_of(server, encode_request("REGISTER", "victim.example:1")) == "not-owner"
            assert await code_of(server, encode_request("REGISTER", "10.0.0.1:1")) == "not-owner"
            assert await code_of(server, signed("10.0.0.1:1")) == "not-owner"
            for _ in range(2):
                await ask(server, encode_request("REGISTER", "mine.example:1"))
                removed = await ask(server, encode_request("REMOVE", "mine.example:1"))
                assert removed == b"Peer removed successfully\n"
            assert saved(server) == ["localhost:3000"]

    run(test)


STRANGE = ("no-such-name.invalid:1", "10.0.0.1:1", "[::1]:1", "[::ffff:10.0.0.1]:1", "127.0.0.2:1")


def test_a_stranger_is_refused_for_every_form_of_address(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, policy=NO_TRUST) as server:
            for address in (
                "no-such-name.invalid:1",
                "10.0.0.1:1",
                "[::1]:1",
                "[::ffff:10.0.0.1]:1",
                "127.0.0.2:1",
            ):
                assert await code_of(server, encode_request("REGISTER", address)) == "not-owner", address
                code = "bad-address" if "ffff" in address else "not-owner"  # a record has the usual spelling
                assert await code_of(server, signed(address)) == code, address
            mapped = encode_request("REGISTER", "[::ffff:127.0.0.1]:1")  # this client, in other clothes
            assert await ask(server, mapped) == b"Peer registered successfully\n"
            assert server.count() == 1

    run(test)


def test_a_keyed_peer_is_removed_by_anybody_only_when_it_is_dead(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server, peer(b"hello") as (address, _):
            assert await ask(server, signed(address)) == b"Peer registered successfully\n"
            assert await code_of(server, encode_request("REMOVE", address)) == "still-alive"
            assert await code_of(server, encode_request("REMOVE", address)) == "still-alive"
            assert saved(server) == [address]
        async with serving(tmp_path) as server:
            assert await ask(server, encode_request("REMOVE", address)) == b"Peer removed successfully\n"
            assert saved(server) == []

    run(test)


def test_a_peer_that_listens_but_never_answers_is_dead_once_it_was_asked_for_a_while(tmp_path: Path) -> None:
    class Held(DialBack):
        """The pings behind the first one wait until the test has looked."""

        looked = asyncio.Event()

        async def answers(self, target: Address, seconds: float | None = None) -> bool:
            if seconds is not None:
                await self.looked.wait()
            return await super().answers(target, seconds)

    async def test() -> None:
        dialback = Held(Names(), answer_seconds=0.2)
        policy = replace(TRUSTED, silence_gaps=(0.05, 0.1))
        options: dict[str, Any] = {"dialback": dialback, "policy": policy}
        async with (
            serving(tmp_path, **options) as server,
            peer(None) as (address, _),
            peer() as (other, told),
        ):
            await ask(server, signed(address))
            await ask(server, encode_request("REGISTER", other))
            assert await code_of(server, encode_request("REMOVE", address)) == "being-checked"
            assert saved(server) == [address, other]
            dialback.looked.set()
            assert await told.get() == notice("shutdown_peer", address)
            assert saved(server) == [other]

    run(test)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_busy_keyed_peer_stays_against_any_request_for_removal(tmp_path: Path, trusted: bool) -> None:
    """It is silent for longer than one look, as a node that is paused or has much to do; then it answers."""

    async def test() -> None:
        lines = 0

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal lines
            await reader.readuntil(b"\n")
            lines += 1
            if lines >= 3:
                writer.write(b'{"error":{"code":"busy","message":"later"}}\n')
            await reader.read()

        dialback = DialBack(Names(), answer_seconds=0.1)
        policy = replace(TRUSTED, silence_gaps=(0.1, 20.0, 0.1))
        options: dict[str, Any] = {"dialback": dialback, "policy": policy}
        async with served(talk) as there, serving(tmp_path, **options) as server:
            address = str(there)
            await ask(server, signed(address))
            if not trusted:
                pretend_from(server, STRANGER)
            remove = encode_request("REMOVE", address)
            assert await code_of(server, remove) == "being-checked"
            assert await code_of(server, remove) == "being-checked"
            while server.facts.silence.refusal(address) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert lines == 3, "the third ping was answered, and that was enough"
            assert saved(server) == [address]

    run(test)


def test_a_restarting_node_is_not_removed_on_a_strangers_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, policy=replace(TRUSTED, silence_gaps=(0.05, 20.0))) as server:
            async with peer() as (address, _):
                await ask(server, signed(address))
            pretend_from(server, STRANGER)
            assert await code_of(server, encode_request("REMOVE", address)) == "being-checked"
            assert saved(server) == [address]
            with server.store.saving():  # it is back: its record is another one
                server.core.step(Call(decode_request(signed(address, 2)), "127.0.0.1"), int(time.time()))
            server.liveness_checker.silent(address, 1)
            server.liveness_checker.turn()
            assert saved(server) == [address]

    run(test)


def test_strangers_cannot_make_the_server_dial_one_peer_again_and_again(tmp_path: Path) -> None:
    async def test() -> None:
        policy = replace(TRUSTED, check_again_seconds=PATIENCE)
        async with serving(tmp_path, policy=policy) as server, peer() as (address, lines):
            await ask(server, signed(address))
            pretend_from(server, STRANGER)
            codes = [await code_of(server, encode_request("REMOVE", address)) for _ in range(5)]
            assert codes == ["still-alive"] + ["busy"] * 4
            assert lines.qsize() == 1

    run(test)


def test_a_strangers_peer_is_listed_and_told_of_once_it_was_dialled_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, policy=NO_TRUST) as server, listening(lambda line: b"") as (one, told):
            assert (
                await ask(server, encode_request("REGISTER", str(one))) == b"Peer registered successfully\n"
            )
            await until(lambda: saved(server) == [str(one)])
            async with listening(greeting(KEY, "ab" * 32)) as (two, _):
                assert await ask(server, signed(str(two))) == b"Peer registered successfully\n"
                await until(lambda: bool(told))
                assert told == [notice("new_peer_joined", str(two))]
                listed = json.loads(await ask(server, b'{"type":"GET_PEERS"}'))
                assert [peer["address"] for peer in listed] == [str(one), str(two)]

    run(test)


def test_a_record_whose_key_or_network_does_not_answer_is_not_announced(tmp_path: Path) -> None:
    async def test() -> None:
        other = SigningKey(bytes([1] * 32))
        async with (
            serving(tmp_path, policy=NO_TRUST) as server,
            listening(greeting(other, "ab" * 32)) as (wrong_key, asked),
            listening(greeting(KEY, "cd" * 32)) as (wrong_network, asked_too),
        ):
            await ask(server, signed(str(wrong_key)))
            await ask(server, signed(str(wrong_network)))
            await until(lambda: bool(asked) and bool(asked_too))
            await until(lambda: server.stats()["counts"]["checks"].get("dead", 0) >= 2)  # type: ignore[index]
            assert await ask(server, b'{"type":"GET_PEERS"}') == b"[]\n"

    run(test)


def test_a_node_that_lost_its_key_takes_its_address_back(tmp_path: Path) -> None:
    policy = AdmissionPolicy(trusts=lambda client: False, check_again_seconds=0.0)

    async def test() -> None:
        lost = SigningKey(bytes([1] * 32))
        async with serving(tmp_path, policy=policy) as server:
            async with listening(greeting(lost, "ab" * 32), port=free_port()) as (address, _):
                record = sign_record(lost, str(address), "ab" * 32, sequence=9, expires=int(time.time()) + 60)
                await ask(server, encode_request("REGISTER", record))
                await until(lambda: saved(server) == [str(address)])
                assert await code_of(server, signed(str(address))) == "not-owner"
            async with listening(greeting(KEY, "ab" * 32), port=address.port):
                assert await ask(server, signed(str(address))) == b"Peer already registered\n"
                found = server.store.find(str(address))
                assert found is not None
                assert found.node_key == KEY.public_hex

    run(test)


# -- many from one host ------------------------------------------------------------------------


def test_a_host_and_its_network_register_only_so_many(tmp_path: Path) -> None:
    policy = AdmissionPolicy(trusts=lambda client: False, max_per_host=20)

    async def test() -> None:
        async with serving(tmp_path, policy=policy) as server:
            reader, writer = await asyncio.open_connection(*server.address)
            for port in range(1, 101):
                writer.write(encode_request("REGISTER", f"127.0.0.1:{port}", keep_open=True) + b"\n")
            writer.write_eof()
            lines = (await reader.read()).splitlines()
            writer.close()
            assert lines[:20] == [b"Peer registered successfully"] * 20
            assert {error_code(line) for line in lines[20:]} == {"too-many-peers"}
            assert len(lines) == 100
            assert server.count() == 20

    run(test)


def test_a_flood_from_one_address_slows_only_that_address(tmp_path: Path) -> None:
    rates: dict[str, Any] = {"host_rate": (0.001, 50.0), "group_rate": (0.001, 70.0)}
    policy = AdmissionPolicy(trusts=lambda client: client == "127.0.0.1", **rates)

    async def codes(server: BootstrapServer, client: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(60):
            reader, writer = await asyncio.open_connection(*server.address, local_addr=(client, 0))
            writer.write(b'{"type":"GET_PEERS"}\n')
            line = await reader.readuntil(b"\n")
            found["listed" if line == b"[]\n" else error_code(line)] += 1
            writer.close()
            await writer.wait_closed()
        return found

    async def test() -> None:
        async with serving(tmp_path, policy=policy) as server:
            assert await codes(server, "127.7.7.1") == {"listed": 50, "rate-limited": 10}
            assert await codes(server, "127.7.7.2") == {"listed": 20, "rate-limited": 40}  # the same network
            assert await codes(server, "127.7.8.1") == {"listed": 50, "rate-limited": 10}
            assert await codes(server, "127.0.0.1") == {"listed": 60}
            refusals = json.loads(await ask(server, b'{"type":"GET_STATS"}'))["stats"]["counts"]["refusals"]
            assert refusals == {"rate-limited": 60}

    run(test)


def test_a_name_that_does_not_resolve_is_refused_to_the_operator_too(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            for request in (encode_request("REGISTER", "no-such.invalid:1"), signed("no-such.invalid:1")):
                assert await code_of(server, request) == "bad-address"
            assert server.count() == 0
            assert (
                await ask(server, encode_request("REGISTER", "a.example:1"))
                == b"Peer registered successfully\n"
            )

    run(test)


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "224.0.0.1:1", "[fe80::1%lo]:1", "127.1:1"])
def test_an_address_that_cannot_be_dialled_is_refused(tmp_path: Path, address: str) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            assert await code_of(server, encode_request("REGISTER", address)) == "bad-address"
            assert await code_of(server, signed(address)) == "bad-address"
            assert server.count() == 0

    run(test)


def test_a_record_of_another_network_is_refused_by_a_server_of_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, policy=AdmissionPolicy(network="cd" * 32)) as server:
            assert await code_of(server, signed("127.0.0.1:1")) == "network-mismatch"
            assert server.count() == 0
        async with serving(tmp_path, policy=AdmissionPolicy(network="ab" * 32)) as server:
            assert await ask(server, signed("127.0.0.1:1")) == b"Peer registered successfully\n"

    run(test)


def test_connections_held_open_from_one_network_keep_no_client_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, max_links=20, policy=NO_TRUST) as server:
            held = [
                await asyncio.open_connection(*server.address, local_addr=(f"127.3.3.{n + 1}", 0))
                for n in range(20)
            ]
            for n in range(10):
                reader, writer = await asyncio.open_connection(
                    *server.address, local_addr=(f"127.{n + 4}.1.1", 0)
                )
                writer.write(b'{"type":"GET_PEERS"}\n')
                assert await reader.readuntil(b"\n") == b"[]\n"
                writer.close()
            line = await held[0][0].readuntil(b"\n")
            assert error_code(line) == "too-many-connections"
            for _, writer in held:
                writer.close()

    run(test)


# -- notices -----------------------------------------------------------------------------------


def notice(kind: str, address: str) -> bytes:
    return b'{"type":"%s","data":"%s"}\n' % (kind.encode(), base64.b64encode(address.encode()))


def test_all_others_are_told_of_joins_and_leaves(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server, peer() as (one, told_one), peer() as (two, told_two):
            await ask(server, encode_request("REGISTER", "127.0.0.1:1"))  # nothing listens there
            await ask(server, encode_request("REGISTER", one))
            await ask(server, encode_request("REGISTER", two))
            assert await told_one.get() == notice("new_peer_joined", two)
            await ask(server, encode_request("REGISTER", two))  # renewed: nothing new
            async with peer() as (three, _):
                await ask(server, signed(three))
                assert await told_one.get() == notice("new_peer_joined", three)
                assert await told_two.get() == notice("new_peer_joined", three)
            assert await ask(server, encode_request("REMOVE", three)) == b"Peer removed successfully\n"
            assert await told_one.get() == notice("shutdown_peer", three)
            assert await told_two.get() == notice("shutdown_peer", three)
            await ask(server, encode_request("REMOVE", one))
            assert await told_two.get() == notice("shutdown_peer", one)
            assert told_one.empty()

    run(test)


def test_a_peer_that_did_not_renew_is_dropped_and_the_others_told(tmp_path: Path) -> None:
    async def test() -> None:
        now = [1000.0]
        async with serving(tmp_path, clock=lambda: now[0]) as server, peer() as (one, told):
            await ask(server, encode_request("REGISTER", one))
            await ask(server, signed("127.0.0.1:2", expires=1060))
            assert await told.get() == notice("new_peer_joined", "127.0.0.1:2")
            now[0] = 1060.0
            assert await told.get() == notice("shutdown_peer", "127.0.0.1:2")
            assert saved(server) == [one]

    run(test)


# -- start and end -----------------------------------------------------------------------------


def test_a_restarted_server_has_its_peers(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as server:
            await ask(server, encode_request("REGISTER", "localhost:3000"))
        async with serving(tmp_path) as server:
            assert await ask(server, b'{"type":"GET_PEERS"}') == b'[{"address":"localhost:3000"}]\n'

    run(test)


def test_requests_before_the_end_are_answered(tmp_path: Path) -> None:
    release = threading.Event()

    def resolve(host: str) -> list[str]:
        release.wait(PATIENCE)
        return [STRANGER]

    async def test() -> None:
        async with serving(tmp_path, names=looked_up(resolve)) as server:
            pretend_from(server, STRANGER)
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(encode_request("REGISTER", "mine.example:1") + b"\n")
            await until(lambda: server.waiting() > 0)
            asyncio.get_running_loop().call_soon(release.set)
        assert await reader.read() == b"Peer registered successfully\n"
        writer.close()

    run(test)


def test_an_import_is_whole_or_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, policy=AdmissionPolicy(max_peers=3)) as server:
            assert server.import_addresses(["a:1", "a:2"]) == 2
            with pytest.raises(Exception, match="3 peers"):
                server.import_addresses(["a:2", "a:3", "a:4"])
            assert saved(server) == ["a:1", "a:2"]
            assert len(json.loads(await ask(server, b'{"type":"GET_PEERS"}'))) == 2

    run(test)
