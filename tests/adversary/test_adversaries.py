"""S15, S17: every adversary against a real node, which goes on serving honest clients and its peer.

Each plays for a moment; `make adversary` sets ADVERSARY_SECONDS, has them play longer, and prints how
long honest clients waited before and during.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator

import pytest

from adversary.adversaries import CODES
from adversary.arena import Arena, Honest, open_arena
from votenet.network.link_table import MAX_MEMORY
from votenet.protocol.framing import MAX_CLIENT_LINE

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", "0"))
QUICK_SECONDS = 0.5
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


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    if SECONDS:
        columns = "  |".join(f"{title + ' before':>12} {'during':>8}" for title in ("p50", "p99", "max"))
        print(f"\nmilliseconds of honest clients {columns}", end="")
    with open_arena(tmp_path_factory.mktemp("arena")) as made:
        yield made


@pytest.mark.e2e
@pytest.mark.parametrize("name", CODES)
def test_s15_s17_honest_clients_are_served_while_it_plays(arena: Arena, name: str) -> None:
    async def test() -> None:
        victim = arena.victim
        before = await arena.calm(min(SECONDS, 2.0)) if SECONDS else None
        open_before, memory_before = victim.descriptors(), victim.memory("VmRSS")
        victim.forget_peak()
        honest, told = await arena.play(name, SECONDS or QUICK_SECONDS)
        growth = victim.memory("VmHWM") - memory_before
        assert victim.alive
        assert honest.acknowledged >= 5
        codes = set(told["codes"])
        assert codes >= CODES[name], f"it was told {told['codes']}"
        assert codes <= CODES[name] | MAY_BE_TOLD, f"it was told {told['codes']}"
        assert growth < MAX_MEMORY + SLACK
        await arena.agree()
        await arena.descriptors_are_back_at(open_before)
        if before is not None:
            print_row(name, before, honest, growth, told["codes"])

    asyncio.run(test())


@pytest.mark.e2e
def test_s15_after_all_of_them_every_honest_vote_is_counted_and_no_honest_peer_banned(arena: Arena) -> None:
    async def test() -> None:
        await arena.agree()
        status = await arena.victim.status()
        assert status.votes >= arena.acknowledged > 0
        await asyncio.sleep(1.5)  # bans are written once a second

    asyncio.run(test())
    for node in (arena.victim, arena.peer):
        assert "defect" not in node.log()
        assert "Traceback" not in node.log()
    with sqlite3.connect(arena.victim.folder / "chain.db") as conn:
        banned = {subject for (subject,) in conn.execute("SELECT subject FROM bans")}
        honest = {"address:127.0.0.1", f"key:{asyncio.run(arena.peer.status()).node_key}"}
    conn.close()
    assert banned
    assert not banned & honest
    assert arena.peer.log().count("joined peer") == 1, "the honest peer was linked all the time"


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
