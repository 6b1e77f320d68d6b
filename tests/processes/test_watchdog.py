"""Who hangs, and who has an excuse."""

from __future__ import annotations

import math

import pytest

from votenet.processes.procfs import ProcessStat
from votenet.processes.watchdog import Pace, Verdict, judge


def stat(state: str) -> ProcessStat:
    return ProcessStat(
        pid=5, state=state, parent=1, group=5, session=5, start_ticks=1, cpu_ticks=0, rss_pages=0
    )


@pytest.mark.parametrize(
    ("silence", "state", "verdict"),
    [
        (9.9, "S", Verdict.FINE),
        (10.0, "S", Verdict.HUNG),
        (10.0, "R", Verdict.HUNG),
        (10.0, "D", Verdict.EXCUSED),
        (9.9, "D", Verdict.FINE),
        (10.0, "T", Verdict.EXCUSED),
        (0.1, "T", Verdict.EXCUSED),
        (10.0, "t", Verdict.EXCUSED),
        (10.0, "Z", Verdict.EXCUSED),
    ],
)
def test_look_before_you_kill(silence: float, state: str, verdict: Verdict) -> None:
    assert judge(silence, 10.0, stat(state)) is verdict


def test_one_that_is_gone_does_not_hang() -> None:
    assert judge(99.0, 10.0, None) is Verdict.EXCUSED


def test_scenario_17_own_lag_and_a_sleeping_machine_are_noticed_once() -> None:
    pace = Pace(1.0, now=100.0, since_boot=100.0)
    assert pace.lost(101.0, 101.0) == 0.0
    assert pace.lost(102.75, 102.75) == 0.75, "a little late: what was silent gets that much longer"
    assert pace.lost(105.0, 105.0) == math.inf, "we got no processor"
    assert pace.lost(106.0, 106.0) == 0.0
    assert pace.lost(107.0, 707.0) == math.inf, "the machine slept for ten minutes"
    assert pace.lost(108.0, 708.0) == 0.0
