"""Blocks of ports: which, whose, and never the same one twice."""

from __future__ import annotations

import errno
import itertools
import os
import socket
from collections.abc import Callable

import pytest
from tests.processes.conftest import free_block

from support.ports import first_of_block, free_port
from votenet.errors import ConfigError
from votenet.network import listener
from votenet.processes import ports
from votenet.processes.ports import PortBlock, blocks, choose, choose_web, is_free, release, take_again
from votenet.processes.procfs import ephemeral_range
from votenet.protocol.wire.address import Address
from votenet.storage.files import is_locked

LeasePorts = Callable[[int], PortBlock]


def is_local_free(port: int) -> bool:
    return is_free("127.0.0.1", port)


def test_the_first_block_has_the_reference_ports_and_blocks_never_overlap() -> None:
    first, second, *_ = found = list(blocks(64))
    assert first == PortBlock(4000, tuple(range(3000, 3064)))
    assert (second.bootstrap, second.nodes[0]) == (4100, 3100)
    used = list(itertools.chain.from_iterable(block.all for block in found))
    assert len(used) == len(set(used))
    assert max(used) < ephemeral_range()[0]
    assert len(found) > 50


def test_a_taken_port_moves_the_whole_block_and_names_its_holder(lease_ports: LeasePorts) -> None:
    preferred = PortBlock(*_split(lease_ports(3)))
    with pytest.raises(ConfigError, match="taken"):  # by the fixture's own lock
        choose(3, bootstrap_port=preferred.bootstrap, node_port=preferred.nodes[0])
    with socket.socket() as stranger:
        leased = set(preferred.all)  # their lock is held; a program listens on none of them
        while (free := first_of_block(2)) and not all(
            is_local_free(port) and port not in leased for port in (free, free + 1)
        ):
            continue
        taken = free + 1
        stranger.bind(("127.0.0.1", taken))
        stranger.listen()
        lease = choose(2, preferred=PortBlock(free, (taken, taken + 1)))
        try:
            assert taken not in lease.block.all
            assert f"port {taken} is taken by pid {os.getpid()}" in lease.moved
            assert all(is_free("127.0.0.1", port) for port in lease.block.all)
        finally:
            lease.release()


def test_a_wanted_port_that_is_taken_is_an_error_with_its_holder() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken by pid {os.getpid()}") as caught:
            choose(1, node_port=port)
        assert caught.value.code == "port-taken"
        assert caught.value.exit_code == 78
        with pytest.raises(ConfigError, match=str(port)):
            choose(1, bootstrap_port=port)


def test_scenario_18_two_supervisors_never_get_the_same_block(lease_ports: LeasePorts) -> None:
    leases = [choose(5) for _ in range(3)]
    try:
        used = list(itertools.chain.from_iterable(lease.block.all for lease in leases))
        assert len(used) == len(set(used)) == 18
    finally:
        for lease in leases:
            lease.release()


def test_released_ports_can_be_taken_again() -> None:
    lease = choose(2, preferred=free_block(2))
    addresses = [Address("127.0.0.1", port) for port in lease.block.all]
    with pytest.raises(ConfigError, match="taken"):
        take_again(addresses)
    lease.release()
    again = take_again(addresses)
    for lock in again:
        lock.release()


def test_the_page_moves_to_a_free_port_unless_its_port_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "DEFAULT_WEB_PORT", first_of_block(100))
    usual, locks, moved = choose_web("127.0.0.1", port=None, preferred=free_block(1).bootstrap)
    assert not moved
    try:
        other, more, why = choose_web("127.0.0.1", port=None, preferred=usual)
        release(more)
        assert other != usual
        assert why == f"port {usual} is taken by another program or network"
        with pytest.raises(ConfigError) as caught:
            choose_web("127.0.0.1", port=usual, preferred=other)
        assert caught.value.code == "port-taken"
        _, (lock,), _ = choose_web("127.0.0.1", port=other, preferred=usual)
        assert lock.path.name == f"{other}.lock"
        lock.release(remove=True)
    finally:
        release(locks)


