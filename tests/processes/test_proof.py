"""Nothing of a program is left, or it is named."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

from votenet.processes.files import FileLock
from votenet.processes.ports import Block
from votenet.processes.proof import remains, wait_until_free
from votenet.processes.spec import ProgramSpec, Role
from votenet.protocol.address import Address


def program(port: int, data_dir: Path) -> ProgramSpec:
    return ProgramSpec("node-1", Role.NODE, Address("127.0.0.1", port), data_dir, ())


def test_free(lease_ports: Callable[[int], Block], tmp_path: Path) -> None:
    spec = program(lease_ports(1).bootstrap, tmp_path / "none")
    assert remains(spec) == ""
    assert asyncio.run(wait_until_free(spec)) == ""


def test_a_held_port_is_named_with_its_holder(lease_ports: Callable[[int], Block], tmp_path: Path) -> None:
    port = lease_ports(1).bootstrap
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        found = asyncio.run(wait_until_free(program(port, tmp_path), 0.05))
    assert found.startswith(f"port {port} is still held by pid {os.getpid()} ")


def test_a_held_lock_is_named_and_waited_for(lease_ports: Callable[[int], Block], tmp_path: Path) -> None:
    spec = program(lease_ports(1).bootstrap, tmp_path)
    lock = FileLock.acquire(tmp_path / "lock")
    assert remains(spec) == f"the lock {tmp_path / 'lock'} is still held"

    async def release_later() -> str:
        asyncio.get_running_loop().call_later(0.1, lock.release)
        return await wait_until_free(spec, 10.0)

    assert asyncio.run(release_later()) == ""
