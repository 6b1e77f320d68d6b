"""The ballot in words."""

from __future__ import annotations

from support.elections import make_election
from votenet.core.election.ballot_text import ballot_lines, contest_lines, hour_text
from votenet.core.election.definition import Candidate, Contest, Quorum, Threshold


def test_a_ballot_shows_what_a_voter_must_know() -> None:
    definition = make_election(
        title="Board 2027", candidates=("Ann", "Bo"), method="approval", max_choices=2, opens=1_811_743_200
    ).definition
    assert (
        "\n".join(ballot_lines(definition))
        == """\
Board 2027
  Opens:  Mon 31 May 2027, 06:00 (UTC)
  Closes: no closing time
  Who may vote: everybody

Board 2027  (1)
  One seat. approval: any candidates, order does not matter.
  Choose 1 to 2.
    [ ] Ann
    [ ] Bo"""
    )


def test_a_motion_says_what_carries_it_and_what_blank_means() -> None:
    contest = Contest(
        blank=True,
        candidates=(Candidate(name="Yes", statement="We grow."), Candidate(name="No")),
        description="Article 4\nof the bylaws",
        id="bylaws",
        method="motion",
        quorum=Quorum(percent=30),
        threshold=Threshold(basis="cast", share="two-thirds"),
        title="Bylaws",
    )
    assert (
        "\n".join(contest_lines(contest))
        == """\
Bylaws  (bylaws)
  Article 4
  of the bylaws
  motion: for, against or abstain: the candidates in this order.
  Carried with at least two thirds of the votes for and against it, and ballots of 30% of the roll.
  Choose 1. A blank ballot is counted as blank.
    [ ] Yes
        We grow.
    [ ] No"""
    )


def test_hours_stand_in_the_zone_of_the_election() -> None:
    assert (
        hour_text(1_811_743_200, "Europe/Berlin", "") == "Mon 31 May 2027, 08:00 (Europe/Berlin, UTC+02:00)"
    )
    assert hour_text(1_811_743_201, "UTC", "") == "Mon 31 May 2027, 06:00:01 (UTC)"
    assert hour_text(None, "UTC", "at once") == "at once"
    assert hour_text(2**53 - 1, "UTC", "") == "9007199254740991 seconds after 1970"
