"""Nodes that have joined an election on this machine, as their folders tell: a way into their networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from votenet.client.network_view import WayIn
from votenet.config import nodes_dir
from votenet.errors import ConfigError, Rejected
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.env_file import ENV_NAME, PREFIX, read_env_file
from votenet.storage.genesis_file import read_genesis


def joined_here() -> Iterator[WayIn]:
    """A way in for each node of this user that has joined.

    Raises:
        ConfigError: bad-genesis, bad-env-file.
    """
    for path in sorted(nodes_dir().glob(f"*/{ENV_NAME}")):
        yield way_in_of_folder(path.parent)


def way_in_of_folder(folder: Path) -> WayIn:
    """Of the folder of a node: its genesis file, and what its node.env says of servers, peers and itself.

    Raises:
        ConfigError: bad-genesis, bad-env-file.
    """
    path = folder / ENV_NAME
    settings = read_env_file(path) if path.exists() else {}
    election = read_genesis(Path(settings.get(f"{PREFIX}GENESIS", folder / "genesis.json")))
    peers = (
        *_addresses(settings.get(f"{PREFIX}ADVERTISE", "")),
        *_addresses(settings.get(f"{PREFIX}PEER", "")),
    )
    servers = _addresses(settings.get(f"{PREFIX}BOOTSTRAP", ""))
    return WayIn(election, (), servers, page_host="localhost", listed=peers)


def _addresses(text: str) -> tuple[Address, ...]:
    """Addresses with commas or blanks in between; what is none is the concern of the node."""
    found = []
    for word in text.replace(",", " ").split():
        with contextlib.suppress(Rejected):
            found.append(parse_address(word))
    return tuple(found)


def the_only_network(ways: list[WayIn]) -> WayIn | None:
    """All ways in as one; None if there is none. Raises ConfigError: several-networks."""
    networks = {way.election.network_hex: way.election.definition.title for way in ways}
    if len(networks) > 1:
        listed = ", ".join(f"{network_id[:16]}… ({title})" for network_id, title in networks.items())
        raise ConfigError(
            f"nodes on this machine have joined several networks: {listed}",
            code="several-networks",
            next_step="Choose one by its network id, or by the folder of a node: --network WHERE",
        )
    return merged(ways) if ways else None


def merged(ways: list[WayIn]) -> WayIn:
    """One way in with the servers and nodes of several of one network."""
    servers = dict.fromkeys(server for way in ways for server in way.bootstraps)
    nodes = dict.fromkeys(node for way in ways for node in way.listed)
    return WayIn(ways[0].election, (), tuple(servers), page_host="localhost", listed=tuple(nodes))
