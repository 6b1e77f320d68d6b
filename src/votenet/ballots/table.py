"""The rows of a CSV file: its encoding, its delimiter, its cells, each with a line and a column.

A file that is not understood is refused as a whole. The delimiter is found in the first row only, outside
quotes: a comma in a later name decides nothing.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from votenet.core.text import BLANKS
from votenet.errors import ConfigError

DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
MAX_CELL: Final = 64 * 1024
"""Characters of one cell."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks at the beginning of a file. That of UTF-32 begins like that of UTF-16."""
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_EDGES: Final = " \t\r\n\v\f" + "".join(chr(n) for low, high in BLANKS for n in range(low, high + 1))
_CONTROL: Final = frozenset(map(chr, (*range(9), *range(14, 32), 127)))


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: the line that it begins on, and its cells, trimmed and in NFC."""

    line: int
    cells: tuple[str, ...]

    def cell(self, place: int) -> str:
        """One cell, counted from 0; empty where the row is shorter."""
        return self.cells[place] if place < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file that have any content, and how they were found."""

    encoding: str
    delimiter: str
    rows: tuple[TableRow, ...]
    empty_rows: int

    @property
    def width(self) -> int:
        """Columns of the first row, without surplus empty ones at its end."""
        return _used(self.rows[0].cells) if self.rows else 0


def trimmed(text: str) -> str:
    """A name in NFC without spaces of any kind at its ends."""
    return unicodedata.normalize("NFC", text).strip(_EDGES)


def delimiter_named(name: str | None) -> str | None:
    """The character that has this name."""
    return next((mark for mark, one in DELIMITERS.items() if one == name), None)


def bad_file(what: str, line: int = 0, column: int = 0, next_step: str = "") -> ConfigError:
    """The refusal of a whole file."""
    place = f"line {line}, column {column}: " if column else f"line {line}: " if line else ""
    return ConfigError(
        place + what, code="bad-ballot-file", next_step=next_step or "Mend the file; nothing of it is used."
    )


def place_of(header: Sequence[str], name: str, line: int) -> int:
    """A column by its name, or by its number where no column has that name. `line`: of the header."""
    name = name.strip()
    if header.count(name) > 1:
        second = header.index(name, header.index(name) + 1)
        numbers = ", ".join(str(place + 1) for place, one in enumerate(header) if one == name)
        raise bad_file(
            f"several columns are named {name!r}", line, second + 1, f"Name one by its number: {numbers}"
        )
    if name in header:
        return header.index(name)
    if name.isascii() and name.isdigit() and 1 <= int(name[:5]) <= len(header):
        return int(name[:5]) - 1
    raise ConfigError(
        f"there is no column {name!r}",
        code="no-such-column",
        next_step=f"The columns are: {', '.join(header)}",
    )


