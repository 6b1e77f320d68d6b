"""`/results.csv`: the counts of the page for spreadsheets, one number a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from votenet.core.election.contest import ContestReport
from votenet.text import BOM, spreadsheet_cell
from votenet.web.snapshot import Snapshot

COUNT_COLUMNS: Final = ("state", "contest", "title", "round", "item", "votes")

Line = tuple[str, str, str, int | str, str, int | str]


async def results_csv(request: Request) -> Response:
    snapshot = request.app.state.view.snapshot
    headers = {"Content-Disposition": 'attachment; filename="results.csv"', "Cache-Control": "no-store"}
    return Response(csv_text(snapshot), headers=headers, media_type="text/csv; charset=utf-8")


def csv_text(snapshot: Snapshot) -> str:
    """The whole file. `state` says in each line whether its number is final."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COUNT_COLUMNS)
    for report in snapshot.results.contests if snapshot.state != "cancelled" else ():
        for line in _lines(report, snapshot.state):
            writer.writerow([spreadsheet_cell(cell) for cell in line])
    return BOM + out.getvalue()


def _lines(report: ContestReport, state: str) -> Iterator[Line]:
    where = (state, report.id, report.title)
    yield *where, "", "(ballots)", report.votes
    yield *where, "", "(blank weight)" if report.blank_weighed else "(blank)", report.blank
    yield *where, "", "(weight)", report.weight
    for name, votes in report.counts:
        yield *where, "", name, votes
    for one in report.outcome.rounds:
        for name, got in one.counts:
            yield *where, one.number, name, got
        yield *where, one.number, "(exhausted)", one.exhausted
