"""Five nodes become six argument lists."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from votenet.config import InstanceDirs
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec, Role, expand

DIRS = InstanceDirs("t", Path("/s/t"), Path("/r/t"), Path("/k"))


def test_argument_lists() -> None:
    network = NetworkSpec(
        instance="t",
        genesis="/s/t/genesis.json",
        bootstrap_port=4000,
        node_ports=(3000, 3001),
        node_args=("--no-mine",),
    )
    bootstrap, first, second = expand(network, DIRS)
    python = f"{sys.executable} -P -m votenet"
    assert " ".join(bootstrap.argv) == (
        f"{python} bootstrap --host 127.0.0.1 --port 4000 --data-dir /s/t/bootstrap --name bootstrap"
    )
    assert " ".join(second.argv) == (
        f"{python} node --name node-2 --host 127.0.0.1 --port 3001 --advertise 127.0.0.1:3001 "
        "--data-dir /s/t/node-2 --genesis /s/t/genesis.json --bootstrap 127.0.0.1:4000 --no-mine"
    )
    assert (bootstrap.role, first.role) == (Role.BOOTSTRAP, Role.NODE)
    assert str(first.address) == "127.0.0.1:3000"


def test_it_survives_its_file() -> None:
    network = NetworkSpec(
        instance="t",
        genesis="g",
        bootstrap_port=4000,
        node_ports=(3000,),
        program=("a", "b"),
        policy=RestartPolicy(limit=3),
    )
    assert msgspec.json.decode(msgspec.json.encode(network), type=NetworkSpec) == network
