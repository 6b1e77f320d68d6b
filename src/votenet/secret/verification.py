"""The check of a whole election from its `.bel` archive (specification 3.5): proofs, sum, result."""

from __future__ import annotations

from typing import NamedTuple

from votenet.secret.ballot import check_ballot
from votenet.secret.belenios_archive import BeleniosArchive, read_archive
from votenet.secret.credentials import read_public_credentials
from votenet.secret.definition import SecretElection, read_election
from votenet.secret.documents import decode, encode
from votenet.secret.refusals import refusal
from votenet.secret.tally import (
    EncryptedTally,
    PartialDecryption,
    TallyResult,
    check_decryptions,
    check_result,
    decrypted_powers,
    last_ballots,
    sum_ballots,
    written_weight,
)
from votenet.secret.trustees import TrusteeGroup, election_key, read_trustees


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
            raise refusal("bad-tally", "there are decryptions without an encrypted tally")
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
        raise refusal("bad-tally", "the encrypted tally is not the product of the ballots that count")


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
