"""Options that say how a file of ballots is read, for all commands that take such a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from votenet.ballots.check import ReadingOptions
from votenet.ballots.layout import Columns
from votenet.ballots.marking_rules import BLANK_MARKS, MarkingRules
from votenet.ballots.table import DELIMITERS, delimiter_named

SHOWN_FAULTS: Final = 20
"""Faults and values of a file that people are shown."""
_OPTIONS: Final = (
    click.option(
        "--choice",
        "choices",
        multiple=True,
        metavar="COLUMN",
        help="Column with a choice; repeat it for ranks, first one first.  [default: those with candidates]",
    ),
    click.option(
        "--contest",
        "contests",
        multiple=True,
        metavar="ID[=COLUMN,...]",
        help="Where there are several contests: one that FILE has ballots of, and its columns; may be "
        "repeated. The others stay blank.  [default: all, each with the columns that are named after it]",
    ),
    click.option(
        "--voter-column",
        metavar="COLUMN",
        help="Column with the voter id.  [default: one named id, voter or member; else the ballot's number]",
    ),
    click.option("--count-column", metavar="COLUMN", help="Column with a number of equal ballots."),
    click.option(
        "--ignore", multiple=True, metavar="COLUMN", help="Column that is not read; may be repeated."
    ),
    click.option("--header/--no-header", default=None, help="Whether the first row names the columns."),
    click.option(
        "--ranks-in-cells", is_flag=True, help="A column for each candidate, with the rank in the cell."
    ),
    click.option("--split", default="", metavar="MARKS", help="What is between several names in one cell."),
    click.option("--encoding", metavar="NAME", help="Encoding of the file.  [default: UTF-8, or its mark]"),
    click.option(
        "--delimiter",
        type=click.Choice([*DELIMITERS.values()]),
        help="What is between the cells.  [default: what is in the first row]",
    ),
    click.option(
        "--blank",
        "blanks",
        multiple=True,
        metavar="VALUE",
        help="Value that means no choice, as undervote, skipped and blank do; may be repeated.",
    ),
    click.option(
        "--over-votes",
        type=click.Choice(["refuse", "skip", "end"]),
        help="Several candidates at one rank: no ballot, the next rank counts, or the ballot ends there.  "
        "[default: skip the word overvote, refuse several names]",
    ),
    click.option(
        "--skips",
        type=click.Choice(["pass", "end", "end-at-two"]),
        default="pass",
        show_default=True,
        help="An empty rank before a later one: the next rank counts, or the ballot ends there.",
    ),
    click.option(
        "--repeats",
        type=click.Choice(["once", "refuse", "end"]),
        default="once",
        show_default=True,
        help="A candidate a second time: counts once, no ballot, or the ballot ends there.",
    ),
    click.option(
        "--write-ins",
        type=click.Choice(["refuse", "skip"]),
        default="refuse",
        show_default=True,
        help="A name that is no candidate: no ballot, or the next rank counts.",
    ),
    click.option(
        "--prefix", default="ballot-", show_default=True, help="What stands before the ballot's number."
    ),
)

F = TypeVar("F", bound=Callable[..., Any])


def ballot_options(command: F) -> F:
    """The options of a command that reads ballots; `reading_options` takes them all."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def reading_options(
    *,
    choices: tuple[str, ...],
    contests: tuple[str, ...],
    voter_column: str | None,
    count_column: str | None,
    ignore: tuple[str, ...],
    header: bool | None,
    ranks_in_cells: bool,
    split: str,
    encoding: str | None,
    delimiter: str | None,
    blanks: tuple[str, ...],
    over_votes: Any,
    skips: Any,
    repeats: Any,
    write_ins: Any,
    prefix: str,
) -> ReadingOptions:
    """What was typed, for the reader."""
    return ReadingOptions(
        Columns(choices, voter_column, count_column, ignore, header, ranks_in_cells, split, contests),
        MarkingRules(over_votes, skips, repeats, write_ins, BLANK_MARKS | set(blanks)),
        encoding,
        delimiter_named(delimiter),
        prefix,
    )
