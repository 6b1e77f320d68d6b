"""The restart policy: a table, and invariants for any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import ConfigError
from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.restart import Fail, History, RemoveProgram, Restart, RestartPolicy, decide

POLICY = RestartPolicy()
CRASH = ExitCause(ExitKind.EXITED, 1)
KILLED = ExitCause(ExitKind.SIGNALLED, 9)


def crash_at(times: list[float], policy: RestartPolicy = POLICY, cause: ExitCause = CRASH, rng: float = 0.0):  # type: ignore[no-untyped-def]
    history, decisions = History(), []
    for now in times:
        history, decision = decide(policy, history, cause, now, lambda: rng)
        decisions.append(decision)
    return decisions


def test_first_restart_at_once_then_doubling_until_removed() -> None:
    assert crash_at([0, 1, 2, 3, 4]) == [Restart(0), Restart(0.5), Restart(1), Restart(2), RemoveProgram(300)]


def test_delays_stop_growing_at_the_maximum() -> None:
    delays = [POLICY.longest_delay(streak) for streak in range(1, 12)]
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_jitter_takes_up_to_half() -> None:
    assert crash_at([0, 1, 2], rng=0.999999)[1:] == [
        Restart(pytest.approx(0.25, rel=1e-3)),
        Restart(pytest.approx(0.5, rel=1e-3)),
    ]


@pytest.mark.parametrize("code", [64, 78])
def test_scenario_09_a_useless_restart_is_not_tried(code: int) -> None:
    history, decision = decide(POLICY, History(), ExitCause(ExitKind.EXITED, code), 0.0, lambda: 0.0)
    assert isinstance(decision, Fail)
    assert history == History()


@pytest.mark.parametrize(
    "cause", [CRASH, KILLED, ExitCause(ExitKind.EXITED, 0), ExitCause(ExitKind.NOT_STARTED, detail="no")]
)
def test_every_unasked_end_counts(cause: ExitCause) -> None:
    assert isinstance(crash_at([0, 1, 2, 3, 4], cause=cause)[-1], RemoveProgram)


def test_a_signal_with_the_number_of_a_useless_code_is_a_crash() -> None:
    assert crash_at([0], cause=ExitCause(ExitKind.SIGNALLED, 64)) == [Restart(0)]


def test_locked_data_waits_and_does_not_count() -> None:
    decisions = crash_at([float(n) for n in range(50)], cause=ExitCause(ExitKind.EXITED, 75))
    assert set(decisions) == {Restart(POLICY.wait_delay)}


def test_requested_ends_are_no_failures() -> None:
    asked = ExitCause(ExitKind.SIGNALLED, 15, requested=True)
    assert decide(POLICY, History(), asked, 0.0, lambda: 0.0) == (History(), Restart(0.0))


def test_scenario_10_a_crash_every_eleven_seconds_reaches_the_limit() -> None:
    assert isinstance(crash_at([11.0 * n for n in range(5)])[-1], RemoveProgram)


def test_rare_crashes_never_reach_the_limit() -> None:
    assert all(isinstance(decision, Restart) for decision in crash_at([31.0 * n for n in range(100)]))


def test_one_failure_on_trial_removes_again() -> None:
    history, decision = decide(POLICY, History(on_trial=True), CRASH, 1000.0, lambda: 0.0)
    assert decision == RemoveProgram(300)
    assert history.on_trial


def test_give_up_has_no_retry() -> None:
    assert crash_at([0, 1, 2, 3, 4], RestartPolicy(retry_removed=None))[-1] == RemoveProgram(None)


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ({"window": 3.0}, "never fire"),
        ({"limit": 12, "window": 120.0, "reset_after": 60.0}, "never fire"),
        ({"reset_after": 10.0}, "reset_after"),
        ({"limit": 0}, "limit"),
        # Its pauses would be added up for hours.
        ({"limit": 10**15, "first_delay": 1e-12, "max_delay": 1e-12, "window": 1e9}, "between 1 and 1000"),
        ({"jitter": 1.5}, "jitter"),
        ({"first_delay": 0.0}, "first_delay"),
        ({"max_delay": float("inf")}, "max_delay"),
        ({"window": float("nan")}, "window"),
        ({"retry_removed": -1.0}, "retry_removed"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(numbers: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        RestartPolicy(**numbers)  # type: ignore[arg-type]
    assert caught.value.exit_code == 78


@st.composite
def policies(draw: st.DrawFn) -> RestartPolicy:
    limit = draw(st.integers(1, 8))
    first = draw(st.floats(0.01, 5.0))
    longest = draw(st.floats(0.01, 60.0))
    pauses = sum(min(first * 2.0 ** max(n - 2, 0), longest) for n in range(2, limit))
    window = pauses + draw(st.floats(1.0, 500.0))
    return RestartPolicy(
        first_delay=first,
        max_delay=longest,
        jitter=draw(st.floats(0, 1)),
        limit=limit,
        window=window,
        reset_after=window / limit * draw(st.floats(1.0, 4.0)),
    )


@given(policies(), st.floats(0, 0.999))
def test_the_limit_of_an_accepted_policy_fires(policy: RestartPolicy, rng: float) -> None:
    history, now, decision = History(), 0.0, None
    for _ in range(policy.limit):
        history, decision = decide(policy, history, CRASH, now, lambda: rng)
        if isinstance(decision, Restart):
            now += decision.delay
    assert isinstance(decision, RemoveProgram)


@given(policies(), st.lists(st.floats(0, 1000), max_size=30), st.floats(0, 0.999))
def test_delays_stay_within_bounds(policy: RestartPolicy, gaps: list[float], rng: float) -> None:
    history, now = History(), 0.0
    for gap in gaps:
        now += gap
        history, decision = decide(policy, history, KILLED, now, lambda: rng)
        assert len(history.failures) <= policy.limit
        if isinstance(decision, Restart):
            longest = policy.longest_delay(history.streak)
            assert longest * (1 - policy.jitter) <= decision.delay <= longest <= policy.max_delay


@given(st.lists(st.floats(0, 200), min_size=1, max_size=60))
def test_restarts_in_any_window_stay_below_the_limit(gaps: list[float]) -> None:
    history, now, restarts = History(), 0.0, []
    for gap in gaps:
        now += gap
        history, decision = decide(POLICY, history, CRASH, now, lambda: 0.0)
        if not isinstance(decision, Restart):
            break
        restarts.append(now)
        assert sum(now - at < POLICY.window for at in restarts) < POLICY.limit
