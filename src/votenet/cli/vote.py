"""`votenet vote`: cast one vote.

What lives here: options and the printed receipt. What must not: the work (`actions.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

if TYPE_CHECKING:
    from votenet.cli.actions import Receipt, VoterKey
    from votenet.core.election import Election
    from votenet.errors import Rejected, VotenetError

NOT_FINAL = "Not final: blocks can still be replaced by a chain with more work (docs/security.md)."

EPILOG = """
Examples:

\b
  votenet vote voter123 Alice
  votenet vote voter124 Bob --wait 0       (returns once a node has it on its disk)
  votenet vote -i ranked voter123 Bo Cy    (ranked, where the election allows it)

The proof to keep is a file of its own: votenet receipt voter123 -o receipt.json

In an election without a roll the voter's key is made on first use and kept for this user. With a roll, only
the key on the roll can vote. Those of this user: votenet keys list

Votes are public: whoever reaches a node can read who voted how.
"""


@click.command(epilog=EPILOG)
@click.argument("voter_id")
@click.argument("choices", nargs=-1, required=True, metavar="CANDIDATE...")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the block; 0 returns once the vote is accepted.",
)
@click.option(
    "--confirmations", type=click.IntRange(1, 1000), default=1, show_default=True, help="Blocks to wait for."
)
@node_option
@instance_option
@json_option
def vote(
    voter_id: str,
    choices: tuple[str, ...],
    wait: float,
    confirmations: int,
    node: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Cast a signed vote for VOTER_ID and say where it stands.

    "accepted" means that the vote is valid and on one node's disk; then it waits for its block.
    """
    from votenet.cli import actions, render
    from votenet.errors import Rejected

    try:
        receipt: Receipt = actions.run(
            actions.cast_vote(
                actions.node_addresses(instance, node),
                voter_id,
                choices,
                lambda election: key_for(election, voter_id, instance),
                wait=wait,
                confirmations=confirmations,
                network_hex=actions.network_here(instance, node),
            )
        )
    except Rejected as error:
        raise for_people(error, voter_id) from None
    if node is None and not receipt.warnings:
        receipt = replace(receipt, warnings=tuple(actions.cut_off_here(instance, receipt.node)))
    if as_json:
        render.print_json(receipt)
    else:
        _show(receipt, instance, node)


def key_for(election: Election, voter_id: str, instance: str) -> VoterKey:
    """The voter's key in this user's store. Made on first use, but never where a roll names the keys.

    Raises:
        VotenetError: no-key; the election has a roll and this user has no key for the id.
    """
    from votenet.cli.hints import command_line
    from votenet.config import instance_dirs
    from votenet.errors import VotenetError
    from votenet.storage.key_store import KeyStore

    keys = KeyStore(instance_dirs(instance).keys)
    if election.definition.registration == "roll" and keys.find(voter_id) is None:
        raise VotenetError(
            f"this election has a roll, and this user has no key for {voter_id!r}: none was made, a new one"
            " could not vote",
            code="no-key",
            next_step="Vote as the user, and on the machine, that has the registered key."
            f" The keys here: {command_line('keys list', instance=instance)}",
        )
    return keys.pending(voter_id)


def _show(receipt: Receipt, instance: str, node: str | None) -> None:
    from votenet.cli import render
    from votenet.cli.hints import command_line

    fields = [
        ("voter", receipt.voter_id),
        ("choice", render.preferences(receipt.choices, receipt.method)),
        ("vote id", receipt.vote_id),
        ("time", render.when(receipt.time)),
        ("node", f"{receipt.node}, and no other was asked"),
    ]
    if receipt.state != "in_block":
        render.print_fields("Your vote is accepted: it is saved at one node and waits for its block.", fields)
    else:
        fields += [
            ("block", str(receipt.block)),
            ("height", str(receipt.height)),
            ("position", str(receipt.position)),
            ("confirmations", str(receipt.confirmations)),
        ]
        confirmed = render.count_of(receipt.confirmations, "confirmation")
        render.print_fields(f"Your vote is in block {receipt.height} ({confirmed}).", fields)
        echo(NOT_FINAL)
    for warning in receipt.warnings:
        echo(f"Warning: {receipt.node}: {warning}", err=True)
    if receipt.state == "in_block":
        options = ("-o", "receipt.json")
        line = command_line("receipt", receipt.voter_id, options=options, instance=instance, node=node)
        echo(f"Proof to keep:  {line}", err=True)


_HOURS = {
    "not-open": ("opens", "voting has not begun; it opens"),
    "closed": ("closes", "voting has ended; it closed"),
}


def for_people(error: Rejected, voter_id: str) -> VotenetError:
    """Already voted: when, in which block. Too early or too late: from when, since when."""
    from votenet.cli.render import when
    from votenet.errors import Rejected

    details = error.details
    if error.code in _HOURS:
        field, said = _HOURS[error.code]
        hour = details.get(field)
        return Rejected(error.code, f"{said} {when(hour)}", **details) if isinstance(hour, int) else error
    if error.code == "bad-vote":
        return error.advising("Give the voter id as the organisers wrote it.")
    time = details.get("time")
    if error.code != "already-voted" or not isinstance(time, int):
        return error
    where = (
        f"in block {details.get('height')} ({details['block']})"
        if details.get("block")
        else "and that vote waits for its block"
    )
    return Rejected("already-voted", f"{voter_id!r} has already voted: {when(time)}, {where}", **details)
