"""What a supervisor holds before it starts anything: the instance's lock, its ports, `network.json`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from votenet.config import InstanceDirs, private_dir
from votenet.errors import Command, ConfigError, Locked, NextStep, StorageError
from votenet.processes import ports
from votenet.processes.signals import need_pidfds
from votenet.processes.spec import NetworkSpec
from votenet.storage.files import FileLock, last_holder, replacing, write_atomically


@dataclass(slots=True)
class Claim:
    """The locks that make this process the one supervisor of an instance."""

    lock: FileLock
    ports: list[FileLock]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """For a detached supervisor to inherit, in the order that `adopt` expects."""
        return (self.lock.fd, *(lock.fd for lock in self.ports))

    def drop(self, port: int) -> None:
        """Give up one port: the network has shrunk."""
        for lock in [lock for lock in self.ports if lock.path.name == f"{port}.lock"]:
            lock.release(remove=True)
            self.ports.remove(lock)

    def release(self) -> None:
        """Let others start this instance and use its ports."""
        ports.release(self.ports)
        self.lock.release()

    def hand_over(self) -> None:
        """Close our copies: a supervisor that inherited the descriptors holds the claim now."""
        for lock in (self.lock, *self.ports):
            lock.release()


def make_dirs(dirs: InstanceDirs) -> None:
    """Make the folders of an instance, each private. Raises ConfigError."""
    for folder in (dirs.state, dirs.run.parent, dirs.run, dirs.logs):
        private_dir(folder)


def claim(dirs: InstanceDirs) -> FileLock:
    """Become the one supervisor of this instance. Makes the folders.

    Raises:
        Locked: another one lives.
        ConfigError: a folder cannot be used.
    """
    make_dirs(dirs)
    try:
        lock = FileLock.acquire(dirs.supervisor_lock)
    except Locked as error:
        holder = supervisor_pid(dirs)
        raise Locked(
            f"another supervisor of {dirs.instance!r} is running" + (f" (pid {holder})" if holder else ""),
            next_step=NextStep("See it with: {}; stop it with: {}", Command("ps"), Command("down")),
        ) from error
    lock.sign()
    return lock


def supervisor_pid(dirs: InstanceDirs) -> int:
    """Who held the lock last; 0 if unknown. For messages only, never for signals."""
    return last_holder(dirs.supervisor_lock)


def adopt(dirs: InstanceDirs, network: NetworkSpec, descriptors: tuple[int, ...]) -> Claim:
    """Take over the claim that `up --detach` made.

    Raises:
        ConfigError: the descriptors are not those locks.
    """
    wanted = [address.port for address in network.listens]
    if len(descriptors) != 1 + len(wanted):
        raise ConfigError(
            f"expected {1 + len(wanted)} inherited locks, got {len(descriptors)}",
            next_step="Leave --inherit out: it is for votenet itself.",
        )
    lock = FileLock.adopt(dirs.supervisor_lock, descriptors[0])
    lock.sign()
    folder = ports.port_locks_dir()
    held = [
        FileLock.adopt(folder / f"{port}.lock", fd) for port, fd in zip(wanted, descriptors[1:], strict=True)
    ]
    return Claim(lock, held)


def claim_again(dirs: InstanceDirs, network: NetworkSpec, clear: Callable[[], Collection[int]]) -> Claim:
    """Claim an instance with the ports it had: a supervisor started by hand or by systemd.

    Args:
        clear: called between lock and ports, to end what a dead supervisor left on them; returns the
            ports of programs that go on.

    Raises:
        Locked: another one lives.
        ConfigError: a port is taken, or the kernel has no pidfds.
    """
    need_pidfds()
    lock = claim(dirs)
    try:
        ours = clear()
        held = ports.take_again(network.listens, ours)
    except BaseException:
        lock.release()
        raise
    return Claim(lock, held)


def _check(network: NetworkSpec) -> None:
    """What its types do not say. Raises ValueError."""
    used = [address.port for address in network.listens]
    if not network.node_ports or len(set(used)) != len(used) or not all(0 < port < 65536 for port in used):
        raise ValueError("its ports are not different numbers from 1 to 65535")
    if not all(0 <= seconds <= 86400 for seconds in (network.grace, network.hang_seconds)):
        raise ValueError("its times are not from 0 to 86400 s")


def network_file(dirs: InstanceDirs) -> Path:
    return dirs.state / "network.json"


def save_network(dirs: InstanceDirs, network: NetworkSpec) -> None:
    """Remember the network for `supervise` and the next `up`. Raises StorageError."""
    write_atomically(network_file(dirs), _to_file(network))


@contextlib.contextmanager
def saving_network(dirs: InstanceDirs, network: NetworkSpec) -> Iterator[None]:
    """Remember the network when the block ends. If the block raises, the network of the last `up` stays.

    Raises:
        StorageError: the disk takes no new file; this is found out before the block is entered.
    """
    path = network_file(dirs)
    with contextlib.ExitStack() as stack:
        with _write_errors(path):
            file = stack.enter_context(replacing(path, 0o600))
            file.write(_to_file(network))
            file.flush()
            os.fsync(file.fileno())
        yield
        with _write_errors(path):
            stack.close()


def _write_errors(path: Path) -> AbstractContextManager[None]:
    step = "Check free space and the owner of that folder."
    return StorageError.of_os_errors(f"cannot write {path}", next_step=step)


def _to_file(network: NetworkSpec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(network)) + b"\n"


def load_network(dirs: InstanceDirs) -> NetworkSpec:
    """The network of the last `up`. Raises ConfigError: there was none, or the file is not readable."""
    path = network_file(dirs)
    try:
        network = msgspec.json.decode(path.read_bytes(), type=NetworkSpec)
        _check(network)
        return network
    except FileNotFoundError as error:
        raise ConfigError(
            f"instance {dirs.instance!r} has no network yet",
            next_step=NextStep("Make one with: {}", Command("up", "--detach")),
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path} cannot be used: {error}",
            next_step=NextStep("Remove that file, then write it anew with: {}", Command("up", "--detach")),
        ) from error
