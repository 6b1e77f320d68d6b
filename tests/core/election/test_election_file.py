"""`election.toml` as it is read: everything that is wrong is said at once, with its line."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import msgspec
import pytest

from support.elections import named_nodes
from votenet.core.election.definition import Candidate, Contest, Quorum, Threshold
from votenet.core.election.election_file import (
    TrusteesTable,
    election_of,
    read_contest,
    read_election_file,
    usual_max,
)
from votenet.core.election.node_line import node_line
from votenet.core.election.toml_table import FaultList, TomlTable

GOOD = """\
title = "Board"
[[contests]]
candidates = ["Ann", "Bo"]
"""
HEAD = 'title = "Board"\n'
MOTION = HEAD + '[[contests]]\nmethod = "motion"\n'


def said(text: str) -> list[str]:
    found, faults = read_election_file(text.encode())
    assert (found is None) == bool(faults)
    return [str(fault) for fault in faults]


def test_what_a_file_leaves_out_is_usual() -> None:
    found, faults = read_election_file(GOOD.encode())
    assert faults == []
    assert found is not None
    (contest,) = found.definition.contests
    assert (contest.id, contest.title, contest.method) == ("1", "Board", "plurality")
    assert (contest.seats, contest.min, contest.max, contest.blank) == (1, 1, 1, False)
    assert contest.candidates == (Candidate(name="Ann"), Candidate(name="Bo"))
    assert (found.roll, found.difficulty, found.definition.registration) == ("", None, "open")
    assert [usual_max(method, 9, 3) for method in ("plurality", "block", "approval", "stv")] == [1, 3, 9, 9]


BAD = '''\
title = 3
time_zone = "Europe/Berln"
opens = 2027-05-31
closes = "later"
results = "never"
organizer = "Club"
weighted = 1
difficulty = 99
grace = -1
registration = "roll"

[[contests]]
title = "Chair"
methd = "plurality"
candidates = ["Ann", "Bo", 7]

[[contests]]
id = "b d"
title = "Board"
method = "irv"
seats = 0
max = "x"
description = """
max = 9
"""
candidates = { name = "Ann" }

[[contests]]
title = "Board "
candidates = ["Ann", "Ann"]
min = 7
max = 5
quorum = 30

[[contests]]
title = "Bylaws"
method = "motion"
threshold = "two thirds"
quorum = 101

[[witnesses]]
name = "Court"
key = "court"
url = "ftp://example.org"

[[nodes]]
name = "node-1"
node_key = "AB"
'''


def test_everything_that_is_wrong_is_said_at_once() -> None:
    told = said(BAD)
    for wanted in (
        "line 1, title: it is a whole number, and must be text",
        "line 2, time_zone: the time zone 'Europe/Berln' is not known here",
        "line 3, opens: it is a day without an hour",
        "line 4, closes: it is no point in time",
        "line 5, results: it is 'never', and must be one of: live, after-close",
        "line 6, organizer: the key 'organizer' is not known",
        "line 7, weighted: it is a whole number, and must be true or false",
        "line 8, difficulty: it is 99, and must be at most 64",
        "line 9, grace: it is -1, and must be at least 0",
        "line 10, registration: a roll is asked for, and its file is not named",
        "line 14, contest 1, methd: the key 'methd' is not known",
        "line 15, contest 1, candidate 3: it is a whole number, and must be text",
        "line 18, contest 2, id: it is 'b d', which is not written as it must be",
        "line 20, contest 2, method: it is 'irv', and must be one of: plurality, block, approval, motion,"
        " instant-runoff, stv, schulze",
        "line 21, contest 2, seats: it is 0, and must be at least 1",
        "line 22, contest 2, max: it is text, and must be a whole number",
        "line 26, contest 2, candidates: candidates must be a list",
        "line 29, contest 3, title: the title of the contest, 'Board ', has a space at its end",
        "line 30, contest 3, candidates: a candidate is listed twice: 'Ann' as number 1 and 2",
        "line 32, contest 3, max: at least 7 choices and at most 5 contradict each other",
        "line 32, contest 3, max: 5 choices are allowed but there are 2 candidates",
        "line 32, contest 3, max: plurality counts one choice a ballot, not 5",
        "line 33, contest 3, quorum: only a motion has a threshold or a quorum",
        "line 38, contest 4, threshold: the threshold 'two thirds' is not known",
        "line 39, contest 4, quorum: it is 101, and must be at most 100: it is in percent of the roll",
        "line 43, witness 1, key: it is 'court', which is not written as it must be",
        "line 44, witness 1, url: it is 'ftp://example.org', which is not written as it must be",
        "line 48, node 1, node_key: it is 'AB', which is not written as it must be",
        "line 46, node 1: log_key is missing",
    ):
        assert wanted in told, f"{wanted}\n" + "\n".join(told)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("title = [\n", "this is not TOML: "),
        ('title = "x"\ntitle = "y"\n', "line 2: this is not TOML, in column "),
        ("title = \x00", "line 1: this is not TOML"),
        (HEAD, "it has no contests"),
        (HEAD + "contests = []", "it has no contests"),
        (HEAD + "contests = 3", "line 2, contests: contests must be tables"),
        (HEAD + "witnesses = [1]\n" + GOOD[16:], "line 2, witnesses: witnesses must be tables"),
        ('roll = "r.json"\nregistration = "open"\n' + GOOD, "line 2, registration: it is open to everybody"),
        ("weighted = true\n" + GOOD, "line 1, weighted: its votes have weights"),
        ('results = "after-close"\n' + GOOD, "line 1, results: its results are shown after closing"),
        ("opens = 2027-05-31T08:00:00\n" + GOOD, "line 1, opens: it has no offset, and the file names no"),
        ("opens = 1950-05-31T08:00:00Z\n" + GOOD, "line 1, opens: it is before 1970"),
        (
            "opens = 2027-05-31T08:00:00Z\ncloses = 2027-05-31T10:00:00+02:00\n" + GOOD,
            "line 2, closes: it closes before it opens",
        ),
        (
            'time_zone = "Europe/Berlin"\nopens = 2027-03-28T02:30:00\n' + GOOD,
            "line 2, opens: clocks are put forward then",
        ),
        (
            'time_zone = "Europe/Berlin"\ncloses = 2027-10-31T02:30:00\n' + GOOD,
            "line 2, closes: clocks are put back then",
        ),
        (MOTION, "line 2, contest 1: a motion needs a threshold"),
        (MOTION + 'threshold = "simple of the roll"', "line 4, contest 1, threshold: a simple majority"),
        (
            MOTION + 'threshold = "absolute of the roll"',
            "contest 1: it counts shares of a roll, and there is none",
        ),
        (
            MOTION + 'threshold = "simple"\nquorum = 30',
            "contest 1: it counts shares of a roll, and there is none",
        ),
    ],
)
def test_single_faults(text: str, wanted: str) -> None:
    assert any(wanted in one for one in said(text)), said(text)


SECRET = """\
title = "Board"
secrecy = "secret"
closes = 2060-05-31T20:00:00+02:00
roll = "roll.json"
[trustees]
names = ["Ann", "Bo", "Cy"]
[[contests]]
candidates = ["D", "E"]
"""


def test_secret_ballots_have_trustees_two_of_whom_are_needed_unless_more_are() -> None:
    found, faults = read_election_file(SECRET.encode())
    assert faults == []
    assert found is not None
    assert found.trustees == TrusteesTable(("Ann", "Bo", "Cy"), 2, "ceremony")
    assert found.definition.secrecy == "public", "until their ceremony is complete"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("closes", "# closes", "line 2, secrecy: secret ballots are counted after closing, but it never"),
        ("roll =", "# roll =", "line 2, secrecy: secret ballots need a roll"),
        ('secrecy = "secret"', "", "line 5, trustees: trustees are for secret ballots"),
        ("roll =", "enrolment =", "line 4, enrolment: members who make codes of their own"),
        ("names =", "nams =", "line 5, trustees: names is missing"),
        ('["Ann", "Bo", "Cy"]', '["Ann", 3]', "line 6, trustees, names: "),
        ('"Bo"', '""', "line 6, trustees, names: in place 2 it has 0 characters, and must have at least 1"),
        ('"Bo"', '"Ann"', "line 6, trustees, names: a trustee is listed twice"),
        ('"Bo"', '"Ann "', "names: the name of trustee 2, 'Ann ', has a space at its end"),
        ('"Bo"', r'"B\u200do"', "has a character that cannot be seen"),
        ("names", "threshold = 0\nnames", "line 6, trustees, threshold: "),
        ('[trustees]\nnames = ["Ann", "Bo", "Cy"]', "", "line 2, secrecy: secret ballots need trustees"),
        ("candidates", 'method = "stv"\ncandidates', "ranked ballots need a verifiable shuffle"),
        ("roll =", 'results = "after-close"\nroll =', "line 4, results: nobody can count secret ballots"),
    ],
)
def test_faults_of_secret_ballots(old: str, new: str, wanted: str) -> None:
    text = SECRET.replace(old, new)
    assert any(wanted in one for one in said(text)), said(text)


def test_the_example_of_the_page_is_in_order() -> None:
    page = (Path(__file__).parents[3] / "docs" / "elections.md").read_text(encoding="utf-8")
    (whole,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found, faults = read_election_file(whole.encode())
    assert faults == []
    assert found is not None
    assert [contest.id for contest in found.definition.contests] == ["chair", "board", "bylaws"]
    without = re.sub(r"^(members|# enrolment) .*\n", "", whole, flags=re.MULTILINE)
    found, faults = read_election_file(re.sub(r"^# (\w+ =)", r"\1", without, flags=re.MULTILINE).encode())
    assert faults == []
    assert found is not None
    assert (found.roll, found.definition.weighted, found.difficulty) == ("roll.json", True, 16)


def test_bytes_that_are_no_text() -> None:
    _, (fault,) = read_election_file(b'title = "x"\nnote = "\xff"\n')
    assert (fault.line, fault.wrong) == (2, "the file is not text in UTF-8")


def test_contests_with_the_same_id_or_title_are_named() -> None:
    one = '[[contests]]\nid = "a"\ntitle = "Chair"\ncandidates = ["Ann", "Bo"]\n'
    told = said(HEAD + one + one)
    assert "two contests have the id 'a'" in told
    assert any("a contest is listed twice: 'Chair' as number 1 and 2" in each for each in told)


@pytest.mark.parametrize(
    ("threshold", "share", "basis"),
    [
        ("simple", "simple", "cast"),
        ("simple majority of votes cast", "simple", "cast"),
        ("two-thirds of votes cast", "two-thirds", "cast"),
        ("three-quarters of the roll", "three-quarters", "roll"),
        ({"share": "absolute"}, "absolute", "cast"),
        ({"share": "absolute", "basis": "roll"}, "absolute", "roll"),
    ],
)
def test_thresholds_in_words_or_as_a_table(threshold: object, share: str, basis: str) -> None:
    values = {"title": "Bylaws", "method": "motion", "threshold": threshold, "quorum": 30}
    contest = contest_of_table(values)
    assert contest.threshold == Threshold(share=share, basis=basis)  # type: ignore[arg-type]
    assert contest.quorum == Quorum(percent=30)
    assert [candidate.name for candidate in contest.candidates] == ["Yes", "No", "Abstain"]


def contest_of_table(values: dict[str, object]) -> Contest:
    """The contest in a table [[contests]], whether or not nodes take its method yet."""
    faults = FaultList()
    made = read_contest(TomlTable(values, (), faults, {}), "1", None, (), faults)
    assert faults.found == []
    return made


def test_hours_are_read_in_the_zone_of_the_election() -> None:
    berlin = 'time_zone = "Europe/Berlin"\n'
    hours = "opens = 2027-05-31T08:00:00\ncloses = 2027-12-01T08:00:00\n"
    found, _ = read_election_file((berlin + hours + GOOD).encode())
    assert found is not None
    utc = [dt.datetime(2027, 5, 31, 6, tzinfo=dt.UTC), dt.datetime(2027, 12, 1, 7, tzinfo=dt.UTC)]
    assert [found.definition.opens, found.definition.closes] == [int(one.timestamp()) for one in utc]
    assert found.definition.time_zone == "Europe/Berlin"
    values = {"title": "x", "opens": utc[0], "contests": [{"candidates": ["A", "B"]}]}
    given, faults = election_of(values)
    assert faults == []
    assert given is not None
    assert given.definition.opens == found.definition.opens


LINES = [node_line(node) for node in named_nodes(3)]


def test_nodes_are_named_by_their_lines() -> None:
    listed = ",\n  ".join(f'"{line}"' for line in LINES)
    found, faults = read_election_file(f"nodes = [\n  {listed},\n]\n{GOOD}".encode())
    assert faults == []
    assert found is not None
    assert found.definition.nodes == named_nodes(3)


def test_a_wrong_line_of_a_node_is_named_with_the_line_of_the_file() -> None:
    wrong = LINES[1][:-1] + ("A" if LINES[1][-1] != "A" else "B")
    told = said(f'nodes = [\n  "{LINES[0]}",\n  "{wrong}",\n  "{LINES[2]}",\n]\n{GOOD}')
    assert len(told) == 1
    assert told[0].startswith("line 3, node 2: this is not the line of a node: ")
    assert said(f"nodes = [7]\n{GOOD}") == ["line 1, nodes: nodes must be a list of lines, or tables"]
    assert said(f'nodes = "x"\n{GOOD}') == ["line 1, nodes: nodes must be a list of lines, or tables"]


def test_two_nodes_of_one_key_are_refused_with_the_names_of_both() -> None:
    first = named_nodes(1)[0]
    copied = node_line(msgspec.structs.replace(first, name="south"))
    text = f'nodes = [\n"{LINES[0]}",\n"{copied}",\n]\n{GOOD}'
    assert said(text) == [f"line 3, node 2: the nodes {first.name!r} and 'south' have the same key"]
    twice = f'nodes = [\n"{LINES[0]}",\n"{LINES[1]}",\n"{LINES[1]}",\n]\n{GOOD}'
    (told,) = said(twice)
    assert told == f"line 4, node 3: the node {named_nodes(2)[1].name!r} stands here twice", "the second line"
    assert said(f'nodes = [\n"{LINES[0]}",\n"{LINES[0]}",\n]\n{GOOD}')


def test_nodes_in_a_list_and_in_tables_are_told_apart() -> None:
    told = said(f'nodes = ["{LINES[0]}"]\n{GOOD}[[nodes]]\nname = "x"\n')
    assert told == ["line 5, nodes: its nodes stand both in a list and in tables"]
