"""Belenios' election: what is read, what an answer may be, what is refused."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import msgspec
import pytest

from votenet.errors import NotProven
from votenet.secret.definition import HomomorphicQuestion, read_election, write_election
from votenet.secret.documents import fingerprint
from votenet.secret.group import BASE, IDENTITY

DEFINITION: dict[str, Any] = {
    "version": 1,
    "description": "",
    "name": "Pemilihan",
    "group": "Ed25519",
    "public_key": BASE.written(),
    "questions": [{"answers": ["a", "b"], "blank": True, "min": 1, "max": 1, "question": "?"}],
    "uuid": "JUKAAfQKwDeaXu",
}


def test_an_election_keeps_its_bytes() -> None:
    raw = json.dumps(DEFINITION).encode()
    election = read_election(raw)
    assert election.raw == raw
    assert election.fingerprint == fingerprint(raw)
    assert (election.key, election.questions[0].length) == (BASE, 3)
    compact = write_election(election.definition)
    assert compact.definition == election.definition
    assert compact.raw == json.dumps(DEFINITION, separators=(",", ":")).encode()


@pytest.mark.parametrize("blank", [False, True])
def test_an_answer_is_what_the_contest_allows(blank: bool) -> None:
    question = HomomorphicQuestion(answers=("a", "b", "c"), blank=blank, min=2, max=3, question="?")
    rows = [list(row) for row in product((0, 1, 2), repeat=question.length)]
    allowed = [row for row in rows if question.allows(row)]
    normal = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    assert sorted(allowed) == sorted([[0, *row] for row in normal] + [[1, 0, 0, 0]] if blank else normal)
    assert not question.allows([1, 1])


def changed(**members: Any) -> dict[str, Any]:
    return DEFINITION | members


def question(**members: Any) -> dict[str, Any]:
    return changed(questions=[DEFINITION["questions"][0] | members])


@pytest.mark.parametrize(
    ("definition", "code"),
    [
        (changed(version=2), "bad-election"),
        (changed(group="BELENIOS-2048"), "bad-election"),
        (changed(uuid="JUKAAfQKwDeaX"), "bad-election"),
        (changed(uuid="JUKAAfQKwDeaX0"), "bad-election"),
        (changed(questions=[]), "bad-election"),
        (changed(public_key=IDENTITY.written()), "bad-point"),
        (changed(public_key=7), "bad-point"),
        (changed(more=1), "bad-document"),
        (question(min=-1), "bad-election"),
        (question(min=2), "bad-election"),
        (question(max=3), "bad-election"),
        (question(answers=[], min=0, max=0), "bad-election"),
        (changed(questions=[{"type": "NonHomomorphic", "value": {}}]), "bad-document"),
        ({name: value for name, value in DEFINITION.items() if name != "uuid"}, "bad-document"),
    ],
)
def test_other_definitions_are_refused(definition: dict[str, Any], code: str) -> None:
    with pytest.raises(NotProven) as caught:
        read_election(msgspec.json.encode(definition))
    assert caught.value.code == code
