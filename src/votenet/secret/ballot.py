"""Encrypted ballots (specification 4.11.1, 4.16, 4.17): their making and their check."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from votenet.errors import NotProven
from votenet.secret.definition import HomomorphicQuestion, SecretElection
from votenet.secret.documents import Document, decode, decode_unproven, encode, fingerprint
from votenet.secret.elgamal import Ciphertext, Encryption, answer_sums, encrypt
from votenet.secret.group import BASE, Entropy, Point, Scalar, draw_scalar, multiply
from votenet.secret.proofs import (
    Knowledge,
    OneIsZero,
    Power,
    SchnorrProof,
    claims_hold,
    prove_knowledge,
    prove_one_is_zero,
)
from votenet.secret.refusals import refusal


class EncryptedAnswer(Document, frozen=True):
    """The specification's `answer_h` (4.11)."""

    choices: tuple[Ciphertext, ...]
    individual_proofs: tuple[tuple[SchnorrProof, ...], ...]
    overall_proof: tuple[SchnorrProof, ...]
    blank_proof: tuple[SchnorrProof, ...] | None = None


class BallotSignature(Document, frozen=True):
    """The specification's `signature` (4.16)."""

    hash: str
    proof: SchnorrProof


class EncryptedBallot(Document, frozen=True):
    """The specification's `ballot` (4.17)."""

    election_uuid: str
    election_hash: str
    credential: Point
    answers: tuple[EncryptedAnswer, ...]
    signature: BallotSignature | None = None

    def unsigned_hash(self) -> str:
        """The hash that the signature is over: of the ballot without it."""
        return fingerprint(encode(msgspec.structs.replace(self, signature=None)))


class Claims(NamedTuple):
    """What an answer proves: one encryption of each list is of zero; with the prefixes of the hashes."""

    choices: list[list[Encryption]]
    choice_prefixes: list[str]
    total: list[Encryption]
    total_prefix: str
    blank: list[Encryption]
    blank_prefix: str


def claims_of(
    election: SecretElection, question: HomomorphicQuestion, credential: Point, choices: Sequence[Ciphertext]
) -> Claims:
    """The claims of an answer with these ciphertexts.

    A choice is 0 or 1. Without blank votes the sum is an allowed total. With them, for the first choice m0
    and the sum of the others: m0 = 1 or the sum is an allowed total; and m0 = 0 or the sum is 0 (4.13).
    """
    about = f"{election.fingerprint}|{credential.written()}"
    encryptions = [Encryption.of(choice) for choice in choices]
    sums = answer_sums(choices, int(question.blank), question.totals)
    single = [list(pair) for pair in zip(encryptions, sums.less_one, strict=True)]
    prefixes = [f"prove|{about}|{one.written()}|" for one in encryptions]
    about += "|" + ",".join(one.written() for one in encryptions)
    total = sums.total
    if not question.blank:
        return Claims(single, prefixes, sums.less, f"prove|{about}|{total.written()}|", [], "")
    return Claims(
        single,
        prefixes,
        [sums.less_one[0], *sums.less],
        f"bproof1|{about}|",
        [encryptions[0], total],
        f"bproof0|{about}|",
    )


def make_ballot(
    election: SecretElection, secret: Scalar, choices: Sequence[Sequence[int]], entropy: Entropy
) -> bytes:
    """A signed ballot with zeros and ones for each contest, by a credential's exponent. Raises NotProven.

    Where blank votes are allowed, the first number of a contest says whether this is one.
    """
    credential = Point(multiply(BASE, secret))
    if len(choices) != len(election.questions):
        raise refusal("bad-choices", f"{len(choices)} answers for {len(election.questions)} contests")
    answers = tuple(
        _make_answer(election, question, credential, list(chosen), entropy)
        for question, chosen in zip(election.questions, choices, strict=True)
    )
    unsigned = EncryptedBallot(
        election_uuid=election.definition.uuid,
        election_hash=election.fingerprint,
        credential=credential,
        answers=answers,
    )
    digest = unsigned.unsigned_hash()
    proof = prove_knowledge(secret, [BASE], f"sig|{digest}|", entropy)
    return encode(msgspec.structs.replace(unsigned, signature=BallotSignature(hash=digest, proof=proof)))


def _make_answer(
    election: SecretElection,
    question: HomomorphicQuestion,
    credential: Point,
    chosen: list[int],
    entropy: Entropy,
) -> EncryptedAnswer:
    if not question.allows(chosen):
        raise refusal("bad-choices", f"{chosen} is no answer to {question.question!r}")
    key = election.key
    random = [draw_scalar(entropy) for _ in chosen]
    choices = tuple(encrypt(key, number, one) for number, one in zip(chosen, random, strict=True))
    claims = claims_of(election, question, credential, choices)
    is_blank = question.blank and chosen[0] == 1
    rest = slice(1, None) if question.blank else slice(None)
    random_sum = sum(random[rest])
    # Which of the claims of the total holds: with blank votes the first one says that this is one.
    total = 0 if is_blank else sum(chosen[rest]) - question.min + question.blank
    blank_proof = None
    if question.blank:
        true, exponent = (1, random_sum) if is_blank else (0, random[0])
        blank_proof = prove_one_is_zero(claims.blank, true, exponent, key, claims.blank_prefix, entropy)
    return EncryptedAnswer(
        choices=choices,
        individual_proofs=tuple(
            prove_one_is_zero(encryptions, number, one, key, prefix, entropy)
            for encryptions, number, one, prefix in zip(
                claims.choices, chosen, random, claims.choice_prefixes, strict=True
            )
        ),
        overall_proof=prove_one_is_zero(
            claims.total, total, random[0] if is_blank else random_sum, key, claims.total_prefix, entropy
        ),
        blank_proof=blank_proof,
    )


