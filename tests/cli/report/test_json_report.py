"""The document for programs: its members are stable, its times UTC."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from support.reports import NOW, checks_of, club_report, weighed_blank_report
from votenet.cli.report.json_report import json_report, utc

TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MEMBERS = {
    "": {
        "format", "version", "made", "final", "undecided_because", "cancelled", "cancelled_at",
        "counts_shown", "source", "election", "amendments", "votes", "height", "tip", "contests",
        "not_counted", "signatures", "checks",
    },
    "election": {
        "title", "organiser", "language", "network_id", "time_zone", "created", "opens", "closes",
        "closes_before_amendments", "registration", "registered", "by_card", "weighted", "roll_weight",
    },
    "amendments": {"number", "action", "closes", "voter_id", "key", "weight", "reason"},
    "contests": {
        "id", "title", "description", "method", "method_in_words", "seats", "needed", "candidates", "ballots",
        "blank", "blank_weight", "weight", "counts", "decision", "winners", "ahead", "tied", "lots", "quota",
        "conditions", "rounds", "rounds_left_out", "matrix",
    },
    "contests.counts": {"candidate", "votes"},
    "contests.conditions": {"name", "needed", "got", "met"},
    "contests.rounds": {
        "number", "counts", "exhausted", "elected", "would_be_elected", "surplus", "eliminated", "tied",
        "tie_break",
    },
    "contests.rounds.counts": {"candidate", "votes"},
    "contests.matrix": {"candidate", "preferred"},
    "not_counted": {"id", "lists", "why"},
    "signatures": {"named", "quorum", "log_size", "signed_by", "witnesses"},
    "signatures.signed_by": {"name", "time"},
    "checks": {"command", "what"},
}  # fmt: skip
"""Of every object, by the path to it: programs of others rely on them."""


def document(closed: bool = True, **fields: Any) -> Any:
    report = club_report(closed, **fields)
    return msgspec.json.decode(msgspec.json.encode(json_report(report, checks_of(report), NOW)))


def members(value: Any, path: str, found: dict[str, set[str]]) -> None:
    if isinstance(value, list):
        for one in value:
            members(one, path, found)
    elif isinstance(value, dict):
        assert found.setdefault(path, set(value)) == set(value), path
        for name, one in value.items():
            members(one, f"{path}.{name}".lstrip("."), found)


def test_every_object_has_its_members_before_and_after_the_end() -> None:
    for found in (document(), document(closed=False), document(closed=False, results="after-close")):
        seen: dict[str, set[str]] = {}
        members(found, "", seen)
        assert seen.items() <= MEMBERS.items()
    assert (found["format"], found["version"]) == ("votenet-report", 1)


def test_a_winner_stands_only_in_a_final_report() -> None:
    final, early = document(), document(closed=False)
    assert (final["final"], early["final"]) == (True, False)
    for decided, open_still in zip(final["contests"], early["contests"], strict=True):
        assert decided["ahead"] == open_still["winners"] == []
        assert decided["decision"] in ("won", "carried")
        assert open_still["decision"] == "open"
        assert all(one["elected"] == [] for one in open_still["rounds"])
    assert final["contests"][0]["winners"]
    hidden = document(closed=False, results="after-close")
    assert hidden["counts_shown"] is False
    assert all(one["counts"] == one["winners"] == one["ahead"] == [] for one in hidden["contests"])


def test_times_are_utc() -> None:
    found = document()
    hours = [found["election"][name] for name in ("created", "opens", "closes")]
    assert all(TIMES.fullmatch(hour) for hour in (*hours, found["made"]))
    assert found["election"]["time_zone"] == "Europe/Berlin"
    assert utc(0) == "1970-01-01T00:00:00Z"
    assert (utc(None), utc(2**60)) == (None, str(2**60))


def test_a_weight_of_blank_ballots_is_not_called_their_number() -> None:
    report = weighed_blank_report()
    (contest,) = json_report(report, checks_of(report), NOW)["contests"]
    assert (contest["ballots"], contest["blank"], contest["blank_weight"]) == (3, None, 2)
    assert {one["blank_weight"] for one in document()["contests"]} == {None}
