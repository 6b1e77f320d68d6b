"""Files as people have them: each is read exactly, or refused with its line and column."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.ballots.check import BallotCheck, ReadingOptions, check_ballots, found_candidates
from votenet.ballots.layout import Columns
from votenet.ballots.marking_rules import MarkingRules
from votenet.ballots.paper import Ballot
from votenet.ballots.table import DELIMITERS
from votenet.core.election.definition import Candidate, Contest
from votenet.errors import ConfigError, VotenetError

FILES: Final = Path(__file__).parent.parent / "data" / "ballots"
DEFAULTS: Final = ReadingOptions()
BRIEN, JOSE, SHALOM = "O’Brien \"Bo\"", "Jos\u00e9 \U0001f5f3", "שלום"  # fmt: skip


def contest(*names: str, most: int = 3, blank: bool = False) -> Contest:
    made = tuple(Candidate(name=name) for name in names or ("Ann", "Bo", "Cy", "Dee"))
    return Contest(title="Chair", candidates=made, max=most, method="instant-runoff", blank=blank)


def reading(**columns: Any) -> ReadingOptions:
    return ReadingOptions(columns=Columns(**columns))


def cast(found: BallotCheck) -> dict[str, str]:
    return {ballot.voter_id: ">".join(ballot.choices[0]) for ballot in found.ballots}


def numbered(*choices: str) -> dict[str, str]:
    return {f"ballot-{number:06d}": chosen for number, chosen in enumerate(choices, start=1)}


I = reading(voter="v")  # noqa: E741
READ: Final[dict[str, tuple[ReadingOptions, Contest, dict[str, str]]]] = {
    "c01_noheader.csv": (
        reading(header=False, voter="1"),
        contest(),
        {"v1": "Ann>Bo", "v2": "Bo>Ann", "v3": "Ann>Cy", "v4": "Cy>Bo", "v5": "Bo>Cy"},
    ),
    "c01b_fixed.csv": (DEFAULTS, contest(), numbered("Bo", "Ann", "Ann", "Bo")),
    "c01b_noheader_1col.csv": (reading(header=False), contest(), numbered("Bo", "Ann", "Ann", "Bo")),
    "c03_ranks_in_cells.csv": (
        DEFAULTS,
        contest("Ann", "Bo", "Cy"),
        {"v1": "Ann>Bo>Cy", "v2": "Bo>Ann>Cy", "v3": "Bo>Cy>Ann", "v4": "Cy>Bo>Ann", "v5": "Ann>Cy>Bo"},
    ),
    "c04_semicolon.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann", "v3": "Ann>Cy"}),
    "c04b_sep_line.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann"}),
    "c05_bom_crlf.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann"}),
    "c05b_utf16.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann"}),
    "c05c_latin1.csv": (
        ReadingOptions(encoding="latin-1"),
        contest("Ann", "Bo", "José"),
        {"v1": "Ann>Bo", "v2": "José>Ann", "v3": "José>Bo", "v4": "Ann>José"},
    ),
    "c07_newline_in_cell.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann"}),
    "c08_empty_rows.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann"}),
    "c08b_extra_columns.csv": (DEFAULTS, contest(), {"v1": "Ann>Bo", "v2": "Bo>Ann", "v3": "Ann"}),
    "c09_spaces.csv": (
        DEFAULTS,
        contest(),
        {"v1": "Ann>Bo", "v2": "Bo>Ann", "v3": "Ann>Bo", "v4": "Ann>Cy", "v5": "Ann>Bo"},
    ),
    "c11_blank_marks.csv": (
        DEFAULTS,
        contest(blank=True),
        {"v1": "Ann>Bo", "v2": "", "v3": "Ann>Bo", "v4": "Bo", "v5": "", "v6": "Bo>Ann", "v7": "Cy"},
    ),
    "c12_overvote_in_cell.csv": (
        ReadingOptions(rules=MarkingRules(over_votes="skip")),
        contest(),
        {"v1": "Cy", "v2": "Cy", "v3": "Bo>Ann"},
    ),
    "c16_names.csv": (
        DEFAULTS,
        contest("Smith, Ann", BRIEN, JOSE, SHALOM),
        {
            "v1": f"Smith, Ann>{BRIEN}",
            "v2": f"{BRIEN}>Smith, Ann",
            "v3": f"{JOSE}>{SHALOM}",
            "v4": f"{JOSE}>Smith, Ann",
            "v5": f"{SHALOM}>Smith, Ann",
        },
    ),
    "c17_write_in.csv": (
        ReadingOptions(rules=MarkingRules(unknown="skip")),
        contest(),
        {"v1": "Ann>Bo", "v2": "Ann>Bo", "v3": "Bo>Ann", "v4": "Bo", "v5": "Bo>Ann"},
    ),
    "c18_weights.csv": (
        reading(count="ballots"),
        contest(),
        numbered(*["Ann"] * 840, *["Bo>Cy"] * 355, *["Cy>Bo"] * 271),
    ),
    "c19_blt.blt": (DEFAULTS, contest(), numbered(*["Ann>Bo"] * 4, *["Bo>Ann"] * 3, *["Bo"] * 2)),
    "c20_candidates.csv": (
        DEFAULTS,
        contest(),
        {"v1": "Ann>Dee", "v2": "Bo>Ann", "v3": "Bo", "v5": "Ann>Bo", "v6": "Bo>Dee>Cy"},
    ),
    "c21_checkbox_cell.csv": (
        reading(ignored=("time",), split=",;"),
        contest(),
        numbered("Ann>Bo", "Ann>Cy", "Bo"),
    ),
    "i01.csv": (
        I,
        contest("Ann", "Bo", "Cy", "Di"),
        {f"x{n}": "Ann" for n in range(1, 5)}
        | {f"x{n}": "Bo" for n in range(5, 8)}
        | {f"x{n}": "Cy>Bo" for n in range(8, 10)}
        | {f"x{n}": "Di>Ann" for n in range(10, 12)},
    ),
    "i02.csv": (I, contest(), {f"x{n}": "Ann" if n < 4 else "Bo" for n in range(1, 7)}),
    "i03.csv": (
        I,
        contest("Ann", "Bo", "Cy", "Di"),
        {f"x{n}": ("Ann", "Bo", "Cy", "Di")[(n - 1) // 2] for n in range(1, 9)},
    ),
    "i04.csv": (
        I,
        contest(),
        {f"x{n}": "Ann>Bo" if n < 6 else "Bo>Ann" if n < 11 else "Cy" for n in range(1, 12)},
    ),
    "p1.csv": (DEFAULTS, contest(), numbered("Ann", "Ann", "Bo")),
    "p2.csv": (DEFAULTS, contest(), numbered("Ann", "Ann", "Bo")),
    "q01_ids_excel.csv": (DEFAULTS, contest(), {"17": "Ann", "18": "Bo"}),
    "r06_paper_ballots.csv": (DEFAULTS, contest(), {"0017": "Ann", "0018": "Bo"}),
}
REFUSED: Final[dict[str, tuple[ReadingOptions, str]]] = {
    "c01_noheader.csv": (DEFAULTS, "line 1, column 2: 'Ann' is a candidate"),
    "c01b_noheader_1col.csv": (DEFAULTS, "line 1, column 1: 'Bo' is a candidate"),
    "c05c_latin1.csv": (DEFAULTS, "line 3, column 2: these bytes are not UTF-8: e9"),
    "c12_overvote_in_cell.csv": (DEFAULTS, "line 2, column 2: 'Ann' and 'Bo' at one rank"),
    "c14_voter_twice.csv": (DEFAULTS, "line 3, column 1: the voter id 'v1' is also on line 2"),
    "c17_write_in.csv": (DEFAULTS, "line 3, column 2: 'Mickey Mouse' is no candidate"),
    "c18_weights.csv": (DEFAULTS, "line 1, column 1: the column 'ballots' may hold numbers of ballots"),
    "c21_checkbox_cell.csv": (reading(ignored=("time",)), "line 2, column 2: 'Ann' and 'Bo' at one rank"),
    "i01.csv": (DEFAULTS, "line 1, column 1: the column 'v' may hold voter ids"),
    "longcand.csv": (DEFAULTS, "line 3, column 1: 'yyy"),
    "onlyheader.csv": (DEFAULTS, "line 1: there is a header and no ballot"),
    "r01_members.csv": (DEFAULTS, "line 1, column 2: no column holds a candidate"),
    "r01s.csv": (DEFAULTS, "line 1, column 2: no column holds a candidate"),
    "r02_members_dup.csv": (DEFAULTS, "line 1, column 2: no column holds a candidate"),
    "r05_members_case.csv": (DEFAULTS, "line 1, column 2: no column holds a candidate"),
    "r07_members_bare_id.csv": (DEFAULTS, "line 1, column 1: '0017' is no name of a column"),
}


def test_every_file_is_read_exactly_or_refused_whole() -> None:
    for name, (options, held, expected) in READ.items():
        found = check_ballots((FILES / name).read_bytes(), options, [held])
        found.demand_whole()
        assert cast(found) == expected, name
    for name, (options, why) in REFUSED.items():
        with pytest.raises(VotenetError) as refused:
            check_ballots((FILES / name).read_bytes(), options, [contest()]).demand_whole()
        assert why in refused.value.message, name
        assert refused.value.next_step, name
    assert {path.name for path in FILES.iterdir()} == {*READ, *REFUSED}


def test_all_that_is_wrong_is_said_and_counted() -> None:
    found = check_ballots((FILES / "c14_voter_twice.csv").read_bytes(), DEFAULTS, [contest()])
    assert [str(fault).partition(": ")[2] for fault in found.faults] == [
        "the voter id 'v1' is also on line 2",
        "the voter id 'v2' is also on line 4",
        "the voter id 'V3' looks like 'v3' on line 6",
        "the voter id 'v4' is also on line 8",
    ]
    assert (found.repeated_ids, len(found.ballots), len(found.rows)) == (4, 4, 8)
    found = check_ballots((FILES / "c17_write_in.csv").read_bytes(), DEFAULTS, [contest()])
    assert found.to_json()["contests"][0]["no_candidates"] == {
        "Mickey Mouse": 1,
        "Donald Duck": 1,
        "Write-in": 1,
    }
    found = check_ballots((FILES / "c11_blank_marks.csv").read_bytes(), DEFAULTS, [contest()])
    assert (
        found.contests[0].blanks,
        found.blanks_left_out,
        found.contests[0].over_votes,
        len(found.rows),
    ) == (2, 2, 1, 5)


def test_choices_beyond_the_contest_and_voters_beyond_the_roll_are_refused() -> None:
    data = (FILES / "c04_semicolon.csv").read_bytes()
    with pytest.raises(VotenetError, match="line 2, column 3: 2 choices where the contest takes at most 1"):
        check_ballots(data, DEFAULTS, [contest(most=1)]).demand_whole()

    def off_roll(voter_id: str) -> tuple[str, str] | None:
        return None if voter_id in {"0017", "0018"} else (f"{voter_id!r} is not on the roll", "")

    ids = (FILES / "q01_ids_excel.csv").read_bytes()
    with pytest.raises(VotenetError, match="line 2, column 1: '17' is not on the roll"):
        check_ballots(ids, DEFAULTS, [contest()], off_roll).demand_whole()


def test_candidates_are_found_at_every_rank_and_marks_are_none() -> None:
    data = (FILES / "c20_candidates.csv").read_bytes()
    assert found_candidates(data, DEFAULTS) == ("Ann", "Bo", "Dee", "Cy")
    assert found_candidates((FILES / "c19_blt.blt").read_bytes(), DEFAULTS) == ("Ann", "Bo")
    with pytest.raises(ConfigError, match="'time', 'Who do you approve of"):
        found_candidates((FILES / "c21_checkbox_cell.csv").read_bytes(), DEFAULTS)


NAMES = st.sampled_from(["Ann", "Bo, jr.", 'Cy "C"', "José", "Dee;D", "E\tE"])
BALLOTS = st.lists(st.lists(NAMES, max_size=3, unique=True), min_size=1, max_size=6)


def written(
    ballots: list[list[str]], delimiter: str, encoding: str, end: str, surplus: int, sep: bool
) -> bytes:
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    rows.writerow(["voter", "rank1", "rank2", "rank3"])
    for number, ballot in enumerate(ballots):
        rows.writerow([f" v{number}\u00a0", *ballot, *[""] * (3 - len(ballot) + surplus)])
    text = (f"sep={delimiter}{end}" if sep else "") + out.getvalue()
    return text.encode(encoding)


@given(
    ballots=BALLOTS,
    delimiter=st.sampled_from([*DELIMITERS]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n"]),
    surplus=st.integers(0, 2),
    sep=st.booleans(),
    cut=st.floats(0, 1),
    byte=st.integers(0, 255),
)
def test_every_dialect_gives_the_same_ballots_and_a_damaged_file_none_that_is_not_there(
    ballots: list[list[str]],
    delimiter: str,
    encoding: str,
    end: str,
    surplus: int,
    sep: bool,
    cut: float,
    byte: int,
) -> None:
    held = contest("Ann", "Bo, jr.", 'Cy "C"', "José", "Dee;D", "E\tE", blank=True)
    data = written(ballots, delimiter, encoding, end, surplus, sep)
    options = reading(choices=("rank1", "rank2", "rank3"))
    found = check_ballots(data, options, [held])
    found.demand_whole()
    rows = [
        Ballot(number, number + 1 + sep, f"v{number - 1}", (tuple(ballot),))
        for number, ballot in enumerate(ballots, start=1)
    ]
    assert found.rows == rows
    # one byte that no text in this encoding has: the file is refused as a whole
    place = int(cut * (len(data) - 1)) & ~3
    broken = data[:place] + (b"\x00" if encoding.startswith("utf-8") else b"\x00\xd8\x00\xd8") + data[place:]
    if not broken.startswith(codecs.BOM_UTF16_LE) or encoding == "utf-16":
        with pytest.raises(VotenetError):
            check_ballots(broken, options, [held]).demand_whole()
    # a bracket less, a byte more: whatever happens, what is read is candidates' names or a refusal
    changed = data[:place] + bytes([byte]) + data[place + 1 :]
    try:
        again = check_ballots(changed, options, [held])
        again.demand_whole()
    except VotenetError:
        return
    known = {one.name for one in held.candidates}
    assert all(known.issuperset(ballot.choices[0]) for ballot in again.ballots)
    assert len({ballot.voter_id for ballot in again.ballots}) == len(again.ballots)


SEVERAL: Final = (
    contest("Ann", "Bo, jr.", "José"),
    Contest(
        id="board",
        title="The board",
        candidates=tuple(Candidate(name=name) for name in ("Di", "Ed;x", "Flo")),
        method="approval",
        max=3,
        blank=True,
    ),
    Contest(
        id="bylaws",
        title="New bylaws",
        candidates=tuple(Candidate(name=name) for name in ("Yes", "No", "Abstain")),
        method="motion",
        blank=True,
    ),
)
NAMES_OF: Final = [[one.name for one in held.candidates] for held in SEVERAL]
CHOSEN: Final = [
    st.lists(st.sampled_from(names), max_size=held.max, unique=True)
    for held, names in zip(SEVERAL, NAMES_OF, strict=True)
]
FORMS: Final[dict[str, tuple[list[str], dict[str, Any]]]] = {
    "said": (
        ["a", "b", "c", "d", "e", "f", "Should we?"],
        {"contests": ("1=a,b,c", "board=d,e,f", "bylaws=Should we?")},
    ),
    "marks": (
        [
            "Chair [1]",
            "Chair [2]",
            "Chair [3]",
            *(f"The board [{name}]" for name in NAMES_OF[1]),
            "New bylaws",
        ],
        {},
    ),
    "grid": ([*(f"chair - {name}" for name in NAMES_OF[0]), "board 1", "board 2", "board_3", "bylaws"], {}),
    "split": (["Chair", "board", "bylaws"], {"split": "|"}),
}


def wide(ballots: list[tuple[list[str], ...]], form: str, delimiter: str) -> tuple[bytes, ReadingOptions]:
    """The ballots of three contests as a survey tool may write them, and what must be said of the file."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=delimiter)
    header, columns = FORMS[form]
    rows.writerow(["Voter", *header, "comment"])
    for number, (chair, board, bylaws) in enumerate(ballots):
        one = [*chair, *[""] * (3 - len(chair))]
        two = [*board, *[""] * (3 - len(board))]
        if form == "marks":
            two = ["x" if name in board else "" for name in NAMES_OF[1]]
        elif form == "grid":
            one = [str(chair.index(name) + 1) if name in chair else "" for name in NAMES_OF[0]]
        elif form == "split":
            one, two = ["|".join(chair)], ["|".join(board)]
        rows.writerow([f"v{number}", *one, *two, *(bylaws or [""]), "fine"])
    return out.getvalue().encode(), ReadingOptions(Columns(**columns), delimiter=delimiter)


