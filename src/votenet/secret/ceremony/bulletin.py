"""The bulletin of a ceremony: the records of all trustees, each checked, in any order, from any source.

A step begins when the step before it has the record of every trustee. Two different records of one step by
one trustee end the ceremony: nobody can know which of them the others saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple, get_args

from votenet.errors import NotProven
from votenet.secret.ceremony.draft import CeremonyDraft
from votenet.secret.ceremony.rehearsal import Rehearsal, check_rehearsal, rehearsal_of
from votenet.secret.decryption_share import Place
from votenet.secret.documents import Digest, Document, T, decode, encode
from votenet.secret.group import GROUP_NAME, Point
from votenet.secret.key_generation import (
    PolynomialMessage,
    VerificationOutput,
    check_polynomials,
    finish_threshold,
)
from votenet.secret.proofs import SchnorrProof
from votenet.secret.refusals import refusal
from votenet.secret.tally import PartialDecryption
from votenet.secret.trustees import (
    Coefficients,
    KeyGenerationContext,
    SignedMessage,
    ThresholdParameters,
    TrusteeCertificateKeys,
    check_coefficients,
    check_verification_key,
    election_key,
    is_signed,
    read_trustees,
    write_trustees,
)
from votenet.text import spoken

Step = Literal["certificate", "coefficients", "key", "rehearsal"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
MAX_RECORD: Final = 64 * 1024
"""Bytes of a record: the coefficients of 16 trustees take a third of it."""


class CeremonyRecord(Document, frozen=True):
    """What one trustee publishes in one step."""

    draft: Digest
    place: Place
    step: Step
    seen: Digest
    """The hash of all records of the steps before, as this trustee saw them."""
    content: str
    """A document of the key generation, or the partial decryption of the test tally."""
    signature: SchnorrProof


class Equivocation(NamedTuple):
    """Two records of one step that one trustee signed: proof that it told others different things."""

    place: int
    step: Step
    first: CeremonyRecord
    second: CeremonyRecord


class RefusedRecord(NamedTuple):
    """A record that counts for nothing, and why."""

    source: str
    error: NotProven


class AwaitedStep(NamedTuple):
    """The step that is under way, and the places whose records of it are missing."""

    step: Step
    places: tuple[int, ...]


def signed_text(draft: str, place: int, step: Step, seen: str, content: str) -> str:
    """What a trustee signs of a record."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"votenet/ceremony/1|{draft}|{place}|{step}|{seen}|{digest}"


def hash_of_records(records: Iterable[CeremonyRecord]) -> str:
    """The hash of records in the order of their steps and places."""
    digest = hashlib.sha256(b"votenet/ceremony-records/1\n")
    for record in sorted(records, key=lambda one: (STEPS.index(one.step), one.place)):
        digest.update(hashlib.sha256(encode(record)).digest())
    return digest.hexdigest()


