"""`votenet export`, `audit`, `import`: a whole election in one file."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import click
import msgspec

from votenet.cli import ui
from votenet.cli.archive.archive_files import (
    audit_archive,
    audit_final,
    import_archive,
    longest_chain,
    read_result,
    seen_at,
    write_folder,
    write_lines,
)
from votenet.cli.archive.belenios_export import export_belenios
from votenet.cli.election import outcome_view
from votenet.cli.election.amendment_view import amendment_lines, cancellation, closes_words
from votenet.cli.election.election_from_file import TRUSTEES_NAME
from votenet.cli.election.outcome_view import turnout
from votenet.cli.election.roll import KnownRoll, read_roll
from votenet.cli.options import (
    FilePath,
    instance_option,
    json_option,
    network_option,
    remember_node,
    roll_option,
)
from votenet.client.sync_client import ElectionClient
from votenet.config import instance_dirs
from votenet.core.election.outcome_text import ballots_line
from votenet.core.election.quorum import NEVER_FINAL
from votenet.core.records.archive import ArchiveReport, archive_lines
from votenet.core.records.archive_log import archive_log_files
from votenet.core.records.final_result import check_result, encode_result
from votenet.errors import Command, ConfigError
from votenet.storage.blocks.chain_reader import read_chain, stored_certificate, stored_shares
from votenet.storage.genesis_file import read_genesis
from votenet.storage.input_file import STDIN
from votenet.storage.output_file import STDOUT

ARCHIVE = click.argument("archive", type=FilePath())


@click.command(
    epilog="""
Examples:

\b
  votenet export -o election.jsonl.xz
  votenet export --data-dir ./n1 --genesis genesis.json -o election.jsonl
  votenet export --node votes.example.org:3000 -o election.jsonl.xz
  votenet export --tiles ./log
  votenet export --belenios election.bel

The node may go on running: the archive is the chain of one moment. From a node elsewhere everything is
checked on the way but for signatures; an audit checks those, too. With --tiles the election's log is written
as the files that tools of others read (C2SP tlog-tiles): a web server shows the folder as it is.
"""
)
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
@click.option(
    "--tiles",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the log as C2SP tiles into this new folder, and no archive.",
)
@click.option(
    "--belenios", type=FilePath(), help="File for Belenios' archive of finished secret ballots, and no other."
)
@click.option(
    "--share",
    "shares",
    type=FilePath(),
    multiple=True,
    help="Share of a trustee that nodes do not have; once for each.",
)
@click.option("--trustees", type=FilePath(), help="Their keys  [trustees.json beside the genesis file].")
@roll_option
@network_option
@instance_option
def export(
    output: Path | None,
    data_dir: Path | None,
    genesis: Path | None,
    node: str | None,
    tiles: Path | None,
    belenios: Path | None,
    shares: tuple[Path, ...],
    trustees: Path | None,
    roll: Path | None,
    network_hex: str | None,
    instance: str,
) -> None:
    """Write the whole election into one archive: definition, headers, votes.

    With named nodes it ends with the newest certificate, and the last block that it covers.
    """
    if len([one for one in (tiles, output, belenios) if one is not None]) > 1:
        raise click.UsageError("--tiles, --belenios and --output exclude each other: call it for each")
    if belenios is None and (shares or trustees or roll):
        raise click.UsageError("--share, --trustees and --roll are for --belenios")
    if node is None:
        lines = _local_lines(data_dir, genesis, instance)
    elif data_dir is not None:
        raise click.UsageError("--node and --data-dir exclude each other: the chain comes from one place")
    else:
        lines = _remote_lines(node, genesis, network_hex)
    if belenios is not None:
        beside = (genesis or instance_dirs(instance).genesis).with_name(TRUSTEES_NAME)
        export_belenios(belenios, lines, KnownRoll(roll, instance), trustees or beside, shares)
        return
    with contextlib.closing(lines):  # the connection, too, when the output fails
        if tiles is not None:
            names = write_folder(tiles, archive_log_files(lines))
            without = "" if "checkpoint" in names else "; no checkpoint, because no certificate is there"
            ui.echo(f"Wrote {len(names):,} files into {tiles}{without}.")
            return
        if output in (None, STDOUT):
            for line in lines:
                ui.echo_bytes(line)
            return
        head = next(lines)
        write_lines(output, itertools.chain([head], lines))
    network = ("--network", str(json.loads(head)["network_id"]))
    alone = "" if node is None else f", from {node} alone"
    ui.echo(f"Wrote {output}{alone}. Check it with: {Command.calling('audit', str(output), options=network)}")


def _local_lines(data_dir: Path | None, genesis: Path | None, instance: str) -> Generator[bytes, None, None]:
    dirs = instance_dirs(instance)
    folder = data_dir or longest_chain(dirs.state)
    election = read_genesis(genesis or dirs.genesis)
    shares = stored_shares(folder) if election.secret is not None else ()
    height, note = stored_certificate(folder)  # after the shares: so theirs is the final one
    blocks = read_chain(folder, election, up_to=height if note else None)
    yield from archive_lines(election, blocks, note, shares)


def _remote_lines(node: str, genesis: Path | None, network_hex: str | None) -> Generator[bytes, None, None]:
    """The archive of a node elsewhere; blocks are fetched as they are asked for.

    Raises:
        ConfigError: network-mismatch; the node belongs to another election than `genesis`.
        VotenetError: as ElectionClient.archive.
    """
    progress: Callable[..., None] | None = None
    with ElectionClient(node, network_id=network_hex) as election, contextlib.ExitStack() as shown:
        if genesis is not None and read_genesis(genesis).network_hex != election.network_id:
            raise ConfigError(
                f"{election.node} belongs to network {election.network_id}, not to that of {genesis}",
                code="network-mismatch",
                next_step="Name a node of that election, or leave --genesis out.",
            )

        def report(done: int, blocks: int) -> None:
            nonlocal progress
            if progress is None:
                progress = shown.enter_context(ui.progress(str(election.node), blocks))
            progress(done, f"block {done:,}")

        yield from election.archive(report)


@click.command(
    epilog="""
