"""The secret election of the demonstration; a whole one is run by tests/e2e/test_readers_of_demo.py."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from votenet.core.election.ceremony_draft import draft_of
from votenet.core.election.election_file import read_election_file
from votenet.errors import VotenetError
from votenet.lab.demo_network import TooLate
from votenet.lab.demo_secret import (
    CANDIDATES,
    DECRYPTING,
    TRUSTEES,
    VOTERS,
    SecretDemo,
    counts_of,
    decided,
    hold_ceremony,
    secret_counts,
    secret_election_file,
    together,
)
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.ceremony_folder import CeremonyFolder


def test_its_election_has_secret_ballots_and_three_trustees_of_whom_two_are_needed(tmp_path: Path) -> None:
    found, faults = read_election_file(secret_election_file(2_000_000_000).encode())
    assert (found is not None, faults) == (True, [])
    assert found is not None
    assert found.trustees is not None
    assert found.definition.closes == 2_000_000_000
    names, threshold, _ = found.trustees
    assert (tuple(names), threshold, len(set(DECRYPTING) & set(TRUSTEES))) == (TRUSTEES, 2, threshold)
    folder = CeremonyFolder(tmp_path / "ceremony")
    folder.begin(draft_of(found.definition, names, threshold))
    hold_ceremony(folder, [TrusteeSeed.draw(os.urandom) for _ in names])
    folder.bulletin().check_complete()


def test_its_votes_are_counted_by_hand() -> None:
    assert secret_counts() == {"Coffee": 1, "Tea": 3, "Water": 0}
    assert set(VOTERS.values()) - {""} <= set(CANDIDATES)
    report = {"contests": [{"counts": [["Tea", 3], ["Water", 0]], "outcome": {"winners": ["Tea"]}}]}
    assert (counts_of(report), decided(report)) == ({"Tea": 3, "Water": 0}, "Tea")
    assert (counts_of({"contests": []}), decided({"contests": []})) == ({}, "undecided")


def test_what_is_done_together_is_all_done_and_the_first_fault_is_raised() -> None:
    done = set[str]()
    together(done.add, VOTERS)
    assert done == set(VOTERS)

    def fail(name: str) -> None:
        raise VotenetError(name, code="command-failed")

    with pytest.raises(VotenetError, match="m-1"):
        together(fail, VOTERS)


@pytest.mark.parametrize(("seconds", "raised"), [(0, TooLate), (3000, VotenetError)])
def test_a_command_that_fails_after_closing_calls_for_longer_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int, raised: type[Exception]
) -> None:
    def fails(*command: str, **given: Any) -> None:
        raise VotenetError("not in time", code="command-failed")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    demo = SecretDemo(seconds, lambda text: None)
    monkeypatch.setattr(demo, "_command", fails)
    with pytest.raises(raised):
        demo._vote()