@dataclass
class Bulletin:
    """All records of a ceremony that hold, and what is wrong with the others."""

    draft: CeremonyDraft
    records: dict[tuple[Step, int], CeremonyRecord] = field(default_factory=dict)
    equivocations: list[Equivocation] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)

    # -- what stands -------------------------------------------------------------------------------------

    def of_step(self, step: Step) -> list[CeremonyRecord]:
        """The records of a step, in order of place."""
        found = (self.records.get((step, place)) for place in range(1, self.draft.size + 1))
        return [record for record in found if record is not None]

    def is_whole(self, step: Step) -> bool:
        """Whether every trustee has done this step."""
        return len(self.of_step(step)) == self.draft.size

    def waiting(self) -> AwaitedStep | None:
        """Who is waited for; None when the ceremony is complete. It says nothing of one that has ended."""
        for step in STEPS:
            places = range(1, self.draft.size + 1)
            missing = tuple(place for place in places if (step, place) not in self.records)
            if missing:
                return AwaitedStep(step, missing)
        return None

    def check_going(self) -> None:
        """Raises NotProven, code two-records, when the ceremony has ended without a key."""
        for one in self.equivocations:
            name = self.draft.name_of(one.place)
            raise refusal("two-records", f"{name} handed in two different records of the step {one.step}")

    def seen_before(self, step: Step) -> str:
        """What a record of this step must have seen."""
        earlier = STEPS[: STEPS.index(step)]
        return hash_of_records(record for (kind, _), record in self.records.items() if kind in earlier)

    def spoken(self) -> str:
        """The hash of all records before the rehearsal as people read it out: eight numbers of five digits.

        Names prove nothing. Trustees who read the same numbers to each other have the same keys before them.
        """
        return spoken(self.seen_before("rehearsal"))

    # -- what the steps come to --------------------------------------------------------------------------

    @property
    def certificates(self) -> list[SignedMessage]:
        """Raises NotProven unless all are there."""
        return self._contents("certificate", SignedMessage)

    @property
    def polynomials(self) -> list[PolynomialMessage]:
        """Raises NotProven unless all are there."""
        return self._contents("coefficients", PolynomialMessage)

    @property
    def outputs(self) -> list[VerificationOutput]:
        """Raises NotProven unless all are there."""
        return self._contents("key", VerificationOutput)

    @cached_property
    def certificate_keys(self) -> dict[int, TrusteeCertificateKeys]:
        """Keys in the certificates that are there, by place."""
        return {
            record.place: decode(_certificate(record).message, TrusteeCertificateKeys, "the certificate")
            for record in self.of_step("certificate")
        }

    @cached_property
    def coefficients(self) -> list[Coefficients]:
        """Raises NotProven unless all are there."""
        return check_polynomials(self.certificates, self.polynomials)

    @cached_property
    def parameters(self) -> ThresholdParameters:
        """What is published of the keys. Raises NotProven unless all are there."""
        return finish_threshold(self.certificates, self.polynomials, self.outputs)

    @cached_property
    def trustees(self) -> bytes:
        """Belenios' `trustees` (4.7). Raises NotProven unless every key is there."""
        return write_trustees([self.parameters])

    @cached_property
    def key(self) -> Point:
        """The election's public key. Raises NotProven unless every key is there."""
        return election_key(read_trustees(self.trustees))

    @cached_property
    def keys(self) -> tuple[Point, ...]:
        """The verification keys, by place. Raises NotProven unless every one is there."""
        return tuple(one.public_key for one in self.parameters.verification_keys)

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """Raises NotProven unless every key is there."""
        return rehearsal_of(self.draft, self.key)

    def check_complete(self) -> None:
        """Raises NotProven: two-records, or ceremony-incomplete with who is waited for."""
        self.check_going()
        waiting = self.waiting()
        if waiting is not None:
            names = ", ".join(map(self.draft.name_of, waiting.places))
            raise refusal("ceremony-incomplete", f"the step {waiting.step} waits for {names}")

    def _contents(self, step: Step, kind: type[T]) -> list[T]:
        if not self.is_whole(step):
            raise refusal("ceremony-incomplete", f"not every trustee has done the step {step}")
        return [decode(record.content, kind, "the record") for record in self.of_step(step)]

    # -- taking records ----------------------------------------------------------------------------------

    def take_step(self, step: Step, found: Iterable[tuple[str, CeremonyRecord]]) -> None:
        """Take the records of one step, those of the steps before were taken."""
        for source, record in sorted(found, key=lambda one: (one[1].place, encode(one[1]))):
            try:
                self._check(record)
            except NotProven as error:
                self.refused.append(RefusedRecord(source, error))
                continue
            first = self.records.setdefault((step, record.place), record)
            if first != record:
                self.equivocations.append(Equivocation(record.place, step, first, record))

    def _check(self, record: CeremonyRecord) -> None:
        """Raises NotProven unless the trustee at this place made this record for this step of this draft."""
        draft, place = self.draft, record.place
        if record.draft != draft.digest:
            raise refusal("wrong-draft", "a record belongs to another election or an older draft")
        if place > draft.size:
            raise refusal("bad-trustee-record", f"a record is of trustee {place}, and there are {draft.size}")
        name = draft.name_of(place)
        before = STEPS[: STEPS.index(record.step)]
        if before and not self.is_whole(before[-1]):
            raise refusal("too-early", f"{name} is ahead: the step {before[-1]} is not complete here")
        keys = self._keys_in(record) if record.step == "certificate" else self.certificate_keys[place]
        text = signed_text(record.draft, place, record.step, record.seen, record.content)
        if not is_signed(keys.verification, text, record.signature):
            raise refusal("bad-trustee-record", f"{name} did not sign a record of the step {record.step}")
        if record.seen != self.seen_before(record.step):
            raise refusal(
                "bad-trustee-record", f"before the step {record.step} {name} saw other records than are here"
            )
        _CHECKS[record.step](self, record)

    def _keys_in(self, record: CeremonyRecord) -> TrusteeCertificateKeys:
        keys = decode(_certificate(record).message, TrusteeCertificateKeys, "the certificate")
        for place in range(1, record.place):
            earlier = self.records.get(("certificate", place))
            if earlier is not None and _keys_of(earlier).verification == keys.verification:
                names = f"{self.draft.name_of(place)} and {self.draft.name_of(record.place)}"
                raise refusal("bad-trustee-record", f"{names} have the same key")
        return keys

    def _check_certificate(self, record: CeremonyRecord) -> None:
        certificate, keys = _certificate(record), _keys_of(record)
        context = KeyGenerationContext(
            group=GROUP_NAME, size=self.draft.size, threshold=self.draft.threshold, index=record.place
        )
        if keys.context != context:
            raise refusal(
                "bad-trustee-record", f"the key of {self.draft.name_of(record.place)} is for another place"
            )
        if not is_signed(keys.verification, certificate.message, certificate.signature):
            raise refusal("bad-trustee-certificate", "a certificate is not signed by its own key")

    def _check_coefficients(self, record: CeremonyRecord) -> None:
        message = decode(record.content, PolynomialMessage, "the record")
        keys = self.certificate_keys[record.place]
        check_coefficients(self.certificates, keys, message.coefexps, message.signature)
        if len(message.secrets) != self.draft.size:
            raise refusal(
                "bad-trustee-record", f"{self.draft.name_of(record.place)} left out the share of a trustee"
            )

    def _check_key(self, record: CeremonyRecord) -> None:
        output = decode(record.content, VerificationOutput, "the record")
        check_verification_key(self.certificate_keys[record.place], self.coefficients, output.public_key)

    def _check_rehearsal(self, record: CeremonyRecord) -> None:
        decryption = decode(record.content, PartialDecryption, "the record")
        check_rehearsal(self.rehearsal, self.keys[record.place - 1], decryption)


