"""The list of members that an organisation has, as a CSV file: what a roll is made from.

Nothing is guessed that could lose or double a member. A file that is not understood is refused whole, with
the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from votenet.ballots.table import Table, TableRow, read_table
from votenet.core.election.roll import Voter
from votenet.core.keys import is_public_key
from votenet.core.limits import MAX_WEIGHT
from votenet.core.text import check_voter_id, folded, text_fault, twins
from votenet.errors import ConfigError, Rejected

MAX_MEMBER_NAME: Final = 200
"""Characters of a member's name."""
ID_NAMES: Final = ("id", "voter id", "voter", "member", "member no", "member id")
KEY_NAMES: Final = ("public key", "key")
WEIGHT_NAMES: Final = ("weight", "votes", "shares")
FULL_NAMES: Final = ("name", "full name", "member name")


class Member(NamedTuple):
    """A member as a list has them; `key` is empty where the list has none, `name` where it has no names."""

    voter_id: str
    name: str = ""
    key: str = ""
    weight: int = 1


class VoterColumns(NamedTuple):
    """How a list is read. Columns by name or by number from 1; None: by the usual names.

    `keys`: whether the file has the keys. `header`: whether its first line names the columns; None: where
    that is clear. `encoding`, `delimiter`: as for `read_table`.
    """

    voter_id: str | None = None
    key: str | None = None
    weight: str | None = None
    keys: bool = True
    header: bool | None = None
    encoding: str | None = None
    delimiter: str | None = None


class _Places(NamedTuple):
    voter_id: int
    key: int | None
    weight: int | None
    name: int | None = None


def read_member_list(data: bytes, name: str) -> list[Member]:
    """The members of a file in its order. Its first line names the columns: id, and name, weight, public_key.

    A member without a key gets a voting code. Names are for people: cards, and the lists of the organiser.

    Raises:
        ConfigError: bad-roll, with the line; no-such-column.
    """
    table = _table(data, name, VoterColumns())
    first, rows = table.rows[0].cells[: table.width], table.rows[1:]
    try:
        usual = (ID_NAMES, KEY_NAMES, WEIGHT_NAMES, FULL_NAMES)
        voter_id, key, weight, full_name = (_found(first, names, name) for names in usual)
        if voter_id is None:
            raise _no_column(f"the first line of {name} names no column id", first)
        places = _Places(voter_id, key, weight, full_name)
        members = [_member(row, name, places) for row in rows]
        if not members:
            raise _bad(f"{name} has no members")
    except ConfigError as error:
        raise error.advising(
            "Let its first line name the columns: id, and name, weight, public_key where there are any; and"
            " let each line below be a member."
        ) from error
    _check_twins(members, [row.line for row in rows], name)
    return members


def read_voter_list(data: bytes, name: str, columns: VoterColumns) -> list[Voter]:
    """The voters of a file in its order; without keys their keys are empty.

    Args:
        name: of the file, for messages.

    Raises:
        ConfigError: bad-roll, with the line; no-such-column; no-clear-header.
    """
    table = _table(data, name, columns)
    headed = _has_header(table.rows[0], name, columns)
    places = _places(table.rows[0].cells[: table.width], headed, name, columns)
    rows = table.rows[headed:]
    voters = [_voter(row, name, places) for row in rows]
    _check_twins(voters, [row.line for row in rows], name)
    return voters


def _table(data: bytes, name: str, columns: VoterColumns) -> Table:
    try:
        return read_table(data, columns.encoding, columns.delimiter)
    except ConfigError as error:
        raise _bad(f"{name}: {error.message}", str(error.next_step)) from error


def _check_twins(voters: Sequence[Voter | Member], lines: Sequence[int], name: str) -> None:
    pair, what = twins(voter.voter_id for voter in voters), "two ids that people take for one"
    if pair is None:
        pair = twins(voter.key or voter.voter_id for voter in voters)
        what = "one key for two voters, who could vote for each other"
    if pair is not None:
        first, second = (f"{voters[place].voter_id!r} (line {lines[place]})" for place in pair)
        raise _bad(
            f"{name} has {what}: {first} and {second}",
            "Ask which of the two is right, and correct or remove the other.",
        )


