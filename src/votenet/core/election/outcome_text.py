"""A count in words: who has won or is ahead, the ballots behind it, every tie and how it was settled.

*Winner*, *elected* and *carried* are words for a final result alone. Before that a candidate is ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from votenet.core.election.contest import ContestReport
from votenet.core.methods.method import Condition, ContestResult, Round

TIED: Final = 20
"""Candidates named in a line about a tie."""


class Decision(Protocol):
    """What a count decides, as `ContestResult` has it."""

    @property
    def state(self) -> str: ...
    @property
    def winners(self) -> tuple[str, ...]: ...
    @property
    def tied(self) -> tuple[str, ...]: ...
    @property
    def quota(self) -> str: ...
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


def decision(found: Decision, final: bool, votes: int = 0) -> str:
    """Who has won, or is ahead while the count is not final; for a motion whether it is carried.

    Args:
        votes: how many ballots there are, blank ones included.
    """
    if found.state == "cancelled":
        return "Cancelled: nothing is counted."
    if found.state == "undecided" and votes:
        return "Undecided: every ballot is blank" + ("." if final else " so far.")
    if found.state == "undecided":
        return "Undecided: no votes" + ("." if final else " yet.")
    if found.state in ("carried", "rejected"):
        return f"{found.state.capitalize()}." if final else f"So far it would be {found.state}."
    if found.state == "tied":
        sure = [name for name in found.winners if name not in found.tied]
        first = f"{_winners(found, sure, final)}. " if sure else ""
        return first + (tie(found) if final else f"Tied so far: {listed(found.tied)}")
    return _winners(found, found.winners, final)


def _winners(found: Decision, names: Sequence[str], final: bool) -> str:
    """Every one of these winners by name: minutes must say who is elected, however many the seats."""
    several = "s" if len(found.winners) > 1 else ""
    return f"{f'Winner{several}' if final else 'Ahead so far'}: {', '.join(names)}"


def verdict(report: ContestReport, final: bool) -> Iterator[str]:
    """Who has won or is ahead, the quota, why a motion is carried or not, and every tie; a line each."""
    outcome = report.outcome
    yield decision(outcome, final, report.votes)
    yield from conditions(outcome)
    yield from tie_breaks(outcome)


def undecided_because(
    *,
    opens: int | None,
    closes: int | None,
    named: int,
    over: bool,
    final: bool,
    now: int,
    cancelled: bool = False,
) -> str:
    """Why a count has no winner; empty once it is final. Times in Unix seconds.

    Args:
        named: how many nodes the election names.
        over: whether the closing block, and all that it counts, are in blocks.
        final: whether a quorum of the named nodes has signed that as well.
    """
    if cancelled:
        return "the election was cancelled"
    if final:
        return ""
    if closes is None:
        return "this election has no closing time"
    if over:
        return "the named nodes have not signed the last blocks yet"
    if opens is not None and now < opens:
        return "voting has not begun"
    if now < closes:
        return "voting goes on"
    if not named:
        return "voting has ended, but no nodes are named that make a result final"
    return "voting has ended, and the named nodes are closing the poll"


def conditions(found: Decision) -> Iterator[str]:
    """A line for the quota of an STV count, for the threshold and the quorum of a motion."""
    if found.quota:
        yield f"Quota: {int(found.quota):,}"
    for one in found.conditions:
        met = "met" if one.met else "not met"
        yield f"{one.name.capitalize()} {met}: {one.got:,} of {one.needed:,} needed"


def ballots_line(report: ContestReport) -> str:
    """How many ballots a contest has, of what weight, and how many of them are blank."""
    parts = [f"{report.votes:,} ballot" + ("" if report.votes == 1 else "s")]
    if report.weight != report.votes:
        parts.append(f"weight {report.weight:,}")
    if report.blank:
        parts.append(f"{report.blank:,} {'of it ' if report.blank_weighed else ''}blank")
    seats = f", {report.seats} seats" if report.seats > 1 else ""
    return f"{report.method}{seats}: {', '.join(parts)}"


def leaving(one: Round, final: bool, most: int) -> str:
    """Who is elected in a round, whose surplus is handed on, who leaves; `most` names at the most."""
    out = one.eliminated
    gone = ", ".join(out) if len(out) <= most else f"{len(out)} candidates without votes"
    word = "elected" if final else "would be elected"
    elected = f"{word}: {', '.join(one.elected)}" if one.elected else ""
    surplus = f"surplus of {one.surplus}" if one.surplus else ""
    return "; ".join(filter(None, (elected, surplus, gone)))


def round_text(one: Round, final: bool) -> str:
    """The same as a sentence, with all names."""
    parts = []
    if one.elected:
        parts.append(f"{', '.join(one.elected)} {'elected' if final else 'would be elected'}")
    if one.surplus:
        parts.append(f"the surplus of {one.surplus} is handed on")
    if one.eliminated:
        parts.append(f"{', '.join(one.eliminated)} {'leaves' if len(one.eliminated) == 1 else 'leave'}")
    return "; ".join(parts) or "the count ends"


def tie(found: Decision) -> str:
    """Who is tied, and whom the lot chose."""
    chosen = ", ".join(name for name in found.winners if name in found.tied)
    return f"Tied: {listed(found.tied)}; the lot chose {chosen} (see docs/elections.md)"


def tie_breaks(outcome: ContestResult) -> Iterator[str]:
    """A line for every round in which several had the fewest votes, or the same surplus."""
    for one in outcome.rounds:
        if one.tie_break:
            votes = "most" if one.surplus else "fewest"
            how = "lot" if one.tie_break == "lot" else f"the {votes} votes in {one.tie_break}"
            chosen = f"surplus of {one.surplus} first" if one.surplus else f"{one.eliminated[0]} left"
            yield f"Tie in round {one.number} between {listed(one.tied)}: {chosen}, by {how}"


def listed(names: Sequence[str]) -> str:
    """Some names: a thousand on one line cannot be read (`--json` has them all)."""
    shown = ", ".join(names[:TIED])
    return shown if len(names) <= TIED else f"{shown}, … ({len(names):,} in all)"


def votes_text(votes: int | str) -> str:
    """A number of votes, with commas where it is whole."""
    return f"{votes:,}" if isinstance(votes, int) else votes
