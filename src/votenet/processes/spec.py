"""From "five nodes" to the programs that make them: pure expansion.

What lives here: `NetworkSpec` (what one `up` decided, also kept as JSON for the next supervisor),
`ProgramSpec`, `expand`. What must not: starting anything, looking at ports or folders.

The argument lists are those that systemd or a container would run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from votenet.config import InstanceDirs
from votenet.processes.restart import RestartPolicy
from votenet.processes.watchdog import HANG_SECONDS
from votenet.protocol.address import Address


class Role(Enum):
    BOOTSTRAP = "bootstrap"
    NODE = "node"


def votenet_program() -> tuple[str, ...]:
    """How this very votenet is started: the same interpreter, the same package.

    `-P`: else a `sqlite3.py` in the folder where somebody typed `votenet up` would run in every node.
    """
    return (sys.executable, "-P", "-m", "votenet")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One network: what every later decision follows from.

    `program` is the command in front of `node …` and `bootstrap …`; tests put a scripted one there.
    """

    instance: str
    genesis: str
    bootstrap_port: int
    node_ports: tuple[int, ...]
    host: str = "127.0.0.1"
    node_args: tuple[str, ...] = ()
    program: tuple[str, ...] = field(default_factory=votenet_program)
    grace: float = 10.0
    hang_seconds: float = HANG_SECONDS
    policy: RestartPolicy = field(default_factory=RestartPolicy)

    @property
    def bootstrap(self) -> Address:
        return Address(self.host, self.bootstrap_port)


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One program: what is started, where it listens, where it keeps its data."""

    name: str
    role: Role
    address: Address
    data_dir: Path
    argv: tuple[str, ...]


def expand(network: NetworkSpec, dirs: InstanceDirs) -> tuple[ProgramSpec, ...]:
    """The programs of a network, the bootstrap first."""
    nodes = (_node(network, dirs, number, port) for number, port in enumerate(network.node_ports, start=1))
    return (_bootstrap(network, dirs), *nodes)


def _bootstrap(network: NetworkSpec, dirs: InstanceDirs) -> ProgramSpec:
    name, address, data_dir = "bootstrap", network.bootstrap, dirs.data_dir("bootstrap")
    options = ("--host", address.host, "--port", str(address.port), "--data-dir", str(data_dir))
    argv = (*network.program, "bootstrap", *options, "--name", name)
    return ProgramSpec(name, Role.BOOTSTRAP, address, data_dir, argv)


def _node(network: NetworkSpec, dirs: InstanceDirs, number: int, port: int) -> ProgramSpec:
    name, address = f"node-{number}", Address(network.host, port)
    data_dir = dirs.data_dir(name)
    listen = ("--name", name, "--host", address.host, "--port", str(port), "--advertise", str(address))
    chain = ("--data-dir", str(data_dir), "--genesis", network.genesis, "--bootstrap", str(network.bootstrap))
    argv = (*network.program, "node", *listen, *chain, *network.node_args)
    return ProgramSpec(name, Role.NODE, address, data_dir, argv)
