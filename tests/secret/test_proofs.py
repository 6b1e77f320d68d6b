"""Zero-knowledge proofs: they hold for what is true, and for nothing next to it."""

from __future__ import annotations

import random

import pytest

from votenet.secret.elgamal import Encryption, encrypt
from votenet.secret.group import BASE, GROUP_ORDER, Point, Scalar, draw_scalar, multiply
from votenet.secret.proofs import (
    Power,
    SchnorrProof,
    knowledge_holds,
    one_is_zero,
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
    claims = [encryption.less(number) for number in (3, 4, 5)]
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
    claims = [encryption, encryption.less(1)]
    for pretended in (0, 1):
        proofs = prove_one_is_zero(claims, pretended, randomness, KEY, "x|", rng.randbytes)
        assert not one_is_zero(proofs, claims, KEY, "x|")


def test_no_claim_is_proven_by_no_proof() -> None:
    assert not one_is_zero([], [], KEY, "x|")
