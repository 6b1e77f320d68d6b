"""Strangers against five named nodes, as real processes: what is decided stays, no honest node is cut off."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from adversary.arena import player
from adversary.named_arena import COUNT, NamedArena, named_arena
from adversary.named_strangers import FLOODS
from votenet.network.node.memory_limit import MAX_MEMORY

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", "0"))
QUICK_SECONDS = 0.5
CHAIN = "SELECT hash FROM blocks WHERE best = 1 ORDER BY height"
MEMORY = MAX_MEMORY // 8 + 96 * 2**20
ATTACKS = ["forgeries", *FLOODS] if SECONDS else ["forgeries", "words"]
CODES: dict[str, set[str]] = {
    # What the stranger must be told at least.
    "forgeries": {"bad-commit", "broken-chain", "unexpected-message", "bad-statement", "bad-evidence"},
    "words": {"unexpected-message"},
    "certificates": {"bad-statement"},
    "evidence": {"bad-evidence"},
    "commits": {"bad-commit"},
    "replays": set(),
    "questions": set(),
}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamedArena]:
    with named_arena(tmp_path_factory.mktemp("arena")) as made:
        yield made


@pytest.mark.e2e
@pytest.mark.parametrize("name", ATTACKS)
def test_the_decided_chain_stays_and_votes_are_decided_while_it_plays(arena: NamedArena, name: str) -> None:
    async def joined() -> bool:
        return {status.peers >= COUNT - 1 for status in await arena.statuses()} == {True}

    async def test() -> None:
        await arena.vote(3)
        await arena.agree()
        victim = arena.nodes[0]
        decided = [
            node.read("SELECT hash FROM blocks WHERE best = 1 ORDER BY height") for node in arena.nodes
        ]
        victim.forget_peak()
        before = victim.memory("VmRSS")
        told, _ = await asyncio.gather(play(arena, name), arena.vote(10))
        await arena.agree()
        for node, chain in zip(arena.nodes, decided, strict=True):
            assert node.read(CHAIN)[: len(chain)] == chain
        assert set(told["codes"]) >= CODES[name], told
        assert victim.memory("VmHWM") - before < MEMORY
        await arena.until(joined)
        assert not any((await arena.lies()).values())
        if SECONDS:
            print(f"\n{name:16} told {told['codes']}, {told['lines']} lines", end="")

    asyncio.run(test())
    arena.check_logs()


async def play(arena: NamedArena, name: str) -> dict[str, Any]:
    source = f"127.0.2.{2 + ATTACKS.index(name)}"
    seconds = SECONDS or QUICK_SECONDS
    address = arena.nodes[0].address
    return await player("named_strangers.py", name, address, source, seconds, arena.genesis, *CODES[name])
