"""`votenet export`, `audit`, `import`: a whole election in one file.

What lives here: options and reports. What must not: the work (`archive_files.py`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from votenet.cli.options import FilePath, instance_option, json_option, network_option, remember_node
from votenet.cli.output import echo, echo_bytes
from votenet.storage.input_file import STDIN
from votenet.storage.output_file import STDOUT

if TYPE_CHECKING:
    from votenet.core.archive import ArchiveReport

ARCHIVE = click.argument("archive", type=FilePath())

EXPORT_EPILOG = """
Examples:

\b
  votenet export -o election.jsonl.xz
  votenet export --data-dir ./n1 --genesis genesis.json -o election.jsonl
  votenet export --node votes.example.org:3000 -o election.jsonl.xz

The node may go on running: the archive is the chain of one moment. From a node elsewhere everything is
checked on the way but for signatures; an audit checks those, too.
"""
AUDIT_EPILOG = """
Examples:

\b
  votenet audit election.jsonl.xz
  votenet audit election.jsonl.xz --network NETWORK_ID --json

The archive is self-describing: compare the network id and the tip with what the organisers published.
docs/audit.md tells how to check it with tools of your own.
"""
IMPORT_EPILOG = """
Example:

\b
  votenet import election.jsonl.xz --data-dir ./n6
  votenet node --data-dir ./n6 --genesis ./n6/genesis.json --peer 127.0.0.1:3000

An election with a roll needs it: import with --roll roll.json, which becomes ./n6/roll.json, then start
the node with --roll ./n6/roll.json.
"""


@click.command(epilog=EXPORT_EPILOG)
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    help="File to write; .xz or .gz compresses it.  [default: standard output]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder of a node.  [default: the longest chain of the network here]",
)
@click.option("--genesis", type=FilePath(), help="Genesis file.  [default: that of the network here]")
@click.option(
    "--node", metavar="HOST:PORT", callback=remember_node, help="Fetch the chain from this node instead."
)
@instance_option
def export(
    output: Path | None, data_dir: Path | None, genesis: Path | None, node: str | None, instance: str
) -> None:
    """Write the whole election into one archive: definition, headers, votes."""
    from votenet.cli.archive_files import write_lines
    from votenet.cli.hints import command_line
    from votenet.protocol.address import parse_address

    if node is None:
        lines = _local_lines(data_dir, genesis, instance)
    elif data_dir is not None:
        raise click.UsageError("--node and --data-dir exclude each other: the chain comes from one place")
    else:
        from votenet.cli.archive_remote import remote_lines

        lines = remote_lines(parse_address(node), genesis)
    if output in (None, STDOUT):
        for line in lines:
            echo_bytes(line)
        return
    head = next(lines)
    write_lines(output, itertools.chain([head], lines))
    network = ("--network", str(json.loads(head)["network_id"]))
    alone = "" if node is None else f", from {node} alone"
    echo(f"Wrote {output}{alone}. Check it with: {command_line('audit', str(output), options=network)}")


def _local_lines(data_dir: Path | None, genesis: Path | None, instance: str) -> Iterator[bytes]:
    from votenet.cli.actions import read_genesis
    from votenet.cli.archive_files import longest_chain
    from votenet.config import instance_dirs
    from votenet.core.archive import archive_lines
    from votenet.storage.chain_reader import read_chain

    dirs = instance_dirs(instance)
    folder = data_dir or longest_chain(dirs.state)
    election = read_genesis(genesis or dirs.genesis)
    return archive_lines(election, read_chain(folder, election))


@click.command(epilog=AUDIT_EPILOG)
@ARCHIVE
@network_option
@click.option("--roll", type=FilePath(), help="Roll file to check voters by.")
@json_option
def audit(archive: Path, network_hex: str | None, roll: Path | None, as_json: bool) -> None:
    """Check everything in ARCHIVE and count it again; exit 1 with the first fault."""
    from votenet.cli import render
    from votenet.cli.archive_files import audit_archive
    from votenet.cli.roll import read_roll

    voters = None if roll is None else read_roll(roll)
    anchors = render.anchors(network_id=network_hex, roll=roll)
    name = "Standard input" if archive == STDIN else archive
    heading = f"{name} holds." if anchors else f"{name} agrees with itself; compared with nothing else."
    _show(heading, audit_archive(archive, network_hex, voters), anchors, as_json)


@click.command("import", epilog=IMPORT_EPILOG)
@ARCHIVE
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Fresh data folder for a node.",
)
@network_option
@click.option("--roll", type=FilePath(), help="Roll file of the election, where it has one.")
@json_option
def import_command(
    archive: Path, data_dir: Path, network_hex: str | None, roll: Path | None, as_json: bool
) -> None:
    """Make a node's data folder out of ARCHIVE, after checking all of it."""
    from votenet.cli import render
    from votenet.cli.archive_files import import_archive
    from votenet.cli.roll import read_roll

    voters = None if roll is None else read_roll(roll)
    report = import_archive(archive, data_dir, network_hex, voters)
    anchors = render.anchors(network_id=network_hex, roll=roll)
    _show(f"Imported into {data_dir}.", report, anchors, as_json)


