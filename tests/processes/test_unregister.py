"""The bootstrap server is told, within limits, and never instead of what a person wants."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.processes.machine import Program, Verdict
from votenet.processes.slot import Slot
from votenet.processes.spec import NetworkSpec, ProgramSpec, Role
from votenet.processes.unregister import TRIES, unregister
from votenet.protocol.address import Address

SPEC = ProgramSpec("node-1", Role.NODE, Address("127.0.0.1", 3000), Path("/d"), ("x",))
NETWORK = NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000,))
REMOVED = Program(wanted=True, verdict=Verdict.REMOVED, epoch=4)


def play(
    monkeypatch: pytest.MonkeyPatch, *errors: VotenetError, start_after: int = 99
) -> tuple[int, list[str]]:
    """How often it was tried, and what was said."""
    slot, said, left, waited = Slot(SPEC, REMOVED), [], list(errors), []

    async def remover(program: ProgramSpec, network: NetworkSpec) -> None:
        waited.append("try")
        if len(waited) >= start_after:
            slot.program = replace(slot.program, epoch=5)
        if left:
            raise left.pop(0)

    async def no_wait(seconds: float) -> None:
        assert seconds > 0

    monkeypatch.setattr(asyncio, "sleep", no_wait)
    asyncio.run(unregister(slot, NETWORK, remover, said.append))
    return len(waited), said


def test_once_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch) == (1, ["node-1: 127.0.0.1:3000 removed from the bootstrap server"])


def test_a_bootstrap_that_is_away_is_tried_again_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [Unreachable("nobody there") for _ in range(99)]
    assert play(monkeypatch, *away[:2])[0] == 3
    tries, said = play(monkeypatch, *away)
    assert (tries, len(said)) == (TRIES, TRIES)


def test_a_refusal_for_good_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch, Rejected("still-alive", "it answers"))[0] == 1


def test_a_start_in_between_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch, *[Unreachable("no")] * 9, start_after=2)[0] == 2
