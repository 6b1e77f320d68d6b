"""Encrypted ballots: those of honest voters hold, and every forged one is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from support.forged_ballots import BALLOT_FORGERIES, FORGED_QUESTIONS, forged_ballots, sample, signed_again
from support.forged_points import ballot_with_identity, ballot_with_small_order
from support.secret_elections import SampleElection, random_choice, random_question, refusing
from votenet.errors import NotProven
from votenet.secret.ballot import check_ballot, make_ballot
from votenet.secret.credentials import secret_exponent
from votenet.secret.definition import HomomorphicQuestion, SecretElection
from votenet.secret.group import Scalar


def refused(raw: bytes, election: SecretElection | None = None) -> str:
    """The code of the refusal."""
    with pytest.raises(NotProven) as caught:
        check_ballot(election or sample().election, raw, sample().roll)
    return caught.value.code


@pytest.mark.parametrize("seed", range(4))
def test_the_ballots_of_random_elections_hold(seed: int) -> None:
    rng = random.Random(seed)
    questions = [random_question(rng, rng.randint(1, 8), blank=blank) for blank in (False, True)]
    election = SampleElection(rng, questions, voters=1, threshold=None, singles=1)
    for _ in range(3):
        raw = election.ballot_of(0)
        ballot = check_ballot(election.election, raw, election.roll)
        assert [ballot.credential] == list(election.roll)


@pytest.mark.parametrize("choices", [[[1, 0, 0], [1, 0, 0]], [[0, 1, 1], [0, 0, 1]]])
def test_blank_votes_and_others_look_the_same(choices: list[list[int]]) -> None:
    ballot = json.loads(sample().ballot_of(0, choices))
    assert [len(answer["choices"]) for answer in ballot["answers"]] == [3, 3]
    assert [len(answer["overall_proof"]) for answer in ballot["answers"]] == [2, 2]
    assert ["blank_proof" in answer for answer in ballot["answers"]] == [False, True]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all strings in a document."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, str):
        yield path
    for name, inner in rows:
        yield from leaves(inner, (*path, name))


def with_leaf(document: dict[str, Any], path: tuple[Any, ...], change: Callable[[str], str]) -> bytes:
    copy = json.loads(json.dumps(document))
    inner: Any = copy
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = change(inner[path[-1]])
    return msgspec.json.encode(copy)


def test_a_change_of_any_member_is_refused() -> None:
    """The same with a signature that holds again: then it is a proof that does not."""
    document = json.loads(sample().ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
    paths = list(leaves(document))
    assert len(paths) == 54
    other = json.loads(sample().ballot_of(0, [[0, 1, 1], [0, 0, 1]]))
    for path in paths:
        inner: Any = other
        for name in path:
            inner = inner[name]
        raw = with_leaf(document, path, lambda _, inner=inner: inner)  # type: ignore[misc]
        if path[0] in ("election_uuid", "election_hash", "credential"):
            assert raw == msgspec.json.encode(document), "the same in all ballots of a voter"
            continue
        assert refused(raw) == "bad-ballot-signature"
        if path[0] == "answers":
            assert refused(signed_again(json.loads(raw))) in {
                "bad-choice-proof",
                "bad-total-proof",
                "bad-blank-proof",
            }


def test_forged_ballots_are_refused() -> None:
    """Those with a proof that does not hold are also refused as they were signed before."""
    for name, (raw, code) in forged_ballots().items():
        assert (name, refused(raw)) == (name, code)
    for change, code in BALLOT_FORGERIES.values():
        document = json.loads(sample().ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
        change(document)
        if code.endswith("-proof"):
            assert refused(msgspec.json.encode(document)) == "bad-ballot-signature"


def test_ciphertexts_that_no_honest_maker_gets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of their proofs hold: it is the check of membership that refuses them."""
    question = HomomorphicQuestion(answers=("a",), min=0, max=1, question="?")
    election = SampleElection(random.Random(3), [question], voters=1, threshold=None, singles=1)
    for raw in (
        ballot_with_small_order(election, [[1]], monkeypatch),
        ballot_with_identity(election, [[1]]),
    ):
        with refusing("bad-point"):
            check_ballot(election.election, raw, election.roll)


def test_a_ballot_of_another_election_is_refused() -> None:
    """Also of one with the same uuid and voters, which differs in its name alone."""
    twin = sample().define(name="Another name")
    secret = secret_exponent(sample().credentials[0], sample().uuid)
    raw = make_ballot(twin, secret, sample().choose(), random.randbytes)
    check_ballot(twin, raw, sample().roll)
    assert refused(raw) == "wrong-election"


@pytest.mark.parametrize("choices", [[], [[1, 0, 0]], [[1, 1, 1], [0, 1, 0]], [[1, 0, 0], [1, 1, 0]]])
def test_choices_that_the_contests_do_not_allow_make_no_ballot(choices: list[list[int]]) -> None:
    with pytest.raises(NotProven) as caught:
        make_ballot(sample().election, Scalar(5), choices, random.randbytes)
    assert caught.value.code == "bad-choices"


def test_the_same_randomness_makes_the_same_ballot() -> None:
    """That is how ballots of the browser are compared with ours. No voter may give this seed away: the secret
    of the credential follows from the nonce of the signature.
    """
    made = {
        make_ballot(sample().election, Scalar(5), [[1, 0, 0], [0, 1, 0]], random.Random(seed).randbytes)
        for seed in (1, 1, 2)
    }
    assert len(made) == 2
    assert random_choice(FORGED_QUESTIONS[1], random.Random(1)) in ([1, 0, 0], [0, 1, 0], [0, 0, 1])
