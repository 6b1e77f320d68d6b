"""Both readers hold the same rules of contests, ballots and weights, and count the same of all of them."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from support.archives import NOW, archive_of
from support.board_story import board_story
from support.elections import key_of, make_election, make_vote
from support.random_contests import ballot_of, election_of, random_election
from support.second_opinion import same_contests
from verifier.test_limits import definition, product_says, verifier, verifier_says
from votenet.core.election.definition import Candidate, Contest, Election, Threshold
from votenet.core.election.roll import Roll
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import check_result, encode_result, result_of_archive
from votenet.errors import ConfigError, NotProven

CAST: Final = {"basis": "cast", "share": "simple"}


def test_random_elections_are_counted_alike(tmp_path: Path) -> None:
    """Whole archives: 1 to 4 contests of any method, blank ballots, weights, motions by the roll."""
    for seed in range(150):
        held, roll, votes = random_election(random.Random(seed))
        data, path, roll_path = archive_of(held, votes), tmp_path / "archive", tmp_path / "roll"
        path.write_bytes(data)
        roll_path.write_bytes(roll.to_file())
        ours = ArchiveCheck(io.BytesIO(data), NOW, roll=roll).run()
        theirs = verifier.check_archive(str(path), held.network_hex, NOW, str(roll_path))
        same_contests(theirs["contests"], ours.contests)
        assert (theirs["votes"], theirs["tip"]) == (ours.votes, ours.tip) != (0, "")


def test_counts_are_shown_only_after_closing_where_the_organisers_want_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fields, shown in (
        ({"results": "after-close", "closes": NOW + 60}, False),
        ({"results": "after-close", "closes": NOW - 60}, True),
        ({"closes": NOW + 60}, True),
    ):
        held = make_election(**fields)
        data, path = archive_of(held, [make_vote(held, "v")]), tmp_path / "archive"
        path.write_bytes(data)
        ours = ArchiveCheck(io.BytesIO(data), NOW).run()
        theirs = verifier.check_archive(str(path), held.network_hex, NOW)
        assert (ours.counts_shown, theirs["counts_shown"], bool(theirs["contests"])) == (shown,) * 3
        same_contests(theirs["contests"], ours.contests)
    held = make_election(results="after-close", closes=2**32 - 1)
    path.write_bytes(archive_of(held, [make_vote(held, "v")]))
    assert verifier.main(["archive", str(path)]) == 0
    assert "counts are shown after closing" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["plurality", "approval", "block"])
def test_a_weight_of_blank_ballots_that_is_the_number_of_votes_decides_nothing(method: str) -> None:
    """Of secret ballots with weights: two votes, a blank one that weighs 2, and one for Bob that weighs 1."""
    tally = verifier.Tally()
    tally.ballots.update({("Ann",): 0, ("Bob",): 1})
    tally.votes, tally.weight, tally.blank = 2, 3, 2
    found = verifier.count(tally, msgspec.to_builtins(contest(1, method, blank=True)), "ab" * 32)
    assert (found["state"], found["winners"]) == ("won", ["Bob"])
    tally.ballots.update({("Bob",): -1})
    assert verifier.count(tally, msgspec.to_builtins(contest(1, method, blank=True)), "ab" * 32)["state"] == (
        "undecided"
    )


def test_a_point_outside_the_group_is_no_key_whatever_library_is_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The base point plus the point of order two, which libsodium before 1.0.21 took (CVE-2025-69277)."""
    for known in (True, False):
        monkeypatch.setattr(verifier, "LIBRARY_KNOWS_THE_GROUP", known)
        assert not verifier.key_can_sign(verifier.NO_MEMBER)
        assert verifier.key_can_sign(key_of("ann").public)


# -- votes -----------------------------------------------------------------------------------------


def contest(number: int, method: str, **fields: Any) -> Contest:
    names = [Candidate(name=name) for name in ("Ann", "Bob", "Cy")]
    return Contest(candidates=tuple(names), id=f"c{number}", method=method, title=f"No {number}", **fields)


@cache
def general_meeting() -> tuple[Roll, Election]:
    """A weighted election: a runoff, a block vote that may be blank, a motion."""
    roll = Roll([("ann", key_of("ann").public_hex, 70), ("bob", key_of("bob").public_hex, 30)])
    contests = [
        contest(1, "instant-runoff", max=3),
        contest(2, "block", min=2, max=2, seats=2, blank=True),
        contest(3, "motion", threshold=Threshold(basis="roll", share="two-thirds")),
    ]
    return roll, election_of(contests, roll, weighted=True)


def ballot(*choices: list[str], voter: str = "ann") -> HashedVote:
    return ballot_of(general_meeting()[1], voter, *choices)


