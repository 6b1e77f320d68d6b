"""Owners and the living, each bounded in number and for each address."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.peers import deaf, greeting, listening, run
from votenet.core.keys import SigningKey
from votenet.errors import Kind, Rejected
from votenet.network.bootstrap import checks
from votenet.network.bootstrap.checks import FactFinder, SilenceCheck
from votenet.network.dialback import DialBack
from votenet.network.resolver import Names
from votenet.protocol.bootstrap.bootstrap_messages import RegisterAddress, RemoveAddress, Request
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, Call, NeedsOwner, NeedsProbe, Probed
from votenet.protocol.wire.address import Address

KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes([1] * 32))
LOCAL, STRANGER = "127.0.0.1", "203.0.113.9"


def finder(names: Names | None = None, dialback: DialBack | None = None, **limits: Any) -> FactFinder:
    names = names or Names()
    policy = AdmissionPolicy(**limits)
    ignore = lambda *ended: None  # noqa: E731
    return FactFinder(
        names,
        dialback or DialBack(names, dial_seconds=20.0, answer_seconds=20.0),
        policy,
        gone=ignore,
        answered=ignore,
    )


def claim(name: str, client: str) -> tuple[Call, NeedsOwner]:
    return Call(Request(RegisterAddress(f"{name}:1")), client), NeedsOwner(name)


async def owns(facts: FactFinder, client: str, name: str) -> bool | None:
    return (await facts.find_out(*claim(name, client))).owner


async def alive(facts: FactFinder, target: Address, key: SigningKey = KEY, client: str = LOCAL) -> bool:
    """Whether this key answers there, as a registration of a key for a known address asks."""
    need = NeedsProbe(target, 1, key.public_hex, "ab" * 32)
    call = await facts.find_out(Call(Request(RegisterAddress(str(target))), client), need)
    assert call.probed is not None
    return call.probed.alive


async def code(facts: FactFinder, target: Address, client: str) -> str:
    try:
        return "alive" if await alive(facts, target, client=client) else "dead"
    except Rejected as error:
        return error.code


def test_an_owner_is_the_address_that_the_name_resolves_to() -> None:
    async def test() -> None:
        facts = finder(Names(lambda host: ["10.0.0.1", "::1"] if host == "a.example" else [], seconds=60.0))
        assert await owns(facts, "::ffff:10.0.0.1", "a.example")
        assert not await owns(facts, "10.0.0.2", "a.example")
        assert not await owns(facts, "10.0.0.2", "nowhere.example")
        assert await owns(facts, LOCAL, "a.example"), "the operator's host only has to exist"
        assert not await owns(facts, LOCAL, "nowhere.example")

    asyncio.run(test())


def test_a_peer_is_alive_if_it_answers_or_proves_the_key_that_was_asked_for() -> None:
    async def test() -> None:
        facts = finder()
        async with listening(greeting(KEY, "ab" * 32)) as (address, _):
            removal = Call(Request(RemoveAddress(str(address))), LOCAL)
            call = await facts.find_out(removal, NeedsProbe(address, 1))
            assert call.probed == Probed(1, alive=True)
            assert await alive(facts, address)
            assert not await alive(facts, address, OTHER)
        assert not await alive(facts, address)
        call = await facts.find_out(removal, NeedsProbe(address, 1))
        assert call.probed == Probed(1, alive=False), "nothing listens there: the operator is believed"

    asyncio.run(test())


def test_checks_are_limited_per_address_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PROBES_PER_SECOND", 0.001)
    monkeypatch.setattr(checks, "PROBE_BURST", 3.0)

    async def test() -> None:
        facts = finder(check_again_seconds=60.0)
        codes = [await code(facts, Address(LOCAL, port), STRANGER) for port in (1, 1, 2, 3, 4)]
        assert codes == ["dead", "busy", "dead", "dead", "busy"]
        assert not await alive(facts, Address(LOCAL, 1)), "the operator is not limited"

    asyncio.run(test())


def test_one_network_cannot_take_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PROBES_OF_NETWORK", (0.001, 5.0))

    async def test() -> None:
        facts = finder()
        codes = [await code(facts, Address(LOCAL, port), f"203.0.113.{port}") for port in range(1, 11)]
        assert codes == ["dead"] * 5 + ["busy"] * 5
        assert not await alive(facts, Address(LOCAL, 99), client="198.51.100.1")

    asyncio.run(test())


def test_names_that_hang_hold_up_only_the_network_that_names_them() -> None:
    async def test() -> None:
        let_go = threading.Event()

        def resolve(host: str) -> list[str]:
            if host.startswith("slow"):
                let_go.wait(60)
            return ["198.51.100.1"]

        facts = finder(Names(resolve, seconds=60.0))
        async with asyncio.TaskGroup() as tasks:
            hanging = [tasks.create_task(owns(facts, "203.0.113.1", f"slow{n}.example")) for n in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Rejected) as caught:
                await owns(facts, "203.0.113.2", "quick.example")
            assert caught.value.code == "busy"
            assert await owns(facts, "198.51.100.1", "quick.example")
            let_go.set()
        assert [task.result() for task in hanging] == [False, False]
        assert not await owns(facts, "203.0.113.2", "quick.example"), "it may ask again"

    asyncio.run(test())


def test_names_that_hang_count_for_their_network_for_as_long_as_their_threads_run() -> None:
    async def test() -> None:
        let_go = threading.Event()

        def resolve(host: str) -> list[str]:
            let_go.wait(60)
            return []

        facts = finder(Names(resolve, seconds=0.05))
        codes: list[bool | str] = []
        for number in range(checks.LOOK_UPS_OF_NETWORK + 1):
            try:
                codes.append(await owns(facts, "203.0.113.1", f"slow{number}.example"))
            except Rejected as error:
                codes.append(error.code)
        let_go.set()
        assert codes == [False] * checks.LOOK_UPS_OF_NETWORK + ["busy"]

    asyncio.run(test())


def test_only_so_many_are_dialled_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PROBING", 1)

    async def test() -> None:
        facts = finder(dialback=DialBack(Names(), dial_seconds=0.3))
        with deaf() as address:
            first, second = await asyncio.gather(
                code(facts, address, LOCAL), code(facts, Address(LOCAL, 1), LOCAL)
            )
        assert (first, second) == ("dead", "busy")

    asyncio.run(test())


# -- keyed peers whose removal is asked for --------------------------------------------------------

PEER = Address("10.0.0.5", 3000)


class Asked:
    """Answers as told: one entry for each ping; and what came of it."""

    def __init__(self, *answers: bool) -> None:
        self._answers = list(answers)
        self.patience: list[float] = []
        self.gone: list[tuple[str, int]] = []
        self.answered: list[str] = []

    async def __call__(self, target: Address, seconds: float) -> bool:
        assert target == PEER
        self.patience.append(seconds)
        return self._answers.pop(0)

    def check(self, *gaps: float) -> SilenceCheck:
        return SilenceCheck(self, lambda *found: self.gone.append(found), self.answered.append, gaps)


async def ended(found: SilenceCheck) -> None:
    while found.refusal("peer") is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_minute_of_pings_with_growing_gaps() -> None:
    gaps = AdmissionPolicy().silence_gaps
    assert sum(gaps) == 60
    assert list(gaps) == sorted(gaps)
    assert len(gaps) >= 5


def test_silence_all_the_time_is_told_and_one_answer_is_enough_to_stay() -> None:
    async def test() -> None:
        silent, late = Asked(False, False, False), Asked(False, True, False)
        for asked in (silent, late):
            found = asked.check(0.001, 0.002, 0.003)
            assert found.refusal("peer") is None
            told = found.begin("peer", PEER, 7)
            assert (told.code, told.kind) == ("being-checked", Kind.TEMPORARY)
            found.begin("peer", PEER, 7)
            assert found.refusal("peer") is not None
            await ended(found)
        assert (silent.patience, silent.gone, silent.answered) == ([0.001, 0.002, 0.003], [("peer", 7)], [])
        assert (late.patience, late.gone, late.answered) == ([0.001, 0.002], [], ["peer"])

    run(test)


def test_a_failed_check_says_nothing_about_a_peer() -> None:
    async def busy(target: Address, seconds: float) -> bool:
        raise Rejected("busy", "too many names are being looked up")

    async def test() -> None:
        asked = Asked()
        found = SilenceCheck(busy, lambda *gone: asked.gone.append(gone), asked.answered.append, (0.001,))
        found.begin("peer", PEER, 1)
        await ended(found)
        assert (asked.gone, asked.answered) == ([], ["peer"])

    run(test)


def test_silence_checks_are_bounded_and_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_SILENCE_CHECKS", 2)

    async def test() -> None:
        asked = Asked(False, False)
        found = asked.check(60.0)
        found.begin("peer", PEER, 1), found.begin("other", PEER, 1)
        with pytest.raises(Rejected, match="too many") as caught:
            found.begin("third", PEER, 1)
        assert caught.value.code == "busy"
        await asyncio.sleep(0)
        found.end()
        await ended(found)
        assert asked.gone == []

    run(test)
