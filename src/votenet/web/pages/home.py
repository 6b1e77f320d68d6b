"""`/`: the election, its hours, how many have voted, what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.core.election.definition import Contest
from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages import outcome_words, standing
from votenet.web.templates import render
from votenet.web.words import Words


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate, or an answer to a motion, with its own words."""

    name: Markup
    statement: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class ContestOnBallot:
    """A contest before anything is counted."""

    title: Markup
    description: tuple[Markup, ...]
    choose: Markup
    method: Markup
    needed: Markup
    candidates: tuple[Option, ...]


def on_ballot(words: Words, contest: Contest, *, weighted: bool) -> ContestOnBallot:
    return ContestOnBallot(
        title=words.name(contest.title),
        description=tuple(words.paragraphs(contest.description)),
        choose=outcome_words.how_to_choose(words, contest),
        method=outcome_words.method(words, contest),
        needed=outcome_words.threshold(words, contest, weighted=weighted),
        candidates=tuple(
            Option(words.name(one.name), tuple(words.paragraphs(one.statement))) for one in contest.candidates
        ),
    )


async def home(request: Request) -> Response:
    snapshot = request.app.state.view.snapshot
    words = words_of(language_of(request), snapshot)
    election = snapshot.election
    return render(
        request,
        "home.html",
        live=True,
        standing=standing.standing(words, snapshot),
        turnout=standing.turnout(words, snapshot),
        facts=list(standing.hours(words, election)),
        amendments=standing.amendments(words, election),
        contests=[
            on_ballot(words, contest, weighted=election.definition.weighted)
            for contest in election.definition.contests
        ],
    )
