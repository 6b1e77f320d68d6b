"""`votenet replay`: cast a CSV file of ballots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from votenet.ballots.check import BallotCheck, BallotFault, check_ballots
from votenet.ballots.paper import Ballot
from votenet.cli import targets, ui
from votenet.cli.election.roll import roll_of
from votenet.cli.options import FilePath, FiniteRange, instance_option, json_option, remember_node
from votenet.cli.votes.ballot_options import SHOWN_FAULTS, ballot_options, reading_options
from votenet.client.answers import election_at
from votenet.client.refusals import explained, when
from votenet.config import instance_dirs, known_dir
from votenet.core.election.definition import Election
from votenet.core.log.merkle import leaf_hash
from votenet.errors import Command, NextStep, Rejected, VotenetError, WaitTimedOut
from votenet.lab.presigned import PresignedFile, is_presigned, sign_ballot, write_presigned
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replay_summary import Summary
from votenet.lab.replayer import Replayer, SendingPace, left_out, votes_at
from votenet.lab.voter_keys import DerivedKeys, StoredKeys, VoterKeys
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.ballot_source import ballot_input, read_ballot_file
from votenet.storage.key_store import KeyStore
from votenet.storage.output_file import STDOUT
from votenet.storage.replayed_files import ReplayedFiles


@click.command(
    epilog="""
Examples:

\b
  votenet up --nodes 5 --detach --candidates-from minneapolis-2013 --choice-column rank1
  votenet replay minneapolis-2013 --choice rank1 --sample 5000
  votenet replay ballots.csv --voter-column member_no --choice first --choice second
  votenet replay minneapolis-2013 --choice rank1 --presign signed.jsonl
  votenet replay signed.jsonl --senders 2 --rate 1000 --confirmations 2