globals()["import"] = import_command
"""The table of commands finds each by its name, and this one is a word of Python."""


def _show(heading: str, report: ArchiveReport, anchors: dict[str, str], as_json: bool) -> None:
    from votenet.cli import outcome_view, render

    if as_json:
        render.print_json(as_json_record(report) | {"compared_with": anchors})
        return
    render.print_fields(
        heading, [("compared with", render.compared_with(anchors, "--network or --roll")), *_fields(report)]
    )
    echo(f"Checked: {', '.join(checked(report))}.")
    made = render.table(
        f"Counted again ({report.method})", [("candidate", "left"), ("votes", "right"), ("", "left")]
    )
    for name, votes in report.counts:
        made.add_row(name, f"{votes:,}", render.bar(votes / report.votes if report.votes else 0.0))
    render.print_table(made)
    outcome_view.show_rounds(report.outcome)
    for line in _verdict(report):
        echo(line)


def as_json_record(report: ArchiveReport) -> dict[str, Any]:
    """The report as JSON, with the winners beside the outcome that holds them, too."""
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(report)
    return found | {"winners": list(report.outcome.winners)}


def _fields(report: ArchiveReport) -> Iterator[tuple[str, str]]:
    from votenet.cli.outcome_view import turnout
    from votenet.cli.render import when

    yield "election", report.title
    yield "network id", report.network_id
    yield "registration", report.registration
    yield "created", when(report.created)
    if report.opens is not None:
        yield "opens", when(report.opens)
    if report.closes is not None:
        yield "closes", when(report.closes)
    yield "blocks", f"{report.height:,}, the last of {when(report.last_block)}"
    yield "tip", report.tip
    yield "work", f"{report.work:,} hashes expected"
    yield "votes", f"{report.votes:,}"
    if report.registered is not None:
        yield "turnout", turnout(report.votes, report.registered)


def checked(report: ArchiveReport) -> Iterator[str]:
    """What was checked of this archive, in words: no more than that."""
    yield "links, work, difficulty, times, Merkle roots, order, one vote a voter"
    yield "every signature, candidates and choices"
    if report.opens is not None or report.closes is not None:
        yield "opening hours"
    if report.registered is not None:
        yield "every voter and key against the roll"
    yield "totals"


def _verdict(report: ArchiveReport) -> Iterator[str]:
    """What the votes in the archive come to. It is the chain of one moment: others may have more."""
    from votenet.cli import outcome_view

    outcome = report.outcome
    if outcome.state == "undecided":
        yield "Undecided: no votes."
    elif outcome.state == "tied":
        yield outcome_view.tie(outcome)
    else:
        yield f"{'Won by' if report.closed else 'Leading'}: {outcome.winners[0]}"
    yield from outcome_view.tie_breaks(outcome)
    yield "Are these all votes? Compare the tip with that of several nodes: votenet status --node HOST:PORT"
