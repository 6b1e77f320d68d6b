"""The test tally that every trustee decrypts once before the election can begin.

Its randomness is public, so that the right factor of each trustee is known, and no rehearsal says anything of
a ballot. It has a definition of its own: a proof of the rehearsal never holds in the election.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from votenet.secret.ceremony.draft import CeremonyDraft
from votenet.secret.definition import (
    BELENIOS_VERSION,
    BeleniosElection,
    HomomorphicQuestion,
    SecretElection,
    write_election,
)
from votenet.secret.elgamal import SumCiphertext
from votenet.secret.group import (
    BASE,
    GROUP_NAME,
    Point,
    Scalar,
    SumPoint,
    add,
    hash_to_scalar,
    multiply,
)
from votenet.secret.refusals import refusal
from votenet.secret.tally import EncryptedTally, PartialDecryption, check_decryption

TEST_COUNTS: Final = (2, 0, 1)
"""What the test tally comes to."""


class Rehearsal(NamedTuple):
    """A test tally, and what it takes to know every trustee's factor."""

    election: SecretElection
    tally: EncryptedTally
    exponents: tuple[Scalar, ...]


def rehearsal_of(draft: CeremonyDraft, key: Point) -> Rehearsal:
    """The rehearsal of an election with this public key."""
    question = HomomorphicQuestion(answers=("1", "2", "3"), min=1, max=1, question="Rehearsal")
    election = write_election(
        BeleniosElection(
            version=BELENIOS_VERSION,
            description=f"votenet/rehearsal/1 {draft.digest}",
            name="Rehearsal",
            group=GROUP_NAME,
            public_key=key,
            questions=(question,),
            uuid=draft.uuid,
        )
    )
    exponents = tuple(
        hash_to_scalar(f"rehearsal|{election.fingerprint}|{number}") for number in range(len(TEST_COUNTS))
    )
    row = tuple(
        SumCiphertext(
            alpha=SumPoint(multiply(BASE, exponent)),
            beta=SumPoint(add(multiply(key, exponent), multiply(BASE, count))),
        )
        for exponent, count in zip(exponents, TEST_COUNTS, strict=True)
    )
    return Rehearsal(election, (row,), exponents)


def check_rehearsal(rehearsal: Rehearsal, key: Point, decryption: PartialDecryption) -> None:
    """Whether the holder of this verification key decrypted the test tally, every factor the right one.

    Raises NotProven, code bad-decryption.
    """
    check_decryption(rehearsal.election, rehearsal.tally, key, decryption)
    right = tuple(multiply(key, exponent) for exponent in rehearsal.exponents)
    if decryption.decryption_factors != (right,):
        raise refusal("bad-decryption", "the test tally was decrypted with another key")
