"""How long a ballot can be: known before anybody votes, so that no voter hears that it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from votenet.secret.ballot import BallotSignature, EncryptedAnswer, EncryptedBallot
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import encode
from votenet.secret.elgamal import Ciphertext
from votenet.secret.group import GROUP_ORDER, Point, Scalar
from votenet.secret.proofs import SchnorrProof

_POINT: Final = Point(bytes(32))
_PROOF: Final = SchnorrProof(challenge=Scalar(GROUP_ORDER - 1), response=Scalar(GROUP_ORDER - 1))
_PAIR: Final = Ciphertext(alpha=_POINT, beta=_POINT)


def longest_ballot(uuid: str, questions: Sequence[HomomorphicQuestion]) -> bytes:
    """A text as long as the longest ballot on these contests, with the same marks; it proves nothing."""
    ballot = EncryptedBallot(
        election_uuid=uuid,
        election_hash="h" * 43,
        credential=_POINT,
        answers=tuple(map(_longest_answer, questions)),
        signature=BallotSignature(hash="h" * 43, proof=_PROOF),
    )
    return encode(ballot)


def _longest_answer(question: HomomorphicQuestion) -> EncryptedAnswer:
    return EncryptedAnswer(
        choices=(_PAIR,) * question.length,
        individual_proofs=((_PROOF, _PROOF),) * question.length,
        overall_proof=(_PROOF,) * (len(question.totals) + question.blank),
        blank_proof=(_PROOF, _PROOF) if question.blank else None,
    )