Examples:

\b
  votenet audit election.jsonl.xz
  votenet audit election.jsonl.xz --network NETWORK_ID --json
  votenet audit election.jsonl.xz --result result.json        (write the final result as one file)
  votenet audit election.jsonl.xz --compare result.json       (does that file say what the archive says?)
  votenet audit election.jsonl.xz --dask tcp://10.0.0.9:8786  (on a Dask cluster of yours)

An archive alone shows only that it agrees with itself. Give the network id that the organisers published
(--network). Without named nodes compare the tip, too: ask several nodes.
docs/audit.md tells how to check it with tools of your own.
"""
)
@ARCHIVE
@network_option
@roll_option
@click.option("--result", type=FilePath(), help="Write the final result there, with who signed it.")
@click.option("--compare", type=FilePath(), help="Final result file that must say what the archive says.")
@click.option(
    "--dask",
    "cluster",
    metavar="tcp://HOST:PORT",
    help="Scheduler of your own Dask cluster, whose workers check signatures and secret ballots.",
)
@instance_option
@json_option
def audit(
    archive: Path,
    network_hex: str | None,
    roll: Path | None,
    result: Path | None,
    compare: Path | None,
    cluster: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Check everything in ARCHIVE and count it again; exit 1 with the first fault."""
    voters = KnownRoll(roll, instance)
    if result is None and compare is None:
        report = audit_archive(archive, network_hex, voters, cluster)
    else:
        report, final = audit_final(archive, network_hex, voters, cluster)
        if compare is not None:
            check_result(read_result(compare), report.network_id, final)
        if result is not None:
            write_lines(result, [encode_result(final)])
    remembered = None if network_hex is not None else seen_at(report.network_id)
    anchors = ui.anchors(network_id=network_hex, remembered=remembered, roll=voters.path)
    name = "Standard input" if archive == STDIN else archive
    _show(ui.check_heading(str(name), anchors), report, anchors, as_json)
    if not as_json and compare is not None:
        ui.echo(f"{compare} says the same.")
    if not as_json and result is not None:
        check = Command.calling("audit", str(archive), options=("--compare", str(result)))
        ui.echo(f"Wrote {result}. With the archive it is compared by: {check}")


