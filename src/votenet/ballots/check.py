"""What a file of ballots holds, and all that is wrong with it, before a single ballot is cast."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from votenet.ballots.contest_columns import ContestColumns, asked_contests, spellings
from votenet.ballots.layout import Columns, Layout, find_layout
from votenet.ballots.marking_rules import Marked, MarkingRules, marked
from votenet.ballots.paper import BadLine, Ballot, Paper, Rank
from votenet.ballots.preference_files import PreferenceFile, read_blt, read_preflib
from votenet.ballots.table import DELIMITERS, Table, bad_file, decoded, read_table
from votenet.core.election.definition import Contest
from votenet.core.limits import MAX_VOTER_ID
from votenet.core.text import folded, text_fault
from votenet.errors import ConfigError, VotenetError

MAX_FAULTS: Final = 1_000
"""Faults that are kept; others are counted."""
MAX_VALUES: Final = 2_000
"""Different values that are counted one by one."""


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What a person has said of a file. Without a voter column the id is `prefix` and the number."""

    columns: Columns = field(default_factory=Columns)
    rules: MarkingRules = field(default_factory=MarkingRules)
    encoding: str | None = None
    delimiter: str | None = None
    prefix: str = "ballot-"


@dataclass(frozen=True, slots=True)
class BallotFault:
    """One reason why a ballot cannot be cast."""

    line: int
    column: int
    what: str
    next_step: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.what}"


@dataclass(slots=True)
class ContestFindings:
    """What stands on the ballots of a file in one contest. `contest` None: no election is known."""

    contest: Contest | None
    columns: list[str]
    layout: str
    values: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    blanks: int = 0
    over_votes: int = 0
    skips: int = 0
    repeated_choices: int = 0

    def count(self, times: int, after: Marked) -> None:
        if not after.choices and not after.faults:
            self.blanks += times
        self.over_votes += after.over_votes * times
        self.skips += after.skips * times
        self.repeated_choices += after.repeats * times
        for names, counter in ((after.choices, self.values), (after.unknown, self.unknown)):
            for name in names:
                if name in counter or len(counter) < MAX_VALUES:
                    counter[name] += times

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.contest and self.contest.id,
            "title": self.contest and self.contest.title,
            "columns": self.columns,
            "layout": self.layout,
            "blanks": self.blanks,
            "over_votes": self.over_votes,
            "skips": self.skips,
            "repeated_choices": self.repeated_choices,
            "values": dict(self.values.most_common()),
            "no_candidates": dict(self.unknown.most_common()),
        }


