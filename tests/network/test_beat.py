"""When regular work falls together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.network import beat
from votenet.network.beat import until_beat

PERIODS = (0.25, 0.5, 1.0, 2.0)


@given(now=st.floats(0, 1e8), period=st.sampled_from(PERIODS))
def test_a_beat_is_a_multiple_of_its_period_and_neither_at_once_nor_far(now: float, period: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beat.time, "monotonic", lambda: now)
        left = until_beat(period)
        assert period / 4 < left <= period * 1.25
        beats = (now + left) / period
        assert abs(beats - round(beats)) < 1e-6


def test_work_that_ends_at_a_beat_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for now, left in ((7.0, 1.0), (7.5, 0.5), (7.9, 1.1), (7.9999, 1.0001)):
        monkeypatch.setattr(beat.time, "monotonic", lambda now=now: now)
        assert until_beat(1.0) == pytest.approx(left)