RUNOFF, BOARD, MOTION = ["Cy", "Ann"], ["Ann", "Bob"], ["Ann"]
BALLOTS: Final[dict[str, tuple[str, Callable[[], HashedVote]]]] = {
    "good": ("", lambda: ballot(RUNOFF, BOARD, MOTION)),
    "blank-where-allowed": ("", lambda: ballot(RUNOFF, [], MOTION)),
    "blank-where-not-allowed": ("bad-choices", lambda: ballot(RUNOFF, BOARD, [])),
    "blank-in-the-first-contest": ("bad-choices", lambda: ballot([], BOARD, MOTION)),
    "of-no-contest": ("bad-choices", ballot),
    "of-too-few-contests": ("bad-choices", lambda: ballot(RUNOFF, BOARD)),
    "of-too-many-contests": ("bad-choices", lambda: ballot(RUNOFF, BOARD, MOTION, MOTION)),
    "too-many-choices-in-the-second": ("bad-choices", lambda: ballot(RUNOFF, ["Ann", "Bob", "Cy"], MOTION)),
    "too-few-choices-in-the-second": ("bad-choices", lambda: ballot(RUNOFF, ["Ann"], MOTION)),
    "a-choice-twice-in-the-second": ("bad-choices", lambda: ballot(RUNOFF, ["Ann", "Ann"], MOTION)),
    "two-options-of-a-motion": ("bad-choices", lambda: ballot(RUNOFF, BOARD, ["Ann", "Bob"])),
    "unknown-candidate-in-the-third": ("unknown-candidate", lambda: ballot(RUNOFF, BOARD, ["Dan"])),
    "the-first-fault-counts": ("unknown-candidate", lambda: ballot(["Dan"], ["Ann"], MOTION)),
    "not-on-the-roll": ("not-on-roll", lambda: ballot(RUNOFF, BOARD, MOTION, voter="eve")),
}


