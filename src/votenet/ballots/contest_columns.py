"""Which contests a file has ballots of, and which columns of a table are of which contest.

A column is named after a contest: its title or its id, then nothing, a rank (`board 2`, `Board [2nd choice]`)
or a candidate (`Board [Ann]`). What may be read in two ways is refused with the option that decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.ballots.table import Table, bad_file, place_of
from votenet.core.election.definition import Contest
from votenet.core.methods.registry import METHODS
from votenet.errors import ConfigError

_KIND: Final = r"(?:rank|choice|preference|place)"
_RANK: Final = re.compile(
    rf"(?:{_KIND}[\s_-]*)?#?([0-9]{{1,4}})(?:st|nd|rd|th|\.)?(?:[\s_-]*{_KIND})?\Z", re.I
)
_ORDINALS: Final = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
)
_ORDINAL: Final = re.compile(rf"({'|'.join(_ORDINALS)})(?:[\s_-]*{_KIND})?\Z", re.I)
MARKED: Final = frozenset({"1", "x", "y", "yes", "true"})
"""Cells below a candidate's name that choose the candidate, in small letters, where nothing is ranked."""
UNMARKED: Final = frozenset({"", "0", "n", "no", "false"})


@dataclass(frozen=True, slots=True)
class ContestColumns:
    """The columns of one contest in order; none at all: the contest stays blank.

    With `candidates`, one for each column, the cells hold ranks or, with `marks`, whether one is chosen.
    """

    places: tuple[int, ...] = ()
    candidates: tuple[str, ...] = ()
    marks: bool = False


def spellings(contest: Contest) -> dict[str, str]:
    """The names of the candidates in the election, by their NFC forms."""
    return {unicodedata.normalize("NFC", one.name): one.name for one in contest.candidates}


def asked_contests(typed: Sequence[str], contests: Sequence[Contest]) -> dict[int, list[str]]:
    """The places of the contests that a file is of, with the columns that were named for each.

    Args:
        typed: `ID` or `ID=COLUMN[,COLUMN…]`; nothing stands for every contest.

    Raises:
        ConfigError: there is no such contest, or a contest that is left out takes no blank ballots.
    """
    places = {contest.id: place for place, contest in enumerate(contests)}
    found: dict[int, list[str]] = {} if typed else {place: [] for place in places.values()}
    for text in typed:
        name, equals, listed = text.partition("=")
        if name not in places:
            known = f"The contests are: {', '.join(places)}" if places else "Name its file: --genesis FILE"
            raise ConfigError(f"there is no contest {name!r}", code="no-such-contest", next_step=known)
        found.setdefault(places[name], []).extend([listed] if equals else [])
    for place, contest in enumerate(contests):
        if place not in found and not contest.blank:
            raise bad_file(
                f"the file has no ballots of the contest {contest.id!r}, which takes no blank ones",
                next_step=f"Give a file with its columns, too: --contest {contest.id}=COLUMN",
            )
    return found


def contest_columns(
    table: Table,
    header: Sequence[str],
    free: Sequence[int],
    contests: Sequence[Contest],
    asked: Mapping[int, Sequence[str]],
    by_candidates: bool,
) -> tuple[ContestColumns, ...]:
    """The columns of each contest.

    Args:
        free: the columns that may be of a contest.
        asked: as `asked_contests` gives it.
        by_candidates: a number behind a contest's name is a candidate, where there is one of that name.
    """
    line = table.rows[0].line
    meanings = {place: dict[int, int | str]() for place in range(len(contests))}
    for column in free:
        of = {
            place: meaning
            for place, named in asked.items()
            if not named and (meaning := _meaning(header[column], contests[place], by_candidates)) is not None
        }
        if len(of) > 1:
            titles = " or of ".join(repr(contests[place].title) for place in of)
            step = f"Say which: --contest {contests[next(iter(of))].id}=COLUMN"
            raise bad_file(f"the column {header[column]!r} may be of {titles}", line, column + 1, step)
        for place, meaning in of.items():
            meanings[place][column] = meaning
    found = []
    for place, contest in enumerate(contests):
        if place not in asked:
            found.append(ContestColumns())
        elif asked[place]:
            found.append(_said(table, header, contest, asked[place], by_candidates))
        else:
            found.append(_in_order(table, header, contest, meanings[place]))
    return tuple(found)


