"""The questions of `votenet election new` at a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult

from votenet.core.election.election_file import read_election_file

ANSWERS = [
    *("Board", "Rowing Club", "Europe/Berln", "2027-05-31 08:00", "soon", ""),
    "Please answer again.",
    *("Board", "Rowing Club", "Europe/Berlin", "2027-05-31 08:00", "2027-05-31 20:00", ""),
    *("Chair", "approval", "1", "Ann", "Ann", ""),
    "Please describe this contest again.",
    *("Chair", "approval", "1", "Ann", "Bo", "Cy", ""),
    "n",
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_answers_that_break_a_rule_are_asked_for_again(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [one for one in ANSWERS if one.startswith("Please")]
    lines = "".join(f"{one}\n" for one in ANSWERS if one not in said)
    monkeypatch.setattr(sys, "stdin", Terminal(lines))
    done = cli("election", "new", "-o", str(tmp_path / "e.toml"))
    assert done.code == 0, done.err
    for wanted in (*said, "is not known here", "it is no point in time", "'Ann' as number 1 and 2"):
        assert wanted in done.err, done.err
    found, faults = read_election_file((tmp_path / "e.toml").read_bytes())
    assert faults == []
    assert found is not None
    assert (found.definition.title, found.definition.time_zone) == ("Board", "Europe/Berlin")
    assert found.definition.closes is not None
    (contest,) = found.definition.contests
    assert [candidate.name for candidate in contest.candidates] == ["Ann", "Bo", "Cy"]
