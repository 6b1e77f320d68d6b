"""The counts for spreadsheets."""

from __future__ import annotations

import csv
import dataclasses
import io

import msgspec

from support.reports import weighed_blank_report
from support.web_pages import html_of, shown, strange_snapshot
from votenet.text import BOM
from votenet.web.pages.results_csv import COUNT_COLUMNS, csv_text


def test_every_count_has_a_line() -> None:
    status, text = html_of("/results.csv", shown("final"))
    assert status == 200
    head, *rows = csv.reader(io.StringIO(text.removeprefix(BOM), newline=""))
    assert tuple(head) == COUNT_COLUMNS
    assert ["final", "bylaws", "New bylaws", "", "Yes", "48"] in rows
    assert ["final", "chair", "Chair", "3", "Bo Berg", "24"] in rows
    assert {row[0] for row in rows} == {"final"}


def test_nothing_before_closing_where_counts_are_hidden() -> None:
    for state in ("hidden", "cancelled"):
        assert csv_text(shown(state)) == f"{BOM}{','.join(COUNT_COLUMNS)}\r\n"


def test_foreign_names_stay_one_cell() -> None:
    rows = list(csv.reader(io.StringIO(csv_text(strange_snapshot()).removeprefix(BOM), newline="")))
    assert {len(row) for row in rows} == {len(COUNT_COLUMNS)}


def test_a_weight_of_blank_ballots_is_not_called_their_number() -> None:
    snapshot = shown("final")
    found = weighed_blank_report().contests[0].count
    assert found is not None
    results = msgspec.structs.replace(snapshot.results, contests=(found,))
    rows = list(csv.reader(io.StringIO(csv_text(dataclasses.replace(snapshot, results=results)))))
    assert [row[4:] for row in rows if row[4].startswith("(blank")] == [["(blank weight)", "2"]]