_CHECKS: Final = {
    "certificate": Bulletin._check_certificate,
    "coefficients": Bulletin._check_coefficients,
    "key": Bulletin._check_key,
    "rehearsal": Bulletin._check_rehearsal,
}


def read_bulletin(draft: CeremonyDraft, files: Mapping[str, bytes]) -> Bulletin:
    """The bulletin that these files make, by name of file; their order does not matter.

    Nothing is raised for a record that does not hold: the bulletin names it.
    """
    bulletin = Bulletin(draft)
    records: dict[str, CeremonyRecord] = {}
    for source, raw in files.items():
        try:
            records[source] = read_record(raw)
        except NotProven as error:
            bulletin.refused.append(RefusedRecord(source, error))
    for step in STEPS:
        bulletin.take_step(step, ((name, one) for name, one in records.items() if one.step == step))
        if bulletin.equivocations:
            break
    return bulletin


def read_record(raw: bytes) -> CeremonyRecord:
    """The record in these bytes; nothing is checked. Raises NotProven."""
    if len(raw) > MAX_RECORD:
        raise refusal("bad-trustee-record", f"a record has more than {MAX_RECORD:,} bytes")
    return decode(raw, CeremonyRecord, "the record")


def _certificate(record: CeremonyRecord) -> SignedMessage:
    return decode(record.content, SignedMessage, "the certificate")


def _keys_of(record: CeremonyRecord) -> TrusteeCertificateKeys:
    return decode(_certificate(record).message, TrusteeCertificateKeys, "the certificate")
