"""The questions of `votenet election new`: answers that break a rule are asked for again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from votenet.cli import ui
from votenet.cli.election.election_from_file import say_faults
from votenet.core.election.election_file import ElectionFile, election_of
from votenet.core.methods.registry import METHODS

_STAND_IN = {"title": "Contest", "candidates": ["A", "B"]}


def ask_election() -> ElectionFile:
    """The election that a person at a terminal describes."""
    while _wrong(values := _general()):
        ui.say("Please answer again.")
    contests: list[dict[str, Any]] = []
    while not contests or click.confirm("Another contest?", default=False, err=True):
        contest = _contest(len(contests) + 1)
        if _wrong(values | {"contests": [*contests, contest]}):
            ui.say("Please describe this contest again.")
        else:
            contests.append(contest)
    found, _ = election_of(values | {"contests": contests})
    assert found is not None
    return found


def _wrong(values: dict[str, Any]) -> bool:
    """Says what is wrong with the answers so far."""
    _, faults = election_of({"contests": [_STAND_IN]} | values)
    say_faults(faults)
    return bool(faults)


def _general() -> dict[str, Any]:
    values: dict[str, Any] = {
        "title": _ask("Title of the election"),
        "organiser": _ask("Who holds it", ""),
        "time_zone": _ask("Time zone, such as Europe/Berlin", "UTC"),
    }
    for key, text in (("opens", "Opens"), ("closes", "Closes")):
        if answer := _ask(f"{text}, such as 2027-05-31 08:00 (empty: no such hour)", ""):
            values[key] = _time(answer)
    if roll := _ask("Roll file (empty: everybody may vote)", ""):
        values["roll"] = roll
    return values


def _contest(number: int) -> dict[str, Any]:
    ui.say(f"Contest {number}")
    title = _ask("What is voted on")
    method = click.prompt("Method", type=click.Choice(list(METHODS)), default="plurality", err=True)
    values: dict[str, Any] = {"title": title, "method": method}
    if method == "motion":
        return values | {"threshold": _ask("Carried by", "simple of votes cast")}
    if METHODS[method].max_seats != 1:
        values["seats"] = click.prompt("Seats", type=click.IntRange(min=1), default=1, err=True)
    names = list[str]()
    while name := _ask(f"Candidate {len(names) + 1} (empty: no more)", ""):
        names.append(name)
    return values | {"candidates": names}


def _ask(text: str, usual: str | None = None) -> str:
    answer: str = click.prompt(text, default=usual, show_default=bool(usual), err=True)
    return answer.strip()


def _time(answer: str) -> Any:
    """A point in time, or the answer as it is: the rules then name it."""
    try:
        return datetime.fromisoformat(answer)
    except ValueError:
        return answer
