"""What stands on ballot papers, as every format of file is read: before any rule is applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_PAPERS: Final = 2_000_000
"""Ballots of one file, those of a count column each for itself."""


@dataclass(frozen=True, slots=True)
class Rank:
    """The names at one rank: none if it was skipped, several for an over-vote; and their column."""

    column: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paper:
    """`count` ballots of the same content: the ranks in each contest.

    Without an own id the voter has the ballot's number.
    """

    line: int
    contests: tuple[tuple[Rank, ...], ...]
    voter_id: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Ballot:
    """One ballot: its number in the file, from 1 on, its line, voter id, and choices in each contest of the
    election. None in a contest is a blank."""

    number: int
    line: int
    voter_id: str
    choices: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be cast, and why."""

    line: int
    reason: str
