"""`--network [WHERE]`: which network a command looks at from any machine, and how it is found."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from votenet.cli.options import addresses
from votenet.config import DEFAULT_INSTANCE, instance_dirs, instance_names, known_dir
from votenet.errors import (
    Command,
    ConfigError,
    NextStep,
    NotRunning,
    Rejected,
    StorageError,
    Unreachable,
    VotenetError,
)
from votenet.protocol.wire.address import Address, parse_address
from votenet.storage.known_elections import KnownElections

if TYPE_CHECKING:
    from votenet.client.network_view import NetworkView, WayIn

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
HERE: Final = "\x00"
"""Stands for `--network` without WHERE: the network of this machine."""
_ID: Final = re.compile("[0-9a-fA-F]{64}")
_WRITE: Final = (
    "Give the address of a page (https://vote.example.org), a genesis file, HOST:PORT of a node, or a "
    "network id of 64 hexadecimal digits."
)


def where_option(command: F) -> F:
    """`--network [WHERE]` and `--bootstrap HOST:PORT`."""
    servers = click.option(
        "--bootstrap",
        "bootstraps",
        metavar="HOST:PORT",
        multiple=True,
        callback=addresses,
        help="With --network: a bootstrap server to ask for nodes; may be repeated.",
    )
    made = click.option(
        "--network",
        "where",
        metavar="[WHERE]",
        is_flag=False,
        flag_value=HERE,
        help="Look at all nodes of a network, from any machine. WHERE: URL of its page, genesis file, "
        "HOST:PORT of a node, or network id.  [that of the node that was joined here, or of the instance]",
    )
    return made(servers(command))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """What it returns. Without --network a command does not wait until asyncio is loaded."""
    import asyncio

    return asyncio.run(work)


def need_network(where: str | None, bootstraps: Sequence[Address]) -> None:
    """Refuse --bootstrap without --network. Raises click.UsageError."""
    if where is None and bootstraps:
        raise click.UsageError("--bootstrap goes with --network")


def as_network_id(where: str) -> str | None:
    """WHERE as a network id, or None for another kind."""
    return where.strip().lower() if _ID.fullmatch(where.strip()) else None


def is_here(network_id: str, bootstraps: Sequence[Address], instance: str) -> bool:
    """Whether an id can only mean that the network on this machine must have it: no other place is known."""
    known = _places_of(network_id) or _joined(network_id)
    return not bootstraps and (_network_of(instance) == network_id or not known)


def look_at(where: str, bootstraps: Sequence[Address], instance: str) -> tuple[WayIn, NetworkView]:
    """The way in, and all nodes of the network now. Raises as `find_way_in`."""
    way = find_way_in(where, bootstraps, instance)
    return way, look_again(way)


def look_again(way: WayIn) -> NetworkView:
    """All nodes of a network now; where named nodes are is remembered, so that one that is down is missed."""
    from votenet.client.network_view import look_at_network

    known, network_id = KnownElections(known_dir()), way.election.network_hex
    places = {key: parse_address(text) for key, text in _remembered(known, network_id).items()}
    view = _run(look_at_network(dataclasses.replace(way, places=places)))
    proven = {
        node.node_key: str(node.address) for node in view.nodes if node.proven and node.index is not None
    }
    with contextlib.suppress(ConfigError, StorageError):  # a home that cannot be written
        known.remember_places(network_id, proven)
    return view


def _remembered(known: KnownElections, network_id: str) -> dict[str, str]:
    """Where named nodes were; nothing where the file cannot be used: it only helps."""
    try:
        return {key: text for key, text in known.places_of(network_id).items() if _is_address(text)}
    except ConfigError:
        return {}


def _is_address(text: str) -> bool:
    with contextlib.suppress(Rejected):
        return bool(parse_address(text))
    return False


def no_node_answers(view: NetworkView) -> Unreachable:
    """Why there is nothing to tell, and where to look first."""
    if view.answering:
        return _no_named_node_answers(view)
    asked = [str(node.address) for node in view.nodes if node.address is not None]
    listed = any(server.error is None for server in view.servers)
    step = (
        "Name a bootstrap server of this network with --bootstrap HOST:PORT, or try from another machine: a "
        "firewall may be in between."
    )
    if listed and asked:
        step = "See whether they run; if so, try from another machine: a firewall may be in between."
    elif listed:
        step = "No node is registered at its bootstrap servers: start the nodes."
    return Unreachable(
        f"no node of this network answers ({', '.join(asked[:8]) or 'no address of one is known'})",
        next_step=step,
    )


def _no_named_node_answers(view: NetworkView) -> Unreachable:
    """Nodes answer, and none of them is believed."""
    answering = ", ".join([str(node.address) for node in view.answering][:8])
    return Unreachable(
        f"no node that answers ({answering}) has proved that it is a named node, and others are not believed",
        next_step="Name one of the named nodes with --network HOST:PORT, or a bootstrap server that lists "
        "them with --bootstrap HOST:PORT. If they do not run, start them.",
    )


def find_way_in(where: str, bootstraps: Sequence[Address], instance: str) -> WayIn:
    """Where the look at a network begins.

    Raises:
        ConfigError: bad-network, bad-url, bad-network-id, bad-genesis, no-bootstrap, not-a-node.
        NotRunning: WHERE was left out, and no network is here.
        VotenetError: unknown-network, several-networks, no-nodes; the page or the node does not answer.
    """
    from votenet.client.page_entry import page_url
    from votenet.client.way_in import way_in_at_node, way_in_at_page

    text = where.strip()
    if where == HERE:
        return _way_in_here(bootstraps, instance)
    if "://" in text:
        return _run(way_in_at_page(page_url(text), bootstraps))
    if _ID.fullmatch(text):
        return _way_in_by_id(text.lower(), bootstraps)
    if _looks_like_file(text):
        return _way_in_of_file(Path(text), bootstraps)
    try:
        address = parse_address(text)
    except Rejected as error:
        raise _nonsense(text, error) from None
    return _run(way_in_at_node(address, bootstraps))


def _looks_like_file(text: str) -> bool:
    return "/" in text or text.endswith(".json") or (bool(text) and os.path.exists(text))


def _nonsense(text: str, error: Rejected) -> ConfigError:
    """What this WHERE is not."""
    if not text:
        return ConfigError("--network was given an empty text", code="bad-network", next_step=_WRITE)
    if re.fullmatch("[0-9a-fA-F]{16,}", text):
        return ConfigError(
            f"a network id has 64 hexadecimal digits, not {len(text)}",
            code="bad-network-id",
            next_step=NextStep("Copy the whole id. Networks here: {}", Command("ls")),
        )
    fault = f"{text!r} is no page, file, node or network id: {error.message}"
    return ConfigError(fault, code="bad-network", next_step=_WRITE)


# -- kinds of WHERE -------------------------------------------------------------------------------


def _way_in_of_file(path: Path, bootstraps: Sequence[Address]) -> WayIn:
    """A genesis file says which network, not where it is; it may lie in the folder of a node."""
    from votenet.cli.joined import way_in_of_folder
    from votenet.client.network_view import WayIn
    from votenet.storage.genesis_file import read_genesis

    way = way_in_of_folder(path) if os.path.isdir(path) else WayIn(read_genesis(path))
    election = way.election
    nodes = (*way.listed, *_seen_at(election.network_hex))
    bootstraps = (*bootstraps, *way.bootstraps)
    if not nodes and not bootstraps:
        raise ConfigError(
            "a genesis file does not say where the nodes of its network are",
            code="no-bootstrap",
            next_step="Add a bootstrap server of this network: --bootstrap HOST:PORT",
        )
    return WayIn(election, (), tuple(bootstraps), page_host="localhost", listed=nodes)


def _way_in_by_id(network_id: str, bootstraps: Sequence[Address]) -> WayIn:
    from votenet.cli.joined import merged
    from votenet.client.way_in import way_in_of_network

    if joined := _joined(network_id):
        way = merged(joined)
        return dataclasses.replace(way, bootstraps=(*bootstraps, *way.bootstraps))
    nodes = _places_of(network_id)
    if not nodes and not bootstraps:
        raise VotenetError(
            f"this user knows no network {network_id[:16]}…",
            code="unknown-network",
            next_step="Say where it is: --network ID --bootstrap HOST:PORT, or --network https://its.page",
        )
    return _run(way_in_of_network(network_id, nodes, bootstraps))


def _way_in_here(bootstraps: Sequence[Address], instance: str) -> WayIn:
    """Of nodes that have joined on this machine, else of the instance; or of what bootstrap servers list."""
    from votenet.cli.joined import joined_here, the_only_network
    from votenet.cli.targets import bootstrap_address, node_programs
    from votenet.client.network_view import WayIn
    from votenet.client.way_in import way_in_of_network
    from votenet.storage.genesis_file import read_genesis

    if bootstraps:
        return _run(way_in_of_network(None, (), bootstraps))
    if instance == DEFAULT_INSTANCE and (way := the_only_network(list(joined_here()))) is not None:
        return way
    try:
        nodes = tuple(map(parse_address, node_programs(instance)))
        servers = (bootstrap_address(instance),)
    except NotRunning as error:
        error.next_step = NextStep(
            "Name a network: --network https://its.page, or --network genesis.json --bootstrap HOST:PORT"
        )
        raise
    election = read_genesis(instance_dirs(instance).genesis)
    return WayIn(election, (), servers, page_host="localhost", listed=nodes)


def _joined(network_id: str) -> list[WayIn]:
    """Through the nodes that have joined this network here; a folder that cannot be read is passed over."""
    from votenet.cli.joined import joined_here

    with contextlib.suppress(ConfigError):
        return [way for way in joined_here() if way.election.network_hex == network_id]
    return []


def _places_of(network_id: str) -> list[Address]:
    """Addresses of nodes of a network that this user knows."""
    nodes = _seen_at(network_id)
    for instance in instance_names():
        if _network_of(instance) == network_id:
            nodes += _addresses_of(instance)
    return nodes


def _seen_at(network_id: str) -> list[Address]:
    """An address at which this user met a network before."""
    address = KnownElections(known_dir()).address_of(network_id)
    return [] if address is None else [parse_address(address)]


def _network_of(instance: str) -> str | None:
    from votenet.cli.targets import network_here

    try:
        return network_here(instance)
    except VotenetError:
        return None


def _addresses_of(instance: str) -> list[Address]:
    """Nodes of an instance that runs."""
    from votenet.cli.targets import node_programs

    try:
        return [parse_address(address) for address in node_programs(instance)]
    except VotenetError:
        return []
