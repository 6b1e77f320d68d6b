"""What all forms of a report say in words: hours, the roll, methods in plain language, how to check it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final, NamedTuple

from votenet.cli import ui
from votenet.cli.election.amendment_view import cancellation, change_words
from votenet.core.election.ballot_text import hour_text
from votenet.core.election.definition import Contest, ElectionDefinition
from votenet.core.records.election_report import ElectionReport
from votenet.errors import Command

METHODS_IN_WORDS: Final = {
    "plurality": "Each ballot names one candidate. The most votes win.",
    "block": "Each ballot names up to {max} candidates. Those with the most votes fill the seats.",
    "approval": "Each ballot approves up to {max} candidates. Those with the most approvals fill the seats.",
    "motion": "Each ballot is for the motion, against it, or abstains.",
    "instant-runoff": (
        "Ballots rank the candidates. While no candidate has more than half of the ballots, the one with the"
        " fewest leaves, and those ballots go to their next choice."
    ),
    "stv": (
        "Ballots rank the candidates. A candidate who reaches the quota is elected. Votes beyond the quota,"
        " and the ballots of candidates who leave, go to their next choice (rules of Scottish councils)."
    ),
    "schulze": (
        "Ballots rank the candidates. Candidates are compared two by two, and the strongest paths of"
        " preferences decide."
    ),
}
"""How each method counts, for people who read minutes; docs/elections.md has the exact rules."""


class CheckStep(NamedTuple):
    """A command to type, and what it does."""

    command: str
    what: str


def when(seconds: int, definition: ElectionDefinition) -> str:
    """A point in time in the zone of the election; where it names none, in that of this machine."""
    if definition.time_zone == "UTC":
        return ui.when(seconds)
    return hour_text(seconds, definition.time_zone, "")


def method_text(contest: Contest) -> str:
    """The method in plain words, with the number of seats and choices."""
    seats = f" {contest.seats} seats." if contest.seats > 1 else ""
    return METHODS_IN_WORDS[contest.method].format(max=contest.max) + seats


def who_may_vote(report: ElectionReport) -> str:
    """`Roll of 40 members`, with the weight of all where votes have weights."""
    if report.registered is None:
        return "everybody: this election has no roll"
    weight = ""
    if report.definition.weighted:
        known = "" if report.roll_weight is None else f", {report.roll_weight:,} in all"
        weight = f"; each vote has the weight on the roll{known}"
    return f"those on the roll, {ui.count_of(report.registered, 'voter')}{weight}"


def who_has_the_keys(report: ElectionReport) -> Iterator[str]:
    """How many voters have a card, and what that means; nothing where it is not known."""
    if report.by_card is not None and report.registered is not None:
        own = report.registered - report.by_card
        danger = "; a person who prints a card could vote for its holder" if report.by_card else ""
        yield f"{report.by_card:,} by card, {own:,} by a key of their own, says the organiser{danger}"


def standing(report: ElectionReport) -> str:
    """How final the report is, in a few words."""
    if report.cancelled:
        return "cancelled"
    return "final" if report.final else f"PROVISIONAL: {report.undecided}"


def turnout(report: ElectionReport) -> str:
    """How many voted, and of how many."""
    if not report.registered:
        return ui.count_of(report.votes, "vote")
    return f"{report.votes:,} of {report.registered:,} ({report.votes / report.registered:.1%})"


def signatures(report: ElectionReport) -> str:
    """Who signed, in a sentence."""
    if not report.named:
        return "No nodes are named in this election, so nothing is signed."
    if not report.signed_by:
        return f"None of the {report.named} named nodes has signed these blocks."
    return (
        f"{len(report.signed_by)} of the {report.named} named nodes signed {report.log_size:,} records"
        f" ({report.quorum} are needed)."
    )


def whose_word(report: ElectionReport) -> str:
    """What stands behind the counts."""
    if _encrypted(report):
        return (
            "Every signature, and the proofs of every ballot, were checked when this report was made."
            " The votes are encrypted, and not counted yet."
        )
    if report.source == "archive":
        return "Every vote was counted again, and every signature checked, when this report was made."
    return "The counts are those of the final result file. The votes were not counted again for this report."


def no_counts(report: ElectionReport) -> str:
    """Why a contest has no counts here."""
    if report.cancelled:
        return "The election was cancelled: nothing is counted."
    if _encrypted(report):
        return "The votes are encrypted: after closing, trustees decrypt the counts."
    if report.ended:
        return "Voting has ended: counts are shown once the named nodes have closed the poll."
    assert report.closes is not None
    return f"Counts are shown after closing, at {when(report.closes, report.definition)}."


def _encrypted(report: ElectionReport) -> bool:
    """Whether ballots are secret, and too few trustees have decrypted the counts."""
    secret = report.definition.secrecy == "secret"
    return secret and not report.cancelled and all(one.count is None for one in report.contests)


def cancelled(report: ElectionReport) -> str:
    """Who cancelled the election, when and why."""
    return cancellation(
        report.amendments, report.cancelled_at, lambda seconds: when(seconds, report.definition)
    )


def amendments(report: ElectionReport) -> Iterator[tuple[int, str, str]]:
    """Number, change and reason of each amendment."""
    closes = report.definition.closes
    for one in report.amendments:
        what = change_words(one, closes, lambda seconds: when(seconds, report.definition))
        yield one.number, what, one.reason
        closes = closes if one.closes is None else one.closes


class CheckFiles(NamedTuple):
    """Names of the files in the commands that check a report, and the command that makes the archive."""

    archive: str = "election.jsonl"
    result: str = "result.json"
    roll: str = "roll.json"
    export: str = ""
    """Empty where the archive is there."""


def steps_to_check(report: ElectionReport, files: CheckFiles) -> Iterator[CheckStep]:
    """The commands that check this report, in order."""
    network = ("--network", report.network_id)
    roll = ("--roll", files.roll) if report.registered is not None else ()
    if files.export:
        yield CheckStep(files.export, "While the network runs: writes the whole election into one file.")
    kept = {"archive": ("--result", files.result), "result": ("--compare", files.result)}
    result = kept[report.source] if report.final else ()
    audit = Command.calling("audit", files.archive, options=(*network, *roll, *result))
    yield CheckStep(str(audit), "Checks every signature and every rule of the archive, and counts again.")
    if report.final:
        verify = Command.calling("verify", files.result, options=network)
        yield CheckStep(str(verify), "Shows who signed the final result.")
    words = ("python3", "verifier/votenet_verifier.py", "archive", files.archive, *network, *roll)
    yield CheckStep(
        shlex.join(words),
        "Checks all of it with a second program, which shares no code with the first. It is in the folder"
        " of the project.",
    )
