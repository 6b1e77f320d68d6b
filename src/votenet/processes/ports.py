"""Which ports a network takes: a block, free as a whole, that no other supervisor is about to take.

What lives here: the series of blocks, probing, the lock of each port. What must not: listening.

Block 0 is the chapter's: bootstrap 4000, nodes 3000, 3001, …; the next are 4100 with 3100, and so
on, never overlapping and always below the ports that the kernel gives to outgoing connections.
Between choosing a port and the program that listens on it lies a moment; a lock file per port,
shared by all supervisors of this user, keeps two that start together apart.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from votenet.config import DEFAULT_BOOTSTRAP_PORT, DEFAULT_NODE_PORT, private_dir, user_temp_dir
from votenet.errors import ConfigError, Locked
from votenet.network.transport import port_holder
from votenet.processes.files import FileLock
from votenet.processes.procfs import ephemeral_start

_BLOCK: Final = 100
"""Ports from one block to the next: MAX_NODES fit in it."""
_BLOCKS_IN_A_ROW: Final = (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT) // _BLOCK
"""Ten node blocks, 3000 to 3999, lie below the bootstrap ports, 4000 to 4900."""


@dataclass(frozen=True, slots=True)
class Block:
    """The ports of one network."""

    bootstrap: int
    nodes: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        return (self.bootstrap, *self.nodes)


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
    row = 2 * (DEFAULT_BOOTSTRAP_PORT - DEFAULT_NODE_PORT)
    for start in range(0, ephemeral_start(), row):
        for number in range(_BLOCKS_IN_A_ROW):
            offset = start + number * _BLOCK
            bootstrap, first = DEFAULT_BOOTSTRAP_PORT + offset, DEFAULT_NODE_PORT + offset
            if bootstrap >= ephemeral_start():
                return
            yield Block(bootstrap, tuple(range(first, first + nodes)))


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now (connections of a past one do not count)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise ConfigError(f"cannot listen on {host}: {error.strerror or error}") from error
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
        ConfigError: a wanted port is taken (with its holder) or the two overlap; no block is free.
    """
    fixed = set(range(node_port, node_port + nodes)) if node_port is not None else set()
    fixed |= {bootstrap_port} if bootstrap_port is not None else set()
    usual = ([preferred] if preferred else []) + list(blocks(nodes))
    candidates = list(_with_wishes(usual, bootstrap_port, node_port))
    if not candidates or max(fixed, default=0) > 65535:
        raise ConfigError(
            f"the wanted ports do not fit: {nodes} nodes and the bootstrap server need different ports up "
            "to 65535",
            code="bad-ports",
            next_step="Choose --bootstrap-port and --node-port further apart.",
        )
    moved = ""
    for block in candidates:
        taken = _take(block, host, ours)
        if isinstance(taken, list):
            return Lease(block, taken, moved)
        if taken in fixed:
            raise ConfigError(
                _who(taken),
                code="port-taken",
                next_step="Stop that program, or leave the port to votenet: it then finds a free block.",
            )
        moved = moved or _who(taken)
    raise ConfigError(
        f"no free block of ports below {ephemeral_start()}: {moved}",
        code="no-free-ports",
        next_step="Choose free ports with --bootstrap-port and --node-port.",
    )


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
    """Free ports for more nodes of a network that runs: the next ones after its last.

    A port that a stranger has is passed over: addresses of running nodes cannot move.

    Raises:
        ConfigError: there are not enough up to the next block of ports.
    """
    found: list[int] = []
    locks: list[FileLock] = []
    after = used[-1] if used else DEFAULT_NODE_PORT - 1
    for port in range(after + 1, min(after + _BLOCK, 65536)):
        if len(found) == count:
            break
        if port not in used and isinstance(taken := _take(Block(port, ()), host, ()), list):
            found.append(port)
            locks += taken
    if len(found) < count:
        _release(locks)
        raise ConfigError(
            f"no {count} free ports after {after}", code="no-free-ports", next_step="Scale to fewer nodes."
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
    """The usual blocks with the wanted ports put in, each once, none that overlaps itself."""
    seen: set[Block] = set()
    for block in usual:
        bootstrap = block.bootstrap if bootstrap_port is None else bootstrap_port
        first = block.nodes[0] if node_port is None else node_port
        wanted = Block(bootstrap, tuple(range(first, first + len(block.nodes))))
        if bootstrap not in wanted.nodes and wanted not in seen:
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