@given(
    ballots=st.lists(st.tuples(*CHOSEN), min_size=1, max_size=6),
    form=st.sampled_from([*FORMS]),
    delimiter=st.sampled_from([*DELIMITERS]),
    place=st.floats(0, 1),
    byte=st.integers(0, 255),
)
def test_every_form_of_several_contests_gives_the_same_ballots_and_a_damaged_one_no_others(
    ballots: list[tuple[list[str], ...]], form: str, delimiter: str, place: float, byte: int
) -> None:
    data, options = wide(ballots, form, delimiter)
    found = check_ballots(data, options, SEVERAL)
    whole = [tuple(map(tuple, ballot)) for ballot in ballots]
    if form == "marks":
        whole = [(a, tuple(name for name in NAMES_OF[1] if name in b), c) for a, b, c in whole]
    # A ballot that is blank everywhere is left out, one that is blank for the chair alone is refused.
    assert [one.choices for one in found.ballots] == [ballot for ballot in whole if ballot[0]]
    assert found.blanks_left_out == sum(not any(ballot) for ballot in whole)
    assert found.fault_count == sum(any(ballot) and not ballot[0] for ballot in whole)
    for fault in found.faults:
        assert (fault.column, fault.what[:27]) == (2, "no choice in the contest 1,")
    at = int(place * (len(data) - 1))
    try:
        again = check_ballots(data[:at] + bytes([byte]) + data[at + 1 :], options, SEVERAL)
        again.demand_whole()
    except VotenetError:
        return
    for ballot in again.ballots:
        for names, choices in zip(NAMES_OF, ballot.choices, strict=True):
            assert set(names).issuperset(choices)
            assert len(set(choices)) == len(choices)


