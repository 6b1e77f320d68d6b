"""Every broken rule of a definition is named, not only the first."""

from __future__ import annotations

import msgspec

from support.elections import make_election
from votenet.core.election.definition import Candidate, Quorum, Threshold
from votenet.core.election.definition_rules import definition_faults

GOOD = make_election().definition


def faults(**fields: object) -> str:
    contest = msgspec.structs.replace(GOOD.contests[0], **fields)
    return "\n".join(
        wrong for wrong, _ in definition_faults(msgspec.structs.replace(GOOD, contests=(contest,)))
    )


def test_a_good_definition_has_no_faults() -> None:
    assert list(definition_faults(GOOD)) == []


def test_all_faults_are_named_at_once() -> None:
    found = faults(min=3, max=2, candidates=(Candidate(name="Ann"), Candidate(name=" Ann")), title="")
    for said in (
        "the title of the contest is empty",
        "candidate 2, ' Ann', has a space at its beginning",
        "at least 3 choices and at most 2 contradict each other",
        "plurality counts one choice a ballot, not 2",
    ):
        assert said in found


def test_thresholds_belong_to_motions_and_shares_of_a_roll_need_one() -> None:
    simple = Threshold(basis="cast", share="simple")
    assert "only a motion has a threshold or a quorum" in faults(threshold=simple)
    assert "only a motion has a threshold or a quorum" in faults(quorum=Quorum(percent=30))
