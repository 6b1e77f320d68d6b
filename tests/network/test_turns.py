"""Who gets a turn, with how much, and in which order the requests of one link come out."""

from __future__ import annotations

from typing import cast

from votenet.errors import RemoteProtocolError
from votenet.network.transport import Link
from votenet.network.turns import Item, Session, Turns
from votenet.protocol.bootstrap import Call
from votenet.protocol.bootstrap_messages import GetPeers, Register, Request


def session() -> Session:
    return Session(cast(Link, None))


def change(number: int = 0) -> Call:
    return Call(Request(Register(f"a:{number + 1}"), keep_open=True), "127.0.0.1")


QUESTION = Call(Request(GetPeers(), keep_open=True), "127.0.0.1")
GARBAGE = RemoteProtocolError("bad-json", "no")


def of(batch: list[tuple[Session, Item]], one: Session) -> list[Item]:
    return [item for whose, item in batch if whose is one]


def test_one_question_does_not_wait_for_the_thousands_of_another_link() -> None:
    turns, busy, other = Turns(), session(), session()
    for number in range(1000):
        turns.add(busy, change(number))
    turns.add(other, QUESTION)
    batch = turns.take(64)
    assert of(batch, other) == [QUESTION]
    assert of(batch, busy) == [change(number) for number in range(32)]
    assert turns.waiting == 1000 - 32
    assert len(turns.take(64)) == 64, "alone it has the whole batch"


def test_with_more_links_than_places_each_has_its_turn_before_any_has_two() -> None:
    turns, links = Turns(), [session() for _ in range(10)]
    for link in links:
        for number in range(3):
            turns.add(link, change(number))
    first, second, third = turns.take(4), turns.take(4), turns.take(4)
    served = [links.index(whose) for whose, _ in first + second + third]
    assert served == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_sixty_links_of_one_address_do_not_hold_up_another() -> None:
    turns, other = Turns(), session()
    crowd = [Session(cast(Link, None), lane="crowd") for _ in range(60)]
    for link in crowd:
        for _ in range(2):
            turns.add(link, QUESTION)
    turns.add(other, QUESTION)
    first = turns.take(32)
    assert [whose for whose, _ in first[:2]] == [crowd[0], other]
    assert len({id(whose) for whose, _ in first}) == 32, "of each link one question"
    for whose, item in reversed(first):  # there was no time for any
        turns.put_back(whose, [item])
    turns.add(late := session(), QUESTION)
    again = [whose for whose, _ in turns.take(4)]
    assert {id(link) for link in again} >= {id(other), id(late)}
    assert len(turns.take(1000)) == 60
    assert turns.waiting == 120 + 2 - 4 - 60


def test_of_one_link_there_are_changes_or_a_single_question() -> None:
    turns, link = Turns(), session()
    items: list[Item] = [change(1), change(2), QUESTION, QUESTION, change(3), GARBAGE]
    for item in items:
        turns.add(link, item)
    batches = [[item for _, item in turns.take(64)] for _ in range(5)]
    assert batches == [[change(1), change(2)], [QUESTION], [QUESTION], [change(3)], [GARBAGE]]
    assert not turns
    assert (turns.waiting, turns.take(64)) == (0, [])


def test_a_blocked_link_waits_and_its_order_stays() -> None:
    turns, link, other = Turns(), session(), session()
    for number in range(3):
        turns.add(link, change(number))
    turns.add(other, QUESTION)
    link.blocked = True
    assert turns.take(64) == [(other, QUESTION)]
    turns.add(link, change(3))
    assert not turns
    assert turns.waiting == 4
    link.blocked = False
    turns.put_back(link, [GARBAGE])
    assert turns.take(1) == [(link, GARBAGE)]
    assert [item for _, item in turns.take(64)] == [change(number) for number in range(4)]


def test_what_was_taken_too_early_is_first_again() -> None:
    turns, one, other = Turns(), session(), session()
    turns.add(one, change(1)), turns.add(one, change(2)), turns.add(other, change(3))
    batch = turns.take(2)
    assert batch == [(one, change(1)), (other, change(3))]
    turns.put_back(other, of(batch, other))
    assert turns.take(2) == [(other, change(3)), (one, change(2))]
