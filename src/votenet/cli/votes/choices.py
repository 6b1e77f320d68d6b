"""Choices in several contests: read from the command line or asked for, and shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from votenet.cli import ui
from votenet.errors import Command, NextStep, Rejected, VotenetError
from votenet.text import visible

if TYPE_CHECKING:
    from votenet.core.election.contest import CheckedContest
    from votenet.core.election.definition import Election


def given_choices(
    election: Election, names: Sequence[str], in_contests: Sequence[str]
) -> Sequence[str] | Mapping[str, Sequence[str]]:
    """The choices of a command line: candidates, or CONTEST=CANDIDATES for each contest; else they are asked.

    Choices that were asked for are shown together, and the person says whether they are cast: a vote that is
    cast cannot be changed.

    Raises:
        VotenetError: contradiction, no-choices.
        Rejected: bad-choices.
        click.exceptions.Exit: the answer is no.
    """
    if names and in_contests:
        raise VotenetError(
            "candidates and --in are given together",
            code="contradiction",
            next_step="Give candidates alone for one contest, or --in for each.",
        )
    if in_contests:
        return _by_contest(election, in_contests)
    if names:
        return names
    if not sys.stdin.isatty():
        raise VotenetError(
            "no candidate is given, and there is no terminal to ask on",
            code="no-choices",
            next_step=NextStep("Name one in each contest: {}", example_vote(election, "voter123")),
        )
    ui.say(f"Election: {election.definition.title}")
    asked = {contest.definition.id: _asked(contest) for contest in election.contests}
    _review(election, list(asked.values()))
    return asked


def example_vote(election: Election, voter_id: str) -> Command:
    """A vote for a candidate in each contest, the first that looks the same in a shell and on a screen."""
    chosen = [(one.definition.id, _plain(one.names)) for one in election.contests]
    if len(chosen) == 1:
        return Command.calling("vote", voter_id, chosen[0][1])
    options = [word for name, candidate in chosen for word in ("--in", f"{name}={candidate}")]
    return Command.calling("vote", voter_id, options=options)


def _plain(names: Sequence[str]) -> str:
    plain = (name for name in names if not name.startswith("-") and visible(name) == name)
    return next(plain, names[0])


def _by_contest(election: Election, texts: Sequence[str]) -> dict[str, list[str]]:
    contests = {contest.definition.id: contest for contest in election.contests}
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        if not equals:
            ids = ", ".join(contests)
            raise Rejected("bad-choices", f"{text!r} does not say CONTEST=CANDIDATE").advising(
                f"Give choices by contest: --in CONTEST=CANDIDATE. The contests: {ids}"
            )
        # A candidate's name may have a comma of its own.
        known = contests[name].candidates if name in contests else ()
        parts = [listed] if listed in known else [part.strip() for part in listed.split(",")]
        found.setdefault(name, []).extend(filter(None, parts))
    return found


def _asked(contest: CheckedContest) -> list[str]:
    """Ask until the ballot is one that the contest allows."""
    rules = contest.definition
    for line in ("", rules.title, *rules.description.splitlines()):
        ui.say(line)
    for number, name in enumerate(contest.names, start=1):
        ui.say(f"{number:>4}  {name}")
    order = ", in order of preference" if contest.method.ranked else ""
    wanted = "One number" if rules.max == 1 else f"{rules.min} to {rules.max} numbers{order}, with commas"
    blank = "; nothing for a blank ballot" if rules.blank else ""
    while True:
        answer = click.prompt(f"{wanted}{blank}", default="", show_default=False, err=True)
        try:
            choices = [_numbered(part, contest.names) for part in answer.split(",") if part.strip()]
            contest.check(choices)
        except Rejected as error:
            ui.say(error.message)
        else:
            return choices


def _review(election: Election, choices: Sequence[Sequence[str]]) -> None:
    """Show the whole ballot. Raises click.exceptions.Exit: it is not what the person wants."""
    ui.say("")
    for name, chosen in choice_fields(election, choices):
        ui.say(f"{name}: {chosen}")
    if not click.confirm("Cast this vote? It cannot be changed later", err=True):
        ui.say("Nothing was cast.")
        raise click.exceptions.Exit(130)


def _numbered(part: str, names: Sequence[str]) -> str:
    part = part.strip()
    if part in names:
        return part
    if not (part.isascii() and part.isdecimal() and len(part) < 7 and 1 <= int(part) <= len(names)):
        raise Rejected("bad-choices", f"{part!r} is not a number from 1 to {len(names)}")
    return names[int(part) - 1]


def choice_fields(election: Election, choices: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """What was chosen in each contest, for `ui.print_fields`; a vote without choices has a secret ballot."""
    if not choices:
        yield "choice", "encrypted"
        return
    for contest, ballot in zip(election.contests, choices, strict=True):
        name = "choice" if len(choices) == 1 else contest.definition.title
        yield name, ui.preferences(ballot, contest.method.name) if ballot else "(blank)"
