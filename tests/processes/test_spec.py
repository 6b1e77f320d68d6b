"""Five nodes and a page become seven argument lists."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from votenet.config import InstanceDirs
from votenet.processes.restart import RestartPolicy
from votenet.processes.spec import NetworkSpec, ProgramRole, WebSpec, expand, network_status

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
    assert (bootstrap.role, first.role) == (ProgramRole.BOOTSTRAP, ProgramRole.NODE)
    assert str(first.address) == "127.0.0.1:3000"


def test_the_page_is_told_where_the_network_is() -> None:
    page = WebSpec(port=8080, host="::", network_id="ab", roll="/r", kiosk=True, tls_cert="/c", tls_key="/k")
    network = NetworkSpec(
        instance="t", genesis="g", bootstrap_port=4000, node_ports=(3000, 3001, 3002, 3003), web=page
    )
    *_, web = expand(network, DIRS)
    assert (web.name, web.role, str(web.address)) == ("web", ProgramRole.WEB, "[::]:8080")
    assert " ".join(web.argv) == (
        f"{sys.executable} -P -m votenet web --name web --host :: --port 8080 --bootstrap 127.0.0.1:4000 "
        "--node 127.0.0.1:3000 --node 127.0.0.1:3001 --node 127.0.0.1:3002 "
        "--network-id ab --roll /r --tls-cert /c --tls-key /k --kiosk"
    )
    assert network_status(network)["page"] == "https://[::1]:8080"
    assert [address.port for address in network.listens] == [4000, 3000, 3001, 3002, 3003, 8080]
    without = replace(network, web=replace(page, on=False))
    assert [spec.name for spec in expand(without, DIRS)][-1] == "node-4"
    assert network_status(without)["page"] is None


def test_it_survives_its_file() -> None:
    network = NetworkSpec(
        instance="t",
        genesis="g",
        bootstrap_port=4000,
        node_ports=(3000,),
        program=("a", "b"),
        policy=RestartPolicy(limit=3),
        web=WebSpec(port=8080, kiosk=True),
    )
    assert msgspec.json.decode(msgspec.json.encode(network), type=NetworkSpec) == network


def test_a_file_of_a_start_that_knew_no_page_can_be_read() -> None:
    old = b'{"instance":"t","genesis":"g","bootstrap_port":4000,"node_ports":[3000]}'
    network = msgspec.json.decode(old, type=NetworkSpec)
    assert (network.web, network.page, len(network.listens)) == (None, None, 2)
