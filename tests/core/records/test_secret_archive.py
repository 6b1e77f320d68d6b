"""What trustees decrypt: the ballots of a final archive, in order, with the weights of the roll."""

from __future__ import annotations

import pytest

from support.elections import CREATED
from support.named_files import CLOSES, good_archives
from support.secret_archives import archived_setup, secret_archive
from support.secret_elections import refusing
from votenet.core.election.roll import Roll
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.secret_archive import SecretArchive, read_secret_archive
from votenet.errors import ConfigError
from votenet.secret.finished_election import count_ballots
from votenet.secret.group import Point

SETUP = archived_setup(weights=(1, 2, 3))
VOTES = [SETUP.vote("voter-1", [[1, 0, 0]]), SETUP.vote("voter-3", [[0, 1, 0]])]
GOOD = secret_archive(SETUP.definition, VOTES)
NOW = CLOSES + 1000


def read(data: bytes, roll: Roll | None = SETUP.roll) -> SecretArchive:
    check = ArchiveCheck(data.splitlines(keepends=True), NOW, roll=roll)
    return read_secret_archive(check, check.blocks())


def test_the_ballots_and_the_weights_of_all_voters() -> None:
    found = read(GOOD)
    assert set(found.ballots) == {hashed.vote.ballot.encode() for hashed in VOTES}
    assert found.weights == {
        Point.parse(SETUP.public_credential(f"voter-{number}")): number for number in (1, 2, 3)
    }
    counted = count_ballots(found.secret, found.ballots, found.weights)
    assert (counted.weight, counted.tally) == (4, SETUP.counted(VOTES).tally)
    assert found.ended > CREATED


def test_nothing_is_decrypted_before_the_result_is_final() -> None:
    for data in (
        secret_archive(SETUP.definition, VOTES, closed=False),
        secret_archive(SETUP.definition, VOTES, signed=False),
    ):
        with refusing("not-final"):
            read(data)


def test_a_public_election_and_one_without_its_roll_are_refused() -> None:
    for data, roll, code in ((good_archives()["whole"], None, "contradiction"), (GOOD, None, "roll-missing")):
        with pytest.raises(ConfigError) as caught:
            read(data, roll)
        assert caught.value.code == code
