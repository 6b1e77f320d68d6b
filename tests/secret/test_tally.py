"""The tally: sums with weights, partial decryptions, results, and what does not fit them."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations

import msgspec
import pytest

from support.belenios_check import check_decryptions, check_result, last_ballots
from support.secret_elections import SampleElection, refusing
from votenet.secret import tally
from votenet.secret.ballot import check_ballot
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import decode, encode
from votenet.secret.elgamal import Encryption
from votenet.secret.group import BASE, IDENTITY, SumPoint, add, draw_scalar, multiply
from votenet.secret.tally import (
    PartialDecryption,
    SizedTally,
    TallyResult,
    check_decryption,
    decrypt_partially,
    decrypted_powers,
    result_of,
    sum_ballots,
    written_weight,
)

QUESTIONS = (
    HomomorphicQuestion(answers=("a", "b", "c"), min=0, max=3, question="any"),
    HomomorphicQuestion(answers=("a", "b"), blank=True, min=1, max=1, question="one or blank"),
)
WEIGHTS = (1, 5, 10)
rng = random.Random(13)


@cache
def sample() -> SampleElection:
    """Three voters with weights have voted; a single trustee must decrypt, and two of three others."""
    election = SampleElection(random.Random(14), QUESTIONS, voters=3, singles=1, weights=WEIGHTS)
    for voter in range(3):
        election.vote(voter)
    return election


@cache
def part(owner: int) -> PartialDecryption:
    return decrypt_partially(sample().election, sample().tally, sample().secrets[owner - 1], rng.randbytes)


def counted() -> tuple[tuple[int, ...], ...]:
    """What the choices come to, without any cryptography."""
    rows = list(zip(WEIGHTS, sample().chosen, strict=True))
    return tuple(
        tuple(sum(weight * chosen[number][place] for weight, chosen in rows) for place in range(one.length))
        for number, one in enumerate(QUESTIONS)
    )


def test_every_set_of_enough_trustees_finds_the_same_result() -> None:
    for pair in combinations((2, 3, 4), 2):
        decryptions = {owner: part(owner) for owner in (1, *pair)}
        checked = check_decryptions(sample().election, sample().tally, sample().groups, decryptions)
        assert not checked.faults
        powers = decrypted_powers(sample().tally, sample().groups, checked.valid)
        result = result_of(powers, sum(WEIGHTS))
        assert result.result == counted()
        check_result(powers, sum(WEIGHTS), result)
    everyone = {owner: part(owner) for owner in (1, 2, 3, 4)}
    assert decrypted_powers(sample().tally, sample().groups, everyone) == powers


@pytest.mark.parametrize("owners", [(), (1,), (1, 4), (2, 3), (2, 3, 4)])
def test_too_few_trustees_find_nothing(owners: tuple[int, ...]) -> None:
    decryptions = {owner: part(owner) for owner in owners}
    with refusing("too-few-decryptions"):
        decrypted_powers(sample().tally, sample().groups, decryptions)


def test_a_wrong_partial_decryption_is_named_and_the_others_suffice() -> None:
    """By another trustee's key, of another tally, for a trustee who does not exist."""
    other = sum_ballots(sample().election, [], sample().roll)
    foreign = decrypt_partially(sample().election, other, sample().secrets[3], rng.randbytes)
    for wrong in (part(3), foreign):
        decryptions = {1: part(1), 2: part(2), 3: part(3), 4: wrong, 5: part(1), 0: part(1)}
        checked = check_decryptions(sample().election, sample().tally, sample().groups, decryptions)
        assert set(checked.faults) == {0, 4, 5}
        powers = decrypted_powers(sample().tally, sample().groups, checked.valid)
        assert result_of(powers, sum(WEIGHTS)).result == counted()


