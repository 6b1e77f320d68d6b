"""`votenet status`: how each node sees the chain.

What lives here: options and the table. What must not: the work (`actions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from votenet.cli.options import instance_option, json_option, node_option
from votenet.cli.output import echo

if TYPE_CHECKING:
    from votenet.protocol.messages import NodeStatus


@click.command(
    epilog="""
Examples:

\b
  votenet status
  votenet status --voter voter123      (where that voter's vote stands)
"""
)
@click.option("--voter", metavar="VOTER_ID", help="Show where the vote of this voter stands.")
@node_option
@instance_option
@json_option
def status(voter: str | None, node: str | None, instance: str, as_json: bool) -> None:
    """Show height, tip, peers and waiting votes of every node, asked directly."""
    from votenet.cli import actions, render
    from votenet.errors import VotenetError

    addresses = actions.node_addresses(instance, node)
    if voter is not None:
        _show_voter(addresses, voter, as_json)
        return
    answers = actions.run(actions.fetch_status(addresses))
    if as_json:
        render.print_json(
            [
                {"address": str(a), "error": s.as_dict()}
                if isinstance(s, VotenetError)
                else {"address": str(a), **_fields(s)}
                for a, s in answers
            ]
        )
    else:
        made = render.table(
            "",
            [("node", "left"), ("address", "left"), ("height", "right"), ("tip", "left"), ("votes", "right"),
             ("waiting", "right"), ("peers", "right"), ("synced", "left"), ("mining", "left"),
             ("kernel", "left"), ("uptime", "right")],
        )  # fmt: skip
        for address, found in answers:
            if isinstance(found, VotenetError):
                made.add_row("?", str(address), "", found.message)
                continue
            made.add_row(
                found.name, str(address), str(found.height), found.tip[:16], f"{found.votes:,}",
                f"{found.waiting:,}", str(found.peers), _yes(found.synced), _yes(found.mining),
                found.kernel, f"{found.uptime} s",
            )  # fmt: skip
        render.print_table(made)
        for line in _hours([s for _, s in answers if not isinstance(s, VotenetError)]):
            echo(line)
    errors = [s for _, s in answers if isinstance(s, VotenetError)]
    if len(errors) == len(answers):
        raise render.reported(errors[0])


def _fields(found: object) -> dict[str, object]:
    import msgspec

    fields = msgspec.to_builtins(found)
    fields.pop("type", None)
    return dict(fields)


def _hours(found: list[NodeStatus]) -> Iterator[str]:
    """When voting opens and closes, where the election says so: the same at every node."""
    from votenet.cli.render import when

    for one in found[:1]:
        if one.opens is not None:
            yield f"Voting opens: {when(one.opens)}"
        if one.closes is not None:
            yield f"Voting closes: {when(one.closes)}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _show_voter(addresses: object, voter: str, as_json: bool) -> None:
    from votenet.cli import actions, render
    from votenet.protocol.messages import GetVoteStatus, VoteStatus

    address, found = actions.run(
        actions.ask_one(addresses, GetVoteStatus(voter_id=voter), VoteStatus)  # type: ignore[arg-type]
    )
    if as_json:
        render.print_json({"node": str(address), **_fields(found)})
        return
    if found.state == "unknown":
        echo(f"No vote of {voter!r} is known at {address}.")
        return
    fields = [("vote id", found.vote_id), ("time", render.when(found.time))]
    if found.state == "in_block":
        fields += [
            ("block", found.block),
            ("height", found.height),
            ("position", found.position),
            ("confirmations", found.confirmations),
        ]
    render.print_fields(
        f"{voter}: counted." if found.state == "in_block" else f"{voter}: accepted, waiting.", fields
    )
