"""Hosts made of network namespaces, with addresses, delay and loss of their own, and cables to pull.

Needs root, `ip netns` and, for delay and loss, `/dev/net/tun`, and says so where they are missing. Nothing
of this machine's own network is touched: the switch between the hosts is a namespace, too, or this process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import pytest

from support.lossy_wires import TUN, LossyWires, open_tap

CLONE_NEWNET: Final = 0x40000000

T = TypeVar("T")


class Hosts:
    """Namespaces `vt<pid>-1` … and a switch. Host n has 10.(80+n).0.1: each is a network group of its own."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._name = f"vt{os.getpid()}"
        self._made: list[str] = []
        self.numbers = tuple(numbers)
        self.wires, self.spoiled = LossyWires(), False

    def build(self, *, spoiled: bool) -> None:
        """Raises CalledProcessError, OSError: this machine does not permit it."""
        if not spoiled:
            switch = self._add("sw")
            _ip("-n", switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", switch, "link", "set", "br0", "up")
        for number in self.numbers:
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


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=150)


@contextlib.contextmanager
def made_hosts(numbers: Sequence[int], *, spoiled: bool) -> Iterator[Hosts]:
    """Hosts with these numbers, gone when the block ends; `spoiled` wires have delay and loss.

    Skips the test where this machine permits no such hosts.
    """
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("no hosts to be made here: that needs root, and `ip` (package iproute2)")
    if spoiled and not Path(TUN).exists():
        pytest.skip(f"no delay and loss to be had here: that needs {TUN}")
    made = Hosts(numbers)
    try:
        try:
            made.build(spoiled=spoiled)
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            pytest.skip(f"this machine permits no network namespaces: {said.decode().strip()}")
        yield made
    finally:
        made.remove()
