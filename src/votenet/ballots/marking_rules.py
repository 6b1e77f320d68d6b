"""From what stands on a paper to a ballot: the rules for skips, over-votes, repeats and unknown names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from votenet.ballots.paper import Rank

BLANK_MARKS: Final = frozenset({"undervote", "skipped", "blank"})
"""Cells that say that nothing is marked, in small letters, unless a candidate has that name."""
OVER_VOTE_MARKS: Final = frozenset({"overvote"})
SEVERAL: Final = "|;,/\n"
"""What may stand between several names in one cell."""

OverVotes = Literal["refuse", "skip", "end"]
Skips = Literal["pass", "end", "end-at-two"]
Repeats = Literal["once", "refuse", "end"]
Unknown = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True)
class MarkingRules:
    """`skip` goes on with the next rank, `end` lets the ballot end there, `refuse` refuses the file.

    over_votes: several candidates at one rank; None passes over the word "overvote" and refuses names.
    skips: empty ranks before the last. repeats: a candidate again. unknown: a name that is no candidate.
    """

    over_votes: OverVotes | None = None
    skips: Skips = "pass"
    repeats: Repeats = "once"
    unknown: Unknown = "refuse"
    blanks: frozenset[str] = field(default=BLANK_MARKS)


@dataclass(slots=True)
class Marked:
    """A paper after the rules: its choices, what was met on it, and what is wrong (column, words)."""

    choices: list[str] = field(default_factory=list)
    over_votes: int = 0
    skips: int = 0
    repeats: int = 0
    unknown: list[str] = field(default_factory=list)
    faults: list[tuple[int, str, str]] = field(default_factory=list)


def marked(
    ranks: tuple[Rank, ...], rules: MarkingRules, names: Mapping[str, str] | None, withdrawn: frozenset[str]
) -> Marked:
    """The choices in one contest of a paper.

    Args:
        names: a candidate's name in the election by its NFC form; None takes every name.
        withdrawn: candidates who are passed over wherever they stand.
    """
    found, empty_in_a_row = Marked(), 0
    for rank in _up_to_last(ranks, rules, names):
        inside = _names(rank, rules, names)
        if not inside:
            found.skips += 1
            empty_in_a_row += 1
            if rules.skips == "end" or (rules.skips == "end-at-two" and empty_in_a_row == 2):
                break
            continue
        empty_in_a_row = 0
        if len(inside) > 1 or _is_over_vote(inside[0], names):
            found.over_votes += 1
            if _over_vote(found, rank.column, inside, rules.over_votes):
                break
            continue
        if inside[0] not in withdrawn and _mark(found, rank.column, inside[0], rules, names):
            break
    return found


def _mark(
    found: Marked, column: int, name: str, rules: MarkingRules, names: Mapping[str, str] | None
) -> bool:
    """Note one name; whether the ballot ends here."""
    if names is not None and name not in names:
        found.unknown.append(name)
        if rules.unknown == "refuse":
            step = "Mend it, or pass over names that are no candidates with --write-ins skip."
            found.faults.append((column, f"{name!r} is no candidate", step))
        return False
    known = name if names is None else names[name]
    if known not in found.choices:
        found.choices.append(known)
        return False
    found.repeats += 1
    if rules.repeats == "refuse":
        found.faults.append((column, f"{known!r} stands there twice", "See --repeats."))
    return rules.repeats == "end"


def _over_vote(found: Marked, column: int, inside: list[str], rule: OverVotes | None) -> bool:
    """Note an over-vote; whether the ballot ends here."""
    if rule == "refuse" or (rule is None and len(inside) > 1):
        step = (
            "Say what an over-vote is worth (--over-votes skip, --over-votes end); where a cell may hold"
            " several names, say what is between them: --split ',;'"
        )
        what = " and ".join(map(repr, inside)) if len(inside) > 1 else "an over-vote"
        found.faults.append((column, f"{what} at one rank", step))
    return rule == "end"


def _up_to_last(
    ranks: tuple[Rank, ...], rules: MarkingRules, names: Mapping[str, str] | None
) -> tuple[Rank, ...]:
    """The ranks up to the last that has a name: what is empty behind it was not skipped."""
    last = max((place for place, rank in enumerate(ranks) if _names(rank, rules, names)), default=-1)
    return ranks[: last + 1]


def _names(rank: Rank, rules: MarkingRules, names: Mapping[str, str] | None) -> list[str]:
    """The names at a rank without marks of blanks. One cell with several known names is several."""
    found = [name for name in rank.names if not _is_blank(name, rules, names)]
    if names is None or len(found) != 1 or found[0] in names:
        return found
    for separator in SEVERAL:
        parts = [part.strip() for part in found[0].split(separator) if part.strip()]
        if len(parts) > 1 and all(part in names for part in parts):
            return parts
    return found


def _is_blank(name: str, rules: MarkingRules, names: Mapping[str, str] | None) -> bool:
    if names is not None and name in names:
        return False
    return name in rules.blanks or name.lower() in BLANK_MARKS


def _is_over_vote(name: str, names: Mapping[str, str] | None) -> bool:
    return not (names is not None and name in names) and name.lower() in OVER_VOTE_MARKS