class Check(NamedTuple):
    """A claim of a ballot, and what makes the refusal if it does not hold."""

    claim: Knowledge | OneIsZero
    refusal: Callable[[], NotProven]


def check_ballot(election: SecretElection, raw: bytes, credentials: Container[Point]) -> EncryptedBallot:
    """The ballot in these bytes, by one of these credentials, if all its proofs hold. Raises NotProven.

    It has no ciphertext with the identity: the specification allows one, no honest maker gets one. What the
    check of proofs costs depends on the contests alone, not on which proof fails.
    """
    try:
        # Points are read without a check: computing the proofs tells which of them are members.
        ballot = decode_unproven(raw, EncryptedBallot, "the ballot")
        _check_ballot(election, ballot, raw, credentials)
    except NotProven:
        decode(raw, EncryptedBallot, "the ballot")  # points outside the group are refused before all else
        raise
    return ballot


def _check_ballot(
    election: SecretElection, ballot: EncryptedBallot, raw: bytes, credentials: Container[Point]
) -> None:
    if (ballot.election_uuid, ballot.election_hash) != (election.definition.uuid, election.fingerprint):
        raise refusal("wrong-election", "the ballot belongs to another election")
    if ballot.credential not in credentials:
        raise refusal(
            "unknown-credential", f"no voter has the public credential {ballot.credential.written()}"
        )
    if len(ballot.answers) != len(election.questions):
        raise refusal("bad-answers", f"{len(ballot.answers)} answers for {len(election.questions)} contests")
    checks, fault = [_signature_check(ballot, raw)], None
    try:
        for number, (question, answer) in enumerate(
            zip(election.questions, ballot.answers, strict=True), start=1
        ):
            checks += _answer_checks(election, question, ballot.credential, answer, f"contest {number}")
    except NotProven as error:
        fault = error  # a proof before it that does not hold is told first
    for check, holds in zip(checks, claims_hold([check.claim for check in checks]), strict=True):
        if not holds:
            raise check.refusal()
    if fault is not None:
        raise fault


def _signature_check(ballot: EncryptedBallot, raw: bytes) -> Check:
    """The signature is over the hash of the ballot without it, by its credential (4.16).

    It is the last member of the canonical bytes: without it they are what `unsigned_hash` encodes.
    """
    signature = ballot.signature
    if signature is None or signature.hash != fingerprint(raw[: raw.rindex(b',"signature":')] + b"}"):
        raise refusal("bad-ballot-signature", "the ballot has no signature, or one over another ballot")
    claim = Knowledge(signature.proof, [Power(BASE, ballot.credential)], f"sig|{signature.hash}|")
    fault = "the ballot is not signed with the credential that it names"
    return Check(claim, partial(refusal, "bad-ballot-signature", fault))


def _answer_checks(
    election: SecretElection,
    question: HomomorphicQuestion,
    credential: Point,
    answer: EncryptedAnswer,
    where: str,
) -> list[Check]:
    """What an answer claims (4.11.1, 4.12, 4.13). Raises NotProven where it has not the right members."""
    if not len(answer.choices) == len(answer.individual_proofs) == question.length:
        raise refusal(
            "bad-answers", f"{where}: not one ciphertext and proof for each of {question.length} choices"
        )
    if (answer.blank_proof is not None) != question.blank:
        raise refusal("bad-answers", f"{where}: a blank proof is missing, or there where none may be")
    claims = claims_of(election, question, credential, answer.choices)

    key = election.key
    rows = zip(answer.individual_proofs, claims.choices, claims.choice_prefixes, strict=True)
    checks = []
    for number, (proofs, encryptions, prefix) in enumerate(rows, start=1):
        fault = f"{where}: choice {number} is not proven to be zero or one"
        checks.append(
            Check(OneIsZero(proofs, encryptions, key, prefix), partial(refusal, "bad-choice-proof", fault))
        )
    total = OneIsZero(answer.overall_proof, claims.total, key, claims.total_prefix)
    fault = f"{where}: the sum of the choices is not proven to be allowed"
    checks.append(Check(total, partial(refusal, "bad-total-proof", fault)))
    if answer.blank_proof is not None:
        blank = OneIsZero(answer.blank_proof, claims.blank, key, claims.blank_prefix)
        fault = f"{where}: a blank vote is not proven to choose nothing"
        checks.append(Check(blank, partial(refusal, "bad-blank-proof", fault)))
    return checks
