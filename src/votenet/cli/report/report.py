"""`votenet report`: the minutes of an election, as HTML, CSV or JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import msgspec

from votenet.cli import targets, ui
from votenet.cli.archive.archive_files import checking, read_result, write_lines
from votenet.cli.election.roll import KnownRoll
from votenet.cli.options import FilePath, instance_option, network_option, node_option, placed, roll_option
from votenet.cli.report.csv_report import csv_report
from votenet.cli.report.html_report import html_report
from votenet.cli.report.json_report import json_report
from votenet.cli.report.phrases import CheckFiles, CheckStep, standing, steps_to_check
from votenet.client.archive_file import report_of_lines
from votenet.config import instance_dirs
from votenet.core.election.roll import RollSource
from votenet.core.records.election_report import ElectionReport, report_of_archive, report_of_result
from votenet.errors import Command, NextStep
from votenet.storage.input_file import STDIN
from votenet.storage.member_files import MemberFiles, read_members
from votenet.storage.output_file import STDOUT

FORMATS: Final = {".html": "html", ".htm": "html", ".csv": "csv", ".json": "json"}


@click.command(
    epilog="""
Examples:

\b
  votenet report -o minutes.html
  votenet report -o minutes.csv
  votenet report -o minutes.html --archive election.jsonl --network NETWORK_ID   (a year later)
  votenet report -o - --format json --result result.json

The page needs nothing else: open it in a browser, and print it from there. Before the result is final it is
called provisional and names no winner. From a network, and from an archive, every vote is counted again.
A final result file has no rounds, and its counts are its own word.
"""
)
@click.option("-o", "--output", type=FilePath(), required=True, help="File to write: .html, .csv or .json.")
@click.option(
    "--format", "kind", type=click.Choice(sorted(set(FORMATS.values()))), help="Instead of the file's ending."
)
@click.option("--archive", type=FilePath(), help="Make it from this archive.")
@click.option("--result", type=FilePath(), help="Make it from this final result file.")
@roll_option
@click.option(
    "--members",
    type=FilePath(exists=True),
    help="The organiser's members.json: it says who votes by card  [that of the network here].",
)
@node_option
@network_option
@instance_option
def report(
    output: Path,
    kind: str | None,
    archive: Path | None,
    result: Path | None,
    roll: Path | None,
    members: Path | None,
    node: str | None,
    network_hex: str | None,
    instance: str,
) -> None:
    """Write the minutes: hours, turnout, every count with its rounds, who signed, how to check it."""
    form = kind or FORMATS.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(f"{output} does not say what to write: end it in .html, or give --format")
    if archive is not None and result is not None:
        raise click.UsageError("--archive and --result exclude each other")
    voters = KnownRoll(roll, instance)
    files = CheckFiles() if roll is None else CheckFiles(roll=str(roll))
    if archive is not None:
        made = _of_archive(archive, network_hex, voters)
        files = files._replace(archive="election.jsonl" if archive == STDIN else str(archive))
    elif result is not None:
        made = report_of_result(read_result(result), network_hex)
        files = files._replace(result="result.json" if result == STDIN else str(result))
    else:
        made = _of_network(instance, node, network_hex, voters)
        export = Command("export", "-o", files.archive)
        files = files._replace(export=placed(NextStep("{}", export), instance, node))
    if roll is None and voters.path is not None:
        files = files._replace(roll=str(voters.path))
    checks = tuple(steps_to_check(made, files))
    made = replace(
        made, by_card=_by_card(members or MemberFiles(instance_dirs(instance).state).members, made)
    )
    lines = (line.encode() for line in _written(made, form, checks, int(time.time())))
    if output == STDOUT:
        for line in lines:
            ui.echo_bytes(line)
        return
    write_lines(output, lines)
    ui.echo(f"Wrote {output}. The result is {standing(made)}.")


def _of_archive(path: Path, network_hex: str | None, roll: RollSource) -> ElectionReport:
    with checking(path, network_hex, roll) as (check, blocks):
        return report_of_archive(check, blocks, int(time.time()))


def _of_network(instance: str, node: str | None, network_hex: str | None, roll: KnownRoll) -> ElectionReport:
    """From the chain of a node, all of which is fetched, checked and counted."""
    with targets.connect(instance, node, network_hex) as election:
        return report_of_lines(election.archive(), election.network_id, roll(election.election))


def _by_card(members: Path, made: ElectionReport) -> int | None:
    """How many voters have a card, by the organiser's list; None where that is not here."""
    kept = read_members(members, made.network_id)
    return None if kept is None else sum(one.by == "card" for one in kept.members)


def _written(made: ElectionReport, form: str, checks: Sequence[CheckStep], made_at: int) -> Iterator[str]:
    if form == "csv":
        yield from csv_report(made, checks)
    elif form == "json":
        document = msgspec.json.encode(json_report(made, checks, made_at))
        yield msgspec.json.format(document, indent=2).decode() + "\n"
    else:
        yield from (f"{line}\n" for line in html_report(made, checks, made_at))
