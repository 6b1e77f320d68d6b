"""Which nodes a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.elections import make_election
from votenet.cli import targets
from votenet.config import instance_dirs
from votenet.errors import ConfigError, NotRunning
from votenet.protocol.wire.address import Address


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))


def program(name: str, port: int, state: str = "ready", **more: Any) -> dict[str, Any]:
    role = "bootstrap" if name == "bootstrap" else "node"
    return {"name": name, "role": role, "address": f"127.0.0.1:{port}", "state": state, **more}


def running(monkeypatch: pytest.MonkeyPatch, *programs: dict[str, Any]) -> None:
    monkeypatch.setattr(targets, "network_status", lambda instance: {"programs": programs})


def test_nodes_must_belong_to_the_network_of_this_machine() -> None:
    dirs = instance_dirs("board")
    assert targets.network_here("board") is None
    dirs.genesis.mkdir(parents=True)
    with pytest.raises(ConfigError) as refused:
        targets.network_here("board")
    assert refused.value.code == "bad-genesis"
    dirs.genesis.rmdir()
    dirs.genesis.write_bytes(make_election().to_file())
    assert targets.network_here("board") == make_election().network_hex
    assert targets.network_here("board", "127.0.0.1:1") is None, "a node that was named may be of any"


def test_ready_nodes_come_first_and_cut_off_ones_after_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = {"code": "partition", "message": "by votenet partition", "next_step": "votenet heal"}
    running(
        monkeypatch,
        program("bootstrap", 1),
        program("node-1", 2, "starting"),
        program("node-2", 3, cut_off=fault),
        program("node-3", 4),
        program("node-4", 5, "paused"),
    )
    found = targets.node_addresses("default")
    assert found == [Address("127.0.0.1", port) for port in (4, 3, 2)]
    assert targets.node_addresses("default", "10.0.0.1:3000") == [Address("10.0.0.1", 3000)]
    assert targets.bootstrap_address("default") == Address("127.0.0.1", 1)
    (warning,) = targets.cut_off_here("second", "127.0.0.1:3")
    assert warning.endswith("what others have may be missing. Next: votenet heal -i second")
    assert targets.cut_off_here("second", "127.0.0.1:4") == []


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("paused", "votenet resume node-1"),
        ("stopped", "votenet start node-1"),
        ("failed", "votenet logs node-1"),
    ],
)
def test_where_no_node_answers_the_next_step_brings_one_back(
    monkeypatch: pytest.MonkeyPatch, state: str, step: str
) -> None:
    running(monkeypatch, program("node-1", 2, state))
    with pytest.raises(NotRunning) as refused:
        targets.node_addresses("default")
    assert refused.value.next_step == step
    with pytest.raises(NotRunning):
        targets.bootstrap_address("default")


def test_without_a_network_another_one_can_be_named() -> None:
    with pytest.raises(NotRunning) as refused:
        targets.node_addresses("default")
    assert "--node HOST:PORT" in refused.value.next_step
