"""A finished election, from the trustees' ceremony to the archive that Belenios' own tool proves."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from support.belenios_check import verify_archive
from support.belenios_tool import find_tool
from support.ceremonies import Ceremony, draft_for, run
from support.secret_elections import TIME, SampleElection, refusing
from votenet.secret.belenios_archive import BeleniosArchive, write_archive
from votenet.secret.ceremony.trustee import restore_share
from votenet.secret.decryption_share import DecryptionShare, make_share
from votenet.secret.definition import HomomorphicQuestion, SecretElection
from votenet.secret.finished_election import (
    CountedBallots,
    check_shares,
    count_ballots,
    finished_archive,
    only_group,
)
from votenet.secret.group import Point
from votenet.secret.trustees import write_trustees

QUESTIONS = (
    HomomorphicQuestion(answers=("Ani", "Budi"), blank=True, min=1, max=1, question="Ketua"),
    HomomorphicQuestion(answers=("a", "b", "c"), min=1, max=2, question="Dua orang"),
)
rng = random.Random(51)


class Finished(NamedTuple):
    """An election whose key is that of a ceremony, its votes, and a share of every trustee."""

    sample: SampleElection
    ceremony: Ceremony
    election: SecretElection
    ballots: CountedBallots
    shares: list[DecryptionShare]

    @property
    def trustees(self) -> bytes:
        return self.ceremony.bulletin.trustees

    @property
    def roll(self) -> dict[Point, int]:
        return self.sample.roll

    def archive(self, shares: list[DecryptionShare]) -> BeleniosArchive:
        return finished_archive(self.election, self.trustees, self.roll, self.ballots, shares, TIME)


@cache
def finished(threshold: int = 2, size: int = 3) -> Finished:
    ceremony = run(draft=draft_for(threshold, size, questions=QUESTIONS))
    bulletin = ceremony.bulletin
    sample = SampleElection(random.Random(52), QUESTIONS, weights=(1, 2, 3))
    sample.election = sample.define(public_key=bulletin.key)
    for voter in range(3):
        sample.vote(voter)
    ballots = count_ballots(sample.election, sample.ballots, sample.roll)
    shares = []
    for seed in ceremony.seeds:
        share = restore_share(bulletin, seed)
        shares.append(make_share(sample.election, ballots.tally, share.place, share.secret, rng.randbytes))
    return Finished(sample, ceremony, sample.election, ballots, shares)


def counts(of: Finished) -> tuple[tuple[int, ...], ...]:
    """What was chosen, times the weights."""
    votes = [(weight, chosen) for weight, chosen in zip((1, 2, 3), of.sample.chosen, strict=True)]
    return tuple(
        tuple(
            sum(weight * chosen[number][choice] for weight, chosen in votes)
            for choice in range(question.length)
        )
        for number, question in enumerate(QUESTIONS)
    )


@pytest.mark.parametrize("kept", [(0, 1), (0, 2), (1, 2), (2, 1, 0)])
def test_the_archive_of_any_trustees_who_suffice_proves_the_counts(kept: tuple[int, ...]) -> None:
    of = finished()
    verified = verify_archive(write_archive(of.archive([of.shares[place] for place in kept])))
    assert (verified.voters, verified.ballots, verified.counts) == (3, 3, counts(of))


def test_belenios_own_tool_proves_it(tmp_path: Path) -> None:
    of = finished()
    assert find_tool(tmp_path).proves(of.archive(of.shares[1:]), of.sample.uuid)


def test_where_all_trustees_are_needed_one_missing_share_leaves_no_result() -> None:
    of = finished(2, 2)
    assert verify_archive(write_archive(of.archive(of.shares))).counts == counts(of)
    with refusing("too-few-decryptions"):
        of.archive(of.shares[:1])


def test_a_wrong_share_is_named_and_left_out_as_long_as_others_suffice() -> None:
    of = finished()
    wrong = msgspec.structs.replace(of.shares[0], proof=of.shares[1].proof)
    archive = of.archive([wrong, *of.shares[1:]])
    assert [part.owner for part in archive.decryptions] == [2, 3]
    checked = check_shares(of.election, of.ballots.tally, only_group(of.election, of.trustees).keys, [wrong])
    assert checked.valid == {}
    assert "trustee 1" in checked.faults[0]
    with pytest.raises(Exception, match="1 of 2 trustees decrypted; the share of trustee 1"):
        of.archive([wrong, of.shares[1]])
    with refusing("too-few-decryptions"):
        of.archive([of.shares[1], of.shares[1]])


def test_ballots_that_do_not_count_once_are_refused() -> None:
    of = finished()
    with refusing("ballot-twice"):
        count_ballots(of.election, [*of.ballots.raw, of.sample.ballot_of(0)], of.roll)
    with refusing("unknown-credential"):
        count_ballots(of.election, of.ballots.raw, {})
    assert count_ballots(of.election, [], of.roll).weight == 0


def test_trustees_of_another_key_are_refused() -> None:
    of = finished()
    other = finished(2, 2)
    with refusing("wrong-election-key"):
        only_group(of.election, other.trustees)
    both = [one.ceremony.bulletin.parameters for one in (of, other)]
    with refusing("bad-key-generation"):
        only_group(of.election, write_trustees(both))
