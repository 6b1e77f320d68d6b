"""S9: lines that came before are recognised, a bounded number of them."""

from __future__ import annotations

from votenet.network.seen import SeenLines


def test_s09_a_line_is_news_once() -> None:
    seen = SeenLines(1)
    assert not seen.seen(b"a", 1)
    assert seen.seen(b"a", 1)
    assert seen.seen(b"a", 2)
    assert not seen.seen(b"b", 1)
    assert not seen.seen(b"", 1)
    assert seen.seen(b"", 1)


def test_the_oldest_lines_are_forgotten_first() -> None:
    seen = SeenLines(1, size=3)
    for line in (b"1", b"2", b"3", b"4"):
        assert not seen.seen(line, 1)
    assert [seen.seen(line, 1) for line in (b"2", b"3", b"4")] == [True, True, True]
    assert not seen.seen(b"1", 1)
    assert len(seen._hashes) == 3


def test_nobody_can_prepare_lines_that_collide_without_the_seed() -> None:
    one, other = SeenLines(1), SeenLines(2)
    one.seen(b"line", 1), other.seen(b"line", 1)
    assert one._hashes.keys() != other._hashes.keys()


def test_what_a_refused_link_sent_is_news_again_and_what_others_sent_is_not() -> None:
    seen = SeenLines(1)
    seen.seen(b"hers", 1), seen.seen(b"his", 2)
    seen.forget(1)
    assert [seen.seen(line, 3) for line in (b"hers", b"his")] == [False, True]
