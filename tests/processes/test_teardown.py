"""Nothing of a program is left, or it is named; the bootstrap server is told, within limits."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.processes import ports
from votenet.processes.machine import ProgramState, RestReason
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.ports import PortBlock
from votenet.processes.spec import NetworkSpec, ProgramRole, ProgramSpec
from votenet.processes.teardown import UNREGISTER_TRIES, remains, unregister, wait_until_free
from votenet.protocol.wire.address import Address
from votenet.storage.files import FileLock


def program(port: int, data_dir: Path) -> ProgramSpec:
    return ProgramSpec("node-1", ProgramRole.NODE, Address("127.0.0.1", port), data_dir, ())


def test_free(lease_ports: Callable[[int], PortBlock], tmp_path: Path) -> None:
    spec = program(lease_ports(1).bootstrap, tmp_path / "none")
    assert remains(spec) == ""
    assert asyncio.run(wait_until_free(spec)) == ""


def test_a_held_port_is_named_with_its_holder(
    lease_ports: Callable[[int], PortBlock], tmp_path: Path
) -> None:
    port = lease_ports(1).bootstrap
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        found = asyncio.run(wait_until_free(program(port, tmp_path), 0.05))
    assert found.startswith(f"port {port} is still held by pid {os.getpid()} ")


def test_of_an_address_that_has_left_the_machine_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Probe(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ports, "_probe", lambda host: Probe())
    spec = replace(program(8080, tmp_path), address=Address("192.0.2.7", 8080))
    number = errno.EADDRNOTAVAIL
    assert remains(spec) == ""
    lock = FileLock.acquire(tmp_path / "lock")
    assert remains(spec) == f"the lock {tmp_path / 'lock'} is still held"
    lock.release()
    number = errno.EINVAL
    assert remains(spec).startswith("port 8080 could not be looked at")


def test_a_held_lock_is_named_and_waited_for(lease_ports: Callable[[int], PortBlock], tmp_path: Path) -> None:
    spec = program(lease_ports(1).bootstrap, tmp_path)
    lock = FileLock.acquire(tmp_path / "lock")
    assert remains(spec) == f"the lock {tmp_path / 'lock'} is still held"

    async def release_later() -> str:
        asyncio.get_running_loop().call_later(0.1, lock.release)
        return await wait_until_free(spec, 10.0)

    assert asyncio.run(release_later()) == ""


SPEC = ProgramSpec("node-1", ProgramRole.NODE, Address("127.0.0.1", 3000), Path("/d"), ("x",))
NETWORK = NetworkSpec(instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000,))
REMOVED = ProgramState(wanted=True, rest_reason=RestReason.REMOVED, epoch=4)


def play(
    monkeypatch: pytest.MonkeyPatch, *errors: VotenetError, start_after: int = 99
) -> tuple[int, list[str]]:
    """How often it was tried, and what was said."""
    program, said, left, waited = ManagedProgram(SPEC, REMOVED), [], list(errors), []

    async def unregistrar(spec: ProgramSpec, network: NetworkSpec) -> None:
        waited.append("try")
        if len(waited) >= start_after:
            program.machine = replace(program.machine, epoch=5)
        if left:
            raise left.pop(0)

    async def no_wait(seconds: float) -> None:
        assert seconds > 0

    monkeypatch.setattr(asyncio, "sleep", no_wait)
    asyncio.run(unregister(program, NETWORK, unregistrar, said.append))
    return len(waited), said


def test_once_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch) == (1, ["node-1: 127.0.0.1:3000 removed from the bootstrap server"])


def test_a_bootstrap_that_is_away_is_tried_again_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    away = [Unreachable("nobody there") for _ in range(99)]
    assert play(monkeypatch, *away[:2])[0] == 3
    tries, said = play(monkeypatch, *away)
    assert (tries, len(said)) == (UNREGISTER_TRIES, UNREGISTER_TRIES)


def test_a_refusal_for_good_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch, Rejected("still-alive", "it answers"))[0] == 1


def test_a_start_in_between_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch, *[Unreachable("no")] * 9, start_after=2)[0] == 2
