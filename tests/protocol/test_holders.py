"""Who has which vote: noted for those that are followed, and for no other."""

from __future__ import annotations

from votenet.protocol.holders import Holders


def shorts(*numbers: int) -> list[bytes]:
    return [number.to_bytes(8, "big") for number in numbers]


def test_only_what_is_followed_is_noted() -> None:
    holders = Holders()
    holders.note(1, shorts(1, 2))
    holders.follow(shorts(1, 3))
    holders.note(1, shorts(3, 4))
    holders.note(2, shorts(4, 5))
    assert holders.of(1) == set(shorts(3))
    assert holders.of(2) == holders.of(3) == set()
    holders.note(1, shorts(1))
    assert holders.of(1) == set(shorts(1, 3))


def test_what_is_forgotten_takes_no_room() -> None:
    holders = Holders()
    holders.follow(shorts(*range(100)))
    for link in range(5):
        holders.note(link, shorts(*range(link, 1000)))
    holders.forget(short for short in shorts(*range(1, 100)))
    assert len(holders) == 1
    assert [holders.of(link) for link in range(2)] == [set(shorts(0)), set()]
    holders.forget(shorts(0, 7))
    assert not any(holders.of(link) for link in range(5))
    assert len(holders) == 0


def test_a_link_that_is_gone_has_nothing() -> None:
    holders = Holders()
    holders.follow(shorts(1))
    holders.note(1, shorts(1))
    holders.note(2, shorts(1))
    holders.drop_link(1)
    holders.drop_link(9)
    assert holders.of(1) == set()
    assert holders.of(2) == set(shorts(1))
