"""Three hosts, each a network namespace: a cut, and its end, on clean wires and with delay and loss."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hosts import Hosts, ip_of, made_hosts
from support.lossy_wires import DELAY
from support.processes import Programs, cast, named, programs, status
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

HOSTS = (1, 2, 3)


@pytest.fixture(params=["clean wires", "delay and loss"])
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    with made_hosts(HOSTS, spoiled=request.param == "delay and loss") as made:
        yield made


def counts(hosts: Hosts) -> list[int]:
    """Votes on the chain of each host's node; -1 where none answers."""

    def count(number: int) -> int:
        found = hosts.on(number, lambda: status(Address(ip_of(number), 3000)))
        return -1 if found is None else found.votes

    return [count(number) for number in HOSTS]


def test_three_hosts_find_each_other_are_cut_apart_and_agree_again(hosts: Hosts, tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        boot = made.bootstrap(Address(ip_of(1), 4000), hosts.prefix(1))
        nodes = [Address(ip_of(number), 3000) for number in HOSTS]
        for number, address in zip(HOSTS, nodes, strict=True):
            made.node(f"n{number}", address, "--bootstrap", str(boot), prefix=hosts.prefix(number))
        made.wait_for(lambda: all_met(hosts, nodes))

        vote(hosts, made, 1, "before")
        made.wait_for(lambda: counts(hosts) == [1, 1, 1], seen=lambda: counts(hosts))

        hosts.plug(3, "down")
        vote(hosts, made, 3, "alone"), vote(hosts, made, 1, "together")
        made.wait_for(lambda: counts(hosts) == [2, 2, 2], seen=lambda: counts(hosts))
        hosts.plug(3, "up")
        made.wait_for(lambda: counts(hosts) == [3, 3, 3], 200.0, lambda: counts(hosts))
        if hosts.spoiled:
            assert hosts.on(1, lambda: seconds_to_connect(nodes[1])) >= 2 * DELAY
            assert hosts.wires.lost > 0


def seconds_to_connect(address: Address) -> float:
    began = time.monotonic()
    with socket.create_connection(address, timeout=150):
        return time.monotonic() - began


def all_met(hosts: Hosts, nodes: list[Address]) -> bool:
    return all(
        hosts.on(number, lambda own=own: named(own)) == set(map(str, nodes))  # type: ignore[misc]
        for number, own in zip(HOSTS, nodes, strict=True)
    )


def vote(hosts: Hosts, made: Programs, number: int, voter: str) -> None:
    hosts.on(number, lambda: cast(Address(ip_of(number), 3000), made.election, voter))