@dataclass(slots=True)
class BallotCheck:
    """The ballots of a file in order, those that cannot be cast, and what was found on the way.

    `rows` has a ballot or a bad line for each ballot of the file, but for blank ones that the election does
    not take: those are in `blanks_left_out`.
    """

    sha256: str
    form: dict[str, Any]
    contests: list[ContestFindings]
    voter_column: int = 0
    """Counted from 1; 0 if the ids are numbers of ballots."""
    rows: list[Ballot | BadLine] = field(default_factory=list)
    blanks_left_out: int = 0
    repeated_ids: int = 0
    faults: list[BallotFault] = field(default_factory=list)
    fault_count: int = 0
    last_fault: BallotFault | None = None

    @property
    def ballots(self) -> list[Ballot]:
        return [row for row in self.rows if isinstance(row, Ballot)]

    def refuse(self, fault: BallotFault) -> None:
        self.fault_count += 1
        self.last_fault = fault
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)

    def demand_whole(self) -> None:
        """Raises VotenetError, code ballots-refused, if a ballot of the file cannot be cast."""
        if self.faults:
            more = f" (and {self.fault_count - 1:,} more faults)" if self.fault_count > 1 else ""
            raise VotenetError(
                f"nothing is cast: {self.faults[0]}{more}",
                code="ballots-refused",
                next_step=self.faults[0].next_step or "Mend the file, then try again.",
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256,
            **self.form,
            "ballots": len(self.rows) + self.blanks_left_out,
            "castable": len(self.ballots),
            "blanks_left_out": self.blanks_left_out,
            "repeated_ids": self.repeated_ids,
            "contests": [one.to_json() for one in self.contests],
            "fault_count": self.fault_count,
            "faults": [
                {"line": one.line, "column": one.column, "what": one.what} for one in self.faults[:100]
            ],
        }


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file as it was read. `groups`: for each contest its place in a paper; None where it stays blank."""

    form: dict[str, Any]
    papers: Iterable[Paper]
    groups: list[int | None]
    columns: list[ContestColumns]
    withdrawn: frozenset[str] = frozenset()
    layout: Layout | None = None


def check_ballots(
    data: bytes,
    options: ReadingOptions,
    contests: Sequence[Contest] = (),
    voter_fault: Callable[[str], tuple[str, str] | None] = lambda voter_id: None,
) -> BallotCheck:
    """What a file holds. Without contests every value is taken for a candidate of the only one.

    Args:
        contests: of the election, in its order.
        voter_fault: why a voter cannot vote, and what to do; None if nothing is known against it.

    Raises:
        ConfigError: it is not understood as a whole.
    """
    reading = _read(data, options, contests)
    asked: list[Contest | None] = [*contests] or [None]
    found = BallotCheck(hashlib.sha256(data).hexdigest(), reading.form, _findings(reading, asked))
    spelled = [None if contest is None else spellings(contest) for contest in asked]
    if reading.layout is not None and reading.layout.voter is not None:
        found.voter_column = reading.layout.voter + 1
    voters = _Voters(max(found.voter_column, 1), options.prefix, voter_fault)
    for paper in reading.papers:
        before = found.fault_count
        choices, blank = list[tuple[str, ...]](), list[bool]()
        for findings, names, group in zip(found.contests, spelled, reading.groups, strict=True):
            ranks = () if group is None else paper.contests[group]
            after = marked(ranks, options.rules, names, reading.withdrawn)
            findings.count(paper.count, after)
            _check_contest(found, paper, ranks, after, findings.contest)
            choices.append(tuple(after.choices))
            blank.append(not after.choices and not after.faults)
        if not all(blank):
            _check_blanks(found, paper, blank, reading)
        ids = voters.of(paper, found)
        wrong = found.fault_count > before
        if not (wrong or any(choices) or all(contest is None or contest.blank for contest in asked)):
            found.blanks_left_out += paper.count
            continue
        for number, voter_id in ids:
            if wrong:
                found.rows.append(BadLine(paper.line, _reason(found)))
            else:
                found.rows.append(Ballot(number, paper.line, voter_id, tuple(choices)))
    return found


def found_candidates(data: bytes, options: ReadingOptions) -> tuple[str, ...]:
    """Every candidate in a file, in the order of first appearance, first choices before second ones.

    Raises:
        ConfigError: it is not understood as a whole.
    """
    reading = _read(data, options, ())
    if "candidates" in reading.form:
        return tuple(name for name in reading.form["candidates"] if name not in reading.withdrawn)
    names = dict[str, None]()
    ballots = [
        marked(paper.contests[0], options.rules, None, frozenset()).choices for paper in reading.papers
    ]
    for rank in range(max(map(len, ballots), default=0)):
        names |= dict.fromkeys(ballot[rank] for ballot in ballots if rank < len(ballot))
    return tuple(names)


def _read(data: bytes, options: ReadingOptions, contests: Sequence[Contest]) -> _Reading:
    asked = asked_contests(options.columns.contests, contests)
    only = next(iter(asked), 0) if len(asked) < 2 and not any(asked.values()) else None
    groups = [(0 if only == place else None) for place in range(len(contests) or 1)]
    text, encoding = "", ""
    if data[:1] in b"#0123456789 \xef" or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text, encoding = decoded(data, options.encoding)
    if (made := _preferences(text)) is not None:
        if only is None:
            ids = ", ".join(contest.id for contest in contests)
            raise bad_file(
                "a file of this form has the ballots of one contest, without columns",
                next_step=f"Say of which, where the others may stay blank: --contest ID. The contests: {ids}",
            )
        form = {"format": made.kind, "encoding": encoding, "candidates": list(made.names)}
        if made.withdrawn:
            form["withdrawn"] = sorted(made.withdrawn)
        return _Reading(form, made.papers, groups, [ContestColumns()] * len(groups), made.withdrawn)
    table = read_table(data, options.encoding, options.delimiter)
    if only is not None:
        layout = find_layout(table, options.columns, contests[only : only + 1])
        columns = [layout.contests[0] if group is not None else ContestColumns() for group in groups]
    elif options.columns.choices:
        raise ConfigError(
            "--choice names the columns of one contest, and the file is of several",
            code="contradiction",
            next_step="Name the columns of each contest: --contest ID=COLUMN,COLUMN",
        )
    else:
        layout = find_layout(table, options.columns, contests, asked)
        columns, groups = list(layout.contests), list(range(len(contests)))
    return _Reading(_form(table, layout), layout.papers(table), groups, columns, layout=layout)


def _preferences(text: str) -> PreferenceFile | None:
    """The content in a format of other programs, if it is in one."""
    if re.match(r"\s*#", text) and re.search(r"^# *ALTERNATIVE NAME", text, re.MULTILINE):
        return read_preflib(text)
    if re.match(r"(\s*#[^\n]*\n)*\s*[0-9]+[ \t]+[0-9]+[ \t\r]*(#[^\n]*)?\n", text):
        return read_blt(text)
    return None


def _form(table: Table, layout: Layout) -> dict[str, Any]:
    def named(place: int | None) -> str | None:
        return None if place is None else layout.name(place)

    return {
        "format": "csv",
        "encoding": table.encoding,
        "delimiter": DELIMITERS.get(table.delimiter, table.delimiter),
        "header": list(layout.header) if layout.has_header else None,
        "voter_column": named(layout.voter),
        "count_column": named(layout.count),
        "not_read": [layout.name(place) for place in layout.unread],
        "empty_rows": table.empty_rows,
    }


def _findings(reading: _Reading, contests: Sequence[Contest | None]) -> list[ContestFindings]:
    found = []
    for contest, group, columns in zip(contests, reading.groups, reading.columns, strict=True):
        names = [] if reading.layout is None else [reading.layout.name(place) for place in columns.places]
        layout = (
            "marks in cells"
            if columns.marks
            else "ranks in cells"
            if columns.candidates
            else "names in cells"
        )
        if reading.layout is None:
            layout = "numbers of candidates"
        blank = group is None or (reading.layout is not None and not columns.places)
        found.append(ContestFindings(contest, names, "all blank" if blank else layout))
    return found


def _check_contest(
    found: BallotCheck, paper: Paper, ranks: tuple[Rank, ...], after: Marked, contest: Contest | None
) -> None:
    """Notes what is wrong in one contest of a ballot: its marks, or how many choices it has."""
    of = f" (contest {contest.id})" if contest is not None and len(found.contests) > 1 else ""
    for column, what, step in after.faults:
        found.refuse(BallotFault(paper.line, column, what + of, step))
    given = len(after.choices)
    if contest is None or after.faults or not given or contest.min <= given <= contest.max:
        return
    column = next((rank.column for rank in ranks if after.choices[-1] in rank.names), 1)
    words = f"at most {contest.max}" if given > contest.max else f"at least {contest.min}"
    step = "Name the columns to read with --choice." if given > contest.max and not of else ""
    what = f"{given} choices where the contest takes {words}{of}"
    found.refuse(BallotFault(paper.line, column, what, step))


def _check_blanks(found: BallotCheck, paper: Paper, blank: Sequence[bool], reading: _Reading) -> None:
    """Notes the contests that take no blanks, on a ballot that is blank there and not elsewhere."""
    for findings, is_blank, columns in zip(found.contests, blank, reading.columns, strict=True):
        if not is_blank or findings.contest is None or findings.contest.blank:
            continue
        column = columns.places[0] + 1 if columns.places else 1
        what = f"no choice in the contest {findings.contest.id}, which takes no blank ballots"
        found.refuse(BallotFault(paper.line, column, what))


def _reason(found: BallotCheck) -> str:
    fault = found.last_fault
    return "" if fault is None else f"column {fault.column}: {fault.what}"


class _Voters:
    """The voters of a file: numbered ones, or those of a column."""

    def __init__(self, column: int, prefix: str, fault: Callable[[str], tuple[str, str] | None]) -> None:
        self._column, self._prefix, self._fault = column, prefix, fault
        self._number = 0
        self._seen: dict[str, tuple[str, int]] = {}

    def of(self, paper: Paper, found: BallotCheck) -> list[tuple[int, str]]:
        """Number and voter of each ballot of a paper; notes what is wrong with the voters."""
        first = self._number + 1
        self._number += paper.count
        numbers = range(first, self._number + 1)
        ids = [(number, paper.voter_id or f"{self._prefix}{number:06d}") for number in numbers]
        if paper.voter_id:
            self._check(paper, found)
        for _, voter_id in ids:
            if (fault := self._fault(voter_id)) is not None:
                self._refuse(found, paper, *fault)
        return ids

    def _check(self, paper: Paper, found: BallotCheck) -> None:
        """Notes an id that no voter can have, that was there before, or that looks like one that was."""
        voter = paper.voter_id
        if fault := text_fault(voter):
            self._refuse(found, paper, f"the voter id {voter!r} has {fault}")
        elif len(voter) > MAX_VOTER_ID:
            self._refuse(found, paper, f"a voter id of {len(voter)} characters")
        other, line = self._seen.setdefault(folded(voter), (voter, paper.line))
        if line != paper.line:
            found.repeated_ids += 1
            same = "is also" if other == voter else f"looks like {other!r}"
            step = "Leave one of the two out: a voter has one ballot."
            self._refuse(found, paper, f"the voter id {voter!r} {same} on line {line}", step)

    def _refuse(self, found: BallotCheck, paper: Paper, what: str, next_step: str = "") -> None:
        found.refuse(BallotFault(paper.line, self._column, what, next_step))