def test_a_file_of_one_contest_says_of_which_and_no_column_with_candidates_is_passed_over() -> None:
    blt = b'2 1\n2 1 2 0\n1 2 0\n0\n"Di"\n"Flo"\n"Title"\n'
    open_chair = (msgspec.structs.replace(SEVERAL[0], blank=True), *SEVERAL[1:])
    found = check_ballots(blt, reading(contests=("board",)), open_chair)
    board = (("Di", "Flo"), ("Di", "Flo"), ("Flo",))
    assert [ballot.choices for ballot in found.ballots] == [((), one, ()) for one in board]
    assert [one.layout for one in found.contests] == ["all blank", "numbers of candidates", "all blank"]
    extra = b"id,chair,board,bylaws,extra\n1,Ann,Di,Yes,No\n"
    for data, options, contests, why, step in (
        (blt, DEFAULTS, open_chair, "has the ballots of one contest", "--contest ID. The contests: 1, board"),
        (blt, reading(contests=("board",)), SEVERAL, "contest '1', which takes no blank", "--contest 1="),
        (extra, DEFAULTS, SEVERAL, "line 2, column 5: 'No'", "--ignore"),
        (b"1,Ann,Di,Yes\n", reading(header=False, voter="1"), SEVERAL, "have no names", "--contest ID="),
        (b"a,b\nAnn,Yes\n", reading(choices=("a",)), SEVERAL, "--choice names", "--contest ID="),
    ):
        with pytest.raises(ConfigError) as refused:
            check_ballots(data, options, contests)
        assert why in refused.value.message
        assert step in refused.value.next_step
    found = check_ballots(b"id,chair,board,bylaws\n1,Zed,Ed,Yes\n2,Ann,,Maybe\n", DEFAULTS, SEVERAL)
    assert [str(fault) for fault in found.faults] == [
        "line 2, column 2: 'Zed' is no candidate (contest 1)",
        "line 2, column 3: 'Ed' is no candidate (contest board)",
        "line 3, column 4: 'Maybe' is no candidate (contest bylaws)",
    ]
    assert found.ballots == []


