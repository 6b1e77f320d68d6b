"""Statements of named nodes: their exact bytes, their signatures, and quorums of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey, verify
from votenet.core.ledger.statement import (
    NIL,
    AcceptanceStatement,
    ClosingListStatement,
    Commit,
    HourPassedStatement,
    MinerStatement,
    PrecommitStatement,
    PrevoteStatement,
    ProposalStatement,
    Signed,
    Statement,
    make_commit,
    signed,
)
from votenet.core.records.canonical_record import decode_record
from votenet.errors import NotProven, Rejected

NETWORK, BLOCK, ROOT = "ab" * 32, "cd" * 32, "ef" * 32
KEYS = [key_of(f"statement {node}") for node in range(5)]
PUBLIC = [key.public for key in KEYS]
BASE: dict[str, Any] = {"network_id": NETWORK, "node": 3}
OF_BLOCK: dict[str, Any] = {**BASE, "block": BLOCK, "height": 12}
SAMPLES: list[Statement] = [
    MinerStatement(**OF_BLOCK),
    ProposalStatement(**OF_BLOCK, round=0, valid_round=-1),
    PrevoteStatement(**OF_BLOCK, round=0),
    PrecommitStatement(**OF_BLOCK, round=0),
    AcceptanceStatement(**BASE, count=2, root=ROOT, time=1_700_000_000),
    HourPassedStatement(**BASE, closes=1_700_000_000),
    ClosingListStatement(**BASE, closes=1_700_000_000, count=2, height=12, root=ROOT),
]
SIGNED_BYTES = [
    b'votenet/block/2\n{"block":"%b","height":12,"network_id":"%b","node":3}',
    b'votenet/proposal/2\n{"block":"%b","height":12,"network_id":"%b","node":3,"round":0,"valid_round":-1}',
    b'votenet/prevote/2\n{"block":"%b","height":12,"network_id":"%b","node":3,"round":0}',
    b'votenet/precommit/2\n{"block":"%b","height":12,"network_id":"%b","node":3,"round":0}',
    b'votenet/acceptance/2\n{"count":2,"network_id":"%b","node":3,"root":"%b","time":1700000000}',
    b'votenet/hour-passed/2\n{"closes":1700000000,"network_id":"%b","node":3}',
    b'votenet/closing-list/2\n{"closes":1700000000,"count":2,"height":12,"network_id":"%b","node":3,'
    b'"root":"%b"}',
]
FILLERS = [(BLOCK, NETWORK)] * 4 + [(NETWORK, ROOT), (NETWORK,), (NETWORK, ROOT)]


def commit(
    nodes: list[int], *, keys: list[SigningKey] = KEYS, block: str = BLOCK, round_number: int = 0
) -> Commit:
    """A commit of height 12 with the precommits of these nodes."""
    precommits = {
        node: PrecommitStatement(
            block=block, height=12, network_id=NETWORK, node=node, round=round_number
        ).sign(keys[node])
        for node in nodes
    }
    return make_commit(round_number, precommits)


def refusal(made: Commit, *, network: str = NETWORK, height: int = 12, block: str = BLOCK) -> str:
    with pytest.raises(Rejected) as caught:
        made.check(network, height, block, PUBLIC, 4)
    assert caught.value.code == "bad-commit"
    return caught.value.message


# -- single statements ---------------------------------------------------------------------------


@pytest.mark.parametrize("index", range(len(SAMPLES)))
def test_the_signed_bytes_of_each_kind_never_change(index: int) -> None:
    expected = SIGNED_BYTES[index] % tuple(hexadecimal.encode() for hexadecimal in FILLERS[index])
    signature = SAMPLES[index].sign(KEYS[3])
    assert verify(PUBLIC[3], expected, bytes.fromhex(signature))
    assert SAMPLES[index].holds(PUBLIC[3], signature)


@pytest.mark.parametrize("statement", SAMPLES, ids=lambda statement: type(statement).__name__)
def test_a_signature_holds_for_one_key_one_kind_and_one_content(statement: Statement) -> None:
    signature = statement.sign(KEYS[3])
    assert not statement.holds(PUBLIC[2], signature)
    assert not statement.holds(PUBLIC[3], signature.upper())
    assert not any(statement.holds(PUBLIC[3], wrong) for wrong in ("", "zz" * 64, signature[:-2], "00" * 64))
    for other in SAMPLES:
        assert other is statement or not other.holds(PUBLIC[3], signature)
    for name, value in msgspec.structs.asdict(statement).items():
        changed = value + 1 if isinstance(value, int) else "00" * 32
        assert not msgspec.structs.replace(statement, **{name: changed}).holds(PUBLIC[3], signature)


def test_a_prevote_for_none_is_not_one_for_a_block() -> None:
    nil = PrevoteStatement(**{**OF_BLOCK, "block": NIL}, round=0)
    assert nil.holds(PUBLIC[3], nil.sign(KEYS[3]))
    assert not SAMPLES[2].holds(PUBLIC[3], nil.sign(KEYS[3]))


@pytest.mark.parametrize(
    "changed",
    [
        {"block": "CD" * 32}, {"block": "cd" * 31}, {"height": -1}, {"height": 2**53}, {"round": 1.0},
        {"node": "3"}, {"network_id": ""}, {"extra": 1},
    ],
)  # fmt: skip
def test_a_malformed_statement_is_not_read(changed: dict[str, object]) -> None:
    raw = canonical({**OF_BLOCK, "round": 0, **changed})
    with pytest.raises(NotProven):
        decode_record(raw, PrevoteStatement)


def test_a_signed_statement_survives_json_and_names_its_fault() -> None:
    made = signed(SAMPLES[2], KEYS[3])
    raw = canonical(made)
    assert set(json.loads(raw)) == {"signature", "statement"}
    read = decode_record(raw, Signed[PrevoteStatement])
    read.check(NETWORK, PUBLIC)
    for wrong, network, keys in [
        (read, ROOT, PUBLIC),
        (read, NETWORK, PUBLIC[:3]),
        (read, NETWORK, PUBLIC[1:]),
        (Signed(signature="00" * 64, statement=read.statement), NETWORK, PUBLIC),
    ]:
        with pytest.raises(Rejected) as caught:
            wrong.check(network, keys)
        assert caught.value.code == "bad-statement"


# -- commits -------------------------------------------------------------------------------------


def test_a_quorum_of_precommits_decides() -> None:
    made = commit([4, 0, 2, 1])
    assert made.check(NETWORK, 12, BLOCK, PUBLIC, 4) == [0, 1, 2, 4]
    assert commit([0, 1, 2, 3, 4], round_number=7).check(NETWORK, 12, BLOCK, PUBLIC, 4) == [0, 1, 2, 3, 4]
    assert decode_record(canonical(made), Commit) == made
    assert canonical(made).startswith(b'{"round":0,"signatures":{"0":"')


def test_a_commit_speaks_of_one_block_alone() -> None:
    made = commit([0, 1, 2, 3])
    assert "not signed this block" in refusal(made, network=ROOT)
    assert "not signed this block" in refusal(made, height=13)
    assert "not signed this block" in refusal(made, block=ROOT)
    assert "not signed this block" in refusal(msgspec.structs.replace(made, round=1))
    assert "not signed this block" in refusal(commit([0, 1, 2, 3], block=NIL))


def test_too_few_a_stranger_and_a_false_signature_are_refused() -> None:
    assert refusal(commit([0, 1, 2])) == "3 of 5 named nodes have signed, 4 must"
    keys = [*KEYS, key_of("stranger")]
    assert refusal(commit([0, 1, 2, 3, 5], keys=keys)) == "'5' is no index of 5 named nodes"
    forged = commit([0, 1, 2, 3, 4], keys=[*KEYS[:4], key_of("stranger")])
    assert refusal(forged) == "named node 4 has not signed this block at height 12"


@pytest.mark.parametrize("index", ["00", "+0", " 0", "0_0", "٠", "-1", "5", "", "1e0", "9" * 5000])
def test_one_key_twice_is_no_quorum(index: str) -> None:
    made = commit([0, 1, 2])
    twice = Commit(round=0, signatures={**made.signatures, index: made.signatures["0"]})
    assert "is no index" in refusal(twice)


@given(st.sets(st.integers(0, 4)), st.sets(st.integers(0, 4)))
def test_a_commit_holds_exactly_with_a_quorum_of_true_signatures(good: set[int], bad: set[int]) -> None:
    keys = [key_of("stranger") if node in bad else key for node, key in enumerate(KEYS)]
    made = commit(sorted(good | bad), keys=keys)
    if not bad and len(good) >= 4:
        assert made.check(NETWORK, 12, BLOCK, PUBLIC, 4) == sorted(good)
    else:
        refusal(made)
