"""Every adversary against a real node, which goes on serving honest clients and its peer.

Each plays for a moment; `make adversary` sets ADVERSARY_SECONDS, has them play longer, and prints how
long honest clients waited before and during.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator

import pytest

from adversary.adversaries import ANSWER_UNITS, CODES
from adversary.arena import PATIENCE, SERVED, Arena, Honest, open_arena
from votenet.network.node.memory_limit import MAX_MEMORY
from votenet.protocol.wire.framing import MAX_CLIENT_LINE
from votenet.protocol.wire.limits import CLIENT_RATES, MAX_DEBT_SECONDS

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", "0"))
QUICK_SECONDS = 0.2
SLACK = MAX_MEMORY // 8 + 96 * 2**20
"""What a node may use beside the bytes that it counts: the eighth that a growing buffer has in reserve,
votes, headers and the interpreter's own."""

MAY_BE_TOLD = {
    "too-many-connections",
    "busy",
    "rate-limited",
    "idle-timeout",
    "bad-json",
    "bad-message",
    "slow-reader",
}


MAY_END = {"idle-timeout", "slow-reader", "duplicate-connection"}
"""With what a link of two honest nodes may end, and be made again: one of them got no processor for too long,
or both dialled."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    if SECONDS:
        columns = "  |".join(f"{title + ' before':>12} {'during':>8}" for title in ("p50", "p99", "max"))
        print(f"\nmilliseconds of honest clients {columns}", end="")
    with open_arena(tmp_path_factory.mktemp("arena")) as made:
        yield made


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.parametrize("name", CODES)
def test_honest_clients_are_served_while_it_plays(arena: Arena, name: str) -> None:
    async def test() -> None:
        victim = arena.victim
        before = await arena.calm(min(SECONDS, 1.0)) if SECONDS else None
        open_before, memory_before = victim.descriptors(), victim.memory("VmRSS")
        victim.forget_peak()
        honest, told = await arena.play(name, SECONDS or QUICK_SECONDS)
        growth = victim.memory("VmHWM") - memory_before
        assert victim.alive
        assert honest.acknowledged >= SERVED
        codes = set(told["codes"])
        assert codes >= CODES[name] or name in ANSWER_UNITS, f"it was told {told['codes']}"
        if not codes >= CODES[name]:  # this machine is too slow for that
            assert told["lines"] * ANSWER_UNITS[name] <= may_spend(told["seconds"]), "it asked for too much"
        assert codes <= CODES[name] | MAY_BE_TOLD, f"it was told {told['codes']}"
        assert growth < MAX_MEMORY + SLACK
        await arena.agree()
        await arena.descriptors_are_back_at(open_before)
        if before is not None:
            print_row(name, before, honest, growth, told["codes"])

    asyncio.run(test())


@pytest.mark.long
@pytest.mark.e2e
def test_after_all_of_them_every_honest_vote_is_counted_and_no_honest_peer_banned(arena: Arena) -> None:
    async def test() -> None:
        await arena.play("forged_relay", QUICK_SECONDS)  # the tests above may have run in another process
        await arena.agree()
        status = await arena.victim.status()
        assert status.votes >= arena.acknowledged > 0
        async with asyncio.timeout(PATIENCE):
            while f"address:{arena.source}" not in bans():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def bans() -> set[str]:
        with contextlib.closing(sqlite3.connect(arena.victim.folder / "chain.db")) as conn:
            return {subject for (subject,) in conn.execute("SELECT subject FROM bans")}

    asyncio.run(test())
    for node in (arena.victim, arena.peer):
        assert "defect" not in node.log()
        assert "Traceback" not in node.log()
    honest = {"address:127.0.0.1", f"key:{asyncio.run(arena.peer.status()).node_key}"}
    assert not bans() & honest
    logs = arena.victim.log() + arena.peer.log()
    ended = set(re.findall(r"closing link to 127\.0\.0\.1:.*\[(.*)\]", logs))
    assert ended <= MAY_END, "neither has cut off the other"


def may_spend(seconds: float) -> float:
    """Units that an address may spend in this time before it is refused."""
    return CLIENT_RATES.units_at_once + (seconds + MAX_DEBT_SECONDS) * CLIENT_RATES.units_per_second


def print_row(name: str, before: Honest, during: Honest, growth: int, codes: dict[str, int]) -> None:
    """Milliseconds before and during, and their ratio: p50, p99, longest."""
    for what, calm, busy in (
        ("vote", before.row(before.vote_seconds), during.row(during.vote_seconds)),
        ("results", before.row(before.result_seconds), during.row(during.result_seconds)),
    ):
        columns = "  |".join(f"{b:7.1f} {d:8.1f} {d / b:6.1f}x" for b, d in zip(calm, busy, strict=True))
        print(f"\n{name:22}{what:8}{columns}", end="")
    print(f"\n{'':22}memory +{growth / 2**20:.0f} MiB, refusals {codes}")


def test_unfinished_lines_can_use_up_the_memory() -> None:
    assert MAX_CLIENT_LINE * 400 > MAX_MEMORY + SLACK
