"""Which ports a network takes: a block, free as a whole, that no other supervisor is about to take.

Block 0 is bootstrap 4000, nodes 3000, 3001, …; the next are 4100 with 3100, and so on, never overlapping and
always below the ports that the kernel gives to outgoing connections. Where no block is free, ports are taken
one by one: below that range, then above it, and in the end those that the kernel itself gives.

Between the choice of a port and the program that listens on it lies a moment; a lock file for each port,
shared by all supervisors of this user, keeps two that start together apart.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from votenet.config import (
    DEFAULT_BOOTSTRAP_PORT,
    DEFAULT_NODE_PORT,
    DEFAULT_WEB_PORT,
    private_dir,
    user_temp_dir,
)
from votenet.errors import ConfigError, Locked
from votenet.processes.procfs import ephemeral_range
from votenet.protocol.wire.address import Address
from votenet.storage.files import FileLock

_BLOCK: Final = 100
"""Ports from one block to the next: MAX_NODES fit in it."""
_BLOCKS_IN_A_ROW: Final = (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT) // _BLOCK
"""Ten node blocks, 3000 to 3999, lie below the bootstrap ports, 4000 to 4900."""
_LAST_PORT: Final = 65535
_KERNEL_TRIES: Final = 8
"""For each port asked from the kernel: another supervisor may hold the lock of a port that it gives."""
_OTHER_PORT: Final = "Stop that program, or leave the port to votenet: it then finds a free one."


@dataclass(frozen=True, slots=True)
class PortBlock:
    """The ports of one network."""

    bootstrap: int
    nodes: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        return (self.bootstrap, *self.nodes)

    def __str__(self) -> str:
        first, count = self.nodes[0], len(self.nodes)
        row = self.nodes == tuple(range(first, first + count))
        return f"bootstrap {self.bootstrap}, nodes " + (
            f"from {first}" if row else ", ".join(map(str, self.nodes))
        )


@dataclass(slots=True)
class Lease:
    """A chosen block and the locks that keep it ours. `moved` says why it is not the usual one."""

    block: PortBlock
    locks: list[FileLock]
    moved: str = ""

    def release(self) -> None:
        release(self.locks)


class _Taken(Exception):
    """Another program or network has this port, or it is not for this user."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __str__(self) -> str:
        if not may_listen(self.port):
            return f"this user may not listen on port {self.port}"
        from votenet.network.listener import (
            port_holder,
        )  # brings asyncio, which commands that only look need not

        return f"port {self.port} is taken by {port_holder(self.port) or 'another program or network'}"

    def refusal(self, next_step: str) -> ConfigError:
        if not may_listen(self.port):
            step = "Choose a port above 1023, or put a proxy in front of it."
            return ConfigError(str(self), code="cannot-listen", next_step=step)
        return ConfigError(str(self), code="port-taken", next_step=next_step)


def port_locks_dir() -> Path:
    """One folder for each user, whatever VOTENET_HOME says: ports belong to the machine."""
    return private_dir(private_dir(user_temp_dir()) / "ports")


def blocks(nodes: int) -> Iterator[PortBlock]:
    """All blocks for `nodes` nodes, the usual one first."""
    row, end = 2 * (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT), ephemeral_range()[0]
    for start in range(0, end, row):
        for number in range(_BLOCKS_IN_A_ROW):
            offset = start + number * _BLOCK
            bootstrap, first = DEFAULT_BOOTSTRAP_PORT + offset, DEFAULT_NODE_PORT + offset
            if bootstrap >= end:
                return
            yield PortBlock(bootstrap, tuple(range(first, first + nodes)))


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections of a past one do not count)."""
    with _probe(host) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise ConfigError(
                f"cannot listen on {host}: {error.strerror or error}",
                next_step=f"See that this machine has the address {host}: ip address;"
                " another one for the page: --web-host",
            ) from error
    return True


def may_listen(port: int) -> bool:
    """Whether this user may listen on a port, be it free or not: those below 1024 are root's, as a rule."""
    with _probe("127.0.0.1") as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EACCES
    return True


