"""The ballots of the demonstration, and their count outside of votenet: plain csv, dictionaries and loops.

Nothing here is shared with the replay, the tally or the methods. The mayor's ballots are those of a real
record. The motion is made up: what a ballot says in it follows from its number.
"""

from __future__ import annotations

import csv
import functools
import io
import lzma
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

from votenet.storage.ballot_source import SHIPPED

RECORD: Final = "minneapolis-2013"
ALL_BALLOTS: Final = 80_101
PUBLISHED_WINNER: Final = "BETSY HODGES"
PUBLISHED_LAST_ROUND: Final = {"BETSY HODGES": 38_870, "MARK ANDREW": 24_972}
"""Of all ballots, by the city's own count."""
NO_CHOICES: Final = frozenset({"undervote", "overvote"})
"""What stands in the record where nothing, or too much, is marked at a rank."""
WRITE_IN: Final = "UWI"
"""A written-in name that is no candidate: it gets no vote, as in the city's count."""
MOTION_RULE: Final = "every 10th ballot abstains, every 3rd of the others says no, the rest yes"


class DemoBallot(NamedTuple):
    """A line of the record, with its three ranks as they stand there, and what it says in the motion."""

    voter_id: str
    ranks: tuple[str, ...]
    motion: str

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(name for name in self.ranks if name not in NO_CHOICES and name != WRITE_IN)


@functools.cache
def _record() -> tuple[tuple[str, ...], ...]:
    packed = resources.files("votenet").joinpath("data", SHIPPED[RECORD]).read_bytes()
    rows = csv.reader(io.StringIO(lzma.decompress(packed).decode("utf-8")))
    return tuple(map(tuple, rows))[1:]


def record_ballots(count: int) -> list[DemoBallot]:
    """So many ballots, spread evenly over the record."""
    lines = _record()
    return [
        DemoBallot(f"mpls-{number:06d}", lines[(number - 1) * len(lines) // count], _motion(number))
        for number in range(1, count + 1)
    ]


def _motion(number: int) -> str:
    if number % 10 == 0:
        return "Abstain"
    return "No" if (number - number // 10) % 3 == 0 else "Yes"


def candidate_names() -> list[str]:
    """Everybody on the record, by name."""
    return sorted({name for ranks in _record() for name in ranks} - NO_CHOICES - {WRITE_IN})


def as_csv(ballots: Sequence[DemoBallot]) -> str:
    """A file of ballots of two contests, as `votenet replay` reads it."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(["id", "mayor 1", "mayor 2", "mayor 3", "motion"])
    rows.writerows([ballot.voter_id, *ballot.ranks, ballot.motion] for ballot in ballots)
    return out.getvalue()


def motion_counts(ballots: Sequence[DemoBallot]) -> dict[str, int]:
    return dict(Counter(ballot.motion for ballot in ballots))


def wrong_round(ballots: Sequence[DemoBallot], rounds: Sequence[Mapping[str, Any]], winner: str) -> str:
    """What a count of these ballots by hand finds wrong in the rounds of an instant runoff; empty if nothing.

    Args:
        rounds: as `votenet results --json` prints them.
    """
    standing, piles = set(candidate_names()), Counter(ballot.choices for ballot in ballots)
    for one in rounds:
        # Each ballot counts for its first choice that is still standing.
        tops, exhausted = Counter[str](), 0
        for choices, times in piles.items():
            top = next((name for name in choices if name in standing), None)
            if top is not None:
                tops[top] += times
            elif choices:
                exhausted += times
        told = {name: votes for name, votes in one["counts"] if votes}
        if told != {name: tops[name] for name in standing if tops[name]}:
            return f"round {one['number']}: other counts"
        if one.get("exhausted", 0) != exhausted:
            return f"round {one['number']}: {exhausted} exhausted ballots, not {one.get('exhausted', 0)}"
        # Those who leave have the fewest votes.
        leaving = set(one.get("eliminated", ()))
        standing -= leaving
        if not standing:
            return f"round {one['number']}: everybody has left"
        if max((tops[name] for name in leaving), default=0) > min(tops[name] for name in standing):
            return f"round {one['number']}: {', '.join(sorted(leaving))} did not have the fewest votes"
    # The last round has a majority.
    if 2 * tops[winner] <= sum(tops[name] for name in standing):
        return f"{winner} has no majority in the last round"
    return ""
