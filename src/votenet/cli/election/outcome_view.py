"""A count on a screen: its tables, who has won or is ahead, how final it is, turnout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from votenet.cli import ui
from votenet.core.election.outcome_text import leaving, verdict, votes_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from votenet.core.election.contest import ContestReport
    from votenet.core.election.definition import Election
    from votenet.core.methods.method import ContestResult

LEADERS: Final = 3
"""Candidates named in a line of the table of rounds."""

MATRIX: Final = 10
"""Candidates whose comparisons are shown (`--json` has more)."""


def show_contest(report: ContestReport, heading: str, final: bool) -> None:
    """The count of a contest, its rounds, who has won or is ahead."""
    made = ui.table(heading, [("candidate", "left"), ("votes", "right"), ("share", "right"), ("", "left")])
    for candidate, votes in report.counts:
        share = votes / report.weight if report.weight else 0.0
        made.add_row(candidate, f"{votes:,}", f"{share:.1%}", ui.bar(share))
    ui.print_table(made)
    show_rounds(report.outcome, final)
    show_matrix(report.outcome)
    for line in verdict(report, final):
        ui.echo(line)


def show_rounds(outcome: ContestResult, final: bool) -> None:
    """One line a round: the leaders, and who leaves."""
    if not outcome.rounds:
        return
    made = ui.table(
        "", [("round", "right"), ("most votes", "left"), ("exhausted", "right"), ("leaves", "left")]
    )
    if outcome.rounds_left_out:
        made.add_row("", f"({outcome.rounds_left_out} earlier rounds are not shown)", "", "")
    for one in outcome.rounds:
        leaders = ", ".join(f"{name} {votes_text(votes)}" for name, votes in one.counts[:LEADERS])
        more = len(one.counts) - LEADERS
        leaders += f", {more} more" if more > 0 else ""
        made.add_row(str(one.number), leaders, votes_text(one.exhausted), leaving(one, final, LEADERS))
    ui.print_table(made)


def show_matrix(outcome: ContestResult) -> None:
    """How many prefer each candidate (a row) to each other, where a screen has room for that."""
    if not 0 < len(outcome.matrix) <= MATRIX:
        return
    names = [name for name, _ in outcome.matrix]
    made = ui.table("", [("preferred to", "left"), *((name, "right") for name in names)])
    for name, row in outcome.matrix:
        made.add_row(
            name, *("" if other == name else f"{votes:,}" for other, votes in zip(names, row, strict=True))
        )
    ui.print_table(made)


def counts_hidden(closes: int | None, now: int) -> str:
    """For an election whose counts are shown after closing, in place of them. Times in Unix seconds."""
    if closes is not None and now >= closes:
        return "Voting has ended: counts are shown once the named nodes have closed the poll."
    return f"Counts are shown after closing, at {ui.when(closes or 0)}."


def counts_encrypted(votes: int, decrypted_by: Sequence[int], election: Election) -> str:
    """For secret ballots that too few trustees have decrypted, in place of their counts."""
    trustees = election.definition.trustees
    assert trustees is not None
    needed = trustees.threshold - len(decrypted_by)
    done = ", ".join(trustees.keys[place - 1].name for place in decrypted_by if place <= len(trustees.keys))
    waits = f"{votes:,} votes, encrypted; waiting for {needed} of {len(trustees.keys)} trustees"
    return f"{waits}; decrypted by {done}." if done else f"{waits}."


def turnout(votes: int, registered: int) -> str:
    share = votes / registered if registered else 0.0
    return f"{votes:,} of {registered:,} registered ({share:.1%})"
