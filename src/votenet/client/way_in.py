"""From what a person knows of a network (a page, a node, a network id, bootstrap servers) to a way in.

A definition that comes from others is believed only where its network id was given, or is shown to the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from votenet.client.answers import fetch_election
from votenet.client.failover import ask_each
from votenet.client.network_view import WayIn, list_servers, means_something
from votenet.client.nodes import readable_addresses
from votenet.client.page_entry import fetch_page
from votenet.core.election.definition import Election
from votenet.errors import ConfigError, VotenetError
from votenet.protocol.wire.address import Address

MAX_ASKED: Final = 16
"""Nodes that are asked for the definition."""
NOT_A_NODE: Final = frozenset({"bad-json", "bad-message", "unknown-type", "unexpected-message"})
"""Codes of what answers, and is no node: a bootstrap server says so in these words."""


async def way_in_at_page(url: str, bootstraps: Sequence[Address] = ()) -> WayIn:
    """Through a page (`page_entry.page_url`); `bootstraps` are asked, too. Raises as `fetch_page`."""
    entry = await fetch_page(url)
    host = urlsplit(url).hostname or ""
    theirs = [server for server in entry.bootstraps if means_something(server, host)]
    servers = tuple(dict.fromkeys([*bootstraps, *theirs]))
    return WayIn(entry.election, (), servers, page=url, page_host=host, listed=entry.nodes)


async def way_in_at_node(address: Address, bootstraps: Sequence[Address] = ()) -> WayIn:
    """Through one node, whose election it is.

    Raises:
        Unreachable: it does not answer.
        ConfigError: not-a-node; bad-genesis.
        Rejected: network-mismatch.
    """
    ((_, found),) = await ask_each([address], fetch_election)
    if not isinstance(found, VotenetError):
        return WayIn(found, (address,), tuple(bootstraps))
    if found.code in NOT_A_NODE:
        raise ConfigError(
            f"what answers at {address} is not a node: {found.message}",
            code="not-a-node",
            next_step=f"If it is a bootstrap server: --network --bootstrap {address}",
        ) from found
    raise found


async def way_in_of_network(
    network_id: str | None, nodes: Iterable[Address], bootstraps: Sequence[Address]
) -> WayIn:
    """Through whichever node of a network answers first, of these and of those that the servers list.

    Args:
        network_id: without it, that of all nodes that the servers list.
        nodes: addresses at which it was seen before. The user did not name them: they count as listed.

    Raises:
        VotenetError: several-networks; no-nodes; what the bootstrap server or the last node said.
    """
    seen_before, listed = tuple(nodes), []
    failure: VotenetError | None = None
    networks: set[str] = set()
    for server, answer in await list_servers(bootstraps):
        if isinstance(answer, VotenetError):
            failure = answer
            continue
        mine = [peer for peer in answer if network_id in (None, peer.network_id) or peer.network_id is None]
        networks |= {peer.network_id for peer in mine if peer.network_id is not None}
        theirs = readable_addresses(peer.address for peer in mine)
        listed += [one for one in theirs if means_something(one, server.host)][:MAX_ASKED]
    if len(networks) > 1:
        raise VotenetError(
            f"nodes of several networks are registered there: {', '.join(sorted(networks))}",
            code="several-networks",
            next_step="Choose one by its network id: --network ID",
        )
    found = await _first_election([*seen_before, *listed][: 2 * MAX_ASKED], network_id)
    if isinstance(found, Election):
        return WayIn(found, (), tuple(bootstraps), page_host="localhost", listed=seen_before)
    raise (
        found
        or failure
        or VotenetError(
            "no node of this network is registered there",
            code="no-nodes",
            next_step="Name its page or a node: --network WHERE; or try again once a node runs.",
        )
    )


async def _first_election(nodes: Sequence[Address], network_id: str | None) -> Election | VotenetError | None:
    """The definition that the first good answer has; else the last failure, None if there is no node."""
    answers = await ask_each(nodes, lambda node: fetch_election(node, network_id))
    found = [answer for _, answer in answers]
    elections = [one for one in found if isinstance(one, Election)]
    if network_id is None and len({one.network_id for one in elections}) > 1:
        ids = ", ".join(sorted({one.network_hex for one in elections}))
        return VotenetError(
            f"nodes of several networks answer: {ids}",
            code="several-networks",
            next_step="Choose one by its network id: --network ID",
        )
    if elections:
        return elections[0]
    failures = [one for one in found if isinstance(one, VotenetError)]
    return failures[-1] if failures else None
