"""The table for spreadsheets: every fact is there, and no cell is a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.reports import checks_of, club_report, weighed_blank_report, with_text
from votenet.cli.report.csv_report import COLUMNS, csv_report
from votenet.core.records.election_report import ElectionReport
from votenet.text import BOM, FORMULA, spreadsheet_cell

Row = tuple[str, ...]


def rows_of(report: ElectionReport) -> list[Row]:
    written = "".join(csv_report(report, checks_of(report)))
    assert written.startswith(BOM)
    return [tuple(row) for row in csv.reader(io.StringIO(written.removeprefix(BOM), newline=""))]


def test_every_fact_has_a_line() -> None:
    head, *rows = rows_of(club_report())
    assert head == COLUMNS
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert ("election", "", "", "state", "final") in rows
    assert ("election", "", "", "votes", "35") in rows
    assert ("contest", "bylaws", "", "decision", "Carried.") in rows
    assert ("count", "bylaws", "", "Yes", "48") in rows
    assert ("signatures", "", "", "Harbour Society", "witness") in rows
    parts = {row[0] for row in rows}
    assert {"amendment", "round", "after the round", "condition", "preferred", "not counted"} <= parts
    rounds = {row[2] for row in rows if row[:2] == ("round", "chair")}
    assert rounds == {"1", "2", "3"}


def test_a_provisional_report_says_so_in_its_first_line() -> None:
    rows = rows_of(club_report(closed=False))
    assert rows[1][4].startswith("PROVISIONAL: voting has ended")
    assert not [row for row in rows if "Winner" in row[4]]
    hidden = rows_of(club_report(closed=False, results="after-close"))
    assert not {"count", "round"} & {row[0] for row in hidden}


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_candidate_is_no_formula(name: str) -> None:
    rows = rows_of(with_text(club_report(), name))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert any(row[0] == "count" and row[3].endswith(name.strip("\t")) for row in rows)


@settings(max_examples=60)
@given(st.text(";,\"'=+-@ x\N{FULLWIDTH EQUALS SIGN}", min_size=1, max_size=12))
@example('x;"=1"')
def test_no_part_of_a_candidate_is_a_formula_where_semicolons_split_a_line(name: str) -> None:
    written = "".join(csv_report(report := with_text(club_report(), name), checks_of(report)))
    rows = csv.reader(io.StringIO(written.removeprefix(BOM), newline=""), delimiter=";")
    assert not [cell for row in rows for cell in row if cell.lstrip(' "\r\n').startswith(FORMULA)]


def test_other_semicolons_and_numbers_stay() -> None:
    assert [spreadsheet_cell(cell) for cell in ("Ann; Bo", "a-b;c+d;", -5)] == ["Ann; Bo", "a-b;c+d;", -5]


@settings(max_examples=40)
@given(st.text(min_size=1, max_size=40))
def test_any_text_stays_in_its_cell(text: str) -> None:
    rows, plain = rows_of(with_text(club_report(), text)), rows_of(with_text(club_report(), "plain"))
    assert [row[:3] for row in rows] == [row[:3] for row in plain]
    assert ("election", "", "", "title", str(spreadsheet_cell(text))) in rows


def test_a_weight_of_blank_ballots_is_not_called_their_number() -> None:
    rows = rows_of(weighed_blank_report())
    assert [row[3:] for row in rows if row[3].startswith("blank")] == [("blank weight", "2")]
