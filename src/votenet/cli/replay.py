"""`votenet replay`: cast a CSV file of ballots.

What lives here: options and progress. What must not: the work (`replayer.py`, `replay_senders.py`,
`presigned.py`, `ballots.py`), the tables (`replay_summary.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from votenet.cli import output
from votenet.cli.options import FilePath, instance_option, json_option, remember_node
from votenet.cli.output import echo

if TYPE_CHECKING:
    from votenet.cli.replay_senders import ReplayPlan
    from votenet.cli.replay_summary import Summary
    from votenet.cli.replayer import Replayer

EPILOG = """
Examples:

\b
  votenet up --nodes 5 --detach --candidates-from minneapolis-2013 --choice-column rank1
  votenet replay minneapolis-2013 --choice rank1 --sample 5000
  votenet replay ballots.csv --voter-column member_no --choice first --choice second
  votenet replay minneapolis-2013 --presign signed.jsonl
  votenet replay signed.jsonl --senders 2 --rate 1000 --confirmations 2

Each voter's key follows from a secret of this user and the voter id, and each vote's time is that of
the election: replaying the same file again adds nothing and says so.
"""


@click.command(epilog=EPILOG)
@click.argument("file", type=FilePath())
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
    "--presign",
    type=FilePath(),
    metavar="OUT",
    help="Cast nothing: sign the ballots and write them to OUT, which may be replayed later.",
)
@click.option(
    "--senders", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that send."
)
@click.option(
    "--clients",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Connections of each sender to each node.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Send N votes a second, whatever the nodes do.  [default: the next when one is answered]",
)
@click.option(
    "--confirmations",
    type=click.IntRange(1, 100),
    metavar="K",
    help="Follow one vote of each request until it has K blocks, and say how long that took.",
)
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="HOST:PORT",
    callback=remember_node,
    help="Send to this node; may be repeated.",
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
    presign: Path | None,
    senders: int,
    clients: int,
    rate: float | None,
    confirmations: int | None,
    nodes: tuple[str, ...],
    instance: str,
    as_json: bool,
) -> None:
    """Cast the ballots of FILE, a CSV with a header line, signed, over all nodes of the network.

    FILE may be compressed (gzip, xz), - for standard input, or the name of a record that comes with votenet:
    minneapolis-2013, or a file that --presign wrote. A broken line is counted, shown and passed over.
    """
    from votenet.cli import actions
    from votenet.cli.ballots import BallotColumns
    from votenet.cli.replay_senders import cast
    from votenet.cli.replayer import Pace, Replayer
    from votenet.config import instance_dirs
    from votenet.protocol.address import parse_address
    from votenet.storage.key_store import KeyStore

    columns = BallotColumns(choices, voter_column, prefix, frozenset({"", *blanks}))
    plan = _plan(file, columns, sample, limit)
    addresses = tuple(parse_address(text) for text in nodes) or tuple(actions.node_addresses(instance))
    secret = KeyStore(instance_dirs(instance).keys).get_or_make("replay").key.seed
    pace = Pace(batch, clients, rate, confirmations=confirmations or 0, follow_seconds=wait)
    replayer = Replayer(addresses, secret, pace)
    if presign is not None:
        _presign(plan, presign, replayer, secret, as_json)
        return
    if plan.columns is None:
        from votenet.cli.presigned import PresignedFile

        PresignedFile(plan.file).check_election(actions.run(replayer.election()))
    with _progress("cast", plan.total) as report:
        summary = cast(plan, addresses, secret, pace, senders, report)
    counted = _wait(replayer, summary, wait, as_json)
    _finish(summary, counted, wait, as_json)


def _plan(file: Path, columns: Any, sample: int | None, limit: int | None) -> ReplayPlan:
    """What to cast. A presigned file is read to its end first: nothing of a bad one is cast."""
    from votenet.cli.ballots import BallotFile, ballot_input
    from votenet.cli.presigned import PresignedFile, is_presigned
    from votenet.cli.replay_senders import ReplayPlan

    opened = ballot_input(file)
    if is_presigned(opened):
        signed = PresignedFile(opened)
        signed.check()
        return ReplayPlan(opened, None, min(signed.votes, limit or signed.votes), sample)
    import dataclasses

    source = BallotFile(opened)
    columns = dataclasses.replace(columns, choices=columns.choices or (source.header[0],))
    source.check(columns)
    total = sum(1 for _ in source.ballots(columns))
    return ReplayPlan(opened, columns, min(total, limit or total), sample)


def _presign(plan: ReplayPlan, out: Path, replayer: Replayer, secret: bytes, as_json: bool) -> None:
    """Sign, write, say how many. Broken lines are counted and passed over, as when they are cast."""
    from votenet.cli import actions, render
    from votenet.cli.ballots import Ballot
    from votenet.cli.presigned import write_presigned
    from votenet.storage.output_file import STDOUT

    if plan.columns is None:
        raise click.BadParameter("this file is signed already", param_hint="FILE")
    if out == STDOUT:
        raise click.BadParameter("name a file: how many votes it has is written last", param_hint="--presign")
    election = actions.run(replayer.election())
    rows, read = plan.rows(), 0

    def good() -> Iterator[Ballot]:
        nonlocal read
        for row in rows:
            read += 1
            if isinstance(row, Ballot):
                yield row

    with _progress("signed", plan.total) as report:
        votes = write_presigned(out, election, good(), secret, report)
    passed_over = read - votes
    if as_json:
        render.print_json(
            {
                "file": str(out),
                "signed": votes,
                "passed_over": passed_over,
                "network_id": election.network_hex,
            }
        )
        return
    note = f"; {passed_over:,} lines without a valid vote passed over" if passed_over else ""
    echo(f"{votes:,} ballots signed for {election.definition.title!r} in {out}{note}.")


def _wait(replayer: Replayer, summary: Summary, wait: float, as_json: bool) -> bool:
    """Whether every vote is in a block, as far as that was asked for."""
    from votenet.cli import actions, render
    from votenet.errors import Unreachable

    if wait <= 0:
        return True
    with _progress("in block", summary.accepted) as report:
        done = replayer.wait_until_counted(lambda left: report(max(summary.accepted - left, 0)), wait)
        try:
            return bool(actions.run(done))
        except Unreachable as error:
            _print(summary, False, as_json)
            raise render.reported(error) from error


def _finish(summary: Summary, counted: bool, wait: float, as_json: bool) -> None:
    """Print, and fail where ballots are not counted or refused."""
    from votenet.cli import render
    from votenet.errors import VotenetError, WaitTimedOut

    _print(summary, counted, as_json)
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
            next_step="The reasons are listed above; the other ballots are accepted.",
        )
        raise render.reported(refused)


def _print(summary: Summary, counted: bool, as_json: bool) -> None:
    from votenet.cli import render

    if as_json:
        render.print_json(summary.as_dict() | {"all_in_blocks": counted})
    else:
        summary.show()


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; a line at every tenth elsewhere. All of it on stderr."""
    if sys.stderr.isatty():
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:>12}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=output.console(err=True)) as progress:
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
            echo(f"{what}: {done:,} of {total:,}", err=True)

    yield tell
