"""Which columns of a table hold what, and the ballot papers in it.

Layouts: a column for each rank (or for the only choice); a column for each candidate with the rank in the
cell; a cell with several names, split at `split`. A table that may be read in two ways is refused with the
option that decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from votenet.ballots.contest_columns import (
    MARKED,
    UNMARKED,
    ContestColumns,
    contest_columns,
    label_in,
    rank_in,
    spellings,
    with_candidates,
)
from votenet.ballots.marking_rules import BLANK_MARKS
from votenet.ballots.paper import MAX_PAPERS, Paper, Rank
from votenet.ballots.table import Table, TableRow, bad_file, place_of
from votenet.core.election.definition import Contest
from votenet.core.methods.registry import METHODS

VOTER_NAMES: Final = frozenset({"id", "voter", "voterid", "member", "memberid", "memberno"})
"""Usual names of the column with voter ids, without spaces and in small letters."""
_RANK_NAME: Final = re.compile(
    r"(rank|choice|preference|first|second|third)[ _-]?[0-9]{0,3}\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a person names. Without a header a column's name is its number.

    `choices` empty: those that hold candidates; `voter` None: one with a usual name, if there is one.
    `grid`: the header names candidates, cells hold ranks. `contests`: `ID` or `ID=COLUMN[,COLUMN…]` each.
    """

    choices: tuple[str, ...] = ()
    voter: str | None = None
    count: str | None = None
    ignored: tuple[str, ...] = ()
    header: bool | None = None
    grid: bool = False
    split: str = ""
    contests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table, as found. Numbers of columns count from 0."""

    header: tuple[str, ...]
    has_header: bool
    contests: tuple[ContestColumns, ...]
    voter: int | None
    count: int | None
    split: str
    unread: tuple[int, ...] = field(default=())

    def name(self, column: int) -> str:
        return self.header[column]

    def papers(self, table: Table) -> Iterator[Paper]:
        """The ballots of every row. Raises ConfigError: a voter id or a count is no such thing."""
        total = 0
        for row in table.rows[self.has_header :]:
            count = self._count(row)
            total += count
            if total > MAX_PAPERS:
                raise bad_file(f"more than {MAX_PAPERS:,} ballots", row.line, (self.count or 0) + 1)
            voter = "" if self.voter is None else row.cell(self.voter)
            if self.voter is not None and not voter:
                raise bad_file("the voter id is missing", row.line, self.voter + 1)
            ranks = tuple(
                _grid(row, one) if one.candidates else self._ranks(row, one) for one in self.contests
            )
            yield Paper(row.line, ranks, voter, count)

    def _count(self, row: TableRow) -> int:
        if self.count is None:
            return 1
        text = row.cell(self.count)
        if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
            raise bad_file(f"{text!r} is no number of ballots", row.line, self.count + 1)
        return int(text)

    def _ranks(self, row: TableRow, columns: ContestColumns) -> tuple[Rank, ...]:
        ranks = list[Rank]()
        for place in columns.places:
            cell = row.cell(place)
            if self.split:
                names = names_in(cell, self.split)
                ranks += [Rank(place + 1, (name,)) for name in names] or [Rank(place + 1, ())]
            else:
                ranks.append(Rank(place + 1, (cell,) if cell else ()))
        return tuple(ranks)


def _grid(row: TableRow, columns: ContestColumns) -> tuple[Rank, ...]:
    """The ranks in cells below the names of candidates, or the marks there."""
    at = dict[int, list[tuple[int, str]]]()
    for place, name in zip(columns.places, columns.candidates, strict=True):
        cell = row.cell(place)
        if columns.marks:
            if cell.lower() in MARKED:
                at[len(at) + 1] = [(place, name)]
            elif cell.lower() not in UNMARKED:
                raise bad_file(f"{cell!r} is no mark", row.line, place + 1)
        elif cell:
            if not (rank := rank_in(cell)):
                raise bad_file(f"{cell!r} is no rank", row.line, place + 1)
            at.setdefault(rank, []).append((place, name))
    found = (at.get(rank, []) for rank in range(1, max(at, default=0) + 1))
    return tuple(Rank(ones[0][0] + 1 if ones else 0, tuple(name for _, name in ones)) for ones in found)


def find_layout(
    table: Table,
    columns: Columns,
    contests: Sequence[Contest],
    asked: Mapping[int, Sequence[str]] | None = None,
) -> Layout:
    """The layout of a table.

    Args:
        columns: what a person has said of it.
        contests: of the election; without any every value may be a candidate.
        asked: the contests that the table has columns of by their names (`asked_contests`). None: it is a
            table of one contest, the only one of `contests`.

    Raises:
        ConfigError: it may be read in several ways, or in none.
    """
    names = frozenset(name for contest in contests for name in spellings(contest)) if contests else None
    grid = asked is None and (columns.grid or (columns.header is not False and _is_grid(table, names)))
    has_header = columns.header
    if grid and not columns.grid:
        _check_grid(table, names)
    if has_header is None:
        has_header = True
        if not grid:
            _check_header(table, names)
    first, line = table.rows[0].cells[: table.width], table.rows[0].line
    header = first if has_header else tuple(str(number + 1) for number in range(table.width))
    if has_header and len(table.rows) == 1:
        raise bad_file("there is a header and no ballot", line)
    voter = None if columns.voter is None else place_of(header, columns.voter, line)
    if voter is None and columns.count is None and has_header:
        voter = _usual(header, columns)
    count = None if columns.count is None else place_of(header, columns.count, line)
    if voter is not None and count is not None:
        raise bad_file("a voter with an id has one ballot", line, count + 1, "Leave one out.")
    taken = {place_of(header, name, line) for name in columns.ignored}
    taken |= {place for place in (voter, count) if place is not None}
    free = [place for place in range(len(header)) if place not in taken]
    rows = table.rows[has_header:]
    if asked is not None:
        if not has_header and not all(asked.values()):
            step = "Name them by number: --contest ID=COLUMN,COLUMN"
            raise bad_file("the columns have no names, and may be of any contest", line, next_step=step)
        found = contest_columns(table, header, free, contests, asked, columns.grid)
    else:
        choices = _choices(table, header, rows, free, columns, names, grid)
        ranked = not contests or METHODS[contests[0].method].ranked
        labels = [header[place] for place in choices]
        found = (with_candidates(table, choices, labels, ranked) if grid else ContestColumns(choices),)
    read = [place for one in found for place in one.places]
    if twice := [place for place in read if read.count(place) > 1 or place in taken]:
        raise bad_file(f"the column {header[twice[0]]!r} is named twice", line, twice[0] + 1)
    unread = tuple(place for place in free if place not in read)
    _check_unread(unread, rows, header, voter, table)
    if has_header and names is not None and not columns.choices:
        own = None if asked is None else [contests[place] for place, named in asked.items() if not named]
        _check_dropped(unread, table, header, found, own)
    if asked is not None and names is not None:
        _check_candidates(unread, rows, header, names, columns.split)
    return Layout(header, has_header, found, voter, count, columns.split, unread)


def _choices(
    table: Table,
    header: Sequence[str],
    rows: Sequence[TableRow],
    free: Sequence[int],
    columns: Columns,
    names: frozenset[str] | None,
    grid: bool,
) -> tuple[int, ...]:
    """The columns of the only contest of a table."""
    if columns.choices:
        return tuple(place_of(header, name, table.rows[0].line) for name in columns.choices)
    if grid:
        return tuple(place for place in free if names is None or header[place] in names)
    return _choice_columns(free, rows, columns.split, names, table, header)


def _usual(header: Sequence[str], columns: Columns) -> int | None:
    """The only column with a usual name for voter ids, unless a person has said what it is."""
    said = {*columns.ignored, *columns.choices}
    places = [
        place
        for place, name in enumerate(header)
        if re.sub("[ _-]", "", name.casefold()) in VOTER_NAMES
        and name not in said
        and str(place + 1) not in said
    ]
    return places[0] if len(places) == 1 else None


def names_in(cell: str, split: str) -> list[str]:
    """The names in a cell that holds several."""
    parts = re.split(f"[{re.escape(split)}]", cell)
    return [name for name in (part.strip() for part in parts) if name]


def _is_grid(table: Table, names: frozenset[str] | None) -> bool:
    """Whether the first row names candidates and the cells below hold ranks."""
    first = table.rows[0].cells
    places = [place for place, cell in enumerate(first) if names and cell in names]
    below = [row.cell(place) for row in table.rows[1:] for place in places]
    return any(below) and all(not cell or rank_in(cell) is not None for cell in below)


def _check_grid(table: Table, names: frozenset[str] | None) -> None:
    """Refuses ranks below candidates that may be ballots without a header: the ranks are names, too."""
    row = table.rows[0]
    for place, cell in enumerate(row.cells):
        below = (other.cell(place) for other in table.rows[1:])
        if names and cell in names and (held := next((name for name in below if name in names), "")):
            raise bad_file(
                f"{cell!r} is a candidate, and so is {held!r} below it: the file may have no header line",
                row.line,
                place + 1,
                "If it has none, say so with --no-header; if the cells are ranks of the candidates above:"
                " --ranks-in-cells.",
            )


def _check_header(table: Table, names: frozenset[str] | None) -> None:
    """Refuses a first row that looks like a ballot or a member."""
    row = table.rows[0]
    for place, cell in enumerate(row.cells):
        below = any(other.cell(place) == cell for other in table.rows[1:])
        known = names is not None and cell in names
        if cell and (known or below or not any(map(str.isalpha, cell))):
            why = "a candidate" if known else "also a value further down" if below else "no name of a column"
            raise bad_file(
                f"{cell!r} is {why}: the file seems to have no header line",
                row.line,
                place + 1,
                "If it has none, say so with --no-header; if it has one: --header.",
            )


def _choice_columns(
    free: Iterable[int],
    rows: Sequence[TableRow],
    split: str,
    names: frozenset[str] | None,
    table: Table,
    header: Sequence[str],
) -> tuple[int, ...]:
    """The columns that hold candidates; without candidates the only one that is left."""
    free = tuple(free)
    if names is None:
        ranked = tuple(place for place in free if _RANK_NAME.match(header[place]))
        if ranked or len(free) == 1:
            return ranked or free
        named = ", ".join(repr(header[place]) for place in free)
        raise bad_file(
            f"which of these columns hold the choices is not known: {named}" if free else "no column is left",
            table.rows[0].line,
            free[0] + 1 if free else 0,
            "Name each with --choice COLUMN, first choice first.",
        )

    def has_one(place: int) -> bool:
        return any(
            name in names
            for row in rows
            for name in (names_in(row.cell(place), split) if split else [row.cell(place)])
        )

    if found := tuple(place for place in free if has_one(place)):
        return found
    raise bad_file(
        "no column holds a candidate of this election",
        table.rows[0].line,
        free[0] + 1 if free else 1,
        next_step="Name the columns with --choice COLUMN to see their values.",
    )


def _check_unread(
    unread: Sequence[int], rows: Sequence[TableRow], header: Sequence[str], voter: int | None, table: Table
) -> None:
    """Refuses to pass over a column that may hold voters or numbers of ballots."""
    for place in unread:
        cells = [row.cell(place) for row in rows]
        numbers = all(cell.isascii() and cell.isdigit() for cell in cells)
        different = all(cells) and len(set(cells)) == len(cells) and voter is None
        if numbers or different:
            kinds = "numbers of ballots or voter ids" if numbers else "voter ids"
            raise bad_file(
                f"the column {header[place]!r} may hold {kinds}",
                table.rows[0].line,
                place + 1,
                "Say what it is with --voter-column or --count-column, or pass it over with --ignore.",
            )


def _check_dropped(
    unread: Sequence[int],
    table: Table,
    header: Sequence[str],
    found: Sequence[ContestColumns],
    contests: Sequence[Contest] | None,
) -> None:
    """Refuses to pass over a column with a part of the ballots. `contests`: found by their names in a table
    of several; None: it is a table of one.
    """
    rows = table.rows[1:]
    filled = [place for place in unread if any(_is_filled(row.cell(place)) for row in rows)]
    if contests is None:
        _check_passed_over(filled, table, header, found[0])
    else:
        _check_named_after(filled, table, header, contests)


def _check_passed_over(
    filled: Sequence[int], table: Table, header: Sequence[str], read: ContestColumns
) -> None:
    """Refuses to pass over a column that may be a rank or a candidate beside those of the only contest."""
    grid = bool(read.candidates)
    ranks = not grid and any(_is_rank(header[place]) for place in read.places)
    for place in filled:
        if grid and all(_is_mark(row.cell(place)) for row in table.rows[1:]):
            why = "it may hold ranks or marks, and its name is no candidate"
            step = "Mend its name"
        elif ranks and _is_rank(header[place]):
            why = "it is named like a rank, and none of its cells is a candidate"
            step = "Name each column to read with --choice COLUMN, first choice first"
        else:
            continue
        raise bad_file(
            f"the column {header[place]!r} is not read: {why}",
            table.rows[0].line,
            place + 1,
            f"{step}; or pass it over with --ignore.",
        )


def _check_named_after(
    filled: Sequence[int], table: Table, header: Sequence[str], contests: Sequence[Contest]
) -> None:
    """Refuses to pass over a column that is named after a contest whose columns are known by their names."""
    for place in filled:
        for contest in contests:
            if label_in(header[place], contest):
                raise bad_file(
                    f"the column {header[place]!r} is not read: it begins like the contest {contest.title!r},"
                    " and is none of its ranks or candidates",
                    table.rows[0].line,
                    place + 1,
                    f"Name the columns of the contest: --contest {contest.id}=COLUMN,COLUMN; or pass it over"
                    " with --ignore.",
                )


def _is_filled(cell: str) -> bool:
    return cell != "" and cell.casefold() not in BLANK_MARKS


def _is_rank(name: str) -> bool:
    return _RANK_NAME.match(name) is not None or rank_in(name) is not None


def _is_mark(cell: str) -> bool:
    return rank_in(cell) is not None or cell.lower() in MARKED | UNMARKED


def _check_candidates(
    unread: Sequence[int], rows: Sequence[TableRow], header: Sequence[str], names: frozenset[str], split: str
) -> None:
    """Refuses to pass over a column with candidates: it may be of a contest."""
    for place in unread:
        for row in rows:
            cell = row.cell(place)
            held = [name for name in (names_in(cell, split) if split else [cell]) if name in names]
            if held:
                raise bad_file(
                    f"{held[0]!r} is a candidate, and the column {header[place]!r} is of no contest",
                    row.line,
                    place + 1,
                    "Say of which: --contest ID=COLUMN; or pass the column over with --ignore.",
                )
