"""Keyed peers in doubt: asked on for a while, in bounded number, and dead only if silent all the time."""

from __future__ import annotations

import asyncio

import pytest

from peer_support import run
from votenet.errors import Kind, Rejected
from votenet.network import doubts
from votenet.network.doubts import GAPS, Doubts
from votenet.protocol.address import Address

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

    def doubts(self, *gaps: float) -> Doubts:
        return Doubts(self, lambda *found: self.gone.append(found), self.answered.append, gaps)


async def ended(found: Doubts) -> None:
    while found.refusal("peer") is not None:  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_minute_of_pings_with_growing_gaps() -> None:
    assert sum(GAPS) == 60
    assert list(GAPS) == sorted(GAPS)
    assert len(GAPS) >= 5


def test_silence_all_the_time_is_told_and_one_answer_is_enough_to_stay() -> None:
    async def test() -> None:
        silent, late = Asked(False, False, False), Asked(False, True, False)
        for asked in (silent, late):
            found = asked.doubts(0.001, 0.002, 0.003)
            assert found.refusal("peer") is None
            told = found.begin("peer", PEER, 7)
            assert (told.code, told.kind) == ("being-checked", Kind.TEMPORARY)
            found.begin("peer", PEER, 7)
            assert found.refusal("peer") is not None
            await ended(found)
        assert (silent.patience, silent.gone, silent.answered) == ([0.001, 0.002, 0.003], [("peer", 7)], [])
        assert (late.patience, late.gone, late.answered) == ([0.001, 0.002], [], ["peer"])

    run(test)


def test_what_this_server_could_not_find_out_says_nothing_about_a_peer() -> None:
    async def busy(target: Address, seconds: float) -> bool:
        raise Rejected("busy", "too many names are being looked up")

    async def test() -> None:
        asked = Asked()
        found = Doubts(busy, lambda *gone: asked.gone.append(gone), asked.answered.append, (0.001,))
        found.begin("peer", PEER, 1)
        await ended(found)
        assert (asked.gone, asked.answered) == ([], ["peer"])

    run(test)


def test_doubts_are_bounded_and_end_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "MAX_DOUBTS", 2)

    async def test() -> None:
        asked = Asked(False, False)
        found = asked.doubts(60.0)
        found.begin("peer", PEER, 1), found.begin("other", PEER, 1)
        with pytest.raises(Rejected, match="too many") as caught:
            found.begin("third", PEER, 1)
        assert caught.value.code == "busy"
        await asyncio.sleep(0)
        found.end()
        await ended(found)
        assert asked.gone == []

    run(test)
