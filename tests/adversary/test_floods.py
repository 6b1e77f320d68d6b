"""One address sends all that sixty links can; the node's memory stays bounded, and honest votes are accepted.

The memory is that of the process, not what the node counts. `make adversary` has each flood play longer and
prints it, with how long honest clients waited.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from adversary.arena import SERVED, Arena, open_arena
from adversary.floods import CODES
from votenet.pow import bits_for_zero_bits

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", "0"))
QUICK_SECONDS = 0.5
MEMORY = 300 * 10**6
NAMES = ("Alice", *(f"{number:03d}" + "x" * 190 for number in range(63)))
"""Candidates of an approval ballot: a vote for all of them has some 13 KB."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("arena")
    with open_arena(
        folder, candidates=NAMES, method="approval", max_choices=len(NAMES), bits=bits_for_zero_bits(20)
    ) as made:
        yield made


@pytest.mark.long
@pytest.mark.e2e
@pytest.mark.parametrize("name", CODES)
def test_memory_is_bounded_and_honest_votes_are_taken_under_a_flood(arena: Arena, name: str) -> None:
    async def test() -> None:
        victim = arena.victim
        victim.forget_peak()
        honest, told = await arena.play(name, SECONDS or QUICK_SECONDS, "floods.py")
        peak = victim.memory("VmHWM")
        if SECONDS:
            rows = (honest.row(honest.vote_seconds), honest.row(honest.result_seconds))
            times = "".join(f"  {a:7.1f} {b:7.1f} {c:7.1f}" for a, b, c in rows)
            print(f"\n{name:16} p50, p99, max of votes and results, ms:{times}; "
                  f"{peak / 1e6:.0f} MB; told {told['codes']}", end="")  # fmt: skip
        assert victim.alive
        assert peak < MEMORY, f"{peak / 1e6:.0f} MB"
        assert honest.acknowledged >= SERVED, "and none of them was refused: the arena asks that of every one"
        assert set(told["codes"]) >= CODES[name], f"it was told {told['codes']}"
        await arena.agree()

    asyncio.run(test())
