"""One address asks the most expensive questions over many links; honest clients are served meanwhile.

Memory stays bounded.

Only the most links and the bursts play in `make test`; `make adversary` plays every case, and prints how long
honest clients waited before and during. What a question costs is counted in tests/protocol/test_prices.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from adversary.arena import SERVED, Arena, open_arena
from adversary.prices import BURSTS, CASES, LINKS, VOTERS
from adversary.test_adversaries import MAY_BE_TOLD, QUICK_SECONDS, SECONDS, SLACK, print_row
from votenet.core.limits import MAX_BLOCK_VOTES
from votenet.network.node.memory_limit import MAX_MEMORY

PLAYED = CASES if SECONDS else [name for name in CASES if name in BURSTS or name.endswith(f"-{LINKS[-1]}")]
MAY_ALSO_BE_TOLD = {"response-too-large"}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("arena")
    created = int(time.time()) - 3600  # before the blocks that are there already
    with open_arena(folder, votes=VOTERS, created=created, max_block_votes=MAX_BLOCK_VOTES) as made:
        yield made


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.parametrize("name", PLAYED)
def test_honest_clients_are_served_during_any_questions(arena: Arena, name: str) -> None:
    async def test() -> None:
        victim = arena.victim
        before = await arena.calm(min(SECONDS, 1.0)) if SECONDS else None
        open_before, memory_before = victim.descriptors(), victim.memory("VmRSS")
        victim.forget_peak()
        honest, told = await arena.play(name, SECONDS or QUICK_SECONDS, "prices.py")
        growth = victim.memory("VmHWM") - memory_before
        assert victim.alive
        assert honest.acknowledged >= SERVED
        assert set(told["codes"]) <= MAY_BE_TOLD | MAY_ALSO_BE_TOLD, f"it was told {told['codes']}"
        assert growth < MAX_MEMORY + SLACK
        await arena.descriptors_are_back_at(open_before)
        if before is not None:
            print_row(name, before, honest, growth, told["codes"])

    asyncio.run(test())


@pytest.mark.long
@pytest.mark.e2e
def test_after_all_of_it_the_network_agrees_and_no_peer_is_banned(arena: Arena) -> None:
    async def test() -> None:
        await arena.agree()
        status = await arena.victim.status()
        assert status.votes >= VOTERS + arena.acknowledged

    asyncio.run(test())
    for node in (arena.victim, arena.peer):
        assert "defect" not in node.log()
        assert "Traceback" not in node.log()
        assert "banned" not in node.log()
