"""Ballots with one fault each, and what each is refused for."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec

from support.secret_elections import SampleElection
from votenet.secret.ballot import BallotSignature, EncryptedBallot, make_ballot
from votenet.secret.credentials import secret_exponent
from votenet.secret.definition import HomomorphicQuestion, SecretElection
from votenet.secret.documents import decode, encode
from votenet.secret.elgamal import encrypt
from votenet.secret.group import BASE, GROUP_ORDER, IDENTITY, draw_scalar
from votenet.secret.proofs import prove_knowledge

FORGED_QUESTIONS: Final = (
    HomomorphicQuestion(answers=("a", "b", "c"), min=1, max=2, question="no blanks"),
    HomomorphicQuestion(answers=("a", "b"), blank=True, min=1, max=1, question="blanks"),
)


@cache
def sample() -> SampleElection:
    """An election with these contests, one trustee and two voters."""
    return SampleElection(random.Random(6), FORGED_QUESTIONS, voters=2, threshold=None, singles=1)


def signed_again(document: dict[str, Any], voter: int = 0, of: SampleElection | None = None) -> bytes:
    """A changed ballot with a signature that holds, by this voter of an election, by default the sample."""
    one = of or sample()
    document = {name: value for name, value in document.items() if name != "signature"}
    ballot = decode(msgspec.json.encode(document), EncryptedBallot, "the ballot")
    secret = secret_exponent(one.credentials[voter], one.uuid)
    proof = prove_knowledge(secret, [BASE], f"sig|{ballot.unsigned_hash()}|", random.randbytes)
    return encode(
        msgspec.structs.replace(ballot, signature=BallotSignature(hash=ballot.unsigned_hash(), proof=proof))
    )


def answer(document: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return document["answers"][number]  # type: ignore[no-any-return]


def swapped(document: dict[str, Any]) -> None:
    choices = answer(document)["choices"]
    choices[0], choices[1] = choices[1], choices[0]


BALLOT_FORGERIES: Final[dict[str, tuple[Callable[[dict[str, Any]], object], str]]] = {
    "two choices change places": (swapped, "bad-choice-proof"),
    "a choice is missing": (lambda one: answer(one)["choices"].pop(), "bad-answers"),
    "a proof is missing": (lambda one: answer(one)["individual_proofs"].pop(), "bad-answers"),
    "half a proof is missing": (lambda one: answer(one)["individual_proofs"][0].pop(), "bad-choice-proof"),
    "a total is missing": (lambda one: answer(one)["overall_proof"].pop(), "bad-total-proof"),
    "no total": (lambda one: answer(one)["overall_proof"].clear(), "bad-total-proof"),
    "no blank proof": (lambda one: answer(one, 1).pop("blank_proof"), "bad-answers"),
    "half a blank proof": (lambda one: answer(one, 1)["blank_proof"].pop(), "bad-blank-proof"),
    "a blank proof too many": (
        lambda one: answer(one).update(blank_proof=answer(one, 1)["blank_proof"]),
        "bad-answers",
    ),
    "a contest is missing": (lambda one: one["answers"].pop(), "bad-answers"),
    "a contest too many": (lambda one: one["answers"].append(answer(one)), "bad-answers"),
    "contests change places": (lambda one: one["answers"].reverse(), "bad-answers"),
    "another election": (lambda one: one.update(election_hash="A" * 43), "wrong-election"),
    "another uuid": (lambda one: one.update(election_uuid="1" * 14), "wrong-election"),
    "another voter's copy": (
        lambda one: one.update(credential=list(sample().roll)[1].written()),
        "bad-ballot-signature",
    ),
    "an unknown voter": (lambda one: one.update(credential=BASE.written()), "unknown-credential"),
    "no signature": (lambda one: one.pop("signature"), "bad-ballot-signature"),
    "a number that is too large": (
        lambda one: one["signature"]["proof"].update(
            challenge=str(int(one["signature"]["proof"]["challenge"]) + GROUP_ORDER)
        ),
        "bad-scalar",
    ),
    "the identity": (
        lambda one: answer(one)["choices"][0].update(alpha=IDENTITY.written()),
        "bad-point",
    ),
    "a point of order two": (
        lambda one: answer(one)["choices"][0].update(beta=(2**255 - 20).to_bytes(32).hex()),
        "bad-point",
    ),
    "members in another order": (lambda one: one.update(answers=one.pop("answers")), "not-canonical"),
}


class LenientQuestion(HomomorphicQuestion, frozen=True, kw_only=True):
    """A contest as a dishonest maker of ballots reads it: every answer is allowed."""

    def allows(self, choices: list[int]) -> bool:
        return True


def lying(election: SecretElection, **members: Any) -> SecretElection:
    """The election with other rules for its first contest under the same hash."""
    questions = tuple(LenientQuestion(**msgspec.structs.asdict(one)) for one in election.questions)
    first = msgspec.structs.replace(questions[0], **members)
    definition = msgspec.structs.replace(election.definition, questions=(first, *questions[1:]))
    return election._replace(definition=definition)


def dishonest_ballots(one: SampleElection) -> dict[str, tuple[bytes, str]]:
    """Ballots whose maker knows the credential, and what is wrong with each."""
    secret = secret_exponent(one.credentials[0], one.uuid)
    entropy = one.rng.randbytes

    def made(election: SecretElection, *choices: list[int]) -> bytes:
        return make_ballot(election, secret, choices, entropy)

    def with_number(number: int) -> bytes:
        """The encryption of another number stands where the proofs are about zero or one."""
        document = msgspec.json.decode(made(one.election, [1, 0, 0], [0, 1, 0]))
        forged = encrypt(one.election.key, number, draw_scalar(entropy))
        answer(document)["choices"][0] = {"alpha": forged.alpha.written(), "beta": forged.beta.written()}
        return signed_again(document, of=one)

    twin = msgspec.json.decode(made(one.define(name="Another name"), [1, 0, 0], [0, 1, 0]))
    twin["election_hash"] = one.election.fingerprint
    copy = msgspec.json.decode(one.ballot_of(0, [[1, 0, 0], [0, 1, 0]]))
    copy["credential"] = list(one.roll)[1].written()
    lenient = lying(one.election)
    return {
        "more than the maximum": (
            made(lying(one.election, min=2, max=3), [1, 1, 1], [0, 1, 0]),
            "bad-total-proof",
        ),
        "less than the minimum": (
            made(lying(one.election, min=0, max=1), [0, 0, 0], [0, 1, 0]),
            "bad-total-proof",
        ),
        "two votes for one": (with_number(2), "bad-choice-proof"),
        "a vote less": (with_number(-1), "bad-choice-proof"),
        "blank and a candidate": (made(lenient, [1, 0, 0], [1, 0, 1]), "bad-blank-proof"),
        "neither blank nor a candidate": (made(lenient, [1, 0, 0], [0, 0, 0]), "bad-total-proof"),
        "proofs of an election with another name": (signed_again(twin, of=one), "bad-choice-proof"),
        "a copy, signed by another voter": (signed_again(copy, 1, one), "bad-choice-proof"),
    }


def forged_ballots(of: SampleElection | None = None) -> dict[str, tuple[bytes, str]]:
    """Each forgery with its code: signed again where another check than that of the signature is meant.

    Args:
        of: an election with `FORGED_QUESTIONS` but for their names; the sample by default.
    """
    one = of or sample()
    found = dishonest_ballots(one)
    for name, (change, code) in BALLOT_FORGERIES.items():
        document = msgspec.json.decode(one.ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
        change(document)
        meant = code.endswith("-proof") or (code == "bad-answers" and len(document["answers"]) == 2)
        found[name] = (signed_again(document, of=one) if meant else msgspec.json.encode(document), code)
    return found
