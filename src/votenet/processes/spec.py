"""From "five nodes and a page" to the programs that make them: pure expansion.

The argument lists are those that systemd or a container would run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.config import InstanceDirs
from votenet.processes.restart import RestartPolicy
from votenet.protocol.wire.address import Address

HANG_SECONDS: Final = 20.0
"""Silence that is a hang: the longest step of a node's main loop takes well under a second."""


PAGE_NODES: Final = 3
"""Nodes that the page is told, for when no bootstrap server answers; it finds the others by that."""


class ProgramRole(Enum):
    BOOTSTRAP = "bootstrap"
    NODE = "node"
    WEB = "web"


STOP_ORDER: Final = (ProgramRole.WEB, ProgramRole.NODE, ProgramRole.BOOTSTRAP)
"""The page may still be passing votes on to nodes, and nodes say goodbye to the bootstrap server."""


def votenet_program() -> tuple[str, ...]:
    """The command that starts this votenet: the same interpreter, the same package.

    `-P`: else a `sqlite3.py` in the folder where `votenet up` was typed would run in every node.
    """
    return (sys.executable, "-P", "-m", "votenet")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSpec:
    """The page of a network, `votenet web`. Where it is not `on` only its port is kept, for another time."""

    port: int
    on: bool = True
    host: str = "127.0.0.1"
    network_id: str = ""
    roll: str = ""
    kiosk: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    public_url: str = ""
    enrolment: str = ""

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return self.url_at({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host))

    def url_at(self, host: str) -> str:
        return f"http{'s' if self.tls_cert else ''}://{Address(host, self.port)}"

    def options(self) -> Iterator[str]:
        """What `votenet web` is told beside its address and those of the network."""
        named = {
            "--network-id": self.network_id,
            "--roll": self.roll,
            "--tls-cert": self.tls_cert,
            "--tls-key": self.tls_key,
            "--public-url": self.public_url,
            "--enrolment": self.enrolment,
        }
        for name, value in named.items():
            if value:
                yield from (name, value)
        if self.kiosk:
            yield "--kiosk"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """One network, as `network.json` keeps it for the next supervisor.

    `program` is the command in front of `node …`, `bootstrap …` and `web …`; tests put a scripted one there.
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
    web: WebSpec | None = None
    """None where no start has decided about a page yet."""

    @property
    def bootstrap(self) -> Address:
        return Address(self.host, self.bootstrap_port)

    @property
    def page(self) -> WebSpec | None:
        return self.web if self.web is not None and self.web.on else None

    @property
    def listens(self) -> tuple[Address, ...]:
        """The addresses of all programs, in the order of `expand`."""
        nodes = (Address(self.host, port) for port in self.node_ports)
        return (self.bootstrap, *nodes, *((self.page.address,) if self.page else ()))


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """What is started, where it listens, where it keeps its data."""

    name: str
    role: ProgramRole
    address: Address
    data_dir: Path
    argv: tuple[str, ...]


def expand(network: NetworkSpec, dirs: InstanceDirs) -> tuple[ProgramSpec, ...]:
    """The programs of a network: the bootstrap server first, the page last."""
    nodes = (_node(network, dirs, number, port) for number, port in enumerate(network.node_ports, start=1))
    page = (_page(network, network.page, dirs),) if network.page else ()
    return (_bootstrap(network, dirs), *nodes, *page)


def _bootstrap(network: NetworkSpec, dirs: InstanceDirs) -> ProgramSpec:
    name, address, data_dir = "bootstrap", network.bootstrap, dirs.data_dir("bootstrap")
    options = ("--host", address.host, "--port", str(address.port), "--data-dir", str(data_dir))
    argv = (*network.program, "bootstrap", *options, "--name", name)
    return ProgramSpec(name, ProgramRole.BOOTSTRAP, address, data_dir, argv)


def _node(network: NetworkSpec, dirs: InstanceDirs, number: int, port: int) -> ProgramSpec:
    name, address = f"node-{number}", Address(network.host, port)
    data_dir = dirs.data_dir(name)
    listen = ("--name", name, "--host", address.host, "--port", str(port), "--advertise", str(address))
    chain = ("--data-dir", str(data_dir), "--genesis", network.genesis, "--bootstrap", str(network.bootstrap))
    argv = (*network.program, "node", *listen, *chain, *network.node_args)
    return ProgramSpec(name, ProgramRole.NODE, address, data_dir, argv)


def _page(network: NetworkSpec, page: WebSpec, dirs: InstanceDirs) -> ProgramSpec:
    name, address = "web", page.address
    nodes = (str(Address(network.host, port)) for port in network.node_ports[:PAGE_NODES])
    listen = ("--name", name, "--host", address.host, "--port", str(address.port))
    found = ("--bootstrap", str(network.bootstrap), *(word for node in nodes for word in ("--node", node)))
    argv = (*network.program, "web", *listen, *found, *page.options())
    return ProgramSpec(name, ProgramRole.WEB, address, dirs.data_dir(name), argv)


def network_status(network: NetworkSpec) -> dict[str, Any]:
    """The addresses and settings of a network."""
    return {
        "genesis": network.genesis,
        "bootstrap": str(network.bootstrap),
        "nodes": [str(Address(network.host, port)) for port in network.node_ports],
        "page": network.page.url if network.page else None,
        "settings": {
            "node_args": list(network.node_args),
            "hang_seconds": network.hang_seconds,
            "policy": msgspec.to_builtins(network.policy),
            "web": msgspec.to_builtins(network.web),
        },
    }
