"""Repeated lines are recognised, and a bounded number of them is kept."""

from __future__ import annotations

import pytest
import xxhash

from votenet.network.node.duplicate_filter import DuplicateFilter


def test_a_line_is_new_only_once() -> None:
    seen = DuplicateFilter(1)
    assert not seen.seen(b"a", 1)
    assert seen.seen(b"a", 1)
    assert seen.seen(b"a", 2)
    assert not seen.seen(b"b", 1)
    assert not seen.seen(b"", 1)
    assert seen.seen(b"", 1)


def test_the_oldest_lines_are_forgotten_first() -> None:
    seen = DuplicateFilter(1, size=3)
    for line in (b"1", b"2", b"3", b"4"):
        assert not seen.seen(line, 1)
    assert [seen.seen(line, 1) for line in (b"2", b"3", b"4")] == [True, True, True]
    assert not seen.seen(b"1", 1)


def test_lines_that_collide_cannot_be_prepared_without_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    monkeypatch.setattr(xxhash, "xxh3_64_intdigest", lambda line, seed: seeds.append(seed) or seed)
    DuplicateFilter(1).seen(b"line", 1), DuplicateFilter(2).seen(b"line", 1)
    assert seeds == [1, 2]


def test_lines_of_a_refused_link_are_forgotten_and_lines_of_others_are_not() -> None:
    seen = DuplicateFilter(1)
    seen.seen(b"hers", 1), seen.seen(b"his", 2)
    seen.forget(1)
    assert [seen.seen(line, 3) for line in (b"hers", b"his")] == [False, True]
