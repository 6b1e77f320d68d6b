"""One view over all nodes of a network, with real programs: a clock a day off, one is down, one lies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversary.belief import wrong_clock
from crash.small_disk import why_not
from support.named_programs import NamedPrograms
from support.processes import Programs, free_addresses, programs, status
from votenet.cli.network.finding import LOW_DISK
from votenet.cli.network.network_doctor import network_findings
from votenet.client.network_view import NetworkView, WayIn, look_at_network
from votenet.client.node_probe import probe_node

pytestmark = pytest.mark.e2e

DAY = 86_400
ON_A_SMALL_DISK = 'mount -t tmpfs -o size=64m none "$1" && shift && exec "$@"'


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NamedPrograms]:
    made = NamedPrograms(tmp_path)
    try:
        yield made
    finally:
        made.end()


def command(made: Programs, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "votenet", *args],
        env={**os.environ, "VOTENET_HOME": str(made.folder / "viewer")},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_what_is_wrong_with_a_network_is_seen_from_another_machine(network: NamedPrograms) -> None:
    """Node 0 is well, the clock of Node 1 a day ahead, Node 2 down later, Node 3 the name of a liar."""
    addresses = network.addresses
    server, liar = free_addresses(2)
    network.bootstrap(server)
    for index in (0, 2):
        network.node(network.name(index), addresses[index], "--bootstrap", str(server))
    wrong_clock(network, network.name(1), addresses[1], DAY, "--peer", str(addresses[0]))
    network.node("liar", liar, "--name", "Node 3", "--bootstrap", str(server), "--no-mine")
    network.wait_for(lambda: all(status(address) for address in (*addresses[:3], liar)))
    assert_liar_named(network)

    way = WayIn(network.election, (*addresses[:3], liar), (server,))
    view = look(way)
    assert [node.proven for node in view.nodes] == [True, True, True, False, True]
    assert [node.address for node in view.nodes] == [*addresses[:3], None, liar]
    assert all(node.status and node.status.disk_free for node in (*view.nodes[:3], view.nodes[4]))
    wrong = {(one.what, one.found) for one in network_findings(view, "") if one.state == "problem"}
    assert any(what == "Node 1" and "1 day ahead of that of this machine" in found for what, found in wrong)
    assert any(what == "Node 3" and "No other named node may fail" in found for what, found in wrong)

    network.stop(network.name(2))
    gone = {one.what: one.found for one in network_findings(look(way), "")}
    assert "2 of 4 named nodes answer, 3 must agree. Too few: " in gone["named nodes"]


def assert_liar_named(network: NamedPrograms) -> None:
    """Through the commands, from a home that knows nothing: they find the nodes through one of them."""
    where = ("--network", str(network.addresses[0]))
    seen: list[str] = []

    def found() -> bool:
        done = command(network, "doctor", *where, "--json")
        seen.append(done.stdout + done.stderr)
        told = json.loads(done.stdout or "[]")
        said = [one["found"] for one in told] if isinstance(told, list) else []
        return done.returncode == 1 and any("claims to be Node 3" in text for text in said)

    network.wait_for(found, seen=lambda: seen[-1:])
    shown = json.loads(command(network, "status", *where, "--json").stdout)
    assert [node["name"] for node in shown["nodes"]][:4] == ["Node 0", "Node 1", "Node 2", "Node 3"]
    assert shown["nodes"][3]["status"] is None


def look(way: WayIn) -> NetworkView:
    return asyncio.run(look_at_network(way))


def test_a_node_on_a_small_disk_tells_how_little_is_free(tmp_path: Path) -> None:
    if why := why_not():
        pytest.skip(why)
    with programs(tmp_path) as made:
        (address,) = free_addresses(1)
        (tmp_path / "n1").mkdir(mode=0o700)
        prefix = ("unshare", "-Urm", "sh", "-ec", ON_A_SMALL_DISK, "sh", str(tmp_path / "n1"))
        made.node("n1", address, "--no-mine", prefix=prefix)
        made.wait_for(lambda: status(address))
        free = asyncio.run(probe_node(address)).status.disk_free
    assert free is not None
    assert 0 < free < 64 * 2**20 < LOW_DISK
