"""The report as a CSV file for spreadsheets: one fact a line, and no cell that they take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from votenet.cli.report import phrases
from votenet.cli.report.phrases import CheckStep
from votenet.core.election.ballot_text import threshold_text
from votenet.core.election.outcome_text import decision, round_text, tie_breaks
from votenet.core.records.election_report import ContestFacts, ElectionReport
from votenet.text import BOM, spreadsheet_cell

COLUMNS: Final = ("part", "contest", "round", "item", "value")

Line = tuple[str, str, int | str, str, int | str]


def csv_report(report: ElectionReport, checks: Sequence[CheckStep]) -> Iterator[str]:
    """The lines of the file, each with its line end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield BOM
    for row in (COLUMNS, *_facts(report, checks)):
        writer.writerow([spreadsheet_cell(cell) for cell in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _facts(report: ElectionReport, checks: Sequence[CheckStep]) -> Iterator[Line]:
    definition = report.definition
    about: list[tuple[str, int | str]] = [
        ("state", phrases.standing(report)),
        *([("cancelled", phrases.cancelled(report))] if report.cancelled else []),
        ("title", definition.title),
        ("organiser", definition.organiser),
        ("network id", report.network_id),
        ("opens", "" if definition.opens is None else phrases.when(definition.opens, definition)),
        ("closes", "" if report.closes is None else phrases.when(report.closes, definition)),
        ("who may vote", phrases.who_may_vote(report)),
        *(("keys of the voters", said) for said in phrases.who_has_the_keys(report)),
        ("on the roll", "" if report.registered is None else report.registered),
        ("votes", report.votes),
        ("turnout", phrases.turnout(report)),
        ("blocks", report.height),
        ("last block", report.tip),
        ("counted", phrases.whose_word(report)),
    ]
    for item, value in about:
        yield "election", "", "", item, value
    for number, what, reason in phrases.amendments(report):
        yield "amendment", "", "", f"{number}. {what}", reason
    for facts in report.contests:
        yield from _contest(report, facts)
    for one in report.not_counted:
        yield "not counted", "", "", one.id, one.why
    yield "signatures", "", "", "summary", phrases.signatures(report)
    for name, at in report.signed_by:
        yield "signatures", "", "", name, phrases.when(at, definition)
    for name in report.cosigned_by:
        yield "signatures", "", "", name, "witness"
    for step in checks:
        yield "how to check", "", "", step.command, step.what


def _contest(report: ElectionReport, facts: ContestFacts) -> Iterator[Line]:
    contest, count = facts.definition, facts.count
    where = contest.id
    yield "contest", where, "", "title", contest.title
    yield "contest", where, "", "method", phrases.method_text(contest)
    yield "contest", where, "", "seats", contest.seats
    if needed := threshold_text(contest):
        yield "contest", where, "", "needed", needed
    if count is None:
        yield "contest", where, "", "counts", phrases.no_counts(report)
        return
    outcome = count.outcome
    yield "contest", where, "", "decision", decision(outcome, report.final, count.votes)
    yield "contest", where, "", "ballots", count.votes
    yield "contest", where, "", "blank weight" if count.blank_weighed else "blank", count.blank
    yield "contest", where, "", "weight", count.weight
    if outcome.quota:
        yield "contest", where, "", "quota", int(outcome.quota)
    for one in outcome.conditions:
        met = "met" if one.met else "not met"
        yield "condition", where, "", f"{one.name} needed", one.needed
        yield "condition", where, "", f"{one.name} got ({met})", one.got
    for name, votes in count.counts:
        yield "count", where, "", name, votes
    for stage in outcome.rounds:
        for name, got in stage.counts:
            yield "round", where, stage.number, name, got
        yield "round", where, stage.number, "(exhausted)", stage.exhausted
        yield "after the round", where, stage.number, "what follows", round_text(stage, report.final)
    for row, preferred in outcome.matrix:
        for (column, _), votes in zip(outcome.matrix, preferred, strict=True):
            if row != column:
                yield "preferred", where, "", f"{row} > {column}", votes
    for line in tie_breaks(outcome):
        yield "tie", where, "", "how it was settled", line
    for name, lot in facts.lots:
        yield "lot", where, "", name, lot
