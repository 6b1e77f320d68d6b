"""The check of a whole election from its `.bel` archive (specification 3.5): form, proofs, sum, result.

It is what the tests hold the archives of the product against; belenios-tool is held against the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self

from votenet.errors import NotProven
from votenet.secret.ballot import EncryptedBallot, check_ballot
from votenet.secret.belenios_archive import (
    ArchiveEvent,
    ArchiveHeader,
    BeleniosArchive,
    OwnedPart,
    SetupData,
    hash_of,
    write_archive,
)
from votenet.secret.credentials import MAX_TOTAL_WEIGHT
from votenet.secret.definition import SecretElection, read_election
from votenet.secret.documents import T, decode, encode
from votenet.secret.group import BASE, Point, multiply
from votenet.secret.refusals import refusal
from votenet.secret.tally import (
    EncryptedTally,
    OwnedDecryption,
    PartialDecryption,
    Row,
    SizedTally,
    TallyResult,
    check_decryption,
    decrypted_powers,
    sum_ballots,
    written_weight,
)
from votenet.secret.trustees import TrusteeGroup, election_key, read_trustees

_BLOCK: Final = 512
_HEADER_NAME: Final = "BELENIOS"
_RECORD_NAME: Final = re.compile(r"([0-9a-f]{64})\.(data|event)\.json\Z")
_EVENTS_IN_ORDER: Final = ("Setup", "Ballot", "EndBallots", "EncryptedTally", "PartialDecryption", "Result")
_REPEATED: Final = {"Ballot", "PartialDecryption"}
_WEIGHT: Final = re.compile(r"(0|[1-9][0-9]{0,15})\Z")


def _fault(code: str, message: str) -> NotProven:
    """What only this check finds: the product has no such code."""
    return NotProven(message, code=code)


class VerifiedElection(NamedTuple):
    """What an archive proves. `counts` is None while there is no result."""

    election: SecretElection
    voters: int
    ballots: int
    counts: tuple[tuple[int, ...], ...] | None


def verify_archive(raw: bytes) -> VerifiedElection:
    """The election in these bytes of a `.bel` archive, if everything in it holds. Raises NotProven."""
    archive = read_archive(raw)
    election = read_election(archive.election)
    groups = read_trustees(archive.trustees)
    if election_key(groups) != election.key:
        raise refusal("wrong-election-key", "the election's key is not the product of its trustees' keys")
    weights = read_public_credentials(archive.credentials)
    if len(set(archive.ballots)) < len(archive.ballots):
        raise refusal("ballot-twice", "the same ballot is there twice")
    ballots = last_ballots(check_ballot(election, ballot, weights) for ballot in archive.ballots)
    counts = None
    if archive.encrypted_tally is None:
        if archive.decryptions or archive.result is not None:
            raise _fault("bad-tally", "there are decryptions without an encrypted tally")
    else:
        tally = sum_ballots(election, ballots.values(), weights)
        weight = sum(weights[credential] for credential in ballots)
        _check_tally(archive, tally, len(ballots), weight)
        if archive.result is not None:
            counts = _check_counts(archive, election, groups, tally, weight)
    return VerifiedElection(election, len(weights), len(ballots), counts)


def _check_tally(archive: BeleniosArchive, tally: EncryptedTally, count: int, weight: int) -> None:
    """The tally is the sum of these ballots. (The tool takes the published one as it is.)"""
    published = (archive.encrypted_tally, archive.num_tallied, archive.total_weight)
    if published != (encode(tally), count, written_weight(weight)):
        raise _fault("bad-tally", "the encrypted tally is not the product of the ballots that count")


def _check_counts(
    archive: BeleniosArchive,
    election: SecretElection,
    groups: list[TrusteeGroup],
    tally: EncryptedTally,
    weight: int,
) -> tuple[tuple[int, ...], ...]:
    decryptions = {
        owner: decode(raw, PartialDecryption, "a partial decryption") for owner, raw in archive.decryptions
    }
    if len(decryptions) < len(archive.decryptions):
        raise refusal("bad-decryption", "a trustee has two partial decryptions")
    checked = check_decryptions(election, tally, groups, decryptions)
    for owner, fault in checked.faults.items():
        raise refusal("bad-decryption", f"trustee {owner}: {fault}")
    assert archive.result is not None, "asked for by the caller"
    result = decode(archive.result, TallyResult, "the result")
    check_result(decrypted_powers(tally, groups, checked.valid), weight, result)
    return tuple(tuple(int(count) for count in row) for row in result.result)


# -- archives, as the tool's own check accepts them ------------------------------------------------------


class _Records(NamedTuple):
    """The files of an archive: data by hash, and the events in order."""

    timestamp: int
    data: Mapping[str, bytes]
    events: list[ArchiveEvent]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        files = _files(raw)
        name, content = next(files, ("", b""))
        if name != _HEADER_NAME:
            raise _fault("bad-archive", f"the archive does not begin with {_HEADER_NAME}")
        header = decode(content, ArchiveHeader, "the archive's header")
        if header.version != 1 or not re.fullmatch(r"0|[1-9][0-9]{0,9}", header.timestamp):
            raise _fault("bad-archive", "the archive's header has an unknown version, or no time")
        data: dict[str, bytes] = {}
        events = []
        for name, content in files:
            match = _RECORD_NAME.match(name)
            if match is None or match[1] != hash_of(content):
                raise _fault("bad-archive", f"{name} does not have the hash that it is named after")
            if match[2] == "event":
                events.append(decode(content, ArchiveEvent, "an event"))
            else:
                data[match[1]] = content
        return cls(int(header.timestamp), data, events)

    def content(self, name: str | None) -> bytes:
        if name is None or name not in self.data:
            raise _fault("bad-archive", f"the data {name} is missing")
        return self.data[name]

    def document(self, name: str | None, kind: type[T]) -> T:
        return decode(self.content(name), kind, "the payload of an event")

    def payloads(self, kind: str) -> list[str | None]:
        return [event.payload for event in self.events if event.type == kind]


def _files(raw: bytes) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place < len(raw):
        head = raw[place : place + _BLOCK]
        size = re.fullmatch(rb"([0-7]{11})\0", head[124:136])
        if size is None:
            raise _fault("bad-archive", f"no file begins at byte {place}")
        end = place + _BLOCK + int(size[1], 8)
        if end > len(raw):
            raise _fault("bad-archive", "the archive ends too early")
        yield head[:100].rstrip(b"\0").decode("ascii", "replace"), raw[place + _BLOCK : end]
        place = end + -end % _BLOCK


def read_archive(raw: bytes) -> BeleniosArchive:
    """What an archive holds; written again it is the same bytes. Raises NotProven. No proof is checked."""
    records = _Records.read(raw)
    kinds = [event.type for event in records.events]
    if not set(kinds) <= set(_EVENTS_IN_ORDER) or kinds[:1] != ["Setup"]:
        raise _fault("bad-archive", "the events are not those of an election with homomorphic contests")
    if any(kinds.count(kind) > 1 for kind in set(kinds) - _REPEATED):
        raise _fault("bad-archive", "an event is there twice")
    setup = records.document(records.payloads("Setup")[0], SetupData)
    archive = BeleniosArchive(
        timestamp=records.timestamp,
        election=records.content(setup.election),
        trustees=records.content(setup.trustees),
        credentials=records.content(setup.credentials),
        ballots=tuple(records.content(name) for name in records.payloads("Ballot")),
        closed="EndBallots" in kinds,
    )
    for name in records.payloads("EncryptedTally"):
        sized = records.document(name, SizedTally)
        archive = archive._replace(
            encrypted_tally=records.content(sized.encrypted_tally),
            num_tallied=sized.num_tallied,
            total_weight=sized.total_weight,
        )
    owned = [records.document(name, OwnedDecryption) for name in records.payloads("PartialDecryption")]
    archive = archive._replace(
        decryptions=tuple(OwnedPart(one.owner, records.content(one.payload)) for one in owned)
    )
    for name in records.payloads("Result"):
        archive = archive._replace(result=records.content(name))
    if write_archive(archive) != raw:
        raise _fault("bad-archive", "the events are not a chain in the order of an election")
    return archive


# -- credentials, ballots and decryptions ----------------------------------------------------------------


def read_public_credentials(raw: bytes) -> dict[Point, int]:
    """Weights by public credential, of `public_credentials`: without a weight it is 1. Raises NotProven."""
    weights: dict[Point, int] = {}
    for line in decode(raw, list[str], "the public credentials"):
        text, comma, weight = line.partition(",")
        credential = Point.parse(text)
        if comma and not _WEIGHT.match(weight):
            raise refusal("bad-document", f"{weight!r} is not the weight of a credential")
        if credential in weights:
            raise _fault("credential-twice", f"{text} is the public credential of two voters")
        weights[credential] = int(weight) if comma else 1
    if (total := sum(weights.values())) > MAX_TOTAL_WEIGHT:
        raise _fault("weights-too-large", f"the weights of all voters come to {total}")
    return weights


class CheckedDecryptions(NamedTuple):
    """Partial decryptions by owner: those that are proven, and why the others are not."""

    valid: dict[int, PartialDecryption]
    faults: dict[int, str]


def last_ballots(ballots: Iterable[EncryptedBallot]) -> dict[Point, EncryptedBallot]:
    """The ballots that count, by credential: the last of each (4.17)."""
    return {ballot.credential: ballot for ballot in ballots}


def check_decryptions(
    election: SecretElection,
    tally: EncryptedTally,
    groups: Sequence[TrusteeGroup],
    decryptions: Mapping[int, PartialDecryption],
) -> CheckedDecryptions:
    """The partial decryptions by owner (numbers from 1 on, through all groups), good ones and faults."""
    keys = dict(enumerate((key for group in groups for key in group.keys), start=1))
    checked = CheckedDecryptions({}, {})
    for owner, decryption in decryptions.items():
        if owner not in keys:
            checked.faults[owner] = f"the election has no trustee {owner}"
            continue
        try:
            check_decryption(election, tally, keys[owner], decryption)
        except NotProven as error:
            checked.faults[owner] = error.message
        else:
            checked.valid[owner] = decryption
    return checked


def check_result(powers: Sequence[Row], total_weight: int, result: TallyResult) -> None:
    """Whether the counts are those of the decrypted sums (4.21). Raises NotProven, code bad-result."""
    if [len(row) for row in result.result] != [len(row) for row in powers]:
        raise refusal("bad-result", "the result has not one count for each choice")
    for row, counts in zip(powers, result.result, strict=True):
        for power, count in zip(row, counts, strict=True):
            number = int(count)
            if number > total_weight or multiply(BASE, number) != power or written_weight(number) != count:
                raise refusal("bad-result", f"{count} is not what a sum was decrypted to")
