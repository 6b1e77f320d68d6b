"""Zero-knowledge proofs: knowledge of an exponent, and that one of several ciphertexts encrypts zero.

Every challenge is a hash over a prefix that names the kind of proof and all that it is about, and over the
commitments (specification 4.5, 4.12, 4.13, 4.16, 4.20).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from votenet.secret.documents import Document
from votenet.secret.elgamal import Encryption
from votenet.secret.group import (
    BASE,
    GROUP_ORDER,
    Combination,
    Entropy,
    Point,
    Scalar,
    add,
    challenge_for,
    combine,
    draw_scalar,
    multiply,
)
from votenet.secret.refusals import refusal


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


class Knowledge(NamedTuple):
    """The claim that the maker of a proof knew one exponent that makes all these powers (4.5, 4.16, 4.20)."""

    proof: SchnorrProof
    powers: Sequence[Power]
    prefix: str

    def commitments(self) -> list[Combination]:
        """What has to be computed."""
        return [_commitment(self.proof, *power) for power in self.powers]

    def holds_with(self, commitments: Sequence[Point]) -> bool:
        return self.proof.challenge == challenge_for(self.prefix, commitments)


class OneIsZero(NamedTuple):
    """The claim that one of these encryptions is of zero (4.12, 4.13.3)."""

    proofs: Sequence[SchnorrProof]
    encryptions: Sequence[Encryption]
    key: Point
    prefix: str

    def commitments(self) -> list[Combination]:
        """What has to be computed: nothing where there is not one proof for each encryption."""
        if len(self.proofs) != len(self.encryptions):
            return []
        rows = zip(self.proofs, self.encryptions, strict=True)
        return [one for proof, encryption in rows for one in _commitments(proof, encryption, self.key)]

    def holds_with(self, commitments: Sequence[Point]) -> bool:
        if len(self.proofs) != len(self.encryptions):
            return False
        total = sum(proof.challenge for proof in self.proofs) % GROUP_ORDER
        return total == challenge_for(self.prefix, commitments)


def claims_hold(claims: Sequence[Knowledge | OneIsZero]) -> list[bool]:
    """Whether each of these claims is proven, computed in one call without the GIL where the C core is built.

    Raises NotProven, code bad-point, if a point of one of them is outside the group: every point in a claim
    that holds is a member.
    """
    wanted = [claim.commitments() for claim in claims]
    found = iter(combine([one for each in wanted for one in each]))
    verdicts = []
    for claim, each in zip(claims, wanted, strict=True):
        commitments = [point for point in islice(found, len(each)) if point is not None]
        if len(commitments) < len(each):
            raise refusal("bad-point", "a point of a proof is outside the group")
        verdicts.append(claim.holds_with(commitments))
    return verdicts


def knowledge_holds(proof: SchnorrProof, powers: Sequence[Power], prefix: str) -> bool:
    """Whether the maker knew one exponent that makes all these powers. Raises as `claims_hold`."""
    return claims_hold([Knowledge(proof, powers, prefix)])[0]


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
            commitments += map(_computed, _commitments(proof, encryption, key))
    others = sum(proof.challenge for number, proof in enumerate(proofs) if number != true)
    challenge = Scalar((challenge_for(prefix, commitments) - others) % GROUP_ORDER)
    proofs[true] = SchnorrProof(challenge=challenge, response=_response(nonce, randomness, challenge))
    return tuple(proofs)


def _commitments(proof: SchnorrProof, encryption: Encryption, key: Point) -> tuple[Combination, Combination]:
    """A and B: g^response * alpha^challenge and y^response * beta^challenge."""
    return _commitment(proof, BASE, encryption.alpha), _commitment(proof, key, encryption.beta)


def _commitment(proof: SchnorrProof, base: Point, result: Point) -> Combination:
    return Combination(base, proof.response, result, proof.challenge)


def _computed(one: Combination) -> Point:
    return add(multiply(one.base, one.exponent), multiply(one.other, one.other_exponent))


def _response(nonce: int, secret: int, challenge: int) -> Scalar:
    return Scalar((nonce - secret * challenge) % GROUP_ORDER)
