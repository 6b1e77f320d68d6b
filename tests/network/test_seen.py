"""S9: lines that came before are recognised, a bounded number of them."""

from __future__ import annotations

from votenet.network.seen import SeenLines


def test_s09_a_line_is_news_once() -> None:
    seen = SeenLines(1)
    assert not seen.seen(b"a")
    assert seen.seen(b"a")
    assert not seen.seen(b"b")
    assert not seen.seen(b"")
    assert seen.seen(b"")


def test_the_oldest_lines_are_forgotten_first() -> None:
    seen = SeenLines(1, size=3)
    for line in (b"1", b"2", b"3", b"4"):
        assert not seen.seen(line)
    assert [seen.seen(line) for line in (b"2", b"3", b"4")] == [True, True, True]
    assert not seen.seen(b"1")
    assert len(seen._hashes) == 3


def test_nobody_can_prepare_lines_that_collide_without_the_seed() -> None:
    one, other = SeenLines(1), SeenLines(2)
    one.seen(b"line"), other.seen(b"line")
    assert one._hashes.keys() != other._hashes.keys()
