"""Which columns are of which contest: by their names as survey tools write them, or as said."""

from __future__ import annotations

from typing import Any

import pytest

from votenet.ballots.contest_columns import ContestColumns, asked_contests, contest_columns
from votenet.ballots.table import read_table
from votenet.core.election.definition import Candidate, Contest
from votenet.errors import ConfigError


def contest(contest_id: str, title: str, names: str, **fields: Any) -> Contest:
    candidates = tuple(Candidate(name=name) for name in names.split())
    return Contest(id=contest_id, title=title, candidates=candidates, **fields)


CHAIR = contest("chair", "Who leads?", "Ann Bo Cy", method="instant-runoff", max=3)
BOARD = contest("board", "Board 2037", "Di Ed Flo", method="approval", max=3, blank=True)
BYLAWS = contest("bylaws", "New bylaws", "Yes No Abstain", method="motion", blank=True)
ALL = (CHAIR, BOARD, BYLAWS)


def found(header: str, row: str = "", *typed: str, by_candidates: bool = False) -> list[ContestColumns]:
    table = read_table(f"{header}\n{row or ';' * header.count(';') + 'x'}\n".encode(), delimiter=";")
    cells = table.rows[0].cells
    asked = asked_contests(typed, ALL)
    return list(contest_columns(table, cells, range(len(cells)), ALL, asked, by_candidates))


def test_columns_are_named_after_contests_as_exports_do() -> None:
    for header, places in (
        ("chair;board;bylaws", ((0,), (1,), (2,))),
        ("note;CHAIR 2;Chair_1;board;New Bylaws", ((2, 1), (3,), (4,))),
        ("Who leads? [2nd choice];Who leads? [First choice];board;bylaws", ((1, 0), (2,), (3,))),
        ("chair[1];chair[2];Board 2037 [1];Board 2037 [2];bylaws", ((0, 1), (2, 3), (4,))),
        ("chair - Rank 1;chair - Rank 2;board;bylaws;chairman;boards", ((0, 1), (2,), (3,))),
        ("chair1;chair2;Board 2037;new-bylaws:", ((0, 1), (2,), (3,))),
        ("id;1st;chair #1;chair preference 2;board choice 1;bylaws", ((2, 3), (4,), (5,))),
    ):
        assert [one.places for one in found(header)] == list(places), header


def test_columns_may_be_those_of_candidates() -> None:
    header = "chair [Cy];chair [Ann];chair [Bo];Board 2037 [Di];board: Ed;bylaws"
    chair, board, _ = found(header, "3;1;2;yes;0;Yes")
    assert chair == ContestColumns((0, 1, 2), ("Cy", "Ann", "Bo"))
    assert board == ContestColumns((3, 4), ("Di", "Ed"), marks=True)
    assert not found(header, "3;1;2;1;2;Yes")[1].marks, "ranks, where nothing is ranked"


def test_columns_are_taken_as_said() -> None:
    said = ("chair=b,a", "board=Di,Ed", "bylaws=x, or y")
    one, two, three = found("a;b;Di;Ed;x, or y", "Ann;Bo;1;0;Yes", *said)
    assert one == ContestColumns((1, 0))
    assert two == ContestColumns((2, 3), ("Di", "Ed"), marks=True)
    assert three == ContestColumns((4,))
    assert found("a;b", "Ann;Yes", "chair=1", "bylaws=2") == [
        ContestColumns((0,)),
        ContestColumns(),
        ContestColumns((1,)),
    ]
    assert found("chair;board", "Ann;Di", "chair", "board")[2] == ContestColumns()


def test_what_may_be_read_in_two_ways_is_refused_with_the_option_that_decides() -> None:
    for header, typed, why, step in (
        ("chair;board", (), "no column is named after the contest 'bylaws'", "--contest bylaws=COLUMN"),
        ("chair;chair 1;board;bylaws", (), "'chair' and 'chair 1' may be the same rank", "--contest chair="),
        ("chair 1;chair 3;board;bylaws", (), "are not its ranks from 1 on: 'chair 1', 'chair 3'", "chair="),
        ("chair 1;chair [Ann];board;bylaws", (), "are not its ranks", "--contest chair="),
        ("a", ("captain=a",), "there is no contest 'captain'", "chair, board, bylaws"),
        (
            "a",
            ("board=a",),
            "no ballots of the contest 'chair', which takes no blank ones",
            "--contest chair=",
        ),
        ("a;a", ("chair=a",), "several columns are named 'a'", "number: 1, 2"),
        ("a", ("chair=b",), "there is no column 'b'", "The columns are: a"),
    ):
        with pytest.raises(ConfigError) as refused:
            found(header, "", *typed)
        assert why in refused.value.message
        assert step in refused.value.next_step
    two = (CHAIR, contest("chair-2", "Chair 2", "Ann Bo"))
    table = read_table(b"chair 1,chair 2\nAnn,Bo\n")
    with pytest.raises(ConfigError, match="column 'chair 2' may be of 'Who leads\\?' or of 'Chair 2'"):
        contest_columns(table, table.rows[0].cells, (0, 1), two, asked_contests((), two), False)
