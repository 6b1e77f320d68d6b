"""`votenet watch`: the logs of several nodes, followed and compared."""

from __future__ import annotations

import asyncio
import time

import click

from votenet.cli import targets, ui
from votenet.cli.options import FiniteRange, instance_option, json_option, network_option, remember_node
from votenet.client.log_watch import LogWatch, Shown
from votenet.config import known_dir
from votenet.errors import NotProven, Unreachable, VotenetError
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.known_elections import KnownElections


@click.command(
    epilog="""
Examples:

\b
  votenet watch                                            (all nodes of the network here)
  votenet watch --node 127.0.0.1:3000 --node 127.0.0.1:3002 --once

A quorum of the named nodes must have signed each certificate, and it must continue the largest log that
was seen before, at any node, also by other commands. Where it does not, named nodes have signed two logs
that contradict each other: this ends with exit code 1, names them and saves the proof. A shorter log is
compared once a node that shows the longer one proves that it continues it; until then it is named as not
compared. Headers and votes are not read: the height is the word of the node, and
`votenet audit election.jsonl` checks the blocks.
"""
)
@click.option(
    "--node", "nodes", metavar="HOST:PORT", multiple=True, callback=remember_node, help="Watch this node."
)
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option(
    "--interval",
    type=FiniteRange(0.1, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between looks.",
)
@network_option
@instance_option
@json_option
def watch(
    nodes: tuple[str, ...],
    once: bool,
    interval: float,
    network_hex: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Follow the signed logs of several nodes, and report when they contradict each other."""
    addresses = [parse_address(node) for node in nodes] or targets.node_addresses(instance)
    network_id = network_hex or targets.network_here(instance, nodes[0] if nodes else None)
    following = LogWatch(addresses, KnownElections(known_dir()), network_id)
    told: dict[Address, object] = {}
    while True:
        found = asyncio.run(following.look())
        for address, shown in found:
            news = _facts(address, shown, following)
            if told.get(address) != news:
                told[address] = news
                _tell(address, news, as_json)
        if once:
            _check_all_answered(found)
            return
        ui.stop_if_unread()
        time.sleep(interval)


def _facts(address: Address, shown: Shown, following: LogWatch) -> dict[str, object]:
    """What is told of a node, when it changes."""
    if isinstance(shown, VotenetError):
        return {"error": shown.as_dict()}
    longer = following.not_compared.get(address)
    if shown is None or following.view is None:
        return {"size": 0, "longer_log": longer}
    signers = following.view.election.node_names(shown.certificate.signers)
    return {
        "size": shown.certificate.size,
        "height": shown.height,
        "root": shown.certificate.root.hex(),
        "signed_by": signers,
        "longer_log": longer,
        "named": following.view.election.named,
    }


def _tell(address: Address, news: dict[str, object], as_json: bool) -> None:
    if as_json:
        ui.echo_json({"node": str(address), "time": int(time.time()), **news})
        return
    when = ui.when(int(time.time()))
    longer = news.get("longer_log")
    beside = f", not compared with the {longer:,} that were signed before" if longer else ""
    match news:
        case {"error": {"message": message}}:
            ui.echo(f"{when}  {address}  {message}")
        case {"size": 0}:
            ui.echo(f"{when}  {address}  nothing is signed yet{beside}")
        case {"size": int(size), "signed_by": tuple(signers), "named": named, "root": str(root)}:
            ui.echo(
                f"{when}  {address}  {ui.count_of(size, 'record')}, signed by {len(signers)} of {named},"
                f" root {root[:16]}…{beside}"
            )


def _check_all_answered(found: list[tuple[Address, Shown]]) -> None:
    """Raises the error of a node that showed nothing that can be believed."""
    for _, shown in found:
        if isinstance(shown, NotProven | Unreachable):
            shown.reported = True
            raise shown
