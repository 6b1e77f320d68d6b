"""A witness over real sockets: what it answers, what it saves first, and clients that mean it ill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.checkpoints import LogOfTests, log_of_five
from support.elections import key_of
from votenet.core.log.signed_note import SignedNote, VerifierKey, parse_key, parse_note, verified_keys
from votenet.core.log.witness import MAX_REQUEST_BYTES, WatchedLog, WitnessPolicy, WitnessSize, origin_hash
from votenet.errors import Locked, NotProven, StorageError, Unreachable
from votenet.network import witness_server
from votenet.network.witness_client import push_checkpoint
from votenet.network.witness_server import serve_witness
from votenet.protocol.wire.address import Address
from votenet.storage.witness_store import WitnessStore, opened_witness

LOG = log_of_five()
ORIGIN = LOG.keys.origin


def policy(**more: WatchedLog) -> WitnessPolicy:
    logs = {ORIGIN: WatchedLog(LOG.keys.log_keys, LOG.keys), **more}
    return WitnessPolicy("witness.example/w1", key_of("witness"), logs)


@contextlib.asynccontextmanager
async def serving(
    folder: Path, rules: WitnessPolicy | None = None
) -> AsyncIterator[tuple[Address, WitnessStore, VerifierKey]]:
    rules = rules or policy()
    with opened_witness(folder) as store:
        async with serve_witness(Address("127.0.0.1", 0), rules, store) as address:
            yield address, store, rules.verifier


def run(folder: Path, scenario: Callable[[Address, WitnessStore, VerifierKey], Awaitable[None]]) -> None:
    async def main() -> None:
        async with serving(folder) as (address, store, key):
            await scenario(address, store, key)

    asyncio.run(main())


async def push(
    address: Address, key: VerifierKey, size: int, log: LogOfTests = LOG
) -> SignedNote | WitnessSize:
    return await push_checkpoint(f"http://{address}", key, log.note(size), log.prover(size), seconds=60.0)


async def exchange(address: Address, request: bytes) -> bytes:
    """All that the server answers until it closes. It has the request as soon as it takes the connection."""
    link = socket.create_connection(address)
    sent = link.send(request, socket.MSG_DONTWAIT)
    reader, writer = await asyncio.open_connection(sock=link)
    writer.write(request[sent:])
    answer = await reader.read()
    writer.close()
    return answer


def posted(body: bytes) -> bytes:
    return head_of("POST", "/add-checkpoint", f"Content-Length: {len(body)}\r\n") + body


def head_of(method: str, path: str, more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\n{more}\r\n".encode()


def test_our_client_is_answered_and_the_newest_checkpoint_is_served(tmp_path: Path) -> None:
    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        for size in (10, 300):
            note = await push(address, key, size)
            assert isinstance(note, SignedNote)
            kept = store.note(ORIGIN)
            assert kept is not None
            assert set(note.signatures) < set(kept.signatures)
        assert await push(address, key, 20) == WitnessSize(300)
        get = head_of("GET", f"/{origin_hash(ORIGIN)}/checkpoint")
        head, _, body = (await exchange(address, get)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/plain; charset=utf-8" in head
        served = parse_note(body.decode())
        assert served == store.note(ORIGIN)
        assert len(verified_keys(served, [*LOG.keys.log_keys, key])) == 2

    run(tmp_path, scenario)


def test_both_kinds_of_split_view_are_refused_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = LogOfTests(LOG.election, "another history", fork=15)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        await push(address, key, 20)
        for size in (20, 30):
            with pytest.raises(NotProven, match="422"):
                await push(address, key, size, other)
        assert store.note(ORIGIN) is not None

    run(tmp_path, scenario)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert all("event=inconsistent" in line and ORIGIN in line for line in told)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (head_of("GET", "/add-checkpoint"), 405),
        (head_of("GET", "/"), 404),
        (head_of("GET", f"/{origin_hash(ORIGIN)}/checkpoint"), 404),
        (head_of("GET", f"/{'0' * 64}/checkpoint"), 404),
        (posted(b"nothing"), 400),
        (posted(b"\xff"), 400),
        (posted(str(LOG.request(5, 10)).encode()), 409),
        (posted(str(LOG.request(0, 10)._replace(path=(bytes(32),))).encode()), 422),
        (posted(str(LOG.request(0, 10)._replace(note=LOG.note(10, cosigners=(1,)))).encode()), 403),
        (posted(str(LOG.request(0, 10)).replace(ORIGIN, "votenet/other").encode()), 404),
        (posted(bytes(MAX_REQUEST_BYTES + 1)), 413),
        (b"rubbish\r\n\r\n", 400),
    ],
)
def test_the_status_of_each_answer(tmp_path: Path, request_: bytes, status: int) -> None:
    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        answer = await exchange(address, request_)
        assert answer.split(b" ", 2)[1] == str(status).encode()
        if status == 409:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"\r\ncontent-type: text/x.tlog.size" in head.lower()
            assert body == b"0\n"
        assert store.note(ORIGIN) is None

    run(tmp_path, scenario)


def test_of_two_requests_at_once_one_is_judged_after_the_other_is_saved(tmp_path: Path) -> None:
    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        await push(address, key, 10)
        sizes = (20, 30, 40, 50, 60)
        answers = await asyncio.gather(
            *(exchange(address, posted(str(LOG.request(10, size)).encode())) for size in sizes)
        )
        taken = [size for size, answer in zip(sizes, answers, strict=True) if b" 200 " in answer[:20]]
        assert len(taken) == 1
        assert store.note(ORIGIN) is not None
        assert sum(answer.endswith(f"\r\n\r\n{taken[0]}\n".encode()) for answer in answers) == 4

    run(tmp_path, scenario)


def test_a_checkpoint_that_cannot_be_saved_is_not_cosigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: WitnessStore, origin: str, decide: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(WitnessStore, "update", fails)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        with pytest.raises(NotProven, match="503"):
            await push(address, key, 10)

    run(tmp_path, scenario)


def test_clients_that_send_nothing_or_half_a_request_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_server, "REQUEST_SECONDS", 0.2)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        whole = posted(str(LOG.request(0, 10)).encode())
        served = (
            whole.replace(b"Connection: close\r\n", b"") + b"POST /add"
        )  # one request, and half of another
        slow = await asyncio.gather(
            *(exchange(address, part) for part in (b"", b"POST /add", whole[:-1], served))
        )
        assert slow[:2] == [b"", b""]
        assert slow[2].startswith(b"HTTP/1.1 408 ")
        assert slow[3].startswith(b"HTTP/1.1 200 ")

    run(tmp_path, scenario)


def test_one_connection_too_many_is_answered_with_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_server, "MAX_CONNECTIONS", 3)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        idle = [await asyncio.open_connection(address.host, address.port) for _ in range(3)]
        with pytest.raises(NotProven, match="503"):
            await push(address, key, 10)
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        while True:  # until the server has seen that they are gone
            with contextlib.suppress(NotProven):
                assert isinstance(await push(address, key, 10), SignedNote)
                break

    run(tmp_path, scenario)


def test_connections_that_send_nothing_take_no_more_files_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_server, "MAX_OPEN_CONNECTIONS", 3)
    monkeypatch.setattr(witness_server, "REQUEST_SECONDS", 600.0)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        idle = [await asyncio.open_connection(address.host, address.port) for _ in range(3)]
        one_more = await asyncio.open_connection(address.host, address.port)
        async with asyncio.timeout(60):
            assert await one_more[0].read() == b"", "it is cut at once"
        for _, writer in (*idle, one_more):
            writer.close()
            await writer.wait_closed()
        while True:  # until the server has seen that they are gone
            with contextlib.suppress(Unreachable):
                assert isinstance(await push(address, key, 10), SignedNote)
                break

    run(tmp_path, scenario)


@pytest.mark.parametrize("complete", [False, True])
def test_a_client_that_does_not_read_its_answers_is_cut(complete: bool) -> None:
    """Many requests on one connection fill the buffers: then the answer under way never ends by itself."""
    ends: list[str] = []
    looks: list[tuple[object, ...]] = []
    cycle = SimpleNamespace(response_complete=complete)
    transport = SimpleNamespace(
        get_write_buffer_size=lambda: 70_000,
        abort=lambda: ends.append("abort"),
        close=lambda: ends.append("close"),
    )
    loop = SimpleNamespace(call_later=lambda *call: looks.append(call))
    connection: Any = SimpleNamespace(cycle=cycle, transport=transport, loop=loop, _check_progress="look")
    witness_server._BoundedProtocol._check_progress(connection, None)
    assert (ends, looks) == ([], [(witness_server.REQUEST_SECONDS, "look", cycle)])
    witness_server._BoundedProtocol._check_progress(connection, cycle)
    assert ends == ["abort"]


def test_one_address_cannot_take_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_server, "MAX_CONNECTIONS_OF_ADDRESS", 3)
    monkeypatch.setattr(witness_server, "REQUEST_SECONDS", 600.0)

    async def scenario(address: Address, store: WitnessStore, key: VerifierKey) -> None:
        crowd = [await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0)) for _ in range(4)]
        async with asyncio.timeout(60):
            assert await crowd[3][0].read() == b"", "it is cut at once"
        for _ in range(4):
            crowd.append(
                await asyncio.open_connection(*address)
            )  # those of the proxy on this machine are not
        assert isinstance(await push(address, key, 10), SignedNote)
        for _, writer in crowd:
            writer.close()
            await writer.wait_closed()

    run(tmp_path, scenario)


def test_a_taken_port_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        with opened_witness(tmp_path) as store, socket.create_server(("127.0.0.1", 0)) as taken:
            address = Address("127.0.0.1", taken.getsockname()[1])
            with pytest.raises(Locked, match="is taken"):
                async with serve_witness(address, policy(), store):
                    pass

    asyncio.run(main())


def test_the_client_of_another_make_is_answered(tmp_path: Path) -> None:
    """witness-log's own client, over HTTP: its log grows, and it finds our cosignatures good."""
    reason = "witness-log is not installed: pip install '.[dev]'"
    witnessing = pytest.importorskip("witness_log.witnessing", reason=reason)
    core = pytest.importorskip("witness_log._core", reason=reason)
    log = core.WitnessLog.generate()
    origin = log.canonical_origin()
    rules = policy(**{origin: WatchedLog((parse_key(log.c2sp_vkey(origin)),))})

    async def main() -> None:
        async with serving(tmp_path, rules) as (address, store, key):
            entry = core.witness_entry_independent(
                key.name, "an organisation", f"http://{address}", key.public.hex()
            )
            directory = {"witnesses": [json.loads(entry)]}
            for size in (3, 300):
                while log.tree_size() < size:
                    log.append_intent(b"a leaf")
                done = await asyncio.to_thread(
                    witnessing.submit_round, log, directory, str(tmp_path / "state.json")
                )
                assert (done.cosignatures, done.outcomes[0]["status"]) == (1, 200), done.outcomes
                assert store.note(origin) is not None

    asyncio.run(main())
