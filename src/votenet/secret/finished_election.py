"""A finished election out of its parts: ballots and shares in, Belenios' archive with the result out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from votenet.errors import NotProven
from votenet.secret.ballot import check_ballot
from votenet.secret.belenios_archive import BeleniosArchive, OwnedPart
from votenet.secret.credentials import write_public_credentials
from votenet.secret.decryption_share import DecryptionShare, check_share
from votenet.secret.definition import SecretElection
from votenet.secret.documents import encode
from votenet.secret.group import Point
from votenet.secret.refusals import refusal
from votenet.secret.tally import (
    EncryptedTally,
    PartialDecryption,
    decrypted_powers,
    result_of,
    sum_ballots,
    written_weight,
)
from votenet.secret.trustees import TrusteeGroup, election_key, read_trustees


class CountedBallots(NamedTuple):
    """The ballots that count, all checked, and their sum."""

    raw: tuple[bytes, ...]
    tally: EncryptedTally
    weight: int
    """Of the voters who cast them."""


class CheckedShares(NamedTuple):
    """Partial decryptions by place: those of shares that hold, and why the others do not."""

    valid: dict[int, PartialDecryption]
    faults: list[str]


def count_ballots(
    election: SecretElection, ballots: Iterable[bytes], weights: Mapping[Point, int]
) -> CountedBallots:
    """The encrypted tally of one ballot a voter, in the order of the votes. Raises NotProven.

    Args:
        weights: of all voters on the roll, by public credential.
    """
    raw = tuple(ballots)
    checked = {one.credential: one for one in (check_ballot(election, ballot, weights) for ballot in raw)}
    if len(checked) < len(raw):
        raise refusal("ballot-twice", "a voter has two ballots among those that count")
    weight = sum(weights[credential] for credential in checked)
    return CountedBallots(raw, sum_ballots(election, checked.values(), weights), weight)


def check_shares(
    election: SecretElection, tally: EncryptedTally, keys: Sequence[Point], shares: Iterable[DecryptionShare]
) -> CheckedShares:
    """The shares that hold, one for each trustee, and what is wrong with others. Nothing is raised."""
    checked = CheckedShares({}, [])
    for share in shares:
        try:
            decryption = check_share(election, tally, keys, share)
        except NotProven as error:
            checked.faults.append(error.message)
        else:
            checked.valid.setdefault(share.place, decryption)
    return checked


def only_group(election: SecretElection, trustees: bytes) -> TrusteeGroup:
    """The trustees of an election, one group, whose key is the election's. Raises NotProven."""
    groups = read_trustees(trustees)
    if len(groups) != 1:
        raise refusal("bad-key-generation", "the trustees are not of one key generation")
    if election_key(groups) != election.key:
        raise refusal("wrong-election-key", "the election's key is not that of these trustees")
    return groups[0]


def finished_archive(
    election: SecretElection,
    trustees: bytes,
    weights: Mapping[Point, int],
    ballots: CountedBallots,
    shares: Iterable[DecryptionShare],
    timestamp: int,
) -> BeleniosArchive:
    """The archive with everything up to the result; shares that do not hold are left out.

    Args:
        trustees: Belenios' `trustees` (4.7), byte for byte.
        timestamp: of the files in the archive, Unix seconds.

    Raises:
        NotProven: wrong-election-key; too-few-decryptions, with who is missing or wrong.
    """
    group = only_group(election, trustees)
    checked = check_shares(election, ballots.tally, group.keys, shares)
    if len(checked.valid) < group.threshold:
        wrong = "".join(f"; {fault}" for fault in checked.faults)
        count = f"{len(checked.valid)} of {group.threshold} trustees decrypted"
        raise refusal("too-few-decryptions", count + wrong)
    used = {place: checked.valid[place] for place in sorted(checked.valid)[: group.threshold]}
    result = result_of(decrypted_powers(ballots.tally, [group], used), ballots.weight)
    return BeleniosArchive(
        timestamp=timestamp,
        election=election.raw,
        trustees=trustees,
        credentials=write_public_credentials(dict(weights)),
        ballots=ballots.raw,
        closed=True,
        encrypted_tally=encode(ballots.tally),
        num_tallied=len(ballots.raw),
        total_weight=written_weight(ballots.weight),
        decryptions=tuple(OwnedPart(place, encode(one)) for place, one in used.items()),
        result=encode(result),
    )
