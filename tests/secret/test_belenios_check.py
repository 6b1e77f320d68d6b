"""Whole elections: one that belenios-tool made, ours, and forged ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from support.belenios_check import verify_archive
from support.forged_elections import ELECTION_FORGERIES, FORGED_QUESTION, polled, whole
from support.secret_elections import SampleElection, refusing
from votenet.secret.belenios_archive import write_archive
from votenet.secret.credentials import write_public_credentials

VECTOR = Path(__file__).parent.parent / "vectors" / "belenios" / "JUKAAfQKwDeaXu.bel"


def test_an_election_that_the_tool_made_holds() -> None:
    verified = verify_archive(VECTOR.read_bytes())
    assert verified.counts == ((2, 1), (1, 1, 1, 1))
    assert (verified.voters, verified.ballots) == (5, 3)
    assert verified.election.definition.name == "Name"


def test_an_election_of_ours_holds_at_every_stage() -> None:
    last = [polled().chosen[1], polled().chosen[2]]
    counts = tuple(sum(choices[0][place] for choices in last) for place in range(3))
    assert verify_archive(write_archive(whole())).counts == (counts,)
    open_poll = whole()._replace(closed=False, encrypted_tally=None, decryptions=(), result=None)
    assert verify_archive(write_archive(open_poll)).counts is None
    undecrypted = whole()._replace(decryptions=(), result=None)
    assert verify_archive(write_archive(undecrypted)).ballots == 2


@pytest.mark.parametrize("name", ELECTION_FORGERIES)
def test_forged_elections_are_refused(name: str) -> None:
    forge, code = ELECTION_FORGERIES[name]
    with refusing(code):
        verify_archive(write_archive(forge(whole())))


def test_the_weights_of_the_roll_count() -> None:
    election = SampleElection(random.Random(19), [FORGED_QUESTION], voters=2, weights=(3, 1))
    election.vote(0)
    raw = write_archive(election.archive())
    assert verify_archive(raw).counts == (tuple(3 * number for number in election.chosen[0][0]),)
    lighter = election.archive()._replace(
        credentials=write_public_credentials(dict.fromkeys(election.roll, 1))
    )
    with refusing("bad-tally"):
        verify_archive(write_archive(lighter))
