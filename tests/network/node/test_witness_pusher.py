"""A node's certificates reach its witnesses, also those that come late or contradict it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from support.checkpoints import LogOfTests, log_of_five
from support.elections import key_of, make_election, named_nodes
from support.ports import free_port
from votenet.core.election.definition import Election, Witness
from votenet.core.log.certificate import Certificate, read_certificate
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import COSIGNATURE_V1, SignedNote, VerifierKey
from votenet.core.log.tiles import LogFrontier
from votenet.core.log.witness import WatchedLog, WitnessPolicy
from votenet.errors import ConfigError
from votenet.network.node import witness_pusher
from votenet.network.node.witness_pusher import WitnessPusher, WitnessTarget, witnesses_of
from votenet.network.witness_server import serve_witness
from votenet.protocol.wire.address import Address
from votenet.storage.witness_store import WitnessStore, opened_witness

LOG = log_of_five()
PATIENCE = 60.0


class Node:
    """What a pusher sees of one: its newest certificate and its tiles."""

    def __init__(self, log: LogOfTests = LOG) -> None:
        self.log = log
        _, tiles = LogFrontier().append(log.leaves)
        self._tiles = {(tile.level, tile.number): tile.hashes for tile in tiles}
        self.newest: Certificate | None = None
        self.cosigned: list[SignedNote] = []

    def has(self, size: int) -> None:
        self.newest = read_certificate(str(self.log.note(size)), self.log.keys)

    def read_tile(self, level: int, number: int) -> bytes:
        return self._tiles[level, number]


@contextlib.asynccontextmanager
async def witness(folder: Path, address: Address) -> AsyncIterator[WitnessStore]:
    rules = WitnessPolicy(
        "w.example/1", key_of("witness"), {LOG.keys.origin: WatchedLog(LOG.keys.log_keys, LOG.keys)}
    )
    with opened_witness(folder) as store:
        async with serve_witness(address, rules, store):
            yield store


@contextlib.asynccontextmanager
async def pushing(node: Node, address: Address) -> AsyncIterator[None]:
    key = VerifierKey("w.example/1", COSIGNATURE_V1, key_of("witness").public)
    with ThreadPoolExecutor(1) as reader:
        target = WitnessTarget(key, f"http://{address}/")
        pusher = WitnessPusher([target], lambda: node.newest, node.read_tile, reader, node.cosigned.append)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(pusher.run())
            yield
            task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def held(store: WitnessStore) -> int:
    note = store.note(LOG.keys.origin)
    return 0 if note is None else parse_checkpoint(note.text).size


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness_pusher, "PUSH_SECONDS", 0.02)


def test_each_certificate_is_pushed_and_a_restarted_node_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        address, node = Address("127.0.0.1", free_port()), Node()
        async with witness(tmp_path, address) as store:
            async with pushing(node, address):
                for size in (10, 300):
                    node.has(size)
                    text = LOG.note(size).text
                    await until(lambda text=text: text in [note.text for note in node.cosigned])
                    assert held(store) == size
            assert all(len(note.signatures) == 1 for note in node.cosigned)
            node.has(390)
            async with pushing(node, address):  # it does not know what the witness holds
                await until(lambda: held(store) == 390)

    asyncio.run(main())


def test_a_witness_that_comes_late_gets_the_newest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        address, node = Address("127.0.0.1", free_port()), Node()
        node.has(10)
        async with pushing(node, address):
            await until(lambda: "has not cosigned" in caplog.text)
            node.has(300)
            async with witness(tmp_path, address) as store:
                await until(lambda: held(store) == 300)

    asyncio.run(main())


def test_a_node_with_another_history_hears_that_the_witness_refuses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Node(LogOfTests(LOG.election, "another history", fork=15))

    async def main() -> None:
        address, node = Address("127.0.0.1", free_port()), Node()
        async with witness(tmp_path, address) as store:
            node.has(20)
            async with pushing(node, address):
                await until(lambda: held(store) == 20)
            other.has(30)
            async with pushing(other, address):
                await until(lambda: "the witness answered 422" in caplog.text)
            assert held(store) == 20

    asyncio.run(main())


def test_the_witnesses_of_a_node(caplog: pytest.LogCaptureFixture) -> None:
    key = str(VerifierKey("w.example/1", COSIGNATURE_V1, key_of("witness").public))
    broken = key.replace(key.split("+")[1], "00000000")
    definition = msgspec.structs.replace(
        make_election(nodes=named_nodes(1)).definition,
        witnesses=(
            Witness(key=key, name="One", url="http://one.example"),
            Witness(key=broken, name="Two", url="http://two.example"),
        ),
    )
    election = Election(definition)
    with caplog.at_level(logging.WARNING):
        (first,) = witnesses_of(election)
    assert (str(first.key), first.url) == (key, "http://one.example")
    assert f"{broken} is no key" in caplog.text
    twice = [(key, "http://one.example"), (key, "http://other.example")]
    assert [target.url for target in witnesses_of(election, twice)] == [first.url, "http://other.example"]
    with pytest.raises(ConfigError) as refused:
        witnesses_of(election, [(broken, "http://two.example")])
    assert refused.value.code == "bad-witness"