def read_table(data: bytes, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """The table in a CSV file.

    Args:
        encoding: a name that Python knows; by default that of the byte order mark, else UTF-8.
        delimiter: by default that of the `sep=` line, else the only one in the first row.

    Raises:
        ConfigError: code bad-ballot-file; it is no such table.
    """
    text, found = decoded(data, encoding, delimiter)
    lines = 0
    if text[:4].lower() == "sep=":
        said, _, text = text.partition("\n")
        lines, mark = 1, said.rstrip("\r")[4:]
        if mark not in DELIMITERS or delimiter not in (None, mark):
            raise bad_file(f"the delimiter {mark!r} of the sep= line is not used here", 1, 5)
        delimiter = mark
    delimiter = delimiter or _delimiter(text, lines + 1)
    rows, empty, row = list[TableRow](), 0, None
    for row in _rows(text, delimiter, lines):
        if not any(row.cells):
            empty += 1
            continue
        rows.append(row)
        _check_row(row, _used(rows[0].cells))
    if not rows:
        raise bad_file("the file is empty", next_step="Give a file with content.")
    if row is rows[-1] and not text.endswith(("\n", "\r")):
        _check_whole(row, _used(rows[0].cells))
    return Table(found, delimiter, tuple(rows), empty)


def decoded(data: bytes, encoding: str | None, delimiter: str | None = None) -> tuple[str, str]:
    """The text of a file and the name of its encoding. Raises ConfigError."""
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    try:
        said = codecs.lookup(encoding).name if encoding else None
        if said and marked and not marked.startswith(said.removesuffix("-le").removesuffix("-be")):
            raise bad_file(f"the file begins with the mark of {marked.upper()}, not of {encoding}")
        text = data.decode(marked or said or "utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start], error.encoding, delimiter)
        raise bad_file(
            f"these bytes are not {error.encoding.upper()}: {data[error.start : error.start + 4].hex(' ')}",
            line,
            column,
            "Say how the file is encoded, for example with --encoding latin-1 or --encoding utf-16.",
        ) from error
    except (LookupError, UnicodeError) as error:
        raise bad_file(f"the encoding {encoding} is not known", next_step="Try utf-8 or latin-1.") from error
    if "\x00" in text:
        line, column = _place(text[: text.index("\x00")].encode(), "utf-8", delimiter)
        raise bad_file("a byte of value 0", line, column, "Try it with --encoding utf-16.")
    return text.removeprefix("\ufeff"), (marked or said or "utf-8").removesuffix("-sig")


def _place(before: bytes, encoding: str, delimiter: str | None) -> tuple[int, int]:
    """Line and column of what follows these bytes."""
    text = before.decode(encoding, "replace")
    last = text.splitlines()[-1] if text and not text.endswith("\n") else ""
    first = text.splitlines()[0] if text else ""
    delimiter = delimiter or max(DELIMITERS, key=first.count)
    return text.count("\n") + 1, last.count(delimiter) + 1


def _delimiter(text: str, line: int) -> str:
    """The delimiter of the first row with content."""
    text = text.lstrip("\r\n")
    found = []
    for delimiter in DELIMITERS:
        try:
            first = next(csv.reader(_lines(text), delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        if len(first) > 1:
            found.append(delimiter)
    if len(found) > 1:
        names = " and ".join(DELIMITERS[one] for one in found)
        raise bad_file(
            f"the delimiter may be {names}", line, next_step="Say which: --delimiter semicolon, for example."
        )
    return found[0] if found else ","


def _lines(text: str) -> Iterator[str]:
    """The lines of a text with their ends, one by one: `io.StringIO` would hold four bytes a character."""
    return (line[0] for line in _LINE.finditer(text))


def _rows(text: str, delimiter: str, lines_before: int) -> Iterator[TableRow]:
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    line = lines_before + 1
    try:
        for cells in reader:
            yield TableRow(line, tuple(map(trimmed, cells)))
            line = lines_before + reader.line_num + 1
    except csv.Error as error:
        raise bad_file(f"not CSV: {error}", line) from error


def _check_row(row: TableRow, width: int) -> None:
    for number, cell in enumerate(row.cells, start=1):
        if len(cell) > MAX_CELL:
            raise bad_file(f"a cell of {len(cell):,} characters", row.line, number)
        if not _CONTROL.isdisjoint(cell):
            raise bad_file("a control character", row.line, number)
        if number > width and cell:
            raise bad_file(f"{cell!r} stands in no column of the first row", row.line, number)


def _check_whole(last: TableRow, width: int) -> None:
    """Refuse a last row without a line end that has fewer cells than the first: it may have been cut."""
    if len(last.cells) < width:
        raise bad_file(
            f"the file ends within this line: {len(last.cells)} of {width} columns, and no line end",
            last.line,
            len(last.cells),
            "Take the whole file again. If it is whole, end its last line with a newline.",
        )


def _used(cells: tuple[str, ...]) -> int:
    """Number of cells without the empty ones at the end."""
    return len(cells) - sum(1 for _ in itertools.takewhile(lambda cell: not cell, reversed(cells)))
