"""Reading ballots from a CSV file: one line, one ballot.

What lives here: columns, shipped records, broken lines. What must not: casting.

A ballot is one physical line, so a broken quote spoils its own line and no other, and line numbers
are those of every editor. What comes in may be a file or a pipe, plain, gzip or xz.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Final

from votenet.errors import ConfigError
from votenet.storage.input_file import READ_ERRORS, InputFile

SHIPPED: Final = {"minneapolis-2013": "minneapolis_2013_mayor_cvr.csv.xz"}
"""Records that come with votenet, by the name a user may give instead of a file."""
MAX_LINE: Final = 64 * 1024
"""Bytes of one line; a longer one is refused and passed over."""


MAX_REST: Final = 16 * 1024 * 1024
"""Bytes of an overlong line that are passed over; a longer one is no line."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One ballot: its number (1 is the first after the header) and line, voter id and choices."""

    number: int
    line: int
    voter_id: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no ballot, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class BallotColumns:
    """Which columns make a ballot. Without `voter` the id is `prefix` and the six-digit number."""

    choices: tuple[str, ...]
    voter: str | None = None
    prefix: str = "ballot-"
    blanks: frozenset[str] = frozenset({""})


class BallotFile:
    """A CSV file of ballots, read from its start for each pass over it."""

    def __init__(self, source: Path | InputFile) -> None:
        """A path, `-`, the name of a shipped record, or an input that is open already.

        Raises:
            ConfigError: code bad-ballot-file; it cannot be read or has no header.
        """
        self.input = source if isinstance(source, InputFile) else ballot_input(source)
        self.source = self.input.name
        self.header = self._read_header(self.input.stream())

    def check(self, columns: BallotColumns) -> None:
        """Raises ConfigError when a column is not in the header."""
        for name in (*columns.choices, *([columns.voter] if columns.voter else [])):
            if name not in self.header:
                raise ConfigError(
                    f"{self.source} has no column {name!r}",
                    code="no-such-column",
                    next_step=f"Its columns are: {', '.join(self.header)}",
                )

    def ballots(self, columns: BallotColumns) -> Iterator[Ballot | BadLine]:
        """Every ballot in order, and every line that is none.

        Raises:
            ConfigError: code bad-ballot-file; the file cannot be read to its end.
        """
        places = [self.header.index(name) for name in columns.choices]
        voter_place = self.header.index(columns.voter) if columns.voter else None
        number = 0
        for line, fields in self._rows():
            number += 1
            if isinstance(fields, str):
                yield BadLine(line, fields)
                continue
            if voter_place is None:
                voter_id = f"{columns.prefix}{number:06d}"
            else:
                voter_id = fields[voter_place].strip()
                if not voter_id:
                    yield BadLine(line, f"the column {columns.voter!r} is empty")
                    continue
            chosen = (fields[place] for place in places)
            choices = tuple(dict.fromkeys(name for name in chosen if name not in columns.blanks))
            if choices:
                yield Ballot(number, line, voter_id, choices)
            else:
                yield BadLine(line, "no choice on this ballot")

    def _rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """(line number, fields or what is wrong), without the header and empty lines."""
        file = self.input.stream()
        self._next_line(file)
        line = 1
        while raw := self._next_line(file):
            line += 1
            if raw.strip():
                yield line, self._split(raw)

    def _split(self, raw: bytes) -> list[str] | str:
        if len(raw) > MAX_LINE:
            return f"longer than {MAX_LINE} bytes"
        try:
            (fields,) = csv.reader([raw.decode("utf-8").rstrip("\r\n")], strict=True)
        except UnicodeDecodeError:
            return "not UTF-8"
        except (csv.Error, ValueError) as error:
            return f"not CSV: {error}"
        if len(fields) != len(self.header):
            return f"{len(fields)} fields where the header has {len(self.header)}"
        return fields

    def _read_header(self, file: IO[bytes]) -> list[str]:
        raw = self._next_line(file)
        try:
            if len(raw) > MAX_LINE:
                raise ValueError(f"its header has more than {MAX_LINE} bytes")
            header = next(csv.reader([raw.decode("utf-8-sig").rstrip("\r\n")], strict=True), [])
        except (ValueError, csv.Error) as error:
            raise self._unusable(error) from error
        if not any(header):
            raise ConfigError(
                f"{self.source} has no header line",
                code="bad-ballot-file",
                next_step="Put the names of the columns into its first line.",
            )
        return [name.strip() for name in header]

    def _next_line(self, file: IO[bytes]) -> bytes:
        """One line; of an overlong one only the beginning, the rest is passed over.

        Raises:
            ConfigError: it does not end within MAX_REST bytes: this is a device, a disk image, anything.
        """
        try:
            raw = rest = file.readline(MAX_LINE + 1)
            passed_over = 0
            while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
                passed_over += len(rest)
                if passed_over > MAX_REST:
                    raise self._unusable(ValueError(f"a line has more than {MAX_REST} bytes"))
                rest = file.readline(MAX_LINE + 1)
        except READ_ERRORS as error:
            raise self._unusable(error) from error
        return raw

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"{self.source} is not a CSV file: {error}",
            code="bad-ballot-file",
            next_step="Give a UTF-8 CSV file with a header line.",
        )


def ballot_input(source: Path) -> InputFile:
    """A file of ballots by its path or its name as a shipped record, opened once. Raises ConfigError."""
    shipped = SHIPPED.get(str(source))
    if shipped is not None and not source.exists():
        source = Path(str(resources.files("votenet").joinpath("data", shipped)))
    return InputFile(
        source,
        code="bad-ballot-file",
        next_step="Give a CSV file, - for standard input, or the name of a shipped record: "
        + ", ".join(SHIPPED),
    )


def distinct_choices(source: Path, column: str | None) -> tuple[str, ...]:
    """Every value in a column (the first, if none is named), in order of first appearance."""
    file = BallotFile(source)
    columns = BallotColumns((column or file.header[0],))
    file.check(columns)
    names: dict[str, None] = {}
    for ballot in file.ballots(columns):
        if isinstance(ballot, Ballot):
            names[ballot.choices[0]] = None
    return tuple(names)
