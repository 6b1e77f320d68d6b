"""What is typed becomes what the reader is told."""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner

from votenet.ballots.check import ReadingOptions
from votenet.ballots.layout import Columns
from votenet.ballots.marking_rules import BLANK_MARKS, MarkingRules
from votenet.cli.votes.ballot_options import ballot_options, reading_options


def test_options_have_the_readers_defaults_and_reach_it() -> None:
    taken: list[ReadingOptions] = []

    @click.command()
    @ballot_options
    def command(**typed: Any) -> None:
        taken.append(reading_options(**typed))

    run = CliRunner()
    assert run.invoke(command, []).exit_code == 0
    words = "--choice a --choice b --voter-column v --ignore x --no-header --split ; --encoding latin-1"
    more = "--delimiter tab --blank - --over-votes end --skips end --repeats end --write-ins skip --prefix p"
    assert run.invoke(command, [*words.split(), *more.split()]).exit_code == 0
    assert taken == [
        ReadingOptions(),
        ReadingOptions(
            Columns(("a", "b"), "v", None, ("x",), False, False, ";"),
            MarkingRules("end", "end", "end", "skip", BLANK_MARKS | {"-"}),
            "latin-1",
            "\t",
            "p",
        ),
    ]
