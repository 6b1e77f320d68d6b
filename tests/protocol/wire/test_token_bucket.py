"""Buckets in virtual time."""

from __future__ import annotations

import pytest

from votenet.protocol.wire.token_bucket import Buckets, TokenBucket


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.6), bucket.take(100.7)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_a_reservation_says_how_long_to_wait() -> None:
    bucket = TokenBucket(rate=2.0, burst=1.0)
    assert [bucket.reserve(5.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert bucket.reserve(7.0) == 0.0


def test_a_higher_cost_takes_more_tokens() -> None:
    bucket = TokenBucket(rate=10.0, burst=100.0)
    assert bucket.take(0.0, 80.0)
    assert not bucket.take(0.0, 30.0)
    assert bucket.wait(0.0, 30.0) == pytest.approx(1.0)
    assert bucket.take(1.0, 30.0)
    assert bucket.reserve(1.0, 50.0) == pytest.approx(5.0)


def test_each_name_has_its_own_bucket_and_the_oldest_make_room() -> None:
    buckets = Buckets(1.0, 1.0, limit=2)
    assert [buckets.of(name).take(0.0) for name in ("a", "b", "a", "b")] == [True, True, False, False]
    buckets.of("a")
    buckets.of("c")  # "b" was used least lately: it is forgotten, "a" is not
    assert [buckets.of(name).take(0.0) for name in ("a", "b")] == [False, True]
