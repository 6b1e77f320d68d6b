"""Acceptances: one signature for a group of votes, a proof for each of them."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of
from votenet.core.encoding import canonical
from votenet.core.records.acceptance import Acceptance, AcceptedGroup, accept_group, check_group, next_time
from votenet.core.records.canonical_record import decode_record
from votenet.errors import Rejected

NETWORK, TIME = "ab" * 32, 1_700_000_000
KEYS = [key_of(f"statement {node}") for node in range(5)]
PUBLIC = [key.public for key in KEYS]


def vote_ids(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).digest() for number in range(count)]


def group(count: int) -> AcceptedGroup:
    return accept_group(KEYS[2], network_hex=NETWORK, node=2, time=TIME, vote_ids=vote_ids(count))


def refused(acceptance: Acceptance, vote_id: bytes, network: str = NETWORK) -> bool:
    with pytest.raises(Rejected) as caught:
        acceptance.check(network, vote_id, PUBLIC)
    return caught.value.code == "bad-acceptance"


@given(st.integers(1, 70))
def test_each_vote_of_a_group_has_its_proof_and_no_other(count: int) -> None:
    ids, made = vote_ids(count), group(count)
    for index, vote_id in enumerate(ids):
        acceptance = made.acceptance(index)
        assert (acceptance.index, acceptance.count, acceptance.time) == (index, count, TIME)
        acceptance.check(NETWORK, vote_id, PUBLIC)
    assert refused(made.acceptance(0), vote_ids(count + 1)[-1])
    with pytest.raises(IndexError):
        made.acceptance(count)


def test_a_changed_acceptance_is_refused() -> None:
    vote_id, made = vote_ids(5)[1], group(5).acceptance(1)
    assert decode_record(canonical(made), Acceptance) == made
    changes: list[dict[str, object]] = [
        {"count": 6}, {"count": 4}, {"count": 0}, {"index": 2}, {"index": 5}, {"node": 3}, {"node": 5},
        {"path": made.path[:-1]}, {"path": (*made.path, "00" * 32)}, {"path": made.path[::-1]},
        {"time": TIME - 1}, {"signature": "00" * 64},
    ]  # fmt: skip
    for change in changes:
        assert refused(msgspec.structs.replace(made, **change), vote_id)
    assert refused(made, vote_id, network="cd" * 32)


def test_a_group_of_another_node_is_checked_as_one() -> None:
    made, ids = group(7), vote_ids(7)
    again = check_group(made.statement, made.signature, ids, NETWORK, PUBLIC)
    again.acceptance(6).check(NETWORK, ids[6], PUBLIC)
    foreign = msgspec.structs.replace(made.statement, network_id="cd" * 32)
    unknown = msgspec.structs.replace(made.statement, node=5)
    empty = accept_group(KEYS[2], network_hex=NETWORK, node=2, time=TIME, vote_ids=[])
    for statement, signature, votes in [
        (foreign, foreign.sign(KEYS[2]), ids),
        (unknown, unknown.sign(KEYS[2]), ids),
        (made.statement, made.statement.sign(KEYS[1]), ids),
        (made.statement, made.signature, ids[:6]),
        (made.statement, made.signature, ids[::-1]),
        (empty.statement, empty.signature, []),
    ]:
        with pytest.raises(Rejected) as caught:
            check_group(statement, signature, votes, NETWORK, PUBLIC)
        assert caught.value.code == "bad-acceptance"


@given(st.lists(st.integers(0, 2**40)))
def test_the_time_of_acceptances_never_goes_back(clock: list[int]) -> None:
    times = [0]
    for now in clock:
        times.append(next_time(now, times[-1]))
    assert times == sorted(times)
    assert next_time(TIME, 0) == TIME
