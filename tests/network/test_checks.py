"""Owners and the living, each bounded in number and for each address."""

from __future__ import annotations

import asyncio
import threading

import pytest

from peer_support import deaf, greeting, listening
from votenet.core.keys import SigningKey
from votenet.errors import Rejected
from votenet.network import checks
from votenet.network.checks import AliveCheck, OwnerCheck
from votenet.network.dialback import DialBack
from votenet.network.names import Names
from votenet.protocol.address import Address
from votenet.protocol.token_bucket import TokenBucket


def test_an_owner_is_who_the_name_resolves_to() -> None:
    async def test() -> None:
        owners = OwnerCheck(Names(lambda host: ["10.0.0.1", "::1"] if host == "a.example" else []))
        assert await owners.owns("::ffff:10.0.0.1", "a.example")
        assert not await owners.owns("10.0.0.2", "a.example")
        assert not await owners.owns("10.0.0.2", "nowhere.example")

    asyncio.run(test())


def test_alive_is_who_answers_or_proves_the_key_that_was_asked_for() -> None:
    async def test() -> None:
        check = AliveCheck(DialBack(Names()), again_seconds=0.0)
        key, other = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
        async with listening(greeting(key, "ab" * 32)) as (address, _):
            assert await check.alive(address)
            assert await check.alive(address, node_key=key.public_hex, network_id="ab" * 32)
            assert not await check.alive(address, node_key=other.public_hex, network_id="ab" * 32)
        assert not await check.alive(address)

    asyncio.run(test())


def test_checks_are_limited_per_address_and_in_all() -> None:
    async def test() -> None:
        check = AliveCheck(DialBack(Names()), again_seconds=60.0, bucket=TokenBucket(0.001, 3.0))
        codes: list[str] = []
        for port in (1, 1, 2, 3, 4):
            try:
                await check.alive(Address("127.0.0.1", port), client="203.0.113.9")
            except Rejected as error:
                codes.append(error.code)
            else:
                codes.append("dead")
        assert codes == ["dead", "busy", "dead", "dead", "busy"]
        assert not await check.alive(Address("127.0.0.1", 1))

    asyncio.run(test())


def test_one_network_cannot_take_all_checks() -> None:
    async def test() -> None:
        check = AliveCheck(DialBack(Names()))
        codes: list[str] = []
        for port in range(1, 11):
            try:
                await check.alive(Address("127.0.0.1", port), client=f"203.0.113.{port}")
            except Rejected as error:
                codes.append(error.code)
        assert codes == ["busy"] * 5
        assert not await check.alive(Address("127.0.0.1", 99), client="198.51.100.1")

    asyncio.run(test())


def test_names_that_hang_hold_up_only_the_network_that_names_them() -> None:
    async def test() -> None:
        let_go = threading.Event()

        def resolve(host: str) -> list[str]:
            if host.startswith("slow"):
                let_go.wait(10)
            return ["198.51.100.1"]

        owners = OwnerCheck(Names(resolve))
        async with asyncio.TaskGroup() as tasks:
            hanging = [tasks.create_task(owners.owns("203.0.113.1", f"slow{n}.example")) for n in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Rejected) as caught:
                await owners.owns("203.0.113.2", "quick.example")
            assert caught.value.code == "busy"
            assert await owners.owns("198.51.100.1", "quick.example")
            let_go.set()
        assert [task.result() for task in hanging] == [False, False]
        assert not await owners.owns("203.0.113.2", "quick.example"), "it may ask again"

    asyncio.run(test())


def test_only_so_many_are_dialled_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PROBING", 1)

    async def test() -> None:
        check = AliveCheck(DialBack(Names(), dial_seconds=0.3), again_seconds=0.0)
        with deaf() as address:
            first, second = await asyncio.gather(
                check.alive(address), check.alive(Address("127.0.0.1", 1)), return_exceptions=True
            )
        assert first is False
        assert isinstance(second, Rejected)

    asyncio.run(test())
