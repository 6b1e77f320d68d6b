"""`votenet blocks`: the chain as a table with its forks: who found each block, who signed it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from votenet.cli import targets, ui
from votenet.cli.network.block_view import ChainView, block_events
from votenet.cli.options import instance_option, json_option, node_option, placed
from votenet.errors import Command, NextStep, Rejected, Unreachable, VotenetError

if TYPE_CHECKING:
    from votenet.client.block_list import Bodies, ShownChain
    from votenet.core.election.definition import Election
    from votenet.protocol.wire.address import Address


@click.command(
    epilog="""
Examples:

\b
  votenet blocks
  votenet blocks --last 5 --json
  votenet blocks --all-nodes          (which node stands on which block)
  votenet blocks --follow             (a line for each new block, until Ctrl-C)
"""
)
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    metavar="N",
    help="So many blocks.",
)
@click.option("--all-nodes", is_flag=True, help="Ask all nodes: forks as a tree, with who stands where.")
@click.option("-f", "--follow", is_flag=True, help="Print blocks and reorganisations as they come.")
@node_option
@instance_option
@json_option
def blocks(last: int, all_nodes: bool, follow: bool, node: str | None, instance: str, as_json: bool) -> None:
    """Show the last blocks: who found them, who signed, what is final, and where the chain forks.

    Every block is fetched and checked here, but for the signatures of votes: an audit checks those, too.
    Without named nodes no block names its finder: each node says which blocks it has found itself.
    """
    from votenet.client.answers import election_at

    if all_nodes and follow:
        raise click.UsageError("--follow looks at one node: it does not go with --all-nodes")
    addresses = targets.node_addresses(instance, node)
    election = asyncio.run(election_at(addresses, targets.network_here(instance, node)))
    if follow:
        asyncio.run(_follow(addresses, election, last, as_json))
        return
    view = asyncio.run(_look(addresses, election, last, at_all=all_nodes))
    if as_json:
        ui.print_json(view.as_json())
    else:
        view.show()
        if len(addresses) > 1 and not all_nodes and view.unknown_finders:
            every = NextStep("Who found the blocks marked ?: {}", Command("blocks", "--all-nodes"))
            ui.echo(placed(every, instance))
    if not view.chains:
        error = next(iter(view.lost.values()))
        error.reported = as_json
        raise error


async def _look(addresses: Sequence[Address], election: Election, last: int, *, at_all: bool) -> ChainView:
    """The chains of all these nodes; else of the first one that shows its own. Raises its error."""
    from votenet.client.block_list import fetch_bodies, fetch_chains, observer

    chains: list[ShownChain] = []
    lost: dict[str, VotenetError] = {}
    for some in [addresses] if at_all else [[address] for address in addresses]:
        found = await fetch_chains(some, election, last)
        chains = [chain for _, chain in found if not isinstance(chain, VotenetError)]
        lost = {str(a): error for a, error in found if isinstance(error, VotenetError)}
        if chains or not any(isinstance(error, Unreachable) for error in lost.values()):
            break
    view = ChainView(election, last, {}, chains, lost)
    for chain in chains:
        own = {block.hash for block in chain.blocks}
        wanted = [one for one in view.blocks if one.hash in own and one.hash not in view.bodies]
        if any(block.height for block in wanted):
            try:
                async with observer(chain.address, election) as node:
                    await fetch_bodies(node, wanted, view.bodies)
            except (Unreachable, Rejected):
                if not at_all:
                    raise
    return view


async def _follow(addresses: Sequence[Address], election: Election, last: int, as_json: bool) -> None:
    from contextlib import aclosing

    from votenet.client.block_list import follow_chain

    bodies: Bodies = {}
    before: ShownChain | None = None
    async with aclosing(follow_chain(addresses, election, last, 0.5, bodies)) as looks:
        async for chain in looks:
            for event, line in _news(before, chain, bodies, election):
                ui.echo_json(event) if as_json else ui.echo(line)
            before = chain
            ui.stop_if_unread()


def _news(
    before: ShownChain | None, chain: ShownChain, bodies: Bodies, election: Election
) -> Iterator[tuple[dict[str, object], str]]:
    if before is None or (before.tip, before.final_height) != (chain.tip, chain.final_height):
        yield from block_events(before, chain, bodies, election)