def test_a_changed_partial_decryption_is_refused() -> None:
    good = part(1)
    key = sample().groups[0].keys[0]
    check_decryption(sample().election, sample().tally, key, good)
    factors, proofs = good.decryption_factors, good.decryption_proofs
    moved = SumPoint(add(factors[0][0], BASE))
    changes = [
        {"decryption_factors": ((moved, *factors[0][1:]), factors[1])},
        {"decryption_factors": (factors[0][::-1], factors[1])},
        {"decryption_factors": factors[:1]},
        {"decryption_proofs": (proofs[0], proofs[1][:-1])},
        {"decryption_proofs": (proofs[0][::-1], proofs[1])},
    ]
    for change in changes:
        with refusing("bad-decryption"):
            check_decryption(sample().election, sample().tally, key, msgspec.structs.replace(good, **change))
    # The election's hash is in every proof (4.20).
    with refusing("bad-decryption"):
        check_decryption(sample().define(name="another"), sample().tally, key, good)


def test_the_last_ballot_of_a_credential_counts() -> None:
    election = SampleElection(random.Random(15), QUESTIONS, voters=2, threshold=None, singles=1)
    for voter in (0, 1, 0):
        election.vote(voter)
    checked = [check_ballot(election.election, raw, election.roll) for raw in election.ballots]
    last = last_ballots(checked)
    assert set(last.values()) == {checked[1], checked[2]}
    tally = sum_ballots(election.election, last.values(), election.roll)
    assert tally == sum_ballots(election.election, checked[1:], election.roll)
    assert tally != sum_ballots(election.election, checked[:2], election.roll)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_the_sum_is_the_same_however_many_ballots_are_added_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "BALLOTS_AT_ONCE", at_once)
    checked = [check_ballot(sample().election, raw, sample().roll) for raw in sample().ballots]
    assert sum_ballots(sample().election, iter(checked), sample().roll) == sample().tally
    for number, question in enumerate(QUESTIONS):
        for place in range(question.length):
            plain: Encryption = Encryption(IDENTITY, IDENTITY)
            for ballot, weight in zip(checked, WEIGHTS, strict=True):
                one = ballot.answers[number].choices[place]
                alpha, beta = multiply(one.alpha, weight), multiply(one.beta, weight)
                plain = Encryption(add(plain.alpha, alpha), add(plain.beta, beta))
            assert Encryption.of(sample().tally[number][place]) == plain


def test_no_ballots_come_to_zero() -> None:
    tally = sum_ballots(sample().election, [], sample().roll)
    assert {point for row in tally for one in row for point in (one.alpha, one.beta)} == {IDENTITY}
    decryptions = {
        owner: decrypt_partially(sample().election, tally, sample().secrets[owner - 1], rng.randbytes)
        for owner in (1, 2, 3)
    }
    valid = check_decryptions(sample().election, tally, sample().groups, decryptions).valid
    raw = encode(decryptions[1])
    assert decode(raw, PartialDecryption, "x") == decryptions[1]
    assert result_of(decrypted_powers(tally, sample().groups, valid), 0).result == ((0, 0, 0), (0, 0, 0))


def test_a_result_is_what_the_sums_are() -> None:
    powers = [[multiply(BASE, 3), IDENTITY], [multiply(BASE, 4)]]
    good = TallyResult(result=((3, 0), (4,)))
    assert result_of(powers, 4) == good
    check_result(powers, 4, good)
    for counts in (((3, 1), (4,)), ((3, 0), (3,)), ((3, 0),), ((3,), (0, 4)), ((0, 3), (4,))):
        with refusing("bad-result"):
            check_result(powers, 4, TallyResult(result=counts))
    for too_small in (3, 0):
        with refusing("bad-result"):
            result_of(powers, too_small)
        with refusing("bad-result"):
            check_result(powers, too_small, good)
    with refusing("bad-result"):
        result_of([[multiply(BASE, draw_scalar(rng.randbytes))]], 100)


def test_weights_are_written_as_the_tool_writes_them() -> None:
    assert [written_weight(weight) for weight in (0, 2**30 - 1, 2**30)] == [0, 2**30 - 1, str(2**30)]
    for weight in (0, 2**30 - 1, 2**30, 2**53 - 1):
        sized = SizedTally(num_tallied=1, total_weight=written_weight(weight), encrypted_tally="0" * 64)
        assert decode(encode(sized), SizedTally, "x") == sized
