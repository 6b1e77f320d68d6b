"""What trustees decrypt: the ballots of a final archive, in order, with the weights of the roll."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from support.amended_files import Amended
from support.belenios_check import verify_archive
from support.belenios_tool import find_tool
from support.elections import CREATED, key_of
from support.named_files import CLOSES, Json, good_archives, record_id
from support.secret_archives import archived_setup, secret_archive
from support.secret_elections import refusing
from support.secret_files import SETUP as OTHER
from support.secret_files import SecretFile
from votenet.core.election.roll import Roll
from votenet.core.encoding import canonical
from votenet.core.ledger.secret_count import EncryptedCount
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.secret_archive import SecretArchive, read_secret_archive
from votenet.errors import ConfigError
from votenet.secret.belenios_archive import write_archive
from votenet.secret.finished_election import count_ballots, finished_archive
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


def keyed(voter: str, name: str, chosen: Sequence[int]) -> Json:
    """A vote with the key and the credential of this name."""
    key = key_of(name)
    vote = SecretFile().vote(voter, choices=[], voter_key=key.public_hex)
    unsigned = {one: value for one, value in vote.items() if one != "signature"}
    unsigned["ballot"] = OTHER.ballot(name, [chosen])
    return {**unsigned, "signature": key.sign(b"votenet/vote/2\n" + canonical(unsigned)).hex()}


def amended_archive(shares: Sequence[str] = ()) -> Amended:
    """Voters whose credentials were given, replaced, replaced twice; with votes, without, and too late."""
    file = SecretFile()
    file.cast(keyed("voter-1", "voter-1", (0, 1, 0, 0)), keyed("voter-2", "voter-2", (1, 0, 0, 0)))
    for action, voter, name, members in (
        ("replace-key", "voter-3", "c", {}),
        ("replace-key", "voter-4", "d", {}),
        ("replace-key", "voter-4", "d again", {}),
        ("add-voter", "di", "di", {"weight": 3}),
        ("add-voter", "eve", "eve", {}),
        ("replace-key", "eve", "eve again", {}),
        ("replace-key", "voter-5", "e", {}),
    ):
        file.amend(file.voter(action, voter, name, credential=OTHER.public_credential(name), **members))
    file.cast(keyed("voter-3", "c", (0, 0, 1, 0)), keyed("di", "di", (0, 1, 0, 0)))
    late, second = keyed("voter-5", "e", (0, 0, 0, 1)), keyed("voter-1", "voter-1", (0, 0, 1, 0))
    ids = sorted(map(record_id, (late, second)))
    file.close([ids, ids, [], []])
    file.end([late], [second])
    return file.with_shares(shares)


def test_belenios_tool_proves_an_election_whose_credentials_were_amended(tmp_path: Path) -> None:
    """Its list of credentials has those that count at the end: no replaced one, and those of new voters."""
    data, roll = amended_archive()
    found = read(data, roll)
    named = {name: Point.parse(OTHER.public_credential(name)) for name in ("voter-3", "d", "d again", "eve")}
    assert set(named.values()) & found.weights.keys() == {named["d again"]}
    assert sorted(found.weights.values()) == [1, 1, 1, 1, 2, 3, 4]
    counted = count_ballots(found.secret, found.ballots, found.weights)
    count = EncryptedCount(counted.tally, len(found.ballots), counted.weight)
    data, _ = amended_archive([OTHER.share(place, count) for place in (1, 3)])
    opened = read(data, roll)
    made = finished_archive(
        opened.secret, OTHER.trustees_file, opened.weights, counted, opened.shares, opened.ended
    )
    assert verify_archive(write_archive(made)).counts == ((2, 4, 1, 1),)
    assert find_tool(tmp_path).proves(made, opened.election.definition.uuid)
