"""Who hangs, and who has an excuse."""

from __future__ import annotations

import math

import pytest

from votenet.network.node.health import finality_report
from votenet.processes.heartbeat import (
    FinalityReport,
    Heartbeat,
    LatenessMeter,
    SilenceVerdict,
    judge_silence,
)
from votenet.processes.procfs import ProcessStat
from votenet.protocol.wire.client_messages import FinalityStatus


def stat(state: str) -> ProcessStat:
    return ProcessStat(
        pid=5, state=state, parent=1, group=5, session=5, start_ticks=1, cpu_ticks=0, rss_pages=0
    )


@pytest.mark.parametrize(
    ("silence", "state", "verdict"),
    [
        (9.9, "S", SilenceVerdict.FINE),
        (10.0, "S", SilenceVerdict.HUNG),
        (10.0, "R", SilenceVerdict.HUNG),
        (10.0, "D", SilenceVerdict.EXCUSED),
        (9.9, "D", SilenceVerdict.FINE),
        (10.0, "T", SilenceVerdict.EXCUSED),
        (0.1, "T", SilenceVerdict.EXCUSED),
        (10.0, "t", SilenceVerdict.EXCUSED),
        (10.0, "Z", SilenceVerdict.EXCUSED),
    ],
)
def test_look_before_you_kill(silence: float, state: str, verdict: SilenceVerdict) -> None:
    assert judge_silence(silence, 10.0, stat(state)) is verdict


def test_one_that_is_gone_does_not_hang() -> None:
    assert judge_silence(99.0, 10.0, None) is SilenceVerdict.EXCUSED


def test_scenario_17_own_lag_and_a_sleeping_machine_are_noticed_once() -> None:
    meter = LatenessMeter(1.0, now=100.0, since_boot=100.0)
    assert meter.lost(101.0, 101.0) == 0.0
    assert meter.lost(102.75, 102.75) == 0.75, "a little late: what was silent gets that much longer"
    assert meter.lost(105.0, 105.0) == math.inf, "we got no processor"
    assert meter.lost(106.0, 106.0) == 0.0
    assert meter.lost(107.0, 707.0) == math.inf, "the machine slept for ten minutes"
    assert meter.lost(108.0, 708.0) == 0.0


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "9" * 30, "٣"])
def test_values_of_the_wrong_form_are_left_out(value: str) -> None:
    heartbeat = Heartbeat(height=3)
    heartbeat.update({"X_HEIGHT": value}, 1.0)
    assert heartbeat.height == 3


def test_what_a_node_says_of_what_is_final() -> None:
    heartbeat = Heartbeat()
    told = FinalityStatus(
        named=5,
        quorum=4,
        index=1,
        reachable=(0, 1, 4),
        decided=8,
        round=0,
        certificate=7,
        signers=(0, 1, 2, 4),
    )
    heartbeat.update({"X_FINALITY": finality_report(told)}, 1.0)
    expected = FinalityReport(height=7, index=1, named=5, quorum=4, reachable=(0, 1, 4))
    assert heartbeat.finality == expected
    for wrong in ("", "[", "{}", '{"height":"x"}', "[" * 5000):
        heartbeat.update({"X_FINALITY": wrong}, 2.0)
        assert heartbeat.finality == expected


def test_waiting_votes_without_a_block_are_an_alert() -> None:
    heartbeat = Heartbeat()
    heartbeat.update({"X_HEIGHT": "3", "X_WAITING": "5"}, 100.0)
    assert heartbeat.alert(219.0) == ""
    assert heartbeat.alert(220.0) == "no block for 120 s while 5 votes wait"
    heartbeat.update({"X_HEIGHT": "4", "X_WAITING": "2"}, 230.0)
    assert heartbeat.alert(230.0) == ""
    heartbeat.update({"X_HEIGHT": "4", "X_WAITING": "0"}, 300.0)
    assert heartbeat.alert(900.0) == ""
