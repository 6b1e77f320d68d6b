"""One of five named nodes lies, as a real process. The election goes on and ends, the liar is shown."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from adversary.named_arena import NamedArena, named_arena

SECONDS = float(os.environ.get("ADVERSARY_SECONDS", "0"))
LIAR = 2
EVIDENCE: dict[str, set[str]] = {
    # What the honest nodes find out, each lie played to the end of an election.
    "everything": {"two-prevotes", "two-precommits", "two-lists"},
    "two-faced": {"two-prevotes", "two-precommits"},
    "silent": set(),
    "tells-one": set(),
    "no-precommits": set(),
    "late-precommits": set(),
    "false-miner": set(),
    "proposal-flood": set(),
    "two-lists": {"two-lists"},
    "empty-list": set(),
    "low-list": set(),
    "bloated-list": set(),
    "back-dated": set(),
    "two-roots": {"two-roots"},
}
PLAYED = list(EVIDENCE) if SECONDS else ["everything"]
VOTING_SECONDS = 30.0
"""With the start of five processes on a busy machine."""


@pytest.mark.e2e
@pytest.mark.parametrize("lie", PLAYED)
def test_the_election_goes_on_and_ends_and_the_liar_alone_is_accused(tmp_path: Path, lie: str) -> None:
    async def test(arena: NamedArena) -> None:
        assert arena.closes is not None
        while time.time() < arena.closes:
            await arena.vote(3)
            await asyncio.sleep(1.5)
        assert len(arena.acknowledged) >= 3
        await arena.ended()

        async def is_shown() -> bool:
            found = (await arena.lies()).values()
            return all({kind for _, kind in kinds} >= EVIDENCE[lie] for kinds in found)

        await arena.until(is_shown)
        found = await arena.lies()
        assert {node for kinds in found.values() for node, _ in kinds} <= {LIAR}, (
            f"an honest node is accused: {found}"
        )

    with named_arena(tmp_path, liar=(LIAR, lie), closes_in=VOTING_SECONDS) as arena:
        asyncio.run(test(arena))
        arena.check_logs()
