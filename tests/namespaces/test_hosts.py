"""Three hosts: network namespaces with addresses, delay and loss of their own; a cut, and its end.

Needs root, `ip netns` and, for delay and loss, `/dev/net/tun`, and says so where they are missing. Nothing
of this machine's own network is touched: the switch between the hosts is a namespace, too, or this process.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from support.lossy_wires import DELAY, TUN, LossyWires, open_tap
from support.processes import Programs, cast, named, programs, status
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

HOSTS = (1, 2, 3)
CLONE_NEWNET = 0x40000000

T = TypeVar("T")


class Hosts:
    """Namespaces `vt<pid>-1` … and a switch. Host n has 10.(80+n).0.1: each is a network group of its own."""

    def __init__(self) -> None:
        self._name = f"vt{os.getpid()}"
        self._made: list[str] = []
        self.wires, self.spoiled = LossyWires(), False

    def build(self, *, spoiled: bool) -> None:
        """Raises CalledProcessError, OSError: this machine does not permit it."""
        if not spoiled:
            switch = self._add("sw")
            _ip("-n", switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", switch, "link", "set", "br0", "up")
        for number in HOSTS:
            host = self._add(str(number))
            if spoiled:
                self.wires.add(number, self.on(number, lambda: open_tap("eth0")))
            else:
                there = ("peer", "name", "eth0", "netns", host)
                _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", *there)
                _ip("-n", switch, "link", "set", f"port{number}", "master", "br0", "up")
            _ip("-n", host, "address", "add", f"{ip_of(number)}/12", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host, "link", "set", device, "up")
        self.spoiled = spoiled
        if spoiled:
            self.wires.start()

    def _add(self, suffix: str) -> str:
        name = f"{self._name}-{suffix}"
        _ip("netns", "add", name)
        self._made.append(name)
        return name

    def remove(self) -> None:
        self.wires.stop()
        for name in self._made:
            _ip("netns", "delete", name)

    def prefix(self, number: int) -> tuple[str, ...]:
        """Before a command that is to run on a host."""
        return ("ip", "netns", "exec", f"{self._name}-{number}")

    def plug(self, number: int, state: str) -> None:
        """Pull a host's cable out of the switch (`down`), or put it back (`up`)."""
        if self.spoiled:
            self.wires.plug(number, state)
        else:
            _ip("-n", f"{self._name}-sw", "link", "set", f"port{number}", state)

    def on(self, number: int, work: Callable[[], T]) -> T:
        """Run something of this process on a host: in a thread, whose network it is then."""
        found: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with open(f"/run/netns/{self._name}-{number}", "rb") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(work())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]


def ip_of(number: int) -> str:
    return f"10.{80 + number}.0.1"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=150)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


@pytest.fixture(params=["clean wires", "delay and loss"])
def hosts(request: pytest.FixtureRequest) -> Iterator[Hosts]:
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("no hosts to be made here: that needs root, and `ip` (package iproute2)")
    spoiled = request.param == "delay and loss"
    if spoiled and not Path(TUN).exists():
        pytest.skip(f"no delay and loss to be had here: that needs {TUN}")
    made = Hosts()
    try:
        try:
            made.build(spoiled=spoiled)
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            pytest.skip(f"this machine permits no network namespaces: {said.decode().strip()}")
        yield made
    finally:
        made.remove()


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
