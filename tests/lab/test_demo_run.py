"""The demo's election is one that people could write, and its hours fit the machine."""

from __future__ import annotations

import pytest

from votenet.core.election.election_file import read_election_file
from votenet.errors import VotenetError
from votenet.lab.demo_run import LONGER, MOST_SECONDS, TooLate, election_file, within_hours


def test_the_election_has_the_record_and_a_motion() -> None:
    found, faults = read_election_file(election_file(2_000_000_000).encode())
    assert (found is not None, faults) == (True, [])
    assert found is not None
    mayor, motion = found.definition.contests
    assert (mayor.method, len(mayor.candidates), mayor.max, mayor.blank) == ("instant-runoff", 35, 3, True)
    assert (motion.method, found.definition.closes) == ("motion", 2_000_000_000)


def test_hours_that_are_too_short_are_made_longer() -> None:
    tried, said = list[int](), list[str]()

    def trial(seconds: int) -> str:
        tried.append(seconds)
        if seconds < 100:
            raise TooLate
        return "done"

    assert within_hours(10, trial, said.append) == "done"
    assert tried == [10, 10 * LONGER, 10 * LONGER**2]
    assert len(said) == 2

    def never(seconds: int) -> str:
        tried.append(seconds)
        raise TooLate

    with pytest.raises(VotenetError, match="too long"):
        within_hours(10, never, said.append)
    assert max(tried) <= MOST_SECONDS
