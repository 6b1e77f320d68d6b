"""Which nodes bootstrap servers list, which of them the page watches, and which it leaves for others."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from votenet.client.network_view import MAX_PLACES, list_servers
from votenet.client.nodes import nodes_at_bootstrap
from votenet.core.election.definition import Election
from votenet.errors import Rejected, VotenetError
from votenet.protocol.bootstrap.bootstrap_messages import KnownPeer
from votenet.protocol.wire.address import Address, parse_address

MAX_WATCHED: Final = 64
"""Nodes that are found are watched up to this number."""


WHOLE_LIST_SECONDS: Final = 10.0
"""Between two looks through the whole list of a server, while not all named nodes are found."""

log = logging.getLogger("votenet.web")


class BootstrapList:
    """What one bootstrap server lists. A server that fails lists nothing, and is asked again."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._read_at = float("-inf")
        self.places_of_named: list[Address] = []
        """Where the server said last that named nodes are."""

    async def find_named(self, election: Election | None) -> list[Address]:
        """All nodes that are listed with the keys of named ones, however many others the list has.

        Empty where the whole list was read lately, or the election names no nodes or is not known.
        """
        now = time.monotonic()
        if election is None or not election.named or now - self._read_at < WHOLE_LIST_SECONDS:
            return []
        self._read_at = now
        ((_, listed),) = await list_servers([self._server])
        if isinstance(listed, VotenetError):
            self._say_failed(listed)
            return []
        self.places_of_named = places_of_named(election, listed)
        return self.places_of_named

    async def find_some(self, network_id: str | None) -> list[Address]:
        """A random sample of the nodes of a network, or of all networks."""
        try:
            return await nodes_at_bootstrap(self._server, network_id)
        except VotenetError as error:
            self._say_failed(error)
            return []

    def _say_failed(self, error: VotenetError) -> None:
        log.debug("event=bootstrap_failed address=%s error=%s", self._server, error.message)


def places_of_named(election: Election, listed: Iterable[KnownPeer]) -> list[Address]:
    """Where a list says that named nodes of the election are, at MAX_PLACES addresses each.

    The first address of every node comes before the second of any.
    """
    places: dict[str, list[Address]] = {}
    for peer in listed:
        if peer.node_key is None or election.node_index(peer.node_key) is None:
            continue
        if peer.network_id not in (None, election.network_hex):
            continue
        try:
            address = parse_address(peer.address)
        except Rejected:
            continue
        of_node = places.setdefault(peer.node_key, [])
        if len(of_node) < MAX_PLACES and address not in of_node:
            of_node.append(address)
    ranks = range(MAX_PLACES)
    return [of_node[rank] for rank in ranks for of_node in places.values() if rank < len(of_node)]


def leave_first(
    strangers: Sequence[Address],
    *,
    tried: Collection[Address],
    answering: Collection[Address],
    listed_as_named: Collection[Address],
    for_named: bool,
) -> list[Address]:
    """Strangers that may be left for other addresses, the least useful first.

    Args:
        strangers: watched nodes that nobody gave, and that have not proved the key of a named node.
        tried: nodes that were asked since they were found.
        answering: nodes that answered the last question.
        listed_as_named: addresses at which a server says that named nodes are. They are kept, unless others
            like them wait.
        for_named: the room is for such addresses.
    """
    plain = [one for one in strangers if one not in listed_as_named]
    spare = sorted((one for one in plain if one in tried), key=lambda one: one in answering)
    if not for_named:
        return spare
    untried = [one for one in plain if one not in tried]
    return [*spare, *untried, *(one for one in strangers if one in listed_as_named and one in tried)]