@click.command(
    "import",
    epilog="""
Example:

\b
  votenet import election.jsonl.xz --data-dir ./n6
  votenet node --data-dir ./n6 --genesis ./n6/genesis.json --peer 127.0.0.1:3000

An election with a roll needs it: import with --roll roll.json, which becomes ./n6/roll.json, then start
the node with --roll ./n6/roll.json.
""",
)
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
    voters = None if roll is None else read_roll(roll)
    report = import_archive(archive, data_dir, network_hex, voters)
    anchors = ui.anchors(network_id=network_hex, roll=roll)
    _show(f"Imported into {data_dir}.", report, anchors, as_json)
    if not as_json and report.finality != NEVER_FINAL:
        again = Command.calling("import", str(archive), options=("--data-dir", "DIR"))
        ui.echo(
            "Its node proves every vote of the archive. It cannot give these blocks to a fresh node: archives"
            f" have no commits of named nodes. Make another node with: {again}"
        )


globals()["import"] = import_command
"""The table of commands finds each by its name, and this one is a word of Python."""


def _show(heading: str, report: ArchiveReport, anchors: dict[str, str], as_json: bool) -> None:
    if as_json:
        ui.print_json(msgspec.to_builtins(report) | {"compared_with": anchors})
        return
    ui.print_fields(
        heading,
        [("compared with", ui.compared_with(anchors, "--network or --roll")), *_fields(report, anchors)],
    )
    ui.echo(f"Checked: {', '.join(checked(report))}.")
    if report.cancelled:
        ui.echo(cancellation(report.amendments, report.last_block))
    for contest in () if report.cancelled else report.contests:
        several = f", {contest.title}" if len(report.contests) > 1 else ""
        outcome_view.show_contest(contest, f"Counted again{several} ({contest.method})", report.final)
        if several or contest.blank:
            ui.echo(ballots_line(contest))
            ui.echo("")
    if report.encrypted:
        ui.echo("The votes are encrypted, and the archive has too few shares of trustees to count them.")
    elif not report.counts_shown:
        ui.echo(outcome_view.counts_hidden(report.closes, int(time.time())))
    for line in amendment_lines(report.amendments, report.first_closes):
        ui.echo(line)
    if not report.final:
        ui.echo("Are these all votes? Compare the tip of several nodes: votenet status --node HOST:PORT")


def _fields(report: ArchiveReport, anchors: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield "election", report.title
    yield "network id", report.network_id
    yield "registration", report.registration
    yield "finality", ui.finality(report.finality, report.signed_by, anchors)
    yield "created", ui.when(report.created)
    if report.opens is not None:
        yield "opens", ui.when(report.opens)
    if report.closes is not None:
        yield "closes", closes_words(report.closes, report.first_closes)
    yield "blocks", f"{report.height:,}, the last of {ui.when(report.last_block)}"
    yield "tip", report.tip
    yield "work", f"{report.work:,} hashes expected"
    yield "votes", f"{report.votes:,}"
    if report.registered is not None:
        yield "turnout", turnout(report.votes, report.registered)


def checked(report: ArchiveReport) -> Iterator[str]:
    """The checks that this archive has passed, in words."""
    yield "links, work, difficulty, times, Merkle roots, order, one vote a voter"
    if report.secret:
        yield "every signature, every proof in the encrypted ballots"
        if not report.encrypted:
            yield "the trustees' shares of the count"
    else:
        yield "every signature, candidates and choices"
    if report.opens is not None or report.closes is not None:
        yield "opening hours"
    if report.registered is not None:
        yield "every voter and key against the roll"
    if report.finality != NEVER_FINAL:
        if report.amendments:
            yield "every amendment"
        yield "who found each block, closing lists, the votes that they count"
    if report.signed_by:
        yield "the certificate"
    yield "totals"
