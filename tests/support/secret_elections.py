"""Whole secret elections from a seed: contests, trustees, credentials, ballots, tally, archive."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import pytest

from support.belenios_check import check_decryptions, last_ballots
from votenet.derive import BASE58
from votenet.errors import NotProven
from votenet.secret.ballot import check_ballot, make_ballot
from votenet.secret.belenios_archive import BeleniosArchive, OwnedPart, write_archive
from votenet.secret.credentials import (
    base58_characters,
    public_credential,
    secret_exponent,
    write_public_credentials,
    written_credential,
)
from votenet.secret.definition import (
    BELENIOS_VERSION,
    BeleniosElection,
    HomomorphicQuestion,
    SecretElection,
    write_election,
)
from votenet.secret.documents import encode
from votenet.secret.group import GROUP_NAME, Point, draw_scalar
from votenet.secret.key_generation import (
    PolynomialMessage,
    SignedMessage,
    TrusteeSeed,
    VerificationOutput,
    finish_threshold,
    finish_trustee,
    make_polynomial,
    make_trustee_certificate,
    route_polynomials,
)
from votenet.secret.tally import (
    EncryptedTally,
    decrypt_partially,
    decrypted_powers,
    result_of,
    sum_ballots,
    written_weight,
)
from votenet.secret.trustees import (
    ThresholdParameters,
    TrusteeKey,
    election_key,
    prove_trustee_key,
    read_trustees,
    write_trustees,
)

TIME = 1_795_905_194


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """Fails the test unless what is done in it is refused with this code."""
    with pytest.raises(NotProven) as caught:
        yield
    assert caught.value.code == code, caught.value.message


@dataclass(frozen=True)
class KeyGeneration:
    """A key generation that has run, with all messages."""

    seeds: list[TrusteeSeed]
    certificates: list[SignedMessage]
    polynomials: list[PolynomialMessage]
    outputs: list[VerificationOutput]
    secrets: list[int]
    parameters: ThresholdParameters


def generate_key(threshold: int, size: int, rng: random.Random) -> KeyGeneration:
    """All steps of `threshold` of `size` trustees."""
    entropy = rng.randbytes
    seeds = [TrusteeSeed.draw(entropy) for _ in range(size)]
    certificates = [
        make_trustee_certificate(seed, index, threshold, size, entropy)
        for index, seed in enumerate(seeds, start=1)
    ]
    polynomials = [make_polynomial(seed, certificates, entropy) for seed in seeds]
    routed = route_polynomials(certificates, polynomials)
    finished = [
        finish_trustee(seed, certificates, received, entropy)
        for seed, received in zip(seeds, routed, strict=True)
    ]
    outputs = [one.output for one in finished]
    parameters = finish_threshold(certificates, polynomials, outputs)
    return KeyGeneration(
        seeds, certificates, polynomials, outputs, [one.decryption_key for one in finished], parameters
    )


@dataclass
class SampleElection:
    """An election with every secret of it. The same seed makes the same one."""

    rng: random.Random
    questions: Sequence[HomomorphicQuestion]
    voters: int = 3
    threshold: tuple[int, int] | None = (2, 3)
    """Trustees of whom some decrypt; None for none of them."""
    singles: int = 0
    """Trustees who must decrypt, before the others."""
    weights: Sequence[int] = ()
    ballots: list[bytes] = field(default_factory=list)
    chosen: list[list[list[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.uuid = base58_characters(self.rng.choices(range(232), k=14), 14)
        self.keys: list[TrusteeKey | ThresholdParameters] = []
        self.secrets: list[int] = []
        for _ in range(self.singles):
            self.secrets.append(draw_scalar(self.rng.randbytes))
            self.keys.append(prove_trustee_key(self.secrets[-1], self.rng.randbytes))
        if self.threshold is not None:
            generation = generate_key(*self.threshold, self.rng)
            self.secrets += generation.secrets
            self.keys.append(generation.parameters)
        self.trustees = write_trustees(self.keys)
        self.groups = read_trustees(self.trustees)
        self.election = self.define()
        self.credentials = [
            written_credential("".join(self.rng.choices(BASE58, k=22))) for _ in range(self.voters)
        ]
        public = [public_credential(one, self.uuid) for one in self.credentials]
        weights = self.weights or [1] * self.voters
        self.roll: dict[Point, int] = dict(zip(public, weights, strict=True))

    def define(self, **changed: object) -> SecretElection:
        """The definition, with members changed."""
        members: dict[str, object] = {
            "version": BELENIOS_VERSION,
            "description": 'A "description" / with\nlines, é and \u0007',
            "name": "Pemilihan ketua",
            "group": GROUP_NAME,
            "public_key": election_key(self.groups),
            "questions": tuple(self.questions),
            "uuid": self.uuid,
        }
        return write_election(BeleniosElection(**{**members, **changed}))  # type: ignore[arg-type]

    def choose(self) -> list[list[int]]:
        """Random choices that the contests allow."""
        return [random_choice(question, self.rng) for question in self.questions]

    def ballot_of(self, voter: int, choices: Sequence[Sequence[int]] | None = None) -> bytes:
        secret = secret_exponent(self.credentials[voter], self.uuid)
        return make_ballot(self.election, secret, choices or self.choose(), self.rng.randbytes)

    def vote(self, voter: int) -> None:
        self.chosen.append(self.choose())
        self.ballots.append(self.ballot_of(voter, self.chosen[-1]))

    @cached_property
    def tally(self) -> EncryptedTally:
        checked = [check_ballot(self.election, raw, self.roll) for raw in self.ballots]
        return sum_ballots(self.election, last_ballots(checked).values(), self.roll)

    def archive(self, owners: Sequence[int] | None = None) -> BeleniosArchive:
        """Everything up to the result, decrypted by these trustees: the first that suffice."""
        checked = last_ballots(check_ballot(self.election, raw, self.roll) for raw in self.ballots)
        weight = sum(self.roll[credential] for credential in checked)
        if owners is None:
            owners = range(1, 1 + self.singles + (self.threshold[0] if self.threshold else 0))
        decryptions = {
            owner: decrypt_partially(self.election, self.tally, self.secrets[owner - 1], self.rng.randbytes)
            for owner in owners
        }
        valid = check_decryptions(self.election, self.tally, self.groups, decryptions).valid
        powers = decrypted_powers(self.tally, self.groups, valid)
        return BeleniosArchive(
            timestamp=TIME,
            election=self.election.raw,
            trustees=self.trustees,
            credentials=write_public_credentials(self.roll),
            ballots=tuple(self.ballots),
            closed=True,
            encrypted_tally=encode(self.tally),
            num_tallied=len(checked),
            total_weight=written_weight(weight),
            decryptions=tuple(OwnedPart(owner, encode(one)) for owner, one in decryptions.items()),
            result=encode(result_of(powers, weight)),
        )

    def bel(self) -> bytes:
        return write_archive(self.archive())


def random_question(rng: random.Random, candidates: int, *, blank: bool) -> HomomorphicQuestion:
    least = rng.randint(0, candidates)
    most = rng.randint(least, min(candidates, least + 3))
    return HomomorphicQuestion(
        answers=tuple(f"Calon {number}" for number in range(candidates)),
        blank=blank,
        min=least,
        max=most,
        question=f"Siapa? ({candidates})",
    )


def random_choice(question: HomomorphicQuestion, rng: random.Random) -> list[int]:
    """An answer that the contest allows; blank one time in three where it may be."""
    candidates = len(question.answers)
    if question.blank and rng.random() < 1 / 3:
        return [1] + [0] * candidates
    chosen = set(rng.sample(range(candidates), rng.choice(question.totals)))
    return [0] * question.blank + [int(number in chosen) for number in range(candidates)]
