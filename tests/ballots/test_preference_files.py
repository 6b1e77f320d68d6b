"""`.blt` and PrefLib: real files, every part of the formats, and what is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from votenet.ballots.preference_files import read_blt, read_preflib
from votenet.errors import ConfigError

VECTORS = Path(__file__).parent.parent / "vectors"
ALTERNATIVES = "# ALTERNATIVE NAME 1: Ann\n# ALTERNATIVE NAME 2: Bo\n"


def test_real_elections_have_their_published_first_choices() -> None:
    for name, published in (
        ("takoma2007.toi", [107, 72, 23, 1]),
        ("burlington2009.toi", [2951, 2585, 2063, 1306, 36, 35]),
    ):
        first = Counter[str]()
        for paper in read_preflib((VECTORS / name).read_text(encoding="utf-8")).papers:
            if len(paper.contests[0][0].names) == 1:
                first[paper.contests[0][0].names[0]] += paper.count
        assert sorted(first.values(), reverse=True) == published


def test_each_part_of_a_blt_file() -> None:
    text = '# a comment\n3 2\n-2 -3\n(id 1) 2 1 - 2=3 0 # here\n1 0\n0\n"Ann # 1" "Bo"\n"Cy"\n"Title"\n'
    made = read_blt(text)
    assert (made.names, made.withdrawn, made.title) == (("Ann # 1", "Bo", "Cy"), {"Bo", "Cy"}, "Title")
    assert [
        (paper.line, paper.count, [rank.names for rank in paper.contests[0]]) for paper in made.papers
    ] == [
        (4, 2, [("Ann # 1",), (), ("Bo", "Cy")]),
        (5, 1, []),
    ]


def test_each_part_of_a_preflib_file() -> None:
    made = read_preflib(f"# FILE NAME: x\n# NUMBER VOTERS: 5\n{ALTERNATIVES}\n3: 2,1\n2: {{1,2}}\n")
    assert [[rank.names for rank in paper.contests[0]] for paper in made.papers] == [
        [("Bo",), ("Ann",)],
        [("Ann", "Bo")],
    ]


def test_damaged_files_are_refused_with_the_line() -> None:
    names = '"Ann"\n"Bo"\n'
    for read, text, why in (
        (read_blt, "", "line 1, column 1: whole numbers"),
        (read_blt, f"2 3\n1 1 0\n0\n{names}", "line 1, column 1: a .blt file begins"),
        (read_blt, f"2 1\n1 1\n0\n{names}", "line 2, column 1: a line of ballots is"),
        (read_blt, f"2 1\n0 1 0\n0\n{names}", "line 2, column 1: a line of ballots is"),
        (read_blt, f"2 1\n1 2 3 0\n0\n{names}", "line 2, column 3: '3' is the number of no candidate"),
        (read_blt, "2 1\n1 2 0\n", "line 2: the line 0 after the ballots is missing"),
        (read_blt, '2 1\n1 2 0\n0\n"Ann"\n', "2 names and a title should follow, not 1"),
        (read_blt, '2 1\n1 2 0\n0\n"Ann"\n"Ann"\n', "two candidates have the same name"),
        (read_blt, '2 1\n1 2 0\n0\n"Ann"\n"Bo\n', "line 5, column 1: this name does not end"),
        (read_blt, f"2 1\n0\n{names}", "0 ballots"),
        (read_blt, f"2 1\n999999999 1 0\n0\n{names}", "999,999,999 ballots"),
        (read_preflib, ALTERNATIVES + "3; 1\n", "line 3, column 1: a line of ballots is"),
        (read_preflib, ALTERNATIVES + "3: 1,4\n", "line 3, column 3: '4' is the number of no"),
        (read_preflib, ALTERNATIVES + "3: 1,,2\n", "line 3, column 2: '1,,2' is no order"),
        (read_preflib, ALTERNATIVES + "# NUMBER VOTERS: 4\n3: 1\n", "says that it has 4 ballots, and has 3"),
        (read_preflib, ALTERNATIVES.replace("2", "3") + "3: 1\n", "are not numbered from 1 on"),
    ):
        with pytest.raises(ConfigError) as refused:
            read(text)
        assert refused.value.code == "bad-ballot-file"
        assert why in refused.value.message, (text, refused.value.message)
