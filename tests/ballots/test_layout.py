"""Which columns hold what: found, said, or refused because it may be read in two ways."""

from __future__ import annotations

from typing import Any

import pytest

from votenet.ballots.contest_columns import asked_contests
from votenet.ballots.layout import Columns, Layout, find_layout
from votenet.ballots.paper import Paper, Rank
from votenet.ballots.table import read_table
from votenet.core.election.definition import Candidate, Contest
from votenet.errors import ConfigError

CHAIR = Contest(
    title="Chair", candidates=(Candidate(name="Ann"), Candidate(name="Bo")), method="instant-runoff", max=2
)


def layout(text: str, contests: tuple[Contest, ...] = (CHAIR,), **columns: Any) -> tuple[Layout, list[Paper]]:
    table = read_table(text.encode())
    found = find_layout(table, Columns(**columns), contests)
    return found, list(found.papers(table))


def test_columns_are_found_by_their_content_and_their_usual_names() -> None:
    found, papers = layout("Member No,remark,x,y\n7,hi,Ann,\n8,,,Bo\n")
    assert (found.voter, found.contests[0].places, found.unread) == (0, (2, 3), (1,))
    assert papers == [
        Paper(2, ((Rank(3, ("Ann",)), Rank(4, ())),), "7"),
        Paper(3, ((Rank(3, ()), Rank(4, ("Bo",))),), "8"),
    ]
    assert layout("rank1,rank2,why\nX,Y,Z\nX,Y,Z\n", ())[0].contests[0].places == (0, 1)


def test_columns_have_numbers_where_names_do_not_decide() -> None:
    assert layout("c,c\nAnn,Bo\n", choices=("2", "1"))[0].contests[0].places == (1, 0)
    assert layout("Ann,5\nBo,6\n", header=False, count="2")[1] == [
        Paper(1, ((Rank(1, ("Ann",)),),), count=5),
        Paper(2, ((Rank(1, ("Bo",)),),), count=6),
    ]


def test_ranks_in_cells_may_be_equal_or_missing() -> None:
    _, papers = layout("Ann,Bo\n1st choice,1\n3,First\n,\n,#2\n")
    assert [[rank.names for rank in paper.contests[0]] for paper in papers] == [
        [("Ann", "Bo")],
        [("Bo",), (), ("Ann",)],
        [(), ("Bo",)],
    ]


def test_a_first_row_that_may_be_a_ballot_of_numbers_is_no_header_unless_it_is_said() -> None:
    numbered = tuple(Candidate(name=name) for name in "123")
    ranked = Contest(title="Chair", candidates=numbered, method="instant-runoff", max=3)
    one = Contest(title="Chair", candidates=numbered[:2], method="plurality")
    for text, contest in (("1\n2\n2\n2\n", one), ("1,2,3\n2,1,3\n2,3,1\n3,2,1\n", ranked)):
        with pytest.raises(ConfigError) as refused:
            layout(text, (contest,))
        assert "line 1, column 1: '1' is a candidate, and so is '2' below it" in refused.value.message
        assert "--no-header" in refused.value.next_step
        assert "--ranks-in-cells" in refused.value.next_step
        assert [
            ",".join(name for rank in paper.contests[0] for name in rank.names)
            for paper in layout(text, (contest,), header=False)[1]
        ] == text.split()
        assert len(layout(text, (contest,), grid=True)[1]) == 3


def test_what_may_be_read_in_two_ways_is_refused_with_the_option_that_decides() -> None:
    for text, columns, why, option in (
        (
            "c,c\nAnn,Bo\n",
            {"choices": ("c",)},
            "line 1, column 2: several columns are named 'c'",
            "number: 1, 2",
        ),
        ("c,n\nAnn,5\nBo,5\n", {}, "column 2: the column 'n' may hold numbers of ballots", "--count-column"),
        ("c,n\nAnn,e\nBo,f\n", {}, "column 2: the column 'n' may hold voter ids", "--ignore"),
        ("c,n\nAnn,five\n", {"count": "n"}, "line 2, column 2: 'five' is no number", "Mend"),
        ("c,n\nAnn,0\n", {"count": "n"}, "line 2, column 2: '0' is no number", "Mend"),
        ("c,n\nAnn,999999999\n", {"count": "n"}, "line 2, column 2: more than 2,000,000 ballots", "Mend"),
        ("c,n\nAnn,\n", {"voter": "n"}, "line 2, column 2: the voter id is missing", "Mend"),
        (
            "c,n\nAnn,5\n",
            {"voter": "n", "count": "n"},
            "line 1, column 2: a voter with an id",
            "Leave one out",
        ),
        ("c\nAnn\n", {"choices": ("1", "c")}, "column 1: the column 'c' is named twice", "Mend"),
        ("c\nAnn\n", {"choices": ("d",)}, "there is no column 'd'", "The columns are: c"),
        ("Ann,Bo\n1,two\n", {"grid": True}, "line 2, column 2: 'two' is no rank", "Mend"),
        ("Ann\nBo\n", {}, "line 1, column 1: 'Ann' is a candidate", "--no-header"),
        ("c\nCy\n", {}, "line 1, column 1: no column holds a candidate", "--choice"),
    ):
        with pytest.raises(ConfigError) as refused:
            layout(text, **columns)  # type: ignore[arg-type]
        assert why in refused.value.message
        assert option in refused.value.next_step


def test_a_column_that_may_be_a_rank_or_a_candidate_is_not_passed_over() -> None:
    names = tuple(Candidate(name=name) for name in ("Ann", "Bo", "Cy"))
    chair = Contest(title="Chair", candidates=names, method="instant-runoff", max=3)
    board = Contest(id="board", title="The Board", candidates=names, method="approval", max=3)
    ranked = "first,second,third\nZed,Ann,Bo\nZed,Bo,Ann\n,Cy,Ann\n"
    grid = "Ann,Bo,Cyy\n1,2,\n2,,1\n,2,1\n"
    wide = "Chair,Board [Ann],Board [Bo],Board [Cyy]\nAnn,x,,\nBo,,x,x\n"
    for text, contests, why, option in (
        (ranked, (chair,), "line 1, column 1: the column 'first' is not read: it is named like", "--choice"),
        (ranked.replace("first", "1st choice"), (chair,), "column 1: the column '1st choice'", "--choice"),
        (grid, (chair,), "line 1, column 3: the column 'Cyy' is not read: it may hold ranks", "name"),
        (wide, (chair, board), "column 4: the column 'Board [Cyy]' is not read", "--contest board="),
    ):
        asked = asked_contests((), contests) if len(contests) > 1 else None
        with pytest.raises(ConfigError) as refused:
            find_layout(read_table(text.encode()), Columns(), contests, asked)
        assert why in refused.value.message
        assert option in refused.value.next_step
        assert "--ignore" in refused.value.next_step
    assert layout(ranked, (chair,), ignored=("first",))[0].contests[0].places == (1, 2)
    assert layout(ranked, (chair,), choices=("second",))[0].unread == (0, 2)
    for blank in ("", "Undervote"):
        assert layout(ranked.replace("Zed", blank), (chair,))[0].unread == (0,), "nothing stands in it"
    table, said = read_table(wide.encode()), ("1=Chair", "board=Board [Ann],Board [Bo]")
    found = find_layout(table, Columns(), (chair, board), asked_contests(said, (chair, board)))
    assert found.unread == (3,), "the columns of each contest were named"
    assert layout(grid.replace("Cyy", "remark").replace(",1\n", ",good\n"), (chair,))[0].unread == (2,)
