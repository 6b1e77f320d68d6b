"""Files of signed ballots: whole or refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import make_election
from support.secret_definitions import SecretSetup, contest
from votenet.ballots.paper import Ballot
from votenet.core.ledger.vote import check_vote, signature_holds
from votenet.core.limits import MAX_RECORD_BYTES, MAX_VOTE_BYTES
from votenet.errors import ConfigError
from votenet.lab.presigned import PresignedFile, is_presigned, sign_ballot, write_presigned, write_signed
from votenet.lab.voter_keys import DerivedKeys
from votenet.storage.blocks.tables import split_records

KEYS = DerivedKeys(bytes(range(32)))
ELECTION = make_election()


def _ballots(count: int) -> Iterator[Ballot]:
    return (Ballot(n, n + 1, f"voter-{n}", ((ELECTION.names[0],),)) for n in range(1, count + 1))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "signed.jsonl"
    assert write_presigned(path, ELECTION, _ballots(20), KEYS) == 20
    return path


def _refused(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        PresignedFile(path).check()
    assert refused.value.code == "bad-presigned-file"
    assert "--presign" in refused.value.next_step
    return refused.value.message


def test_every_vote_is_valid_and_signed(file: Path) -> None:
    signed = PresignedFile(file)
    signed.check()
    signed.check_election(ELECTION)
    votes = split_records(b",".join(ballot.record for ballot in signed.ballots()))
    assert (signed.votes, [vote.voter_id for vote in votes]) == (20, [f"voter-{n}" for n in range(1, 21)])
    for vote in votes:
        check_vote(vote, ELECTION)
        assert signature_holds(vote)
    assert is_presigned(file)


def test_the_same_ballot_gives_the_same_vote_again() -> None:
    (ballot,) = _ballots(1)
    assert sign_ballot(ballot, ELECTION, KEYS) == sign_ballot(ballot, ELECTION, KEYS)
    assert sign_ballot(ballot, ELECTION, KEYS) != sign_ballot(ballot, ELECTION, DerivedKeys(bytes(32)))


def test_a_ballot_that_nodes_refuse_does_not_spoil_the_file(tmp_path: Path) -> None:
    wrong = [Ballot(9, 10, "x", (("Z" * 201,),)), Ballot(10, 11, "i" * 129, (("Alice",),))]
    assert write_presigned(tmp_path / "out", ELECTION, [*wrong, *_ballots(3)], KEYS) == 3
    PresignedFile(tmp_path / "out").check()


def test_it_is_told_how_far_it_is_and_leaves_no_draft(tmp_path: Path) -> None:
    told: list[int] = []
    write_presigned(tmp_path / "out", ELECTION, _ballots(3), KEYS, told.append)
    assert told == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_interrupted_run_leaves_the_old_file(file: Path) -> None:
    before = file.read_bytes()

    def interrupted() -> Iterator[Ballot]:
        yield from _ballots(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_presigned(file, ELECTION, interrupted(), KEYS)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_the_longest_secret_vote_fits_into_a_line(tmp_path: Path) -> None:
    setup = SecretSetup([contest(names=[f"Candidate {number}" for number in range(90)])])
    record = setup.vote("voter-1", [[1] + [0] * 89]).record
    assert MAX_VOTE_BYTES < len(record) <= MAX_RECORD_BYTES
    assert write_signed(tmp_path / "out", setup.election, [record]) == 1
    signed = PresignedFile(tmp_path / "out")
    signed.check()
    signed.check_election(setup.election)
    assert [ballot.record for ballot in signed.ballots()] == [record]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write") as refused:
        write_presigned(tmp_path / "no" / "out", ELECTION, _ballots(1), KEYS)
    assert refused.value.code == "bad-presigned-file"


def test_a_cut_file_is_refused(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]))
    assert "20 votes, but it has 19" in _refused(file)
    file.write_bytes(b"".join(lines)[:-3])
    assert "line 21 is too long, or cut" in _refused(file)


def test_a_damaged_line_is_named(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], b'{"choices":[]}\n', *lines[6:]]))
    assert "line 6 is not a vote" in _refused(file)
    file.write_bytes(b"".join([*lines[:5], lines[5][:-1] + b"," + lines[6], *lines[7:]]))
    assert "line 6 is not a vote" in _refused(file)


def test_a_vote_of_another_election_is_named(file: Path) -> None:
    other = make_election(title="Another")
    (ballot,) = _ballots(1)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[3] = sign_ballot(ballot, other, KEYS).record + b"\n"
    file.write_bytes(b"".join(lines))
    assert "line 4 is of another election" in _refused(file)


def test_the_election_must_be_the_networks(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        PresignedFile(file).check_election(make_election(title="Another"))
    assert refused.value.code == "wrong-election"


def test_no_file_is_not_presigned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        is_presigned(tmp_path / "none")
    assert "No such file" in _refused(tmp_path / "none")


@given(tail=st.binary(max_size=300))
def test_any_bytes_are_a_file_or_refused(tail: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any-presigned"
    path.write_bytes(b'{"votenet_presigned":' + tail)
    with contextlib.suppress(ConfigError):
        PresignedFile(path).check()
