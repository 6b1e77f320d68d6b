"""No ballot is longer than the length that is known before anybody votes."""

from __future__ import annotations

import random

import pytest

from support.secret_elections import SampleElection, random_question
from votenet.secret.ballot_size import longest_ballot
from votenet.secret.documents import fingerprint


@pytest.mark.parametrize("seed", range(12))
def test_no_ballot_is_longer_and_none_much_shorter(seed: int) -> None:
    rng = random.Random(seed)
    questions = [
        random_question(rng, rng.randint(1, 5), blank=rng.random() < 0.5) for _ in range(rng.randint(1, 3))
    ]
    sample = SampleElection(rng, questions, voters=1)
    longest = longest_ballot(sample.uuid, questions)
    ballot = sample.ballot_of(0)
    assert 0.97 * len(longest) < len(ballot) <= len(longest)
    assert ballot.count(b'"') == longest.count(b'"')


def test_a_fingerprint_has_the_length_that_is_reckoned_with() -> None:
    assert len(fingerprint(b"")) == 43
