"""Zero-knowledge proofs: knowledge of an exponent, and that one of several ciphertexts encrypts zero.

Every challenge is a hash over a prefix that names the kind of proof and all that it is about, and over the
commitments (specification 4.5, 4.12, 4.13, 4.16, 4.20).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from votenet.secret.documents import Document
from votenet.secret.elgamal import Encryption
from votenet.secret.group import (
    BASE,
    GROUP_ORDER,
    Entropy,
    Point,
    Scalar,
    add,
    challenge_for,
    draw_scalar,
    multiply,
)


class SchnorrProof(Document, frozen=True):
    """The specification's `proof` (4.3)."""

    challenge: Scalar
    response: Scalar


class Power(NamedTuple):
    """A claim: `result` is `base` to the power of a secret, the same one in all claims of a proof."""

    base: Point
    result: Point


def prove_knowledge(secret: int, bases: Sequence[Point], prefix: str, entropy: Entropy) -> SchnorrProof:
    """A proof of knowing the exponent of every base (4.5, 4.16 with one base, 4.20 with two)."""
    nonce = draw_scalar(entropy)
    challenge = challenge_for(prefix, [multiply(base, nonce) for base in bases])
    return SchnorrProof(challenge=challenge, response=_response(nonce, secret, challenge))


def knowledge_holds(proof: SchnorrProof, powers: Sequence[Power], prefix: str) -> bool:
    """Whether the maker knew one exponent that makes all these powers (4.5, 4.16, 4.20)."""
    return proof.challenge == challenge_for(prefix, [_commitment(proof, *power) for power in powers])


def prove_one_is_zero(
    encryptions: Sequence[Encryption],
    true: int,
    randomness: int,
    key: Point,
    prefix: str,
    entropy: Entropy,
) -> tuple[SchnorrProof, ...]:
    """A proof that one of the encryptions is of zero, without saying that it is number `true` (4.12, 4.13).

    `randomness` is the exponent of that one.
    """
    proofs = [
        SchnorrProof(challenge=draw_scalar(entropy), response=draw_scalar(entropy)) for _ in encryptions
    ]
    nonce = draw_scalar(entropy)
    commitments: list[Point] = []
    for number, (proof, encryption) in enumerate(zip(proofs, encryptions, strict=True)):
        if number == true:
            commitments += [multiply(BASE, nonce), multiply(key, nonce)]
        else:
            commitments += _commitments(proof, encryption, key)
    others = sum(proof.challenge for number, proof in enumerate(proofs) if number != true)
    challenge = Scalar((challenge_for(prefix, commitments) - others) % GROUP_ORDER)
    proofs[true] = SchnorrProof(challenge=challenge, response=_response(nonce, randomness, challenge))
    return tuple(proofs)


def one_is_zero(
    proofs: Sequence[SchnorrProof], encryptions: Sequence[Encryption], key: Point, prefix: str
) -> bool:
    """Whether one of the encryptions is of zero (4.12, 4.13.3)."""
    if len(proofs) != len(encryptions):
        return False
    commitments: list[Point] = []
    for proof, encryption in zip(proofs, encryptions, strict=True):
        commitments += _commitments(proof, encryption, key)
    return sum(proof.challenge for proof in proofs) % GROUP_ORDER == challenge_for(prefix, commitments)


def _commitments(proof: SchnorrProof, encryption: Encryption, key: Point) -> tuple[Point, Point]:
    """A and B: g^response * alpha^challenge and y^response * beta^challenge."""
    return _commitment(proof, BASE, encryption.alpha), _commitment(proof, key, encryption.beta)


def _commitment(proof: SchnorrProof, base: Point, result: Point) -> Point:
    return add(multiply(base, proof.response), multiply(result, proof.challenge))


def _response(nonce: int, secret: int, challenge: int) -> Scalar:
    return Scalar((nonce - secret * challenge) % GROUP_ORDER)
