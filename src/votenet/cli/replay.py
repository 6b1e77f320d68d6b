"""`votenet replay`: cast a CSV file of ballots.

What lives here: options, progress and the summary table. What must not: the work (`replayer.py`,
`ballots.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from votenet.cli.options import instance_option, json_option

if TYPE_CHECKING:
    from votenet.cli.ballots import BadLine, Ballot, BallotColumns, BallotFile
    from votenet.cli.replayer import Summary

EPILOG = """
Examples:

\b
  votenet up --nodes 5 --detach --candidates-from minneapolis-2013 --choice-column rank1
  votenet replay minneapolis-2013 --choice rank1 --sample 5000
  votenet replay ballots.csv --voter-column member_no --choice first --choice second

Each voter's key follows from a secret of this user and the voter id, and each vote's time is that of
the election: replaying the same file again adds nothing and says so.
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--choice",
    "choices",
    multiple=True,
    metavar="COLUMN",
    help="Column with a choice; repeat it for ranks, first choice first.  [default: the first column]",
)
@click.option(
    "--voter-column", metavar="COLUMN", help="Column with the voter id.  [default: the ballot's number]"
)
@click.option(
    "--prefix", default="ballot-", show_default=True, help="What stands before the ballot's number."
)
@click.option(
    "--blank", "blanks", multiple=True, metavar="VALUE", help="Value that means no choice; may be repeated."
)
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Cast N ballots, evenly spread over the file."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Cast the first N ballots only.")
@click.option(
    "--batch", type=click.IntRange(1, 1000), default=200, show_default=True, help="Votes in one request."
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    help="Seconds to wait until every vote is in a block; 0 returns once all are accepted.",
)
@click.option(
    "--node", "nodes", multiple=True, metavar="HOST:PORT", help="Send to this node; may be repeated."
)
@instance_option
@json_option
def replay(
    file: Path,
    choices: tuple[str, ...],
    voter_column: str | None,
    prefix: str,
    blanks: tuple[str, ...],
    sample: int | None,
    limit: int | None,
    batch: int,
    wait: float,
    nodes: tuple[str, ...],
    instance: str,
    as_json: bool,
) -> None:
    """Cast the ballots of FILE, a CSV with a header line, signed, over all nodes of the network.

    FILE may be compressed (.gz, .xz), or be the name of a record that comes with votenet:
    minneapolis-2013. A broken line is counted, shown and passed over.
    """
    from votenet.cli import actions, render
    from votenet.cli.ballots import BallotColumns, BallotFile
    from votenet.cli.replayer import Replayer
    from votenet.config import instance_dirs
    from votenet.errors import Unreachable, VotenetError, WaitTimedOut
    from votenet.protocol.address import parse_address
    from votenet.storage.key_store import KeyStore

    source = BallotFile(file)
    columns = BallotColumns(choices or (source.header[0],), voter_column, prefix, frozenset({"", *blanks}))
    source.check(columns)
    addresses = [parse_address(text) for text in nodes] or actions.node_addresses(instance)
    secret = KeyStore(instance_dirs(instance).keys).get_or_make("replay").key.seed
    replayer = Replayer(addresses, secret, batch=batch)
    rows, total = _chosen(source, columns, sample, limit)
    with _progress("cast", total) as report:
        summary = actions.run(replayer.run(rows, lambda done, _: report(done), total))
    counted = True
    if wait > 0:
        with _progress("counted", summary.accepted) as report:
            done = replayer.wait_until_counted(lambda left: report(max(summary.accepted - left, 0)), wait)
            try:
                counted = actions.run(done)
            except Unreachable as error:
                _print(summary, False, as_json)
                raise render.reported(error) from error
    _print(summary, counted or wait <= 0, as_json)
    if not counted:
        late = WaitTimedOut(
            f"not every vote was in a block after {wait:g} s",
            next_step="They are saved and will be counted; look with: votenet status",
        )
        raise render.reported(late)
    if summary.refusals:
        refused = VotenetError(
            f"{summary.refusals:,} ballots were refused",
            code="ballots-refused",
            next_step="The reasons are listed above; the other ballots are counted.",
        )
        raise render.reported(refused)


def _chosen(
    source: BallotFile, columns: BallotColumns, sample: int | None, limit: int | None
) -> tuple[Iterator[Ballot | BadLine], int]:
    """The ballots to cast, and how many there are."""
    total = sum(1 for _ in source.ballots(columns))
    wanted = min(total, limit or total)
    if sample is None or sample >= wanted:
        from itertools import islice

        return islice(source.ballots(columns), wanted), wanted
    picked = {index * wanted // sample for index in range(sample)}
    return (row for index, row in enumerate(source.ballots(columns)) if index in picked), sample


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; a line at every tenth elsewhere. All of it on stderr."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>12}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(what, total=total, rate="")

            def show(done: int) -> None:
                speed = progress.tasks[0].speed
                progress.update(task, completed=done, rate=f"{speed:,.0f}/s" if speed else "")

            yield show
            progress.update(task, completed=total)
        return
    shown = 0

    def tell(done: int) -> None:
        nonlocal shown
        tenth = done * 10 // total if total else 10
        if tenth > shown:
            shown = tenth
            click.echo(f"{what}: {done:,} of {total:,}", err=True)

    yield tell


def _print(summary: Summary, counted: bool, as_json: bool) -> None:
    from votenet.cli import render

    rate = summary.accepted / summary.seconds if summary.seconds else 0.0
    if as_json:
        render.print_json(
            {
                "read": summary.read,
                "accepted": summary.accepted,
                "repeated": summary.repeated,
                "refused": dict(summary.refused),
                "examples": summary.examples,
                "seconds": round(summary.seconds, 3),
                "votes_per_second": round(rate, 1),
                "by_node": dict(summary.by_node),
                "all_in_blocks": counted,
            }
        )
        return
    made = render.table("", [("ballots", "left"), ("number", "right"), ("", "left")])
    made.add_row("read", f"{summary.read:,}", "")
    made.add_row("accepted", f"{summary.accepted:,}", f"{rate:,.0f} a second")
    if summary.repeated:
        made.add_row("repeated", f"{summary.repeated:,}", "these very votes were there already")
    for code, count in summary.refused.most_common():
        made.add_row(f"refused: {code}", f"{count:,}", summary.examples[code][0])
    render.print_table(made)
