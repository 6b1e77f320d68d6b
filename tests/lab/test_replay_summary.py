"""Adding up the figures of several senders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from votenet.lab.replay_summary import MAX_EXAMPLES, Latencies, Summary

SECONDS = st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200)


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


@given(values=SECONDS, percent=st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_at_most_two_percent_too_high(values: list[float], percent: int) -> None:
    found = Latencies()
    for value in values:
        found.add(value)
    exact = sorted(values)[-(-len(values) * percent // 100) - 1]
    assert exact * 0.999999 <= found.percentile(percent) <= exact * 1.0200001


@given(left=SECONDS, right=SECONDS)
def test_merging_is_counting_together(left: list[float], right: list[float]) -> None:
    one, other, both = Latencies(), Latencies(), Latencies()
    for value in left:
        one.add(value)
        both.add(value)
    for value in right:
        other.add(value, 3)
        both.add(value, 3)
    one.merge(other)
    assert one.summary() == both.summary()


def test_the_summary_is_in_milliseconds() -> None:
    found = Latencies()
    assert found.summary() == {"count": 0, "p50": 0, "p90": 0, "p99": 0, "max": 0}
    found.add(0.25, 99)
    found.add(2.0)
    assert found.summary() == {"count": 100, "p50": 251.71, "p90": 251.71, "p99": 251.71, "max": 2000.0}


def test_no_time_at_all_counts_too() -> None:
    found = Latencies()
    found.add(0.0, 5)
    assert found.percentile(99) == 0.0
    assert found.summary()["count"] == 5
