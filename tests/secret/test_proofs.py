"""Zero-knowledge proofs: they hold for what is true, and for nothing next to it."""

from __future__ import annotations

import random

import pytest

from support.plain_ballot_check import less, one_is_zero
from support.secret_elections import refusing
from votenet.secret.elgamal import Encryption, encrypt
from votenet.secret.group import BASE, GROUP_ORDER, Point, Scalar, draw_scalar, multiply
from votenet.secret.proofs import (
    Knowledge,
    OneIsZero,
    Power,
    SchnorrProof,
    claims_hold,
    knowledge_holds,
    prove_knowledge,
    prove_one_is_zero,
)

rng = random.Random(3)
KEY = Point(multiply(BASE, draw_scalar(rng.randbytes)))


def changed(proof: SchnorrProof) -> list[SchnorrProof]:
    """The proof with another challenge, and with another response."""
    return [
        SchnorrProof(challenge=Scalar((proof.challenge + 1) % GROUP_ORDER), response=proof.response),
        SchnorrProof(challenge=proof.challenge, response=Scalar((proof.response + 1) % GROUP_ORDER)),
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_a_proof_of_knowledge_holds_for_its_claims_alone(count: int) -> None:
    secret = draw_scalar(rng.randbytes)
    bases = [BASE, KEY][:count]
    proof = prove_knowledge(secret, bases, "x|", rng.randbytes)
    powers = [Power(base, multiply(base, secret)) for base in bases]
    assert knowledge_holds(proof, powers, "x|")
    assert not knowledge_holds(proof, powers, "y|")
    assert not any(knowledge_holds(other, powers, "x|") for other in changed(proof))
    for number in range(count):
        others = list(powers)
        others[number] = Power(powers[number].base, multiply(powers[number].base, secret + 1))
        assert not knowledge_holds(proof, others, "x|")
    assert not knowledge_holds(proof, powers[:-1], "x|")


@pytest.mark.parametrize("true", [0, 1, 2])
def test_a_proof_of_one_of_several_holds_whichever_is_true(true: int) -> None:
    randomness = draw_scalar(rng.randbytes)
    encryption = Encryption.of(encrypt(KEY, true + 3, randomness))
    claims = [less(encryption, number) for number in (3, 4, 5)]
    proofs = prove_one_is_zero(claims, true, randomness, KEY, "x|", rng.randbytes)
    assert one_is_zero(proofs, claims, KEY, "x|")
    assert not one_is_zero(proofs, claims, KEY, "y|")
    assert not one_is_zero(proofs, claims, BASE, "x|")
    assert not one_is_zero(proofs[:2], claims, KEY, "x|")
    assert not one_is_zero(proofs[:2], claims[:2], KEY, "x|")
    assert not one_is_zero(proofs, [claims[1], claims[0], claims[2]], KEY, "x|")
    for place, proof in enumerate(proofs):
        for other in changed(proof):
            assert not one_is_zero([*proofs[:place], other, *proofs[place + 1 :]], claims, KEY, "x|")


def test_what_is_false_cannot_be_proven_by_the_honest_way() -> None:
    randomness = draw_scalar(rng.randbytes)
    encryption = Encryption.of(encrypt(KEY, 2, randomness))
    claims = [encryption, less(encryption, 1)]
    for pretended in (0, 1):
        proofs = prove_one_is_zero(claims, pretended, randomness, KEY, "x|", rng.randbytes)
        assert not one_is_zero(proofs, claims, KEY, "x|")


def test_several_claims_are_checked_at_once() -> None:
    secret, randomness = (draw_scalar(rng.randbytes) for _ in range(2))
    known = prove_knowledge(secret, [BASE], "x|", rng.randbytes)
    claims = [less(Encryption.of(encrypt(KEY, 1, randomness)), number) for number in (0, 1)]
    zero = prove_one_is_zero(claims, 1, randomness, KEY, "y|", rng.randbytes)
    powers = [Power(BASE, multiply(BASE, secret))]
    assert claims_hold([]) == []
    assert claims_hold(
        [
            Knowledge(known, powers, "x|"),
            OneIsZero(zero, claims[::-1], KEY, "y|"),
            OneIsZero(zero[:1], claims, KEY, "y|"),
            OneIsZero(zero, claims, KEY, "y|"),
            Knowledge(known, powers, "y|"),
        ]
    ) == [True, False, False, True, False]


def test_a_point_outside_the_group_is_refused_whatever_the_challenge() -> None:
    order_two = Point((2**255 - 20).to_bytes(32, "little"))
    for challenge in (0, 2, 3):
        proof = SchnorrProof(challenge=Scalar(challenge), response=Scalar(4))
        with refusing("bad-point"):
            knowledge_holds(proof, [Power(BASE, order_two)], "x|")
        with refusing("bad-point"):
            one_is_zero([proof], [Encryption(BASE, order_two)], KEY, "x|")


def test_no_claim_is_proven_by_no_proof() -> None:
    assert not one_is_zero([], [], KEY, "x|")
