"""Reading tables of a TOML file that people write: each fault with the line and the table it stands in."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec

TomlPath = tuple[str | int, ...]
"""Where a value stands: ("contests", 2, "max") is a key of the second table [[contests]]."""
_TABLE: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?\Z")
_KEY: Final = re.compile(r"\s*([\w-]+)\s*=")
_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a number with a point",
    "array": "a list",
    "object": "a table",
    "datetime": "a point in time",
    "date": "a day",
    "time": "an hour",
}
_ONE_OF: Final = {"contests": "contest", "candidates": "candidate", "nodes": "node", "witnesses": "witness"}


class FileFault(NamedTuple):
    """One thing that is wrong in a file; `place` is for people, `line` counts from 1 where it is known."""

    place: str
    line: int | None
    wrong: str
    next_step: str = ""

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"line {self.line}" if self.line else "", self.place) if part)
        return f"{where}: {self.wrong}" if where else self.wrong


class FaultList:
    """What is wrong in one file so far."""

    def __init__(self, text: str = "") -> None:
        self.found: list[FileFault] = []
        self._lines = line_numbers(text)
        self._text = text.split("\n")

    def add(
        self, path: TomlPath, wrong: str, next_step: str = "", *, near: str = "", before: int = 0
    ) -> None:
        """Keep a fault.

        Args:
            near: text of its line, where the path leads to a list of several lines.
            before: how many lines above that one have the same text.
        """
        line = next(
            (self._lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._lines), None
        )
        if near:
            lines = [n for n, one in enumerate(self._text, start=1) if near in one]
            line = lines[min(before, len(lines) - 1)] if lines else line
        self.found.append(FileFault(place_of(path), line, wrong, str(next_step)))


class TomlTable:
    """The keys of one table. A value of the wrong kind is a fault, and its usual value is taken instead.

    Args:
        example: for a key, how it is written: the next step of its faults.
    """

    def __init__(
        self, values: Mapping[str, Any], path: TomlPath, faults: FaultList, example: Mapping[str, str]
    ) -> None:
        self._values, self._path, self._faults, self._example = dict(values), path, faults, example
        self._asked: list[str] = []

    def has(self, key: str) -> bool:
        return key in self._values

    def raw(self, key: str) -> Any:
        """The value as it stands, None where there is none."""
        self._asked.append(key)
        return self._values.get(key)

    def take(self, key: str, kind: Any, usual: Any) -> Any:
        """The value, checked against a type that may carry limits."""
        value = self.raw(key)
        if value is None:
            return usual
        if wrong := kind_fault(value, kind):
            self.blame(key, wrong)
            return usual
        return value

    def need(self, key: str, kind: Any, instead: Any) -> Any:
        """The value of a key that must be there."""
        if not self.has(key):
            self._faults.add(self._path, f"{key} is missing", self._how(key) or "Add it to this table.")
        return self.take(key, kind, instead)

    def tables(self, key: str) -> Sequence[Mapping[str, Any]]:
        """The tables [[key]], those of them that are tables."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.blame(key, f"{key} must be tables", f"Write one table [[{key}]] for each.")
            return ()
        return value

    def blame(self, key: str, wrong: str, next_step: str = "") -> None:
        self._faults.add((*self._path, key), wrong, next_step or self._how(key))

    def end(self) -> None:
        """After the last key was asked for: every other key is unknown."""
        for key in self._values.keys() - set(self._asked):
            near = difflib.get_close_matches(key, self._asked, n=1)
            known = (
                f"Did you mean {near[0]}?" if near else f"Known are: {', '.join(sorted(set(self._asked)))}."
            )
            self.blame(key, f"the key {key!r} is not known", known)

    def _how(self, key: str) -> str:
        return f"Write it like this: {self._example[key]}" if key in self._example else ""


def kind_fault(value: Any, kind: Any) -> str:
    """What is wrong with a value of a TOML file, in words; empty if it is of this type."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return _in_words(value, kind, str(error))
    return ""


def place_of(path: TomlPath) -> str:
    """`contest 2, max`: where a value stands, in words."""
    words: list[str] = []
    for part in path:
        if isinstance(part, int):
            words[-1] = f"{_ONE_OF.get(words[-1], words[-1])} {part}"
        else:
            words.append(part)
    return ", ".join(words)


def line_numbers(text: str) -> dict[TomlPath, int]:
    """The line of every table and key of a TOML file, the first line being 1."""
    found: dict[TomlPath, int] = {}
    count = Counter[TomlPath]()
    table: TomlPath = ()
    quote = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if quote:  # within a text of several lines nothing is a key
            quote = "" if quote in line else quote
            continue
        if header := _TABLE.match(line.rstrip("\r")):
            table = _table_path(header[2].split("."), count)
            if header[1] == "[[":
                count[table] += 1
                table = (*table, count[table])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return found


def _table_path(parts: Sequence[str], count: Mapping[TomlPath, int]) -> TomlPath:
    """The path of a header: [contests.threshold] belongs to the last [[contests]] before it."""
    path: TomlPath = ()
    for part in parts:
        if count.get(path, 0):
            path = (*path, count[path])
        path = (*path, part)
    return path


def _in_words(value: Any, kind: Any, message: str) -> str:
    if get_origin(kind) is Literal and isinstance(value, str):
        return f"it is {_cut(value)}, and must be one of: {', '.join(map(str, get_args(kind)))}"
    if isinstance(value, list) and (item := re.search(r" - at `\$\[(\d+)\]`$", message)):
        place = int(item[1])
        return f"in place {place + 1} {_in_words(value[place], kind, message.removesuffix(item[0]))}"
    if got := re.search(r"Expected `(\w+)[^`]*`, got `(\w+)", message):
        return f"it is {_KINDS.get(got[2], got[2])}, and must be {_KINDS.get(got[1], got[1])}"
    if bound := re.search(r"(of length )?(<=|>=) (\d+)", message):
        most = "at most" if bound[2] == "<=" else "at least"
        if bound[1]:
            return f"it has {len(value)} characters, and must have {most} {bound[3]}"
        return f"it is {_cut(value)}, and must be {most} {bound[3]}"
    return f"it is {_cut(value)}, which is not written as it must be"


def _cut(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
