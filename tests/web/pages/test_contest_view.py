"""What a results page shows of a contest: the club's evening, with a runoff, STV, a motion and Schulze."""

from __future__ import annotations

import pytest

from support.elections import contest_of
from support.reports import weighed_blank_report
from support.web_pages import shown
from votenet.core.election.definition import Threshold
from votenet.core.methods.tally import Tally
from votenet.web.pages.contest_view import ContestView, ballots_sentence, contest_view, names_with_lots
from votenet.web.pages.results import contest_views
from votenet.web.words import Words

EN = Words("en")


@pytest.fixture(scope="module")
def views() -> list[ContestView]:
    return contest_views(EN, shown("final"))


def test_a_runoff(views: list[ContestView]) -> None:
    chair = views[0]
    assert chair.decision == "Winner: <bdi>Bo Berg</bdi>."
    assert [(row.votes, row.share, row.mark) for row in chair.rows][1] == ("20", "29.0%", "elected")
    assert chair.ballots == "35 ballots. 7 of them are blank. Together they weigh 69."
    (table,) = chair.rounds
    assert table.numbers == (1, 2, 3)
    assert table.rows[2] == ("<bdi>Cy Cohen</bdi>", ("12", "12", "–"))
    assert table.rows[-1] == ("Used up", ("0", "1", "8"))
    assert [number for number, _ in chair.sentences] == [1, 2, 3]


def test_stv_has_a_quota_and_parts_of_votes(views: list[ContestView]) -> None:
    board = views[1]
    assert board.quota == "18"
    assert "28.00000" in board.rounds[0].rows[0][1]
    assert [row.mark for row in board.rows].count("elected") == 3


def test_a_motion_and_comparisons(views: list[ContestView]) -> None:
    bylaws, site = views[2:]
    assert [condition.met for condition, _ in bylaws.conditions] == [True, True]
    assert bylaws.decision == "The motion is carried."
    assert len(site.matrix) == 5
    _, cells = zip(*site.matrix, strict=True)
    assert cells[0][0] is None
    assert sum(cell is not None and cell.wins for row in cells for cell in row) == 10


def test_nobody_is_elected_before_the_end() -> None:
    for view in contest_views(EN, shown("open")):
        assert "Winner" not in view.decision
        assert {str(row.mark) for row in view.rows} <= {"", "ahead"}


def test_no_counts_where_none_are_shown() -> None:
    for state in ("before", "hidden", "cancelled"):
        views = contest_views(EN, shown(state))
        assert not any(view.counted or view.rows for view in views)


def test_lots_of_all_whom_only_the_lot_separates() -> None:
    contest = contest_of("plurality", ("A", "B", "C"))
    tally = Tally()
    tally.add([("A",), ("B",)])
    report = contest.report(tally)
    assert set(names_with_lots(report.outcome)) == {"A", "B"}
    view = contest_view(EN, contest, report, True, 1)
    assert dict(view.lots)[EN.name("A")] == contest.lot("A").hex()


def test_many_candidates_have_no_table_of_comparisons() -> None:
    contest = contest_of("schulze", tuple(f"C{number}" for number in range(20)), max=20)
    tally = Tally()
    tally.add([("C3", "C1")])
    view = contest_view(EN, contest, contest.report(tally), False, 1)
    assert (view.matrix, view.matrix_too_large) == ((), 20)


def test_a_weight_of_blank_ballots_is_not_called_their_number() -> None:
    found = weighed_blank_report().contests[0].count
    assert found is not None
    assert ballots_sentence(EN, found) == "3 ballots. Together they weigh 7. The blank ones weigh 2."


def test_weights_of_a_motion_are_not_called_numbers_of_ballots() -> None:
    contest = contest_of("motion", ("Yes", "No"), threshold=Threshold(basis="cast", share="simple"))
    tally = Tally()
    tally.add([("Yes",)])
    view = contest_view(EN, contest, contest.report(tally), True, 1, weighted=True)
    assert str(view.conditions[0][1]).startswith("Weight of the votes for the motion: 1 of")
