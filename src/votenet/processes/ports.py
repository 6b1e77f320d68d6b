"""Which ports a network takes: a block, free as a whole, that no other supervisor is about to take.

What lives here: the series of blocks, probing, the lock of each port. What must not: listening.

Where no block is free, or the kernel gives all ports to outgoing connections, ports are taken one by one:
below that range, then above it, and in the end those that the kernel itself gives.

Block 0 is the chapter's: bootstrap 4000, nodes 3000, 3001, …; the next are 4100 with 3100, and so
on, never overlapping and always below the ports that the kernel gives to outgoing connections.
Between choosing a port and the program that listens on it lies a moment; a lock file per port,
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

from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_NODE_PORT, private_dir, user_temp_dir
from votenet.errors import ConfigError, Locked
from votenet.network.transport import port_holder
from votenet.processes.files import FileLock
from votenet.processes.procfs import ephemeral_range

_BLOCK: Final = 100
"""Ports from one block to the next: MAX_NODES fit in it."""
_BLOCKS_IN_A_ROW: Final = (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT) // _BLOCK
"""Ten node blocks, 3000 to 3999, lie below the bootstrap ports, 4000 to 4900."""
_LAST_PORT: Final = 65535
_KERNEL_TRIES: Final = 8
"""For each port that the kernel is asked for: another supervisor may hold the lock of one that it gives."""
_OTHER_PORT: Final = "Stop that program, or leave the port to votenet: it then finds a free one."


@dataclass(frozen=True, slots=True)
class Block:
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

    block: Block
    locks: list[FileLock]
    moved: str = ""

    def release(self) -> None:
        _release(self.locks)


def port_locks_dir() -> Path:
    """One folder per user, whatever VOTENET_HOME says: ports belong to the machine."""
    return private_dir(private_dir(user_temp_dir()) / "ports")


def blocks(nodes: int) -> Iterator[Block]:
    """All blocks for `nodes` nodes, the usual one first."""
    row, end = 2 * (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT), ephemeral_range()[0]
    for start in range(0, end, row):
        for number in range(_BLOCKS_IN_A_ROW):
            offset = start + number * _BLOCK
            bootstrap, first = DEFAULT_BOOTSTRAP_PORT + offset, DEFAULT_NODE_PORT + offset
            if bootstrap >= end:
                return
            yield Block(bootstrap, tuple(range(first, first + nodes)))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections of a past one do not count)."""
    with socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise ConfigError(
                f"cannot listen on {host}: {error.strerror or error}",
                next_step=f"See that this machine has the address {host}: ip address",
            ) from error
    return True


def choose(
    nodes: int,
    *,
    host: str = "127.0.0.1",
    bootstrap_port: int | None = None,
    node_port: int | None = None,
    preferred: Block | None = None,
    ours: Collection[int] = (),
) -> Lease:
    """Take a block of ports for one bootstrap server and `nodes` nodes.

    Args:
        bootstrap_port, node_port: wanted by a person: taken as they are or refused.
        preferred: the block of this network's last run, tried first.
        ours: ports on which programs of this very network listen now; not taken.

    Raises:
        ConfigError: a wanted port is taken (with its holder) or the two overlap; not enough ports are free.
    """
    wanted_nodes = range(node_port, node_port + nodes) if node_port is not None else range(0)
    fixed = {*wanted_nodes, *([] if bootstrap_port is None else [bootstrap_port])}
    if bootstrap_port in wanted_nodes or max(fixed, default=0) > _LAST_PORT:
        raise ConfigError(
            f"the wanted ports do not fit: {nodes} nodes and the bootstrap server need different ports up "
            "to 65535",
            code="bad-ports",
            next_step="Choose --bootstrap-port and --node-port further apart.",
        )
    usual = ([preferred] if preferred else []) + list(blocks(nodes))
    moved = ""
    for block in _with_wishes(usual, bootstrap_port, node_port):
        taken = _take(block, host, ours)
        if isinstance(taken, list):
            return Lease(block, taken, moved)
        if taken in fixed:
            raise ConfigError(
                _who(taken),
                code="port-taken",
                next_step=_OTHER_PORT,
            )
        moved = moved or _who(taken)
    why = f"no block is free below {ephemeral_range()[0]}" + (f": {moved}" if moved else "")
    return _one_by_one(nodes, host, bootstrap_port, wanted_nodes, ours, why)


