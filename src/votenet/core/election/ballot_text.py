"""The ballot of an election in words, as a voter sees it before anything is counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from votenet.core.election.definition import Contest, ElectionDefinition
from votenet.core.election.local_time import local_time
from votenet.core.methods.registry import METHODS

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
"""In the language of our programs, whatever the locale."""
_OF_VOTES: Final = {
    "simple": "more votes for it than against it",
    "absolute": "more than half of all ballots for it",
    "two-thirds": "at least two thirds of the votes for and against it",
    "three-quarters": "at least three quarters of the votes for and against it",
}
_OF_ROLL: Final = {
    "absolute": "more than half of the roll for it",
    "two-thirds": "at least two thirds of the roll for it",
    "three-quarters": "at least three quarters of the roll for it",
}


def ballot_lines(definition: ElectionDefinition) -> Iterator[str]:
    """The lines of the ballot."""
    yield definition.title
    if definition.organiser:
        yield f"  {definition.organiser}"
    yield f"  Opens:  {hour_text(definition.opens, definition.time_zone, 'at once')}"
    yield f"  Closes: {hour_text(definition.closes, definition.time_zone, 'no closing time')}"
    yield f"  Who may vote: {_voters(definition)}"
    if definition.results == "after-close":
        yield "  Counts are shown after closing. Those who run a node can read the votes before that."
    for contest in definition.contests:
        yield ""
        yield from contest_lines(contest)


def contest_lines(contest: Contest) -> Iterator[str]:
    """The part of the ballot that is about one contest."""
    yield f"{contest.title}  ({contest.id})"
    yield from (f"  {line}" for line in contest.description.splitlines())
    method = METHODS[contest.method]
    seats = (
        "" if method.name == "motion" else "One seat. " if contest.seats == 1 else f"{contest.seats} seats. "
    )
    yield f"  {seats}{method.name}: {method.ballot.replace('`max`', str(contest.max))}."
    if needed := threshold_text(contest):
        yield f"  {needed}"
    yield f"  {_how_many(contest)}{' A blank ballot is counted as blank.' if contest.blank else ''}"
    box = "[  ]" if method.ranked else "[ ]"
    for candidate in contest.candidates:
        yield f"    {box} {candidate.name}"
        yield from (f"        {line}" for line in candidate.statement.splitlines())


def threshold_text(contest: Contest) -> str:
    """What a motion needs to be carried; empty for other contests."""
    if contest.threshold is None:
        return ""
    words = _OF_ROLL if contest.threshold.basis == "roll" else _OF_VOTES
    quorum = f", and ballots of {contest.quorum.percent}% of the roll" if contest.quorum else ""
    return f"Carried with {words[contest.threshold.share]}{quorum}."


def hour_text(seconds: int | None, zone: str, without: str) -> str:
    """`Mon 31 May 2027, 08:00 (Europe/Berlin, UTC+02:00)`."""
    if seconds is None:
        return without
    try:
        found: datetime = local_time(seconds, zone)
    except (ValueError, OverflowError, OSError):
        return f"{seconds} seconds after 1970"
    offset = found.strftime("%z")
    day = f"{_DAYS[found.weekday()]} {found.day} {_MONTHS[found.month - 1]} {found.year}"
    clock = found.strftime("%H:%M:%S" if found.second else "%H:%M")
    place = "UTC" if offset == "+0000" and zone == "UTC" else f"{zone}, UTC{offset[:3]}:{offset[3:5]}"
    return f"{day}, {clock} ({place})"


def _how_many(contest: Contest) -> str:
    if contest.min == contest.max:
        return f"Choose {contest.max}."
    return f"Choose {contest.min} to {contest.max}."


def _voters(definition: ElectionDefinition) -> str:
    if definition.registration == "open":
        return "everybody"
    weighed = ", each vote with the weight on the roll" if definition.weighted else ""
    return f"those on the roll{weighed}"
