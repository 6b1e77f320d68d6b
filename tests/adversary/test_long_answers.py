"""Short questions with the longest answers that an election allows; a node's memory stays bounded.

A thousand candidates with the longest names: results have a megabyte and more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adversary.arena import PATIENCE, Arena, open_arena, patient
from support.elections import key_of
from votenet.core.ledger.vote import sign_vote
from votenet.pow import bits_for_zero_bits
from votenet.protocol.wire.client_messages import GetResults, Results, SubmitVotes, VotesTaken
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import encode_message

MEMORY = 300 * 10**6
NAMES = tuple(f"{number:03d}".ljust(200, "\U00020000") for number in range(1000))


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("arena")
    with open_arena(folder, candidates=NAMES, method="instant-runoff", bits=bits_for_zero_bits(16)) as made:
        yield made


async def _vote(arena: Arena, voter: str, choice: str) -> VotesTaken:
    """One vote, signed; a name that does not stand is told so."""
    election = arena.election
    hashed = sign_vote(
        key_of(voter), network_hex=election.network_hex, voter_id=voter, choices=[[choice]],
        time=election.definition.created,
    )  # fmt: skip
    async with patient(arena.victim.address) as client:
        return await client.ask(SubmitVotes(votes=(hashed.vote,)), VotesTaken)


async def _send(arena: Arena, messages: list[Message]) -> asyncio.StreamWriter:
    """All at once, on one link; nothing of the answers is read."""
    address = arena.victim.address
    _, writer = await asyncio.open_connection(address.host, address.port, limit=1)
    writer.write(b"".join(encode_message(message) + b"\n" for message in messages))
    return writer


@pytest.mark.e2e
def test_two_thousand_questions_for_long_results_on_one_link(arena: Arena) -> None:
    """They wait together for a new count, and were then answered together: 5.4 GB."""

    async def test() -> None:
        victim = arena.victim
        height = (await victim.status()).height
        assert (await _vote(arena, "first", NAMES[0])).outcomes[0].error is None
        async with asyncio.timeout(PATIENCE):
            while (await victim.status()).height == height:  # noqa: ASYNC110 (another process finds the block)
                await asyncio.sleep(0.02)
        victim.forget_peak()
        writer = await _send(arena, [GetResults(id=number) for number in range(2000)])
        async with patient(victim.address) as client:
            assert (await client.ask(GetResults(), Results)).votes >= 1
        writer.close()
        assert victim.memory("VmHWM") < MEMORY

    asyncio.run(test())


@pytest.mark.e2e
def test_a_thousand_votes_for_unknown_candidates_in_one_line(arena: Arena) -> None:
    """Each was answered with the names of all candidates: a gigabyte for 360 KB."""

    async def test() -> None:
        victim, election = arena.victim, arena.election
        votes = tuple(
            sign_vote(
                key_of("nobody"), network_hex=election.network_hex, voter_id=f"nobody-{number}",
                choices=[["Nobody"]], time=election.definition.created,
            ).vote
            for number in range(1000)
        )  # fmt: skip
        victim.forget_peak()
        async with patient(victim.address) as client:
            taken = await client.ask(SubmitVotes(votes=votes), VotesTaken)
        assert {str((outcome.error or {})["code"]) for outcome in taken.outcomes} == {"unknown-candidate"}
        assert victim.memory("VmHWM") < MEMORY

    asyncio.run(test())