With a roll each voter's key is that of the key store (votenet keys list). Else it follows from a secret of
this user and the voter id. Each vote's time is that of the election: replaying the same file again adds
nothing and says so.
"""
)
@click.argument("file", type=FilePath())
@ballot_options
@click.option("--partial", is_flag=True, help="Cast the other ballots if some cannot be cast.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Cast N ballots, evenly spread over the file."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Cast the first N ballots only.")
@click.option(
    "--batch", type=click.IntRange(1, 1000), default=200, show_default=True, help="Votes in one request."
)
@click.option(
    "--wait",
    type=FiniteRange(0),
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
    type=FiniteRange(0, min_open=True),
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
    partial: bool,
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
    **typed: Any,
) -> None:
    """Cast the ballots of FILE, signed, over all nodes of the network: all of them, or none.

    FILE is read as by `votenet ballots check FILE` (docs/ballots.md). It may be a file that --presign wrote,
    too. If a ballot cannot be cast, none is, unless --partial is given.
    """
    addresses = tuple(parse_address(text) for text in nodes) or tuple(targets.node_addresses(instance))
    options, opened = reading_options(**typed), ballot_input(file)
    content = PresignedFile(opened) if is_presigned(opened) else read_ballot_file(opened)
    if isinstance(content, PresignedFile):
        content.check()
    election = asyncio.run(election_at(addresses))
    if election.secret is not None and not isinstance(content, PresignedFile):
        raise VotenetError(
            "the ballots of this election are secret: a file of open ballots cannot be cast",
            code="no-credential",
            next_step=NextStep("Each voter votes with the code on a card: {}", Command("vote", "--code")),
        )
    keys = _keys(election, instance)
    if isinstance(content, PresignedFile):
        content.check_election(election)
        plan = ReplayPlan(opened, None, min(content.votes, limit or content.votes), sample)
    else:
        found = check_ballots(content, options, election.definition.contests, keys.fault)
        if presign is None and not partial and not found.faults:
            _refuse_voted(found, election, keys, addresses)
        _check(found, election, options.prefix, partial=partial, later=presign is not None)
        rows = tuple(found.rows)
        wanted, contests = min(len(rows), limit or len(rows)), election.definition.contests
        plan = ReplayPlan(opened, options, wanted, sample, contests, keys.fault, rows)
    if presign is not None:
        _presign(plan, presign, election, keys, as_json)
        return
    _check_open(election)
    pace = SendingPace(batch, clients, rate, confirmations=confirmations or 0, follow_seconds=wait)
    replayer = Replayer(addresses, keys, pace)
    with ui.progress("cast", plan.total) as report:
        summary = cast(plan, addresses, keys, pace, senders, report)
    counted = _wait(replayer, plan, addresses, summary, wait, as_json)
    _finish(summary, counted, wait, as_json)


def _keys(election: Election, instance: str) -> VoterKeys:
    """The registered keys of this user where there is a roll, else keys that follow from a secret."""
    folder = instance_dirs(instance).keys
    if election.definition.registration == "open":
        return DerivedKeys(KeyStore(folder).get_or_make("replay").key.seed)
    roll = roll_of(election, instance)
    return StoredKeys(folder, None if roll is None else {**roll.keys, **election.given_keys})


def _check(found: BallotCheck, election: Election, prefix: str, *, partial: bool, later: bool) -> None:
    """Whether the ballots of a file may be cast, before anything is signed; notes that it is cast.

    Raises:
        VotenetError: ballots-refused; not-open, unless it is signed for `later`; file-cast-before.
    """
    if not partial:
        for fault in found.faults[:SHOWN_FAULTS]:
            ui.say(str(fault))
        found.demand_whole()
    if unread := found.form.get("not_read"):
        ui.say(f"Columns that are not read: {', '.join(unread)}.")
    if not later:
        _check_open(election)
    prefix_used = None if found.voter_column else prefix
    if ReplayedFiles(known_dir() / "replayed").remember(election.network_hex, found.sha256, prefix_used):
        ui.say("This file was cast before: its ballots are recognised, none counts twice.")
    if found.blanks_left_out:
        ui.say(f"{found.blanks_left_out:,} blank ballots are left out: this election takes none.")


def _refuse_voted(
    found: BallotCheck, election: Election, keys: VoterKeys, addresses: Sequence[Address]
) -> None:
    """Notes the voters of a file who have cast another vote. The same vote is recognised by every node."""
    if not found.voter_column:
        return
    ballots = {ballot.voter_id: ballot for ballot in found.ballots}
    for voter_id, vote_id in asyncio.run(votes_at(addresses, list(ballots))).items():
        record = sign_ballot(ballots[voter_id], election, keys).record
        if leaf_hash(record).hex() != vote_id:
            what = f"the voter id {voter_id!r} has already voted"
            step = "Leave the ballot out, or cast the others with --partial: the first vote stands."
            found.refuse(BallotFault(ballots[voter_id].line, found.voter_column, what, step))


def _check_open(election: Election) -> None:
    """Raises Rejected not-open, with the opening and the clock here."""
    opens, now = election.definition.opens, int(time.time())
    if opens is not None and now < opens:
        refusal = explained(Rejected("not-open", "voting has not begun", opens=opens), "")
        raise refusal.advising(
            f"Cast it then; the clock here says {when(now)}. To sign the ballots now: --presign OUT"
        )


def _presign(plan: ReplayPlan, out: Path, election: Election, keys: VoterKeys, as_json: bool) -> None:
    """Sign, write, say how many. Broken lines are counted and passed over, as when they are cast."""
    if plan.options is None:
        raise click.BadParameter("this file is signed already", param_hint="FILE")
    if out == STDOUT:
        raise click.BadParameter("name a file: how many votes it has is written last", param_hint="--presign")
    rows, read = plan.rows(), 0

    def good() -> Iterator[Ballot]:
        nonlocal read
        for row in rows:
            read += 1
            if isinstance(row, Ballot):
                yield row

    with ui.progress("signed", plan.total) as report:
        votes = write_presigned(out, election, good(), keys, report)
    passed_over = read - votes
    if as_json:
        ui.print_json(
            {
                "file": str(out),
                "signed": votes,
                "passed_over": passed_over,
                "network_id": election.network_hex,
            }
        )
        return
    note = f"; {passed_over:,} lines without a valid vote passed over" if passed_over else ""
    ui.echo(f"{votes:,} ballots signed for {election.definition.title!r} in {out}{note}.")


def _wait(
    replayer: Replayer,
    plan: ReplayPlan,
    addresses: Sequence[Address],
    summary: Summary,
    wait: float,
    as_json: bool,
) -> bool:
    """Whether every vote is in a block, as far as that was asked for."""
    if wait <= 0:
        return True
    try:
        with ui.progress("in block", summary.accepted) as report:
            done = replayer.wait_until_counted(lambda left: report(max(summary.accepted - left, 0)), wait)
            return asyncio.run(done)
    except VotenetError as error:
        if error.code == "votes-not-counted":
            _say_left_out(asyncio.run(left_out(addresses, plan.rows())))
        _print(summary, False, as_json)
        error.reported = True
        raise


def _say_left_out(ballots: Sequence[tuple[int, str]]) -> None:
    for line, voter_id in ballots[:SHOWN_FAULTS]:
        ui.say(f"line {line}: the vote of {voter_id!r} is not counted")
    if len(ballots) > SHOWN_FAULTS:
        ui.say(f"and {len(ballots) - SHOWN_FAULTS:,} more votes")


def _finish(summary: Summary, counted: bool, wait: float, as_json: bool) -> None:
    _print(summary, counted, as_json)
    if not counted:
        raise WaitTimedOut(
            f"not every vote was in a block after {wait:g} s",
            next_step=NextStep("They are saved and will be counted; look with: {}", Command("status")),
            reported=True,
        )
    if summary.refusals:
        raise VotenetError(
            f"{summary.refusals:,} ballots were refused",
            code="ballots-refused",
            next_step="The reasons are listed above; the other ballots are accepted.",
            reported=True,
        )


def _print(summary: Summary, counted: bool, as_json: bool) -> None:

    if as_json:
        ui.print_json(summary.as_dict() | {"all_in_blocks": counted})
    else:
        show_summary(summary)


def show_summary(summary: Summary) -> None:
    made = ui.table("", [("ballots", "left"), ("number", "right"), ("", "left")])
    made.add_row("read", f"{summary.read:,}", "")
    made.add_row("accepted", f"{summary.accepted:,}", f"{summary.rate:,.0f} a second")
    if summary.repeated:
        made.add_row("repeated", f"{summary.repeated:,}", "these very votes were there already")
    for code, count in summary.refused.most_common():
        made.add_row(f"refused: {code}", f"{count:,}", summary.examples[code][0])
    ui.print_table(made)
    times = {name: latencies.summary() for name, latencies in summary.latency.items() if latencies.buckets}
    if not times:
        return
    columns = [(name, "right") for name in ("votes", "p50", "p90", "p99", "max")]
    made = ui.table("", [("ms from sending to", "left"), *columns])
    for name, values in times.items():
        made.add_row(
            name.replace("_", " "),
            f"{values.pop('count'):,.0f}",
            *(f"{value:,.0f}" for value in values.values()),
        )
    ui.print_table(made)
