"""Who has which vote: noted for those that are followed, and for no other."""

from __future__ import annotations

from votenet.protocol.node.known_inventory import KnownInventory


def shorts(*numbers: int) -> list[bytes]:
    return [number.to_bytes(8, "big") for number in numbers]


def test_only_tracked_votes_are_noted() -> None:
    inventory = KnownInventory()
    inventory.note(1, shorts(1, 2))
    inventory.follow(shorts(1, 3))
    inventory.note(1, shorts(3, 4))
    inventory.note(2, shorts(4, 5))
    assert inventory.of(1) == set(shorts(3))
    assert inventory.of(2) == inventory.of(3) == set()
    inventory.note(1, shorts(1))
    assert inventory.of(1) == set(shorts(1, 3))


def test_forgotten_votes_take_no_room() -> None:
    inventory = KnownInventory()
    inventory.follow(shorts(*range(100)))
    for link in range(5):
        inventory.note(link, shorts(*range(link, 1000)))
    inventory.forget(short for short in shorts(*range(1, 100)))
    assert len(inventory) == 1
    assert [inventory.of(link) for link in range(2)] == [set(shorts(0)), set()]
    inventory.forget(shorts(0, 7))
    assert not any(inventory.of(link) for link in range(5))
    assert len(inventory) == 0


def test_a_link_that_is_gone_has_nothing() -> None:
    inventory = KnownInventory()
    inventory.follow(shorts(1))
    inventory.note(1, shorts(1))
    inventory.note(2, shorts(1))
    inventory.drop_link(1)
    inventory.drop_link(9)
    assert inventory.of(1) == set()
    assert inventory.of(2) == set(shorts(1))
