"""`votenet compare`: are two receipts of one log?"""

from __future__ import annotations

import time
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path

import click

from votenet.cli import targets, ui
from votenet.cli.options import FilePath, instance_option, json_option, node_option
from votenet.cli.votes.receipt import read_receipt
from votenet.client.log_view import LogView
from votenet.client.receipts import certificate_of
from votenet.config import known_dir
from votenet.core.election.definition import Election
from votenet.core.faults import fault
from votenet.core.records.receipt import ChainProof, Receipt, check_receipt, decode_receipt
from votenet.storage.known_elections import KnownElections


@click.command(
    epilog="""
Examples:

\b
  votenet compare receipt.json bob.json
  votenet compare receipt.json bob.json --node 127.0.0.1:3000

Two voters compare their receipts to see that named nodes have shown both of them the same log. If the logs
are of different lengths, a node has to show how the one grew into the other; it is not believed, its proof is
checked. Named nodes that signed two logs which contradict each other are named, and the proof is saved.
"""
)
@click.argument("first", type=FilePath())
@click.argument("second", type=FilePath())
@node_option
@instance_option
@json_option
def compare(first: Path, second: Path, node: str | None, instance: str, as_json: bool) -> None:
    """Check that two receipts are of one log; exit 1 if they contradict each other."""
    receipts = [decode_receipt(read_receipt(path)) for path in (first, second)]
    reports = [check_receipt(receipt, int(time.time())) for receipt in receipts]
    if reports[0].network_id != reports[1].network_id:
        raise fault("network-mismatch", "the two receipts are of two elections")
    election = Election(receipts[0].definition)
    if election.named:
        sizes, said = _same_log(receipts, election, str(second), node, instance)
    else:
        sizes, said = _same_branch(receipts)
    if as_json:
        ui.print_json({"agree": True, "network_id": election.network_hex, "sizes": sizes})
    else:
        ui.echo(said)


def _same_log(
    receipts: list[Receipt], election: Election, source: str, node: str | None, instance: str
) -> tuple[list[int], str]:
    """The sizes of the two logs, and what was found. Raises NotProven: not-final, split-view."""
    if not all(receipt.proof for receipt in receipts):
        raise fault("not-final", "a receipt of a vote that is only received has no log to compare")
    smaller, larger = sorted(
        (certificate_of(receipt, election) for receipt in receipts), key=attrgetter("size")
    )
    sizes = [smaller.size, larger.size]
    if smaller.size == larger.size:
        LogView(election, KnownElections(known_dir())).compare(smaller, larger, (), source)
        return sizes, f"Both receipts are of one log of {sizes[0]:,} records."
    with targets.connect(instance, node, election.network_hex) as client:
        for certificate in (smaller, larger):
            client.at_one_node(lambda open_node, one=certificate: client.log.check(open_node, one))  # type: ignore[misc]
        return sizes, (
            f"Both receipts are of one log: that of {sizes[1]:,} records continues that of {sizes[0]:,}, as"
            f" {client.node} has shown."
        )


def _same_branch(receipts: list[Receipt]) -> tuple[list[int], str]:
    """Without named nodes: whether the one chain of headers begins with the other."""
    chains = [receipt.chain for receipt in receipts if isinstance(receipt.chain, ChainProof)]
    lengths = sorted(len(chain.headers) for chain in chains)
    pairs = list(zip_longest(*(chain.headers for chain in chains)))[: lengths[0]]
    if any(one != other for one, other in pairs):
        raise fault("abandoned", "the two receipts are of two branches: one of them was abandoned")
    return lengths, f"Both receipts are of one chain, up to block {lengths[0]:,}. Neither is final."
