"""What a results page shows of one contest: bars, rounds, comparisons, conditions, lots, in its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from votenet.core.election.contest import CheckedContest, ContestReport
from votenet.core.methods.method import Condition, ContestResult, Count, Round
from votenet.web.pages import charts, outcome_words
from votenet.web.words import NOTHING_TO_SAY, Words

CANDIDATES_COMPARED: Final = 12
"""Candidates whose comparisons are shown."""
ROUNDS_IN_TABLE: Final = 6
"""Rounds in one table."""


@dataclass(frozen=True, slots=True)
class CountRow:
    """A candidate's count. `mark` says what the candidate has reached; empty for nothing."""

    name: Markup
    votes: str
    share: str
    bar: Markup
    mark: Markup


@dataclass(frozen=True, slots=True)
class RoundTable:
    """Some rounds side by side: a row for each candidate, and one for ballots without a further choice."""

    numbers: tuple[int, ...]
    rows: tuple[tuple[Markup, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    votes: str
    wins: bool


@dataclass(frozen=True, slots=True)
class ContestView:
    """One contest. `counted` is false where counts are not shown, or nothing is counted."""

    title: Markup
    anchor: str
    description: tuple[Markup, ...]
    method: Markup
    needed: Markup
    counted: bool
    decision: Markup = NOTHING_TO_SAY
    ballots: Markup = NOTHING_TO_SAY
    counts_title: Markup = NOTHING_TO_SAY
    rows: tuple[CountRow, ...] = ()
    conditions: tuple[tuple[Condition, Markup], ...] = ()
    quota: str = ""
    rounds: tuple[RoundTable, ...] = ()
    sentences: tuple[tuple[int, Markup], ...] = ()
    rounds_left_out: int = 0
    chart: Markup = NOTHING_TO_SAY
    matrix: tuple[tuple[Markup, tuple[MatrixCell | None, ...]], ...] = ()
    matrix_too_large: int = 0
    lots: tuple[tuple[Markup, str], ...] = ()


def contest_view(
    words: Words,
    contest: CheckedContest,
    report: ContestReport | None,
    final: bool,
    place: int,
    *,
    weighted: bool = False,
) -> ContestView:
    """Args: place: number of the contest on the page, from 1. weighted: votes have weights."""
    definition = contest.definition
    view = ContestView(
        title=words.name(definition.title),
        anchor=f"contest-{place}",
        description=tuple(words.paragraphs(definition.description)),
        method=outcome_words.method(words, definition),
        needed=outcome_words.threshold(words, definition, weighted=weighted),
        counted=report is not None,
    )
    return view if report is None else _with_counts(words, view, contest, report, final, weighted)


def _with_counts(
    words: Words,
    view: ContestView,
    contest: CheckedContest,
    report: ContestReport,
    final: bool,
    weighted: bool,
) -> ContestView:
    found = report.outcome
    ranked = contest.method.ranked
    matrix = found.matrix if len(found.matrix) <= CANDIDATES_COMPARED else ()
    return ContestView(
        title=view.title,
        anchor=view.anchor,
        description=view.description,
        method=view.method,
        needed=view.needed,
        counted=found.state != "cancelled",
        decision=outcome_words.decision(words, found, final, report.votes),
        ballots=ballots_sentence(words, report),
        counts_title=words.t("counts.first-choices" if ranked else "counts.title"),
        rows=tuple(_rows(words, report, final)),
        conditions=tuple(outcome_words.conditions(words, found, weighted=weighted)),
        quota=words.number(int(found.quota)) if found.quota else "",
        rounds=tuple(_round_tables(words, found.rounds)),
        sentences=tuple(
            (one.number, outcome_words.round_sentence(words, one, final)) for one in found.rounds
        ),
        rounds_left_out=found.rounds_left_out,
        chart=charts.rounds_chart(words, found.rounds),
        matrix=tuple(_matrix(words, matrix)),
        matrix_too_large=len(found.matrix) if len(found.matrix) > CANDIDATES_COMPARED else 0,
        lots=tuple((words.name(name), contest.lot(name).hex()) for name in names_with_lots(found)),
    )


def ballots_sentence(words: Words, report: ContestReport) -> Markup:
    """How many ballots, how many of them blank, and their weight where votes have weights."""
    parts = [words.t("ballots.count", count=report.votes)]
    if report.blank and not report.blank_weighed:
        parts.append(words.t("ballots.blank", count=report.blank))
    if report.weight != report.votes:
        parts.append(words.t("ballots.weight", count=report.weight))
    if report.blank_weighed:
        parts.append(words.t("ballots.blank-weight", count=report.blank))
    return Markup(" ").join(parts)


def names_with_lots(found: ContestResult) -> tuple[str, ...]:
    """All candidates whom only the lot separates, in a round or at the end."""
    by_lot = [one.tied for one in found.rounds if one.tie_break == "lot"]
    return tuple(dict.fromkeys(name for tied in (*by_lot, found.tied) for name in tied))


def _rows(words: Words, report: ContestReport, final: bool) -> Iterator[CountRow]:
    found = report.outcome
    most = max((votes for _, votes in report.counts), default=0)
    for name, votes in report.counts:
        leads = name in found.winners and (final or found.state == "won")
        mark = words.t("mark.elected" if final else "mark.ahead") if leads else Markup("")
        yield CountRow(
            name=words.name(name),
            votes=words.number(votes),
            share=words.percent(votes, report.weight),
            bar=charts.bar(votes, max(most, report.weight)),
            mark=mark,
        )


def _round_tables(words: Words, rounds: Sequence[Round]) -> Iterator[RoundTable]:
    order = list(dict.fromkeys(name for one in rounds for name, _ in one.counts))
    for start in range(0, len(rounds), ROUNDS_IN_TABLE):
        some = rounds[start : start + ROUNDS_IN_TABLE]
        columns = [dict(one.counts) for one in some]
        rows = [
            (words.name(name), tuple(_votes(words, column.get(name)) for column in columns))
            for name in order
            if any(name in column for column in columns)
        ]
        rows.append((words.t("rounds.exhausted"), tuple(_votes(words, one.exhausted) for one in some)))
        yield RoundTable(tuple(one.number for one in some), tuple(rows))


def _votes(words: Words, count: Count | None) -> str:
    return "–" if count is None else words.number(count)


def _matrix(
    words: Words, matrix: Sequence[tuple[str, tuple[int, ...]]]
) -> Iterator[tuple[Markup, tuple[MatrixCell | None, ...]]]:
    for row, (name, preferred) in enumerate(matrix):
        cells = tuple(
            None if column == row else MatrixCell(words.number(votes), votes > matrix[column][1][row])
            for column, votes in enumerate(preferred)
        )
        yield words.name(name), cells
