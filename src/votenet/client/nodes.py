"""Finding nodes to ask: from addresses, or from a bootstrap server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.address import Address, parse_address

MAX_LISTED_NODES: Final = 16
"""Nodes that a bootstrap server is asked for: one is enough, the others are for when it fails."""

AddressLike = str | Address


def parse_addresses(addresses: AddressLike | Sequence[AddressLike]) -> list[Address]:
    """One address or several, `host:port` each. Raises Rejected: bad-address."""
    if isinstance(addresses, str | Address):
        addresses = [addresses]
    return [parse_address(one) if isinstance(one, str) else one for one in addresses]


def readable_addresses(texts: Iterable[str]) -> list[Address]:
    """The addresses among texts of strangers."""
    addresses = []
    for text in texts:
        with contextlib.suppress(Rejected):
            addresses.append(parse_address(text))
    return addresses


async def nodes_at_bootstrap(bootstrap: Address, network_id: str | None = None) -> list[Address]:
    """Nodes that are registered at a bootstrap server, some of very many, in random order.

    Args:
        network_id: only nodes of this network, where they have said theirs.

    Raises:
        Unreachable: the server does not answer.
        VotenetError: several-networks; the server has nodes of more than one, and none was chosen.
            no-nodes; it has none.
    """
    from votenet.network.bootstrap_client import get_peers

    peers = await get_peers(bootstrap, sample=MAX_LISTED_NODES, most=MAX_LISTED_NODES)
    networks = {peer.network_id for peer in peers if peer.network_id is not None}
    if network_id is None and len(networks) > 1:
        raise VotenetError(
            f"the bootstrap server {bootstrap} has nodes of several networks: {', '.join(sorted(networks))}",
            code="several-networks",
            next_step="Choose one by its network id.",
        )
    mine = (None, network_id)
    nodes = readable_addresses(
        peer.address for peer in peers if network_id is None or peer.network_id in mine
    )
    if not nodes:
        raise VotenetError(
            f"the bootstrap server {bootstrap} knows no node of this network",
            code="no-nodes",
            next_step="Name a node by its address, or try again once one is running.",
        )
    return nodes
