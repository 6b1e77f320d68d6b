"""Five real nodes find each other, by each kind of discovery alone, and with a dead bootstrap server."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from support.processes import Programs, cast, free_addresses, known, named, programs, status
from votenet.protocol.peers.bootstrap_servers import LIST_SECONDS
from votenet.protocol.peers.discovery import ANNOUNCE, GOSSIP, KINDS, POLL
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

NODES = 5


def five(made: Programs, addresses: list[Address], *options: str) -> None:
    """Five nodes that do not mine, one after the other."""
    for number, address in enumerate(addresses, start=1):
        made.node(f"n{number}", address, *options)
        made.wait_for(lambda a=address: status(a))  # type: ignore[misc]


@pytest.mark.long
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != POLL])
def test_five_real_nodes_each_kind_alone(kind: str, tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot, *addresses = free_addresses(NODES + 1)
        made.bootstrap(boot)
        five(made, addresses, "--bootstrap", str(boot), "--discover", kind, "--no-mine")
        all_known = lambda: all(known(address) == NODES - 1 for address in addresses)  # noqa: E731
        made.wait_for(all_known, 150.0, lambda: [(str(a), known(a)) for a in addresses])


@pytest.mark.long
def test_five_real_nodes_by_polling_alone(tmp_path: Path) -> None:
    """The list is fetched every 30 s: the first must learn of the last by then."""
    with programs(tmp_path) as made:
        boot, *addresses = free_addresses(NODES + 1)
        made.bootstrap(boot)
        began = time.monotonic()
        five(made, addresses, "--bootstrap", str(boot), "--discover", POLL, "--no-mine")
        heard = known(addresses[0])
        if time.monotonic() - began < LIST_SECONDS:
            assert heard < NODES - 1, "it has heard of the others before it asked again"
        all_known = lambda: all(known(address) == NODES - 1 for address in addresses)  # noqa: E731
        made.wait_for(all_known, 150.0, lambda: [(str(a), known(a)) for a in addresses])


def test_a_killed_bootstrap_server_stays_dead_and_late_nodes_join_by_cache_or_by_one_peer(
    tmp_path: Path,
) -> None:
    with programs(tmp_path) as made:
        boot, *addresses = free_addresses(NODES + 3)
        early, (sixth, seventh) = addresses[:NODES], addresses[NODES:]
        made.bootstrap(boot)
        for number, address in enumerate(early, start=1):
            made.node(f"n{number}", address, "--bootstrap", str(boot))
        made.node("n6", sixth, "--bootstrap", str(boot), "--no-mine")
        made.wait_for(lambda: all(known(a) == NODES for a in (*early, sixth)))
        made.wait_for(lambda: named(sixth) >= set(map(str, early)), seen=lambda: named(sixth))
        made.wait_for(lambda: len(cached(tmp_path / "n6")) == NODES, seen=lambda: cached(tmp_path / "n6"))
        made.kill("n6")
        made.kill("boot")
        cast(early[0], made.election, "one")
        made.wait_for(lambda: votes(early) == {1}, seen=lambda: votes(early))

        made.node("n6", sixth, "--no-mine")  # nothing but its cache
        made.node("n7", seventh, "--no-mine", "--peer", str(early[2]))  # nothing but one address
        late = [sixth, seventh]
        made.wait_for(lambda: votes(late) == {1})
        cast(sixth, made.election, "two"), cast(seventh, made.election, "three")
        made.wait_for(lambda: votes([*early, *late]) == {3}, seen=lambda: votes([*early, *late]))
        for address in early:  # and those that were there before find the late ones, without an introduction
            made.wait_for(lambda a=address: named(a) >= {str(sixth), str(seventh)})  # type: ignore[misc]


def test_a_node_that_lost_its_key_is_in_the_registry_again_at_once(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot, one = free_addresses(2)
        made.bootstrap(boot)
        made.node("n1", one, "--bootstrap", str(boot), "--no-mine")
        made.wait_for(lambda: registered_key(boot))
        before = registered_key(boot)
        made.kill("n1")
        (tmp_path / "n1" / "node.key").unlink()
        made.node("n1", one, "--bootstrap", str(boot), "--no-mine")
        made.wait_for(lambda: registered_key(boot) not in ("", before))


def registered_key(boot: Address) -> str:
    """Of the only peer; empty for none, and while the server does not answer."""
    with contextlib.suppress(OSError):
        peers = json.loads(say(boot, {"type": "GET_PEERS", "payload": {}}))["peers"]
        return str(peers[0]["node_key"]) if peers else ""
    return ""


def cached(folder: Path) -> list[str]:
    """Addresses that a node has kept for its next start, met ones only."""
    with contextlib.closing(sqlite3.connect(f"file:{folder / 'chain.db'}?mode=ro", uri=True)) as conn:
        return [row[0] for row in conn.execute("SELECT address FROM peers WHERE met > 0")]


def votes(addresses: list[Address]) -> set[int]:
    return {-1 if (found := status(address)) is None else found.votes for address in addresses}


def test_a_strangers_remove_and_shutdown_change_nothing(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot, one, two = free_addresses(3)
        made.bootstrap(boot)
        for name, address in (("n1", one), ("n2", two)):
            made.node(name, address, "--bootstrap", str(boot), "--no-mine", "--discover", ANNOUNCE,
                      "--discover", GOSSIP)  # fmt: skip
        made.wait_for(lambda: known(one) == known(two) == 1)
        made.wait_for(lambda: named(two) >= {str(one)}, seen=lambda: named(two))
        made.wait_for(lambda: (found := status(two)) and found.peers == 1)
        assert "still-alive" in say(boot, {"type": "REMOVE", "payload": str(one)})
        data = base64.b64encode(str(one).encode()).decode()
        for _ in range(20):
            say(two, {"type": "shutdown_peer", "data": data})
        assert str(one) in say(boot, {"type": "GET_PEERS"})
        found = status(two)
        assert found is not None
        assert (found.known_peers, found.peers) == (1, 1)


def say(address: Address, message: object) -> str:
    """A stranger's line, and what comes back until the other side closes."""
    with socket.create_connection(address, timeout=150) as link:
        link.sendall(json.dumps(message).encode() + b"\n")
        link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(65536), b"")).decode()
