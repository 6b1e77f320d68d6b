"""An outcome for people: rounds, ties and how they were settled, turnout.

What lives here: what `votenet results` and `votenet audit` show alike. What must not: counting
(`core/outcome.py`), whether more votes may come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from votenet.cli import render

if TYPE_CHECKING:
    from votenet.core.outcome import Outcome

LEADERS: Final = 3
"""Candidates named in a line of the table of rounds."""

TIED: Final = 20
"""Candidates named in a line about a tie."""


def show_rounds(outcome: Outcome) -> None:
    """One line a round: the leaders, and who leaves. A wide table of all counts helps nobody."""
    if not outcome.rounds:
        return
    made = render.table(
        "", [("round", "right"), ("most votes", "left"), ("exhausted", "right"), ("eliminated", "left")]
    )
    if outcome.rounds_left_out:
        made.add_row("", f"({outcome.rounds_left_out} earlier rounds are not shown)", "", "")
    for one in outcome.rounds:
        leaders = ", ".join(f"{name} {votes:,}" for name, votes in one.counts[:LEADERS])
        more = len(one.counts) - LEADERS
        out = one.eliminated
        gone = ", ".join(out) if len(out) <= LEADERS else f"{len(out)} candidates without votes"
        made.add_row(
            str(one.number), leaders + (f", {more} more" if more > 0 else ""), f"{one.exhausted:,}", gone
        )
    render.print_table(made)


def tie(outcome: Outcome) -> str:
    """Who is tied, and what the lot says: it decides in a runoff, elsewhere your own rules do."""
    names = listed(outcome.winners)
    if outcome.rounds:
        return f"Tied: {names}; the lot chose {outcome.winners[0]} (see docs/elections.md)"
    return f"Tied: {names} (in the order of their lots; see docs/elections.md)"


def listed(names: Sequence[str]) -> str:
    """Some names; a thousand on one line help nobody (`--json` has them all)."""
    shown = ", ".join(names[:TIED])
    return shown if len(names) <= TIED else f"{shown}, … ({len(names):,} in all)"


def tie_breaks(outcome: Outcome) -> Iterator[str]:
    """A line for every round in which several had the fewest votes."""
    for one in outcome.rounds:
        if one.tie_break:
            how = "lot" if one.tie_break == "lot" else f"the fewest votes in {one.tie_break}"
            yield f"Tie in round {one.number} between {listed(one.tied)}: {one.eliminated[0]} left, by {how}"


def turnout(votes: int, registered: int) -> str:
    """Votes of those on the roll."""
    share = votes / registered if registered else 0.0
    return f"{votes:,} of {registered:,} registered ({share:.1%})"
