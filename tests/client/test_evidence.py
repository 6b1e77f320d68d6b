"""Evidence as a node has it is checked by the client."""

from __future__ import annotations

import json
from typing import Any

import pytest

import votenet
from support.evidence_files import ELECTION, GOOD, OTHER
from support.lying_node import lying_node
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.errors import NotProven


def told(made: str, **changes: Any) -> dict[str, Any]:
    return {"kind": made, "node": 3, "proof": json.loads(canonical(GOOD[made].proof)), **changes}


def evidence(*lies: dict[str, Any], election: Election = ELECTION) -> list[Any]:
    """What a client gets from a node that answers with these."""
    answer = {"type": "evidence_list", "lies": lies}
    with (
        lying_node(election, {"get_evidence": lambda _: answer}) as address,
        votenet.connect(address) as client,
    ):
        return client.evidence()


def test_all_kinds_of_evidence_come_as_they_are() -> None:
    assert evidence(*map(told, GOOD)) == list(GOOD.values())
    assert evidence() == []


@pytest.mark.parametrize(
    "lie",
    [
        told("two-lists", node=2),
        told("two-lists", node=5),
        told("two-lists", kind="two-prevotes"),
        told("two-lists", kind="no-such-kind"),
        told("two-lists", proof={}),
        told("broken-acceptance", node=2),
    ],
)
def test_an_accusation_without_proof_is_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(NotProven) as caught:
        evidence(told("two-roots"), lie)
    assert caught.value.code == "bad-evidence"


def test_evidence_of_another_election_is_refused() -> None:
    with pytest.raises(NotProven):
        evidence(told("two-precommits"), election=OTHER)
