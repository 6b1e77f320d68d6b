"""The homomorphic tally (specification 4.17, 4.18, 4.20, 4.21): sum, partial decryptions, result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final

import msgspec

from votenet.secret.ballot import EncryptedBallot
from votenet.secret.definition import SecretElection
from votenet.secret.documents import Digest, Document, Unsigned
from votenet.secret.elgamal import Encryption, SmallLogarithms, SumCiphertext
from votenet.secret.group import (
    BASE,
    IDENTITY,
    Entropy,
    Point,
    SumPoint,
    add_all,
    multiply,
    subtract,
)
from votenet.secret.proofs import Knowledge, Power, SchnorrProof, claims_hold, prove_knowledge
from votenet.secret.refusals import refusal
from votenet.secret.trustees import TrusteeGroup, lagrange

EncryptedTally = tuple[tuple[SumCiphertext, ...], ...]
"""The specification's `encrypted_tally` (4.18): for each contest the sum of each choice."""
Row = Sequence[Point]
BALLOTS_AT_ONCE: Final = 1000
"""How many ballots are added in one call, so that the sum of all of them needs little memory."""
WrittenWeight = Unsigned | Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{9,15}\Z")]
"""A weight in JSON: from 2**30 on it is a string."""


class SizedTally(Document, frozen=True):
    """The specification's `sized_encrypted_tally` (4.18)."""

    num_tallied: Unsigned
    total_weight: WrittenWeight
    encrypted_tally: Digest


class PartialDecryption(Document, frozen=True):
    """The specification's `partial_decryption` (4.20): alpha^x of each sum, with proofs."""

    decryption_factors: tuple[tuple[SumPoint, ...], ...]
    decryption_proofs: tuple[tuple[SchnorrProof, ...], ...]


class OwnedDecryption(Document, frozen=True):
    """The specification's `owned_partial_decryption` (4.20)."""

    owner: Unsigned
    payload: Digest


class TallyResult(Document, frozen=True):
    """The specification's `result` (4.21)."""

    result: tuple[tuple[WrittenWeight, ...], ...]


def sum_ballots(
    election: SecretElection, ballots: Iterable[EncryptedBallot], weights: Mapping[Point, int]
) -> EncryptedTally:
    """The sums of each choice of checked ballots, times their weights (4.18)."""
    sums = [[Encryption(IDENTITY, IDENTITY)] * question.length for question in election.questions]
    rest = iter(ballots)
    while some := list(islice(rest, BALLOTS_AT_ONCE)):
        for number, row in enumerate(sums):
            for place, total in enumerate(row):
                choices = [(one.answers[number].choices[place], weights[one.credential]) for one in some]
                row[place] = Encryption(
                    add_all([total.alpha, *(_times(choice.alpha, weight) for choice, weight in choices)]),
                    add_all([total.beta, *(_times(choice.beta, weight) for choice, weight in choices)]),
                )
    return tuple(
        tuple(SumCiphertext(alpha=SumPoint(one.alpha), beta=SumPoint(one.beta)) for one in row)
        for row in sums
    )


def _times(point: Point, weight: int) -> Point:
    return point if weight == 1 else multiply(point, weight)


def written_weight(weight: int) -> int | str:
    """A weight or a count of them as the tool writes it."""
    return weight if weight < 2**30 else str(weight)


# -- partial decryptions ---------------------------------------------------------------------------------


def decrypt_partially(
    election: SecretElection, tally: EncryptedTally, secret: int, entropy: Entropy
) -> PartialDecryption:
    """A trustee's part: alpha^x for each sum, proven (4.20)."""
    prefix = _decryption_prefix(election, Point(multiply(BASE, secret)))
    factors = tuple(tuple(SumPoint(multiply(one.alpha, secret)) for one in row) for row in tally)
    proofs = tuple(
        tuple(prove_knowledge(secret, [BASE, one.alpha], prefix, entropy) for one in row) for row in tally
    )
    return PartialDecryption(decryption_factors=factors, decryption_proofs=proofs)


def check_decryption(
    election: SecretElection, tally: EncryptedTally, key: Point, decryption: PartialDecryption
) -> None:
    """Raises NotProven, code bad-decryption, unless the holder of this key made it for this tally (4.20)."""
    prefix = _decryption_prefix(election, key)
    shape = [len(row) for row in tally]
    for rows in (decryption.decryption_factors, decryption.decryption_proofs):
        if [len(row) for row in rows] != shape:
            raise refusal(
                "bad-decryption", "the partial decryption has not one factor and proof for each sum"
            )
    places, claims = [], []
    for number, row in enumerate(tally):
        factors, proofs = decryption.decryption_factors[number], decryption.decryption_proofs[number]
        for place, (one, factor, proof) in enumerate(zip(row, factors, proofs, strict=True), start=1):
            places.append(f"choice {place} of contest {number + 1}")
            claims.append(Knowledge(proof, [Power(BASE, key), Power(one.alpha, factor)], prefix))
    for where, holds in zip(places, claims_hold(claims), strict=True):
        if not holds:
            raise refusal("bad-decryption", f"{where} is not proven")


def _decryption_prefix(election: SecretElection, key: Point) -> str:
    return f"decrypt|{election.fingerprint}|{key.written()}|"


# -- the result ------------------------------------------------------------------------------------------


def decrypted_powers(
    tally: EncryptedTally, groups: Sequence[TrusteeGroup], decryptions: Mapping[int, PartialDecryption]
) -> list[list[Point]]:
    """g^sum of each choice, from checked partial decryptions (4.21). Raises NotProven."""
    powers: list[list[Point]] = [[one.beta for one in row] for row in tally]
    first = 1
    for group in groups:
        places = [place for place in range(1, len(group.keys) + 1) if first + place - 1 in decryptions]
        if len(places) < group.threshold:
            raise refusal("too-few-decryptions", f"{len(places)} of {group.threshold} trustees decrypted")
        places = places[: group.threshold]
        coefficients = [lagrange(places, place) for place in places]
        parts = [decryptions[first + place - 1].decryption_factors for place in places]
        for number, row in enumerate(powers):
            for choice, power in enumerate(row):
                factor = add_all(
                    multiply(part[number][choice], coefficient)
                    for part, coefficient in zip(parts, coefficients, strict=True)
                )
                row[choice] = subtract(power, factor)
        first += len(group.keys)
    return powers


def result_of(powers: Sequence[Row], total_weight: int) -> TallyResult:
    """The counts, each at most the weight of all ballots (4.21). Raises NotProven, code bad-result."""
    logarithms = SmallLogarithms(total_weight)
    counts = [[logarithms.find(power) for power in row] for row in powers]
    if any(count is None for row in counts for count in row):
        raise refusal("bad-result", "a sum is larger than the weight of all ballots")
    return TallyResult(result=tuple(tuple(written_weight(count or 0) for count in row) for row in counts))
