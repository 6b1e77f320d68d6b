"""Adding up what several senders did."""

from __future__ import annotations

import pytest

from votenet.cli.latency import Latencies
from votenet.cli.replay_summary import MAX_EXAMPLES, Summary


def _summary(accepted: int, seconds: float, code: str) -> Summary:
    summary = Summary(read=accepted + 4, accepted=accepted, repeated=1, seconds=seconds)
    for number in range(3):
        summary.refuse(code, f"line {number}")
    summary.by_node["a:1"] = accepted
    summary.latency["accepted"] = Latencies()
    summary.latency["accepted"].add(seconds, accepted)
    return summary


def test_counts_are_added_and_the_longest_time_counts() -> None:
    total = Summary()
    total.merge(_summary(10, 2.0, "x"))
    total.merge(_summary(20, 3.0, "x"))
    total.merge(_summary(30, 1.0, "y"))
    assert (total.read, total.accepted, total.repeated, total.seconds) == (72, 60, 3, 3.0)
    assert dict(total.refused) == {"x": 6, "y": 3}
    assert len(total.examples["x"]) == MAX_EXAMPLES
    assert total.by_node["a:1"] == 60
    assert total.rate == 20.0
    found = total.as_dict()
    assert found["latency_ms"]["accepted"]["count"] == 60
    assert found["latency_ms"]["accepted"]["max"] == 3000.0


def test_the_table_names_reasons_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    _summary(10, 2.0, "unknown-candidate").show()
    shown = capsys.readouterr().out
    assert "refused: unknown-candidate" in shown
    assert "line 0" in shown
    assert "2,000" in shown


def test_nothing_done_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(latency={"accepted": Latencies()})
    assert summary.rate == 0.0
    summary.show()
    assert "p99" not in capsys.readouterr().out, "there is no time to speak of"