class Says:
    """What the product and the verifier answer about an archive: the code of a fault, or nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, data: bytes, roll: Roll | None) -> tuple[str, str]:
        return self._product(data, roll), self._verifier(data, roll)

    def _product(self, data: bytes, roll: Roll | None) -> str:
        try:
            ArchiveCheck(io.BytesIO(data), NOW, roll=roll).run()
        except (NotProven, ConfigError) as error:
            return error.code
        return ""

    def _verifier(self, data: bytes, roll: Roll | None) -> str:
        path, roll_path = self.folder / "archive", self.folder / "roll"
        path.write_bytes(data)
        if roll is not None:
            roll_path.write_bytes(roll.to_file())
        try:
            verifier.check_archive(str(path), None, NOW, None if roll is None else str(roll_path))
        except verifier.Fault as fault:
            return str(fault.code)
        return ""


@pytest.fixture
def says(tmp_path: Path) -> Says:
    return Says(tmp_path)


def test_both_take_and_refuse_the_same_ballots(says: Says) -> None:
    roll, held = general_meeting()
    answers = {name: says(archive_of(held, [make()]), roll) for name, (_, make) in BALLOTS.items()}
    assert answers == {name: (code, code) for name, (code, _) in BALLOTS.items()}


def test_weights_are_those_of_the_roll_and_of_no_other(says: Says) -> None:
    roll, held = general_meeting()
    data = archive_of(held, [ballot(RUNOFF, BOARD, MOTION)])
    heavier = Roll((voter, key, roll.weights[voter] + 1) for voter, key in roll.keys.items())
    assert says(data, None) == ("roll-missing", "roll-missing")
    assert says(data, heavier) == ("roll-mismatch", "roll-mismatch")
    report = ArchiveCheck(io.BytesIO(data), NOW, roll=roll).run()
    assert [one.weight for one in report.contests] == [70, 70, 70]
    assert report.contests[2].outcome.state == "carried"


def test_both_make_the_same_final_result_of_a_weighted_election(tmp_path: Path) -> None:
    roll, story = board_story()
    archive, roll_path, result = tmp_path / "archive", tmp_path / "roll", tmp_path / "result"
    archive.write_bytes(story.file.pack())
    roll_path.write_bytes(roll.to_file())
    check = ArchiveCheck(io.BytesIO(story.file.pack()), NOW, roll=roll)
    ours = result_of_archive(check, check.blocks())
    result.write_bytes(encode_result(ours))
    theirs = verifier.check_result(str(result), None, NOW, str(archive), str(roll_path))
    assert theirs["final"]
    assert [one.state for one in ours.contests] == ["won", "won", "rejected"]
    assert ours.contests[0].weight > ours.contests[0].votes == ours.votes

    def refused(*files: Path) -> str:
        with pytest.raises(verifier.Fault) as caught:
            verifier.check_result(str(result), None, NOW, *map(str, files))
        return str(caught.value.code)

    assert refused(archive) == "roll-missing"
    lighter = msgspec.structs.replace(ours.contests[1], weight=ours.contests[1].weight - 1)
    changed = msgspec.structs.replace(ours, contests=(ours.contests[0], lighter, ours.contests[2]))
    result.write_bytes(encode_result(changed))
    assert refused(archive, roll_path) == "wrong-totals"
    with pytest.raises(NotProven, match="'contests'"):
        check_result(changed, None, ours)


# -- definitions -----------------------------------------------------------------------------------

NAMES: Final = ["A", "B", "C"]
GOOD_CONTESTS: Final[dict[str, dict[str, Any]]] = {
    "block": {"method": "block", "max": 2, "seats": 2},
    "one-candidate": {"candidates": ["A"]},
    "blank": {"blank": True},
    "min-2": {"method": "approval", "min": 2, "max": 3},
    "stv": {"method": "stv", "max": 3, "seats": 2},
    "schulze": {"method": "schulze", "max": 3, "seats": 2},
    "motion": {"method": "motion", "threshold": CAST},
    "motion-of-two": {"method": "motion", "threshold": CAST, "candidates": ["A", "B"]},
}
BAD_CONTESTS: Final[dict[str, dict[str, Any]]] = {
    "min-0": {"min": 0},
    "min-above-max": {"method": "approval", "min": 3, "max": 2},
    "max-above-the-candidates": {"method": "block", "max": 4},
    "two-seats-of-plurality": {"seats": 2},
    "two-seats-of-a-runoff": {"method": "instant-runoff", "seats": 2},
    "as-many-seats-as-candidates": {"method": "stv", "max": 3, "seats": 3},
    "two-seats-for-one-candidate": {"method": "block", "candidates": ["A"], "seats": 2},
    "threshold-of-plurality": {"threshold": CAST},
    "quorum-of-approval": {"method": "approval", "quorum": {"percent": 50}},
    "motion-without-threshold": {"method": "motion"},
    "motion-of-one": {"method": "motion", "threshold": CAST, "candidates": ["A"]},
    "motion-of-four": {"method": "motion", "threshold": CAST, "candidates": ["A", "B", "C", "D"]},
    "motion-with-two-choices": {"method": "motion", "threshold": CAST, "max": 2},
    "motion-with-two-seats": {"method": "motion", "threshold": CAST, "seats": 2},
    "simple-majority-of-the-roll": {"method": "motion", "threshold": {"basis": "roll", "share": "simple"}},
    "quorum-without-a-roll": {"method": "motion", "threshold": CAST, "quorum": {"percent": 50}},
    "share-of-no-roll": {"method": "motion", "threshold": {"basis": "roll", "share": "absolute"}},
}
ROLL: Final = {"registration": "roll", "roll_root": "ab" * 32, "roll_size": 3}


def named_contest(number: int = 1, *, candidates: list[str] = NAMES, **fields: Any) -> dict[str, Any]:
    """The members of a plurality, or of another contest by `fields`."""
    made: dict[str, Any] = msgspec.to_builtins(make_election().definition.contests[0])
    offered = [{"name": name, "statement": ""} for name in candidates]
    return made | {"candidates": offered, "id": f"c{number}", "title": f"Contest {number}"} | fields


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., set[str]]:
    """The answers of both readers to an archive without blocks, of an unchecked definition."""

    def answers(**fields: Any) -> set[str]:
        data = definition(**fields)
        return {product_says(data, NOW), verifier_says(tmp_path, data, NOW)}

    return answers


def test_both_hold_the_same_rules_of_contests(both: Callable[..., set[str]]) -> None:
    other = named_contest(2)
    for name, fields in GOOD_CONTESTS.items():
        assert both(contests=[named_contest(**fields)]) == {""}, name
    for name, fields in BAD_CONTESTS.items():
        assert both(contests=[named_contest(**fields)]) == {"bad-genesis"}, name
        assert both(contests=[other, named_contest(**fields)]) == {"bad-genesis"}, name
    for threshold in ({"basis": "roll", "share": "absolute"}, CAST):
        motion = named_contest(method="motion", threshold=threshold, quorum={"percent": 100})
        assert both(contests=[motion], **ROLL) == {""}


def test_both_hold_the_same_rules_of_several_contests(both: Callable[..., set[str]]) -> None:
    ten = [f"candidate {number}" for number in range(10)]
    many = [named_contest(number, candidates=ten) for number in range(65)]
    assert both(contests=many[:64]) == {""}
    assert both(contests=many) == both(contests=[]) == {"bad-record"}
    assert both(contests=[many[0], many[1] | {"id": "c0"}]) == {"bad-genesis"}
    assert both(contests=[many[0], many[1] | {"title": "Contest\u00a00"}]) == {"bad-genesis"}
    hundred = [named_contest(number, candidates=[f"c{n}" for n in range(100)]) for number in range(10)]
    assert both(contests=hundred) == {""}
    assert both(contests=[*hundred, named_contest(11, candidates=["one more"])]) == {"bad-genesis"}


def test_weights_need_a_roll_and_some_things_are_not_held_yet(both: Callable[..., set[str]]) -> None:
    assert both(weighted=True) == {"bad-genesis"}
    assert both(results="after-close", closes=2**40) == {""}
    for fields in ({"results": "after-close", "closes": None}, {"secrecy": "secret"}, {"belenios": "{}"}):
        assert both(**fields) == {"bad-genesis"}, fields