def with_candidates(
    table: Table, places: Sequence[int], names: Sequence[str], ranked: bool
) -> ContestColumns:
    """Columns of candidates. Their cells are marks where the contest has no ranks and all may be marks."""
    marks = not ranked and all(
        row.cell(place).lower() in MARKED | UNMARKED for row in table.rows[1:] for place in places
    )
    return ContestColumns(tuple(places), tuple(names), marks)


def _said(
    table: Table, header: Sequence[str], contest: Contest, texts: Sequence[str], by_candidates: bool
) -> ContestColumns:
    """Columns in the order in which a person has named them: one a text, or several with commas between."""
    line, names = table.rows[0].line, list[str]()
    for text in texts:
        names += [text] if text.strip() in header else text.split(",")
    places = [place_of(header, name, line) for name in names]
    heads = [header[place] for place in places]
    known = spellings(contest)
    candidates = [label_in(head, contest) or head for head in heads]
    if all(name in known for name in candidates) and (by_candidates or _holds_no_names(table, places, known)):
        return with_candidates(table, places, candidates, METHODS[contest.method].ranked)
    return ContestColumns(tuple(places))


def _holds_no_names(table: Table, places: Sequence[int], names: Mapping[str, str]) -> bool:
    return not any(row.cell(place) in names for row in table.rows[1:] for place in places)


def _in_order(
    table: Table, header: Sequence[str], contest: Contest, meanings: Mapping[int, int | str]
) -> ContestColumns:
    """The columns that are named after a contest: one for each rank from 1 on, or for each candidate."""
    line, by_meaning = table.rows[0].line, dict[int | str, int]()
    for column, meaning in meanings.items():
        if (first := by_meaning.setdefault(meaning, column)) != column:
            raise bad_file(
                f"{header[first]!r} and {header[column]!r} may be the same rank of {contest.title!r}",
                line,
                column + 1,
                f"Name the columns in order: --contest {contest.id}=COLUMN,COLUMN",
            )
    ranks = sorted(one for one in by_meaning if isinstance(one, int))
    names = [one for one in by_meaning if isinstance(one, str)]
    if not by_meaning:
        raise bad_file(
            f"no column is named after the contest {contest.id!r}, {contest.title!r}",
            line,
            next_step=f"Name its columns: --contest {contest.id}=COLUMN,COLUMN; or, where the file has none,"
            " name each contest that it has: --contest ID. The others stay blank.",
        )
    if (names and ranks) or ranks != list(range(1, len(ranks) + 1)):
        raise bad_file(
            f"the columns of the contest {contest.id!r} are not its ranks from 1 on: "
            + ", ".join(repr(header[column]) for column in by_meaning.values()),
            line,
            next_step=f"Name them in order: --contest {contest.id}=COLUMN,COLUMN",
        )
    if names:
        places = [by_meaning[name] for name in names]
        return with_candidates(table, places, names, METHODS[contest.method].ranked)
    return ContestColumns(tuple(by_meaning[rank] for rank in ranks))


def _meaning(name: str, contest: Contest, by_candidates: bool) -> int | str | None:
    """The rank or the candidate that a column's name says, if it is named after the contest."""
    label = label_in(name, contest)
    if label is None:
        return None
    known = label in spellings(contest)
    if not label:
        return 1
    if by_candidates and known:
        return label
    rank = rank_in(label)
    return rank if rank is not None else label if known else None


def rank_in(text: str) -> int | None:
    """The rank that a name or a cell says: 2, #2, 2nd choice, Rank 2, second."""
    if found := _RANK.match(text):
        return int(found[1])
    found = _ORDINAL.match(text)
    return None if found is None else _ORDINALS.index(found[1].lower()) + 1


def label_in(name: str, contest: Contest) -> str | None:
    """What stands in a column's name behind the title or the id of a contest; None: it begins otherwise."""
    for start in (contest.title, contest.id):
        words = re.split(r"[\s_-]+", unicodedata.normalize("NFC", start).strip())
        end = r"(?!\d)" if words[-1][-1:].isdigit() else ""
        pattern = r"[\s_-]+".join(map(re.escape, words)) + rf"(?![^\W\d_]){end}(.*)\Z"
        if found := re.match(pattern, name, re.IGNORECASE | re.DOTALL):
            label = found[1].lstrip(" \t\n_-:.#").rstrip()
            return label[1:-1].strip() if label[:1] in ("[", "(") and label[-1:] in ("]", ")") else label
    return None