def _has_header(first: TableRow, name: str, columns: VoterColumns) -> bool:
    if columns.header is not None:
        return columns.header
    if any(is_public_key(cell.lower()) for cell in first.cells):
        return False
    asked = {one for one in (columns.voter_id, columns.key, columns.weight) if one is not None}
    if not all(one.isdecimal() for one in asked):
        return True
    if _form(first.cells[0]) in map(folded, ID_NAMES):
        return True
    if columns.keys and any(_form(cell) in map(folded, KEY_NAMES) for cell in first.cells):
        return True
    raise ConfigError(
        f"line {first.line} of {name} may be a heading or a voter: {', '.join(first.cells)}",
        code="no-clear-header",
        next_step="Say which: --header or --no-header.",
    )


def _form(cell: str) -> str:
    return folded(cell.replace("_", " "))


def _places(first: Sequence[str], headed: bool, name: str, columns: VoterColumns) -> _Places:
    """Where the columns are. Without a header ids are in the first one, keys in the second."""

    def place(asked: str | None, usual: Sequence[str], number: int | None) -> int | None:
        header = first if headed else ()
        if asked is None:
            found = _found(header, usual, name)
            return number if found is None and not headed else found
        named = [at for at, cell in enumerate(header) if cell == asked]
        if len(named) > 1:
            raise _no_column(f"{name} has {len(named)} columns for {asked!r}", first)
        if named:
            return named[0]
        if asked.isdecimal() and 1 <= int(asked[:5]) <= len(first):
            return int(asked[:5]) - 1
        raise _no_column(f"{name} has no column {asked!r}", first)

    key = place(columns.key, KEY_NAMES, 1 if len(first) > 1 else None) if columns.keys else None
    if columns.keys and key is None:
        raise _no_column(f"{name} has no column with keys", first, "Name it, or make keys with --make-keys. ")
    voter_id = place(columns.voter_id, ID_NAMES, None)
    return _Places(voter_id or 0, key, place(columns.weight, WEIGHT_NAMES, None))


def _found(header: Sequence[str], usual: Sequence[str], name: str) -> int | None:
    """The column with one of the usual names."""
    found = [at for at, cell in enumerate(header) if _form(cell) in map(folded, usual)]
    if len(found) > 1:
        raise _no_column(f"{name} has {len(found)} columns for {usual[0]!r}", header)
    return found[0] if found else None


def _member(row: TableRow, name: str, places: _Places) -> Member:
    has_key = places.key is not None and bool(row.cell(places.key))
    voter = _voter(row, name, places if has_key else places._replace(key=None))
    if places.name is None:
        return Member(voter.voter_id, "", voter.key, voter.weight)
    full_name = row.cell(places.name)
    if not full_name:
        raise _wrong(row, name, f"the name of {voter.voter_id!r} is missing")
    if len(full_name) > MAX_MEMBER_NAME or text_fault(full_name):
        fault = text_fault(full_name) or f"more than {MAX_MEMBER_NAME} characters"
        raise _wrong(row, name, f"the name of {voter.voter_id!r} has {fault}")
    return Member(voter.voter_id, full_name, voter.key, voter.weight)


def _voter(row: TableRow, name: str, places: _Places) -> Voter:
    cell = row.cell
    voter_id = cell(places.voter_id)
    try:
        check_voter_id(voter_id)
    except Rejected as error:
        raise _wrong(row, name, error.message) from error
    key = "" if places.key is None else cell(places.key).lower()
    if places.key is not None and not is_public_key(key):
        said = f"{key!r} is no Ed25519 public key" if key else "the key is missing"
        raise _wrong(row, name, f"{said} (voter {voter_id!r})")
    weight = "1" if places.weight is None else cell(places.weight)
    if not (weight.isascii() and weight.isdecimal() and 1 <= int(weight[:20]) <= MAX_WEIGHT):
        raise _wrong(
            row,
            name,
            f"{weight!r} is no weight from 1 to {MAX_WEIGHT:,}, in whole numbers (voter {voter_id!r})",
        )
    return Voter(voter_id, key, int(weight))


def _wrong(row: TableRow, name: str, what: str) -> ConfigError:
    return _bad(f"line {row.line} of {name}: {what}")


def _bad(
    what: str, next_step: str = "Every line needs a voter id and a key; or make keys with --make-keys."
) -> ConfigError:
    return ConfigError(what, code="bad-roll", next_step=next_step)


def _no_column(what: str, first: Sequence[str], advice: str = "") -> ConfigError:
    next_step = f"{advice}Its columns are: {', '.join(first)}; or give a number from 1 to {len(first)}."
    return ConfigError(what, code="no-such-column", next_step=next_step)