def _one_by_one(
    nodes: int,
    host: str,
    bootstrap_port: int | None,
    wanted_nodes: Sequence[int],
    ours: Collection[int],
    why: str,
) -> Lease:
    """A block out of single ports, wherever they are. Raises ConfigError."""
    locks: list[FileLock] = []
    try:
        for port in (*([] if bootstrap_port is None else [bootstrap_port]), *wanted_nodes):
            taken = _take(Block(port, ()), host, ours)
            if isinstance(taken, int):
                raise ConfigError(_who(taken), code="port-taken", next_step=_OTHER_PORT)
            locks += taken
        count = (bootstrap_port is None) + (0 if wanted_nodes else nodes)
        found = list(_singles(count, host, {*wanted_nodes, bootstrap_port}, locks))
    except BaseException:
        _release(locks)
        raise
    if len(found) < count:
        _release(locks)
        raise ConfigError(
            f"no {count} ports are free on {host}",
            code="no-free-ports",
            next_step="Stop some of the programs that listen there: ss -ltnp shows them.",
        )
    bootstrap = found.pop(0) if bootstrap_port is None else bootstrap_port
    return Lease(Block(bootstrap, tuple(wanted_nodes or found)), locks, why)


def _singles(
    count: int, host: str, but: Collection[int | None], locks: list[FileLock], first: int = DEFAULT_NODE_PORT
) -> Iterator[int]:
    """Up to `count` free ports; their locks are added to `locks`."""
    below, above = ephemeral_range()
    named = (*range(first, below), *range(above + 1, _LAST_PORT + 1))
    given = (_given_by_kernel(host) for _ in range(_KERNEL_TRIES * count))
    for port in itertools.chain((port for port in named if port not in but and is_free(host, port)), given):
        if count == 0:
            return
        if port not in but and isinstance(taken := _take(Block(port, ()), host, ()), list):
            locks += taken
            count -= 1
            yield port


def _given_by_kernel(host: str) -> int:
    with socket.socket(_family(host), socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise ConfigError(
                f"no port is free on {host}: {error.strerror or error}",
                code="no-free-ports",
                next_step="Stop programs that hold many ports; who listens: ss -ltnp",
            ) from error
        return int(probe.getsockname()[1])


def take_again(ports: Sequence[int], host: str, ours: Collection[int] = ()) -> list[FileLock]:
    """Lock and probe exactly these ports, for a supervisor that starts without a chooser.

    Args:
        ours: those on which programs of this network listen now: locked, not probed.

    Raises:
        ConfigError: one is taken.
    """
    taken = _take(Block(ports[0], tuple(ports[1:])), host, ours)
    if isinstance(taken, int):
        raise ConfigError(_who(taken), code="port-taken", next_step="Stop that program first.")
    return taken


def take_more(count: int, host: str, used: Sequence[int]) -> tuple[tuple[int, ...], list[FileLock]]:
    """Free ports for more nodes of a network that runs: the next ones after its last, else any.

    A port that a stranger has is passed over: addresses of running nodes cannot move.

    Raises:
        ConfigError: not enough ports are free.
    """
    found: list[int] = []
    locks: list[FileLock] = []
    after = used[-1] if used else DEFAULT_NODE_PORT - 1
    for port in range(after + 1, min(after + _BLOCK, ephemeral_range()[0])):
        if len(found) == count:
            break
        if port not in used and isinstance(taken := _take(Block(port, ()), host, ()), list):
            found.append(port)
            locks += taken
    try:
        found += _singles(count - len(found), host, {*used, *found}, locks)
    except BaseException:
        _release(locks)
        raise
    if len(found) < count:
        _release(locks)
        raise ConfigError(
            f"no {count} ports are free on {host}", code="no-free-ports", next_step="Scale to fewer nodes."
        )
    return tuple(found), locks


def forget(ports: Iterable[int]) -> None:
    """Remove the lock files of ports that nobody keeps."""
    folder = port_locks_dir()
    for port in ports:
        path = folder / f"{port}.lock"
        with contextlib.suppress(Locked, ConfigError):
            if path.exists():
                FileLock.acquire(path).release(remove=True)


def _with_wishes(usual: list[Block], bootstrap_port: int | None, node_port: int | None) -> Iterator[Block]:
    """The usual blocks with the wanted ports put in, each once; none overlaps itself or ends too high."""
    seen: set[Block] = set()
    for block in usual:
        bootstrap = block.bootstrap if bootstrap_port is None else bootstrap_port
        nodes = block.nodes if node_port is None else range(node_port, node_port + len(block.nodes))
        wanted = Block(bootstrap, tuple(nodes))
        if bootstrap not in wanted.nodes and wanted not in seen and max(wanted.all) <= _LAST_PORT:
            seen.add(wanted)
            yield wanted


def _take(block: Block, host: str, ours: Collection[int]) -> list[FileLock] | int:
    """The locks of all its ports, or the first port that is not free."""
    folder = port_locks_dir()
    locks: list[FileLock] = []
    for port in block.all:
        try:
            locks.append(FileLock.acquire(folder / f"{port}.lock"))
            free = port in ours or is_free(host, port)
        except Locked:
            free = False
        except ConfigError:
            _release(locks)
            raise
        if not free:
            _release(locks)
            return port
    return locks


def _release(locks: list[FileLock]) -> None:
    for lock in locks:
        lock.release(remove=True)


def _who(port: int) -> str:
    holder = port_holder(port) or "another program or network"
    return f"port {port} is taken by {holder}"