@pytest.mark.parametrize(("bootstrap", "node"), [(20002, 20000), (20000, 65534)])
def test_ports_that_cannot_fit_are_refused(bootstrap: int, node: int) -> None:
    with pytest.raises(ConfigError) as caught:
        choose(5, bootstrap_port=bootstrap, node_port=node)
    assert caught.value.code == "bad-ports"


def test_no_port_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda host, port: False)
    monkeypatch.setattr(listener, "port_holder", lambda port: "")
    with pytest.raises(ConfigError, match="no 2 ports are free") as caught:
        choose(1)
    assert caught.value.code == "no-free-ports"


def test_without_a_free_block_ports_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second port is a stranger's."""
    own = first_of_block(100)  # of the usual ones another test may take some before they are taken again
    monkeypatch.setattr(ports, "DEFAULT_NODE_PORT", own)
    monkeypatch.setattr(ports, "DEFAULT_BOOTSTRAP_PORT", own + 1000)
    real = ports.is_free
    monkeypatch.setattr(ports, "is_free", lambda host, port: port % 2 == 1 and real(host, port))
    monkeypatch.setattr(listener, "port_holder", lambda port: "pid 5")
    lease = choose(3)
    lease.release()
    assert all(port % 2 == 1 for port in lease.block.all)
    assert len(set(lease.block.all)) == 4
    assert max(lease.block.all) < ephemeral_range()[0]
    assert lease.moved.startswith("no block is free below")
    assert str(lease.block) == f"bootstrap {lease.block.bootstrap}, nodes " + ", ".join(
        map(str, lease.block.nodes)
    )
    again = choose(3, preferred=lease.block)
    again.release()
    assert (again.block, again.moved) == (lease.block, ""), "the next run has the same"


@pytest.mark.parametrize("every", [(1024, 65535), (3000, 65535)])
def test_where_all_ports_are_for_outgoing_connections_the_kernel_is_asked(
    monkeypatch: pytest.MonkeyPatch, every: tuple[int, int]
) -> None:
    monkeypatch.setattr(ports, "ephemeral_range", lambda: every)
    leases = [choose(3) for _ in range(2)]
    try:
        used = [port for lease in leases for port in lease.block.all]
        assert len(set(used)) == 8
        assert all(is_locked(ports.port_locks_dir() / f"{port}.lock") for port in used)
        more, locks = ports.take_more(2, "127.0.0.1", leases[0].block.nodes)
        assert not {*more} & {*used}
        for lock in locks:
            lock.release(remove=True)
    finally:
        for lease in leases:
            lease.release()


def test_ports_above_those_of_outgoing_connections_are_used_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "ephemeral_range", lambda: (1024, 60_000))
    lease = choose(2)
    lease.release()
    assert min(lease.block.all) > 60_000


def test_a_wanted_port_keeps_its_place_among_single_ports(
    monkeypatch: pytest.MonkeyPatch, lease_ports: LeasePorts
) -> None:
    block = lease_ports(2)
    wanted = block.nodes[-1] + 7
    monkeypatch.setattr(ports, "ephemeral_range", lambda: (1024, 65535))
    lease = choose(2, bootstrap_port=wanted)
    lease.release()
    assert lease.block.bootstrap == wanted
    assert wanted not in lease.block.nodes
    lease = choose(2, node_port=wanted)
    lease.release()
    assert lease.block.nodes == (wanted, wanted + 1)
    with pytest.raises(ConfigError) as caught:
        choose(2, node_port=block.nodes[0])
    assert caught.value.code == "port-taken"


def test_a_preferred_block_that_would_end_too_high_is_passed_over() -> None:
    lease = choose(3, preferred=PortBlock(65000, (65534, 65535, 65536)))
    lease.release()
    assert max(lease.block.all) <= 65535


