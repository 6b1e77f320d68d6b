"""`/results`: the count of each contest, live or final, who signed, and the files to keep."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages import standing
from votenet.web.pages.contest_view import ContestView, contest_view
from votenet.web.snapshot import Snapshot
from votenet.web.templates import render
from votenet.web.words import Words


async def results(request: Request) -> Response:
    snapshot = request.app.state.view.snapshot
    words = words_of(language_of(request), snapshot)
    return render(
        request,
        "results.html",
        live=True,
        signed=standing.signatures(words, snapshot),
        amendments=standing.amendments(words, snapshot.election),
        files=files(words, snapshot),
        **counts(words, snapshot),
    )


def counts(words: Words, snapshot: Snapshot) -> dict[str, Any]:
    """State, turnout and contests, as `/results` and `/screen` show them."""
    return {
        "standing": standing.standing(words, snapshot),
        "turnout": standing.turnout(words, snapshot),
        "contests": contest_views(words, snapshot),
    }


def contest_views(words: Words, snapshot: Snapshot) -> list[ContestView]:
    """Every contest, in the order of the definition; without counts where none are shown."""
    reports = {report.id: report for report in snapshot.results.contests}
    shown = snapshot.state not in ("before", "cancelled")
    return [
        contest_view(
            words,
            contest,
            reports.get(contest.definition.id) if shown else None,
            snapshot.state == "final",
            place,
            weighted=snapshot.election.definition.weighted,
        )
        for place, contest in enumerate(snapshot.election.contests, start=1)
    ]


def files(words: Words, snapshot: Snapshot) -> list[tuple[str, Markup, Markup]]:
    """Address, name and purpose of each file that can be kept."""
    found = ["archive", "results", "results-csv", "definition"]
    if snapshot.state == "final":
        found.insert(0, "final-result")
    if not snapshot.results.contests:  # open votes would give the counts away, encrypted ones do not
        found = ["definition"] if snapshot.election.secret is None else ["archive", "definition"]
    address = {
        "archive": "/api/v1/archive",
        "results": "/api/v1/results",
        "results-csv": "/results.csv",
        "definition": "/genesis.json",
        "final-result": "/api/v1/final-result",
    }
    return [(address[one], words.t(f"files.{one}"), words.t(f"files.{one}.why")) for one in found]
