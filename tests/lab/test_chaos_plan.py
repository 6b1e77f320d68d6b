"""The plan of a chaos run: the same for a seed, within its own rules, for any number of steps."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from votenet.core.election.quorum import quorum_of
from votenet.lab.chaos_plan import (
    CHAOS_STEP_SECONDS,
    ENDS,
    FAULTS,
    KILL_WINDOW,
    LONGEST_SPAN,
    MAX_KILLS,
    MIN_NODES,
    Planner,
    Step,
    StepKind,
)
from votenet.processes.restart import RestartPolicy


def steps(seed: int, count: int, nodes: int = 5) -> list[Step]:
    planner = Planner(seed, nodes)
    return [planner.next() for _ in range(count)]


def test_a_seed_is_a_plan() -> None:
    assert steps(7, 100) == steps(7, 100)
    assert steps(7, 100) != steps(8, 100)


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert steps(3, 60)[:20] == steps(3, 20)


@given(seed=st.integers(0, 2**64), nodes=st.integers(MIN_NODES, 9))
@settings(max_examples=50)
def test_every_plan_keeps_the_rules(seed: int, nodes: int) -> None:
    planner, there = Planner(seed, nodes), nodes
    kills: list[tuple[int, str]] = []
    lasting: dict[StepKind, int] = {}
    for number in range(150):
        step = planner.next()
        names = {f"node-{n}" for n in range(1, there + 1)}
        if step.kind in ENDS:
            assert step.kind not in lasting
            lasting[step.kind] = number
        for kind, end in ENDS.items():
            if step.kind is end:
                assert number - lasting.pop(kind) <= LONGEST_SPAN + len(ENDS)
        assert set(step.names) <= names | {"bootstrap"}
        if step.kind is StepKind.PARTITION:
            assert sorted(name for side in step.groups for name in side) == sorted(names)
            assert all(step.groups)
        if step.kind is StepKind.SCALE:
            assert not lasting
            assert max(MIN_NODES, quorum_of(nodes)) <= step.value <= nodes + 2
            there = int(step.value)
        if step.kind in (StepKind.KILL, StepKind.KILL_BOOTSTRAP):
            kills += [(number, name) for name in step.names]
            recent = Counter(name for at, name in kills if number - at < KILL_WINDOW)
            assert max(recent.values()) <= MAX_KILLS
    assert {step.kind for step in planner.closing()} == {ENDS[kind] for kind in lasting}
    assert planner.closing() == []


def test_kills_stay_below_the_limit_of_the_restart_policy() -> None:
    policy = RestartPolicy()
    assert policy.limit > MAX_KILLS
    assert policy.window < KILL_WINDOW * CHAOS_STEP_SECONDS


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_first_steps_hold_enough_faults_of_enough_kinds(seed: int) -> None:
    faults = [step for step in steps(seed, 45) if step.is_fault]
    assert len(faults) >= 20
    assert len({step.kind for step in faults}) >= 6


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step(StepKind.KILL, ("node-1", "node-2")), "kill node-1,node-2"),
        (Step(StepKind.PARTITION, groups=(("a", "b"), ("c",))), "partition a,b / c"),
        (Step(StepKind.SLOW, ("a",), value=0.2), "slow a 200ms"),
        (Step(StepKind.SCALE, value=7), "scale 7"),
        (Step(StepKind.HEAL), "heal"),
        (Step(StepKind.KILL_SUPERVISOR), "kill supervisor"),
    ],
)
def test_words(step: Step, text: str) -> None:
    assert str(step) == text


@pytest.mark.parametrize("kinds", [[StepKind.PARTITION], [StepKind.KILL], [StepKind.SCALE, StepKind.PAUSE]])
def test_a_choice_of_kinds_makes_no_others_and_waits_where_none_makes_sense(kinds: list[StepKind]) -> None:
    planner = Planner(5, 3, kinds)
    made = Counter(planner.next().kind for _ in range(200))
    wanted = {*kinds, *(ENDS[kind] for kind in kinds if kind in ENDS), StepKind.WAIT}
    assert set(made) == wanted
    assert not Step(StepKind.WAIT).is_fault
    assert made[StepKind.PARTITION] <= made[StepKind.HEAL] + 1


def test_all_kinds_chosen_are_the_plan_of_a_seed() -> None:
    planner = Planner(7, 5, list(FAULTS.values()))
    assert [planner.next() for _ in range(50)] == steps(7, 50)
    assert "kill-supervisor" in FAULTS
