"""The file of a final result: written by `votenet results --final`, shown by `votenet verify`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from votenet.cli import ui
from votenet.cli.election.amendment_view import amendment_lines
from votenet.client.archive_file import final_result_of
from votenet.client.sync_client import ElectionClient
from votenet.core.election.definition import Election
from votenet.core.election.outcome_text import conditions, decision
from votenet.core.election.quorum import NEVER_FINAL
from votenet.core.election.roll import Roll
from votenet.core.records.archive import signed_by
from votenet.core.records.final_result import (
    FinalResult,
    check_result,
    decode_result,
    encode_result,
)
from votenet.errors import Command, NextStep, NotProven, StorageError
from votenet.storage.output_file import STDOUT, written

START = b'{"amendments":'
"""A file that begins so is no receipt and no archive."""
SHOWN = 20
"""Votes that are not counted, in a list for people."""


def write_final_result(
    election: ElectionClient, output: Path | None, roll: Roll | None = None, *, here: bool = False
) -> None:
    """Fetch the whole chain of a node, check all of it, and write the final result.

    Args:
        here: the network runs under the supervisor of this user.

    Raises:
        NotProven: not-final, or with the first fault of the chain.
        ConfigError: roll-missing, where votes have weights; this is not the roll of the election.
        StorageError: it cannot be written.
    """
    try:
        result = final_result_of(election.archive(), election.network_id, roll)
    except NotProven as error:
        if error.code == "not-final":
            error.advising(when_final(election.amended(), here=here))
        raise
    data = encode_result(result)
    if output in (None, STDOUT):
        ui.echo_bytes(data)
        return
    assert output is not None
    step = "Check the folder and its free space."
    with StorageError.of_os_errors(f"cannot write {output}", next_step=step), written(output) as file:
        file.write(data)
    signers = check_result(result).signers
    check = Command.calling("verify", str(output), options=("--network", election.network_id))
    ui.echo(f"Wrote {output}: final, {signed_by(tuple(signers), Election(result.definition))}.")
    ui.echo(f"Check it anywhere with: {check}")


def when_final(election: Election, *, here: bool) -> str:
    """What to do for a result that is not final yet, or that it never will be.

    Args:
        here: the network runs under the supervisor of this user, who can wait for its end.
    """
    closes = election.closes
    if not election.named:
        return f"This election is {NEVER_FINAL}."
    if closes is None:
        return NextStep(
            "This election has no closing time: single votes become final, the result never does. Its"
            " authority gives it one with: {}",
            Command("election", "close", "+2h"),
        )
    is_open = time.time() < closes
    hours = f"Voting {'closes' if is_open else 'closed'} {ui.when(closes)}. "
    if here:
        return NextStep(hours + "Wait with: {}", Command("wait", "--for", "final", "--timeout", "600"))
    later = "some minutes after that" if is_open else "when enough named nodes have signed the end"
    return f"{hours}Repeat this command {later}."


def show_final_result(
    data: bytes, network_hex: str | None, as_json: bool, seen_at: Callable[[str], str | None]
) -> None:
    """Check who signed the final result in a file, and print it.

    Args:
        seen_at: the address at which this user has met a network, None where that is unknown.

    Raises:
        NotProven: with the code of the first fault.
    """
    result = decode_result(data)
    certificate = check_result(result, network_hex)
    election = Election(result.definition)
    remembered = None if network_hex is not None else seen_at(election.network_hex)
    anchors = ui.anchors(network_id=network_hex, remembered=remembered)
    signers = election.node_names(certificate.signers)
    if as_json:
        shown = ("amendments", "contests", "height", "not_counted", "root", "tip", "votes")
        told = {name: msgspec.to_builtins(getattr(result, name)) for name in shown}
        told |= {"title": result.definition.title, "network_id": election.network_hex}
        ui.print_json(told | {"signed_by": signers, "compared_with": anchors})
        return
    finality = f"final, {signed_by(tuple(certificate.signers), election)}"
    ui.print_fields(
        ui.check_heading("The final result", anchors), _fields(result, election, finality, signers, anchors)
    )
    for contest, counted in zip(election.contests, result.contests, strict=True):
        made = ui.table(contest.definition.title, [("candidate", "left"), ("votes", "right")])
        for name, votes in counted.counts:
            made.add_row(name, f"{votes:,}")
        ui.print_table(made)
        ui.echo(decision(counted, final=True, votes=counted.votes))
        for text in conditions(counted):
            ui.echo(text)
    for line in (*amendment_lines(result.amendments, result.definition.closes), *_left_out(result)):
        ui.echo(line)
    ui.echo(
        "The counts are the file's own word. Count the votes again with: votenet audit ARCHIVE --compare FILE"
    )


def _fields(
    result: FinalResult, election: Election, finality: str, signers: Sequence[str], anchors: dict[str, str]
) -> list[tuple[str, str]]:
    return [
        ("compared with", ui.compared_with(anchors, "--network")),
        ("finality", ui.finality(finality, signers, anchors)),
        ("election", result.definition.title),
        ("network id", election.network_hex),
        ("votes", f"{result.votes:,}"),
        ("blocks", f"{result.height:,}"),
        ("tip", result.tip),
        ("root of the votes", result.root),
    ]


def _left_out(result: FinalResult) -> Iterator[str]:
    if not result.not_counted:
        return
    yield f"Accepted and not counted: {ui.count_of(len(result.not_counted), 'vote')}"
    for one in result.not_counted[:SHOWN]:
        yield f"  {one.id}, in {ui.count_of(one.lists, 'closing list')}"
    if len(result.not_counted) > SHOWN:
        yield f"  … and {len(result.not_counted) - SHOWN:,} more (--json has all)"