@given(
    ballots=st.lists(st.lists(st.integers(1, 3), max_size=3, unique=True), min_size=1, max_size=6),
    preflib=st.booleans(),
    cut=st.floats(0, 1),
    byte=st.integers(0, 255),
)
def test_files_of_other_programs_give_the_same_ballots_and_damaged_ones_no_others(
    ballots: list[list[int]], preflib: bool, cut: float, byte: int
) -> None:
    names = NAMES_OF[1]
    if preflib:
        head = [f"# NUMBER VOTERS: {len(ballots)}"]
        head += [f"# ALTERNATIVE NAME {number}: {name}" for number, name in enumerate(names, start=1)]
        lines = [*head, *(f"1: {','.join(map(str, ballot))}" for ballot in ballots)]
    else:
        papers = [" ".join(map(str, (1, *ballot, 0))) for ballot in ballots]
        lines = ["3 2", *papers, "0", *(f'"{name}"' for name in names), '"Board"']
    data = "\n".join((*lines, "")).encode()
    board = [msgspec.structs.replace(SEVERAL[1], min=0)]
    found = check_ballots(data, DEFAULTS, board)
    assert [one.choices for one in found.ballots] == [
        (tuple(names[number - 1] for number in ballot),) for ballot in ballots
    ]
    at = int(cut * (len(data) - 1))
    for damaged in (data[:at], data[:at] + bytes([byte]) + data[at + 1 :]):
        try:
            again = check_ballots(damaged, DEFAULTS, board)
            again.demand_whole()
        except VotenetError:
            continue
        assert all(set(names).issuperset(ballot.choices[0]) for ballot in again.ballots)
    with pytest.raises(VotenetError):  # without its last ballot
        check_ballots("\n".join(lines[:-1] if preflib else lines[:1]).encode(), DEFAULTS, board)