def _probe(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


def choose(
    nodes: int,
    *,
    host: str = "127.0.0.1",
    bootstrap_port: int | None = None,
    node_port: int | None = None,
    preferred: PortBlock | None = None,
    ours: Collection[int] = (),
) -> Lease:
    """Take a block of ports for one bootstrap server and `nodes` nodes.

    Args:
        bootstrap_port, node_port: wanted by a person: taken as they are or refused.
        preferred: the block of this network's last run, tried first.
        ours: ports on which programs of this very network listen now; locked, not probed.

    Raises:
        ConfigError: a wanted port is taken (with its holder) or the two overlap; not enough ports are free.
    """
    wanted_nodes = range(node_port, node_port + nodes) if node_port is not None else range(0)
    fixed = (*([] if bootstrap_port is None else [bootstrap_port]), *wanted_nodes)
    if bootstrap_port in wanted_nodes or max(fixed, default=0) > _LAST_PORT:
        raise ConfigError(
            f"the wanted ports do not fit: {nodes} nodes and the bootstrap server need different ports up "
            "to 65535",
            code="bad-ports",
            next_step="Choose --bootstrap-port and --node-port further apart.",
        )
    # 1. The block of last time, then the usual ones.
    usual = ([preferred] if preferred else []) + list(blocks(nodes))
    moved = ""
    for block in _with_wishes(usual, bootstrap_port, node_port):
        try:
            return Lease(block, _take(block.all, host, ours), moved)
        except _Taken as taken:
            if taken.port in fixed:
                raise taken.refusal(_OTHER_PORT) from None
            moved = moved or str(taken)
    # 2. No block is free: single ports beside the wanted ones.
    with _all_or_none() as locks:
        try:
            locks += _take(fixed, host, ours)
        except _Taken as taken:
            raise taken.refusal(_OTHER_PORT) from None
        count = (bootstrap_port is None) + (0 if wanted_nodes else nodes)
        step = "Stop some of the programs that listen there: ss -ltnp shows them."
        taken_ports = _take_singles(count, host, _single_ports(count, host, fixed), locks, step)
    bootstrap = taken_ports.pop(0) if bootstrap_port is None else bootstrap_port
    why = f"no block is free below {ephemeral_range()[0]}" + (f": {moved}" if moved else "")
    return Lease(PortBlock(bootstrap, tuple(wanted_nodes or taken_ports)), locks, why)


def take_again(addresses: Iterable[Address], ours: Collection[int] = ()) -> list[FileLock]:
    """Lock and probe exactly these ports, for a supervisor that starts without a chooser.

    Args:
        ours: ports on which programs of this network listen now: locked, not probed.

    Raises:
        ConfigError: a port is taken.
    """
    with _all_or_none() as locks:
        for host, port in addresses:
            try:
                locks += _take([port], host, ours)
            except _Taken as taken:
                raise taken.refusal("Stop that program first.") from None
    return locks


def choose_web(
    host: str, *, port: int | None, preferred: int | None, ours: Collection[int] = ()
) -> tuple[int, list[FileLock], str]:
    """The port of the page, its lock, and why it is not the usual one, or that of last time.

    Args:
        port: wanted by a person: taken as it is or refused.
        preferred: that of the last run.
        ours: ports on which programs of this very network listen now; locked, not probed.

    Raises:
        ConfigError: the wanted port is taken (with its holder); no port is free.
    """
    first = port or preferred or DEFAULT_WEB_PORT
    try:
        return first, _take([first], host, ours), ""
    except _Taken as taken:
        if port is not None:
            raise taken.refusal(_OTHER_PORT) from None
        moved = str(taken)
    end = ephemeral_range()[0]
    near = range(DEFAULT_WEB_PORT, min(DEFAULT_WEB_PORT + _BLOCK, end))
    with _all_or_none() as locks:
        step = "Give the page a port that is free: --web-port"
        (found,) = _take_singles(1, host, itertools.chain(near, _single_ports(1, host, ())), locks, step)
    return found, locks, moved


def take_more(count: int, host: str, used: Sequence[int]) -> tuple[tuple[int, ...], list[FileLock]]:
    """Free ports for more nodes of a network that runs: the next ones after its last, else any.

    A port of another program is passed over: addresses of running nodes cannot move.

    Raises:
        ConfigError: not enough ports are free.
    """
    after = used[-1] + 1 if used else DEFAULT_NODE_PORT
    near = (port for port in range(after, min(after + _BLOCK - 1, ephemeral_range()[0])) if port not in used)
    candidates = itertools.chain(near, _single_ports(count, host, used))
    with _all_or_none() as locks:
        return tuple(_take_singles(count, host, candidates, locks, "Scale to fewer nodes.")), locks


def forget(ports: Iterable[int]) -> None:
    """Remove the lock files of ports that no supervisor holds."""
    folder = port_locks_dir()
    for port in ports:
        path = folder / f"{port}.lock"
        with contextlib.suppress(Locked, ConfigError):
            if path.exists():
                FileLock.acquire(path).release(remove=True)


def release(locks: Iterable[FileLock]) -> None:
    for lock in locks:
        lock.release(remove=True)


def _with_wishes(
    usual: list[PortBlock], bootstrap_port: int | None, node_port: int | None
) -> Iterator[PortBlock]:
    """The usual blocks with the wanted ports put in, each once; none overlaps itself or ends too high."""
    seen: set[PortBlock] = set()
    for block in usual:
        bootstrap = block.bootstrap if bootstrap_port is None else bootstrap_port
        nodes = block.nodes if node_port is None else range(node_port, node_port + len(block.nodes))
        wanted = PortBlock(bootstrap, tuple(nodes))
        if bootstrap not in wanted.nodes and wanted not in seen and max(wanted.all) <= _LAST_PORT:
            seen.add(wanted)
            yield wanted


def _single_ports(count: int, host: str, but: Collection[int]) -> Iterator[int]:
    """Free ports outside the range of outgoing connections, then some that the kernel gives."""
    below, above = ephemeral_range()
    named = itertools.chain(range(DEFAULT_NODE_PORT, below), range(above + 1, _LAST_PORT + 1))
    yield from (port for port in named if port not in but and is_free(host, port))
    for _ in range(_KERNEL_TRIES * count):
        with _probe(host) as probe:
            with ConfigError.of_os_errors(
                f"no port is free on {host}",
                code="no-free-ports",
                next_step="Stop programs that hold many ports; who listens: ss -ltnp",
            ):
                probe.bind((host, 0))
            port = int(probe.getsockname()[1])
        if port not in but:
            yield port


def _take_singles(
    count: int, host: str, candidates: Iterator[int], locks: list[FileLock], next_step: str
) -> list[int]:
    """The first `count` candidates that can be taken, their locks added to `locks`. Raises ConfigError."""
    taken_ports: list[int] = []
    while len(taken_ports) < count and (port := next(candidates, None)) is not None:
        with contextlib.suppress(_Taken):
            locks += _take([port], host)
            taken_ports.append(port)
    if len(taken_ports) < count:
        raise ConfigError(f"no {count} ports are free on {host}", code="no-free-ports", next_step=next_step)
    return taken_ports


def _take(ports: Iterable[int], host: str, ours: Collection[int] = ()) -> list[FileLock]:
    """The locks of all these ports. Raises _Taken for the first that is not free, ConfigError."""
    folder = port_locks_dir()
    with _all_or_none() as locks:
        for port in ports:
            try:
                locks.append(FileLock.acquire(folder / f"{port}.lock"))
            except Locked:
                raise _Taken(port) from None
            if port not in ours and not is_free(host, port):
                raise _Taken(port)
    return locks


@contextlib.contextmanager
def _all_or_none() -> Iterator[list[FileLock]]:
    """Locks that are given back when the block fails."""
    locks: list[FileLock] = []
    try:
        yield locks
    except BaseException:
        release(locks)
        raise
