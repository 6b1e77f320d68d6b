"""Who takes a turn, with how much, in which order requests come out, and what follows from results."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from support.memory_peer_store import MemoryPeerStore
from votenet.errors import RemoteProtocolError
from votenet.protocol.bootstrap.batches import (
    BatchPlanner,
    Item,
    Result,
    Session,
    SessionState,
    changes,
    step_changes,
)
from votenet.protocol.bootstrap.bootstrap_messages import ListPeers, RegisterAddress, Request
from votenet.protocol.bootstrap.server_core import Answer, BootstrapCore, Call, NeedsOwner

QUESTION = Call(Request(ListPeers(), keep_open=True), "127.0.0.1")
LAST_QUESTION = Call(Request(ListPeers()), "127.0.0.1")
GARBAGE = RemoteProtocolError("bad-json", "no")
DONE = Answer(b"done")


def change(number: int = 0) -> Call:
    return Call(Request(RegisterAddress(f"a:{number + 1}"), keep_open=True), "127.0.0.1")


def of(batch: list[tuple[Session, Item]], one: Session) -> list[Item]:
    return [item for whose, item in batch if whose is one]


def planned(*sessions: tuple[Session, list[Item]]) -> BatchPlanner[Session]:
    planner: BatchPlanner[Session] = BatchPlanner()
    for session, items in sessions:
        for item in items:
            planner.add(session, item)
    return planner


def test_one_question_does_not_wait_for_the_thousands_of_another_session() -> None:
    busy, other = Session(), Session()
    planner = planned((busy, [change(number) for number in range(1000)]), (other, [QUESTION]))
    batch = planner.take(64)
    assert of(batch, other) == [QUESTION]
    assert of(batch, busy) == [change(number) for number in range(32)]
    assert planner.waiting == 1000 - 32
    assert len(planner.take(64)) == 64, "alone it has the whole batch"


def test_with_more_sessions_than_places_each_has_its_turn_before_any_has_two() -> None:
    sessions = [Session() for _ in range(10)]
    planner = planned(*((session, [change(number) for number in range(3)]) for session in sessions))
    batches = planner.take(4) + planner.take(4) + planner.take(4)
    assert [sessions.index(whose) for whose, _ in batches] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_sixty_sessions_of_one_lane_do_not_hold_up_another() -> None:
    crowd, other, late = [Session("crowd") for _ in range(60)], Session(), Session()
    planner = planned(*((session, [QUESTION] * 2) for session in crowd), (other, [QUESTION]))
    first = planner.take(32)
    assert [whose for whose, _ in first[:2]] == [crowd[0], other]
    assert len({id(whose) for whose, _ in first}) == 32, "of each session one question"
    assert planner.settle(first, [None] * len(first)) == [], "there was no time for any"
    planner.add(late, QUESTION)
    again = [whose for whose, _ in planner.take(4)]
    assert {id(session) for session in again} >= {id(other), id(late)}
    assert len(planner.take(1000)) == 60
    assert planner.waiting == 120 + 2 - 4 - 60


def test_a_turn_is_changes_or_a_single_question() -> None:
    session = Session()
    planner = planned((session, [change(1), change(2), QUESTION, QUESTION, change(3), GARBAGE]))
    batches = [[item for _, item in planner.take(64)] for _ in range(5)]
    assert batches == [[change(1), change(2)], [QUESTION], [QUESTION], [change(3)], [GARBAGE]]
    assert not planner
    assert (planner.waiting, planner.take(64)) == (0, [])


def test_a_blocked_session_waits_and_its_order_stays() -> None:
    session, other = Session(), Session()
    planner = planned((session, [change(number) for number in range(3)]), (other, [QUESTION]))
    planner.block(session, SessionState.NEEDS_READER)
    assert planner.take(64) == [(other, QUESTION)]
    planner.add(session, change(3))
    assert not planner
    assert (planner.waiting, planner.blocked) == (4, 1)
    planner.resume(session, GARBAGE)
    assert planner.blocked == 0
    assert planner.take(1) == [(session, GARBAGE)]
    assert [item for _, item in planner.take(64)] == [change(number) for number in range(4)]


def test_a_request_without_a_result_is_first_again() -> None:
    one, other = Session(), Session()
    planner = planned((one, [change(1), change(2)]), (other, [change(3)]))
    batch = planner.take(2)
    assert batch == [(one, change(1)), (other, change(3))]
    assert planner.settle(batch, [DONE, None]) == [(one, change(1), DONE)]
    assert planner.take(2) == [(other, change(3)), (one, change(2))]


def test_a_session_that_needs_a_fact_or_a_reader_is_blocked() -> None:
    asking, reading, leaving = Session(), Session(), Session()
    planner = planned((asking, [change(1), change(2)]), (reading, [QUESTION]), (leaving, [LAST_QUESTION]))
    batch = planner.take(64)
    need = NeedsOwner("a")
    done = planner.settle(batch, [need, None, DONE, DONE])
    assert done == [(asking, change(1), need), (reading, QUESTION, DONE), (leaving, LAST_QUESTION, DONE)]
    states = [session.state for session in (asking, reading, leaving)]
    assert states == [SessionState.NEEDS_FACT, SessionState.NEEDS_READER, SessionState.READY]
    assert planner.blocked == 2
    planner.resume(asking, change(1))
    assert planner.take(64) == [(asking, change(1)), (asking, change(2))]


ITEMS = st.sampled_from(["change", "question", "garbage"])


@given(st.lists(st.tuples(st.integers(0, 4), ITEMS), max_size=60), st.randoms(use_true_random=False))
def test_every_request_gets_one_result_in_the_order_of_its_session(
    arrivals: list[tuple[int, str]], dice: random.Random
) -> None:
    """Whatever the batch size, with requests put back and sessions blocked and resumed at random."""
    sessions = [Session(lane) for lane in ("", "", "crowd", "crowd", "crowd")]
    sent: list[list[Item]] = [[] for _ in sessions]
    answered: list[list[Item]] = [[] for _ in sessions]
    planner: BatchPlanner[Session] = BatchPlanner()
    for number, (place, kind) in enumerate(arrivals):
        item: Item = {"change": change(number), "question": QUESTION, "garbage": GARBAGE}[kind]
        sent[place].append(item)
        planner.add(sessions[place], item)
    while planner or planner.blocked:
        batch = planner.take(dice.randint(1, 8))
        for session in sessions:
            mine = of(batch, session)
            assert all(map(changes, mine)) or len(mine) == 1
        results: list[Result | None] = []
        behind: set[int] = set()
        for session, _ in batch:  # a result is missing only for the last ones of a session
            if dice.random() < 0.2:
                behind.add(id(session))
            results.append(None if id(session) in behind else DONE)
        for session, item, _ in planner.settle(batch, results):
            answered[sessions.index(session)].append(item)
        for session in sessions:
            if session.state is not SessionState.READY and dice.random() < 0.7:
                planner.resume(session)
    assert answered == sent
    assert planner.waiting == 0


def test_a_call_behind_one_of_its_session_that_needs_a_fact_waits() -> None:
    core = BootstrapCore(MemoryPeerStore(), random.Random(1))
    one, other = Session(), Session()
    named = Call(Request(RegisterAddress("a.example:1")), "10.0.0.1")
    calls = [(one, named), (one, change(1)), (other, change(2))]
    first, second, third = step_changes(core, calls, 1_700_000_000)
    assert (first, second) == (NeedsOwner("a.example"), None)
    assert isinstance(third, NeedsOwner), "the operator's host must exist"
