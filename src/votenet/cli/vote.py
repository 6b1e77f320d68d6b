"""`votenet vote`: cast one vote.

What lives here: options and the printed receipt. What must not: the work (`actions.py`).
"""

from __future__ import annotations

import shlex

import click

from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

EPILOG = """
Examples:

\b
  votenet vote voter123 Alice
  votenet vote voter123 Alice Bob          (ranked, where the election allows it)
  votenet vote voter123 Alice --json > receipt.json

The voter's key is made on first use and kept for this user; see: votenet keys list
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
    """Cast a signed vote for VOTER_ID and print its receipt.

    "accepted" means that the vote is valid and on a node's disk; then it waits for its block.
    """
    from votenet.cli import actions, render
    from votenet.config import instance_dirs
    from votenet.errors import Rejected
    from votenet.storage.key_store import KeyStore

    addresses = actions.node_addresses(instance, node)
    keys = KeyStore(instance_dirs(instance).keys)
    try:
        receipt: actions.Receipt = actions.run(
            actions.cast_vote(
                addresses,
                voter_id,
                choices,
                lambda: keys.get_or_make(voter_id).key,
                wait=wait,
                confirmations=confirmations,
            )
        )
    except Rejected as error:
        raise _for_people(error) from None
    if as_json:
        render.print_json(receipt)
        return
    in_block = receipt.state == "in_block"
    fields = [
        ("voter", receipt.voter_id),
        ("choice", " > ".join(receipt.choices)),
        ("vote id", receipt.vote_id),
        ("time", render.when(receipt.time)),
        ("node", receipt.node),
    ]
    if in_block:
        fields += [
            ("block", str(receipt.block)),
            ("height", str(receipt.height)),
            ("position", str(receipt.position)),
            ("confirmations", str(receipt.confirmations)),
        ]
    render.print_fields("Vote counted." if in_block else "Vote accepted, waiting for its block.", fields)
    if in_block:
        echo(f"Proof to keep:  votenet receipt {shlex.quote(voter_id)} -o receipt.json", err=True)


_HOURS = {
    "not-open": ("opens", "voting has not begun; it opens"),
    "closed": ("closes", "voting has ended; it closed"),
}


def _for_people(error: object) -> Exception:
    """Already voted: when, in which block. Too early or too late: from when, since when."""
    from votenet.cli.render import when
    from votenet.errors import Rejected

    assert isinstance(error, Rejected)
    if error.code in _HOURS:
        field, said = _HOURS[error.code]
        hour = error.details.get(field)
        return (
            Rejected(error.code, f"{said} {when(hour)}", **error.details) if isinstance(hour, int) else error
        )
    if error.code != "already-voted" or "time" not in error.details:
        return error
    time, block = error.details["time"], error.details.get("block")
    where = (
        f"in block {error.details.get('height')} ({block})" if block else "and that vote waits for its block"
    )
    voted = when(time) if isinstance(time, int) else str(time)
    return Rejected("already-voted", f"{_voter(error)} has already voted: {voted}, {where}", **error.details)


def _voter(error: object) -> str:
    text = str(error)
    return text.split(" has already voted")[0] if " has already voted" in text else "this voter"