def test_an_address_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        choose(1, host="203.0.113.1")
    with pytest.raises(ConfigError, match="cannot listen on") as of_page:
        choose_web("203.0.113.1", port=None, preferred=free_port())
    assert "--web-host" in of_page.value.next_step


def test_a_port_that_this_user_may_not_have_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Probe(socket.socket):
        def bind(self, address: tuple[str, int]) -> None:
            if address[1] < 1024:
                raise PermissionError(errno.EACCES, "Permission denied")
            super().bind(address)

    monkeypatch.setattr(ports, "_probe", lambda host: Probe())
    monkeypatch.setattr(ports, "DEFAULT_WEB_PORT", first_of_block(100))
    monkeypatch.setattr(listener, "port_holder", lambda port: pytest.fail("nobody holds it"))
    for wanted in (
        lambda: choose_web("127.0.0.1", port=443, preferred=None),
        lambda: choose(1, bootstrap_port=443),
        lambda: take_again([Address("127.0.0.1", 443)]),
    ):
        with pytest.raises(ConfigError, match="this user may not listen on port 443") as caught:
            wanted()
        assert (caught.value.code, caught.value.exit_code) == ("cannot-listen", 78)
        assert "above 1023" in caught.value.next_step
        assert "proxy" in caught.value.next_step
    port, locks, moved = choose_web("127.0.0.1", port=None, preferred=443)
    release(locks)
    assert (port >= 1024, moved) == (True, "this user may not listen on port 443")


def test_closed_connections_do_not_take_a_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", free_port()))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # our side closes first: TIME_WAIT
    assert is_free("127.0.0.1", port)


def _split(block: PortBlock) -> tuple[int, tuple[int, ...]]:
    return block.bootstrap, block.nodes


def test_ports_of_our_own_programs_are_not_taken(lease_ports: LeasePorts) -> None:
    moved = choose(1, preferred=(block := lease_ports(1)))
    moved.release()
    assert moved.block != block, "locked by the fixture"
    lease = choose(1, preferred=free_block(1))
    lease.release()
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind(("127.0.0.1", lease.block.nodes[0]))
        ours.listen()
        again = choose(1, preferred=lease.block, ours={lease.block.nodes[0]})
        assert (again.block, again.moved) == (lease.block, "")
        again.release()


def test_more_ports_for_a_running_network_pass_over_strangers(lease_ports: LeasePorts) -> None:
    used = lease_ports(2).nodes
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", used[-1] + 2))
        stranger.listen()
        found, locks = ports.take_more(2, "127.0.0.1", used)
        assert not {used[-1] + 2, *used} & set(found)
        assert found == tuple(sorted(found))
        assert [lock.path.name for lock in locks] == [f"{port}.lock" for port in found]
        for lock in locks:
            lock.release(remove=True)


def test_more_ports_come_from_anywhere_or_are_refused(
    lease_ports: LeasePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = lease_ports(2).nodes
    real, after = ports.is_free, used[-1]
    monkeypatch.setattr(ports, "is_free", lambda host, port: port > after + 200 and real(host, port))
    found, locks = ports.take_more(2, "127.0.0.1", used)
    assert min(found) > after + 200
    for lock in locks:
        lock.release(remove=True)
    monkeypatch.setattr(ports, "is_free", lambda host, port: False)
    with pytest.raises(ConfigError, match="no 2 ports are free"):
        ports.take_more(2, "127.0.0.1", used)


def test_lock_files_of_unused_ports_are_removed(lease_ports: LeasePorts) -> None:
    (kept,) = lease_ports(1).nodes
    folder = ports.port_locks_dir()
    left = folder / "1.lock"  # no network has this port
    left.touch()  # as a supervisor that was killed leaves it: a file without a lock
    ports.forget((kept, 1, 2))
    assert (folder / f"{kept}.lock").exists()
    assert not left.exists()
