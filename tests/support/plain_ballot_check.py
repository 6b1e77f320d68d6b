"""A ballot checked the plain way: every point for membership first, then one proof after the other.

`secret/ballot.py` must refuse the same ballots with the same words, with the C core and without.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from votenet.errors import NotProven
from votenet.secret.ballot import EncryptedAnswer, EncryptedBallot
from votenet.secret.definition import HomomorphicQuestion, SecretElection
from votenet.secret.documents import decode
from votenet.secret.elgamal import Ciphertext, Encryption, SumCiphertext
from votenet.secret.group import BASE, GROUP_ORDER, Point, add, add_all, challenge_for, multiply, subtract
from votenet.secret.proofs import OneIsZero, SchnorrProof, claims_hold
from votenet.secret.refusals import refusal


def check_ballot_plainly(
    election: SecretElection, raw: bytes, credentials: Container[Point]
) -> EncryptedBallot:
    """What `check_ballot` does."""
    ballot = decode(raw, EncryptedBallot, "the ballot")
    if (ballot.election_uuid, ballot.election_hash) != (election.definition.uuid, election.fingerprint):
        raise refusal("wrong-election", "the ballot belongs to another election")
    if ballot.credential not in credentials:
        raise refusal(
            "unknown-credential", f"no voter has the public credential {ballot.credential.written()}"
        )
    if len(ballot.answers) != len(election.questions):
        raise refusal("bad-answers", f"{len(ballot.answers)} answers for {len(election.questions)} contests")
    signature = ballot.signature
    if signature is None or signature.hash != ballot.unsigned_hash():
        raise refusal("bad-ballot-signature", "the ballot has no signature, or one over another ballot")
    commitment = _commitment(signature.proof, BASE, ballot.credential)
    if signature.proof.challenge != challenge_for(f"sig|{signature.hash}|", [commitment]):
        raise refusal("bad-ballot-signature", "the ballot is not signed with the credential that it names")
    rows = zip(election.questions, ballot.answers, strict=True)
    for number, (question, answer) in enumerate(rows, start=1):
        _check_answer(election, question, ballot.credential, answer, f"contest {number}")
    return ballot


def _check_answer(
    election: SecretElection,
    question: HomomorphicQuestion,
    credential: Point,
    answer: EncryptedAnswer,
    where: str,
) -> None:
    if not len(answer.choices) == len(answer.individual_proofs) == question.length:
        raise refusal(
            "bad-answers", f"{where}: not one ciphertext and proof for each of {question.length} choices"
        )
    if (answer.blank_proof is not None) != question.blank:
        raise refusal("bad-answers", f"{where}: a blank proof is missing, or there where none may be")
    about = f"{election.fingerprint}|{credential.written()}"
    encryptions = [Encryption.of(one) for one in answer.choices]
    for number, (proofs, one) in enumerate(zip(answer.individual_proofs, encryptions, strict=True), start=1):
        if not _holds(proofs, [one, less(one, 1)], election.key, f"prove|{about}|{one.written()}|"):
            raise refusal("bad-choice-proof", f"{where}: choice {number} is not proven to be zero or one")
    about += "|" + ",".join(one.written() for one in encryptions)
    total = encrypted_sum(answer.choices[question.blank :])
    totals = [less(total, number) for number in question.totals]
    prefix = f"prove|{about}|{total.written()}|"
    if question.blank:
        totals, prefix = [less(encryptions[0], 1), *totals], f"bproof1|{about}|"
    if not _holds(answer.overall_proof, totals, election.key, prefix):
        raise refusal("bad-total-proof", f"{where}: the sum of the choices is not proven to be allowed")
    if answer.blank_proof is not None and not _holds(
        answer.blank_proof, [encryptions[0], total], election.key, f"bproof0|{about}|"
    ):
        raise refusal("bad-blank-proof", f"{where}: a blank vote is not proven to choose nothing")


def less(encryption: Encryption, number: int) -> Encryption:
    """The encryption of a number smaller by this: beta / g^number (4.12)."""
    return Encryption(encryption.alpha, subtract(encryption.beta, multiply(BASE, number)))


def encrypted_sum(ciphertexts: Iterable[Ciphertext | SumCiphertext]) -> Encryption:
    """The encryption of the sum: the product of all (4.18)."""
    encryptions = [Encryption.of(one) for one in ciphertexts]
    return Encryption(add_all(one.alpha for one in encryptions), add_all(one.beta for one in encryptions))


def one_is_zero(
    proofs: Sequence[SchnorrProof], encryptions: Sequence[Encryption], key: Point, prefix: str
) -> bool:
    """Whether one of the encryptions is of zero. Raises as `claims_hold`."""
    return claims_hold([OneIsZero(proofs, encryptions, key, prefix)])[0]


def _holds(
    proofs: Sequence[SchnorrProof], encryptions: Sequence[Encryption], key: Point, prefix: str
) -> bool:
    if len(proofs) != len(encryptions):
        return False
    commitments = []
    for proof, one in zip(proofs, encryptions, strict=True):
        commitments += [_commitment(proof, BASE, one.alpha), _commitment(proof, key, one.beta)]
    return sum(proof.challenge for proof in proofs) % GROUP_ORDER == challenge_for(prefix, commitments)


def _commitment(proof: SchnorrProof, base: Point, result: Point) -> Point:
    return add(multiply(base, proof.response), multiply(result, proof.challenge))


def verdict(check: object, election: SecretElection, raw: bytes, credentials: Container[Point]) -> object:
    """The ballot, or code and message of the refusal."""
    try:
        return check(election, raw, credentials)  # type: ignore[operator]
    except NotProven as error:
        return error.code, error.message
