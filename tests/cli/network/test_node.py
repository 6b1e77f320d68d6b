"""`votenet node` as typed; `tests/network/node/test_service.py` has what it does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from votenet.cli.network import foreground
from votenet.cli.network import node as node_module
from votenet.config import NodeConfig
from votenet.network.listener import MAX_LINKS, OTHER_FILES
from votenet.network.node import service


def test_help_teaches(cli: Callable[..., CommandResult]) -> None:
    shown = cli("node", "--help").out
    assert "--advertise vote.example.org:3000" in shown


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--advertise", "nonsense"), "bad-address"),
        (("--bootstrap", "host:99999"), "bad-address"),
        (("--peer", ":1"), "bad-address"),
        (("--bootstrap", "a.example:4000,b.example"), "bad-address"),
        (("--listen", "127.0.0.1"), "bad-address"),
        (("--metrics", "0.0.0.0:9400"), "metrics-not-loopback"),
        (("--kernel", "abacus"), "no-such-kernel"),
        (("--host", "0.0.0.0"), "bad-address"),
    ],
)
def test_wrong_options_exit_78(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path, options: tuple[str, str], code: str
) -> None:
    where = ("--data-dir", str(tmp_path / "data"), "--genesis", str(node.genesis))
    done = cli("node", *where, *options)
    assert done.code == 78
    assert f"[{code}]" in done.err


def test_a_node_asks_for_the_files_that_its_connections_take(
    node: RunningNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run_server(served: Coroutine[Any, Any, None]) -> None:
        assert asked == [node_module.NODE_DESCRIPTORS]
        asked.append(0)
        served.close()

    monkeypatch.setattr(node_module, "allow_descriptors", asked.append)
    monkeypatch.setattr(node_module, "_choose_kernel", lambda name, log: None)
    monkeypatch.setattr(foreground, "run_server", run_server)
    monkeypatch.setattr(service, "NodeService", lambda *parts: None)
    node_module.run_node(NodeConfig("127.0.0.1", 3000, "127.0.0.1:3000", tmp_path / "data", node.genesis))
    assert asked == [node_module.NODE_DESCRIPTORS, 0]
    assert asked[0] >= MAX_LINKS + OTHER_FILES


def test_a_node_on_all_addresses_is_told_to_advertise_one(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    done = cli("node", "--data-dir", str(tmp_path / "d"), "--genesis", str(node.genesis), "--host", "0.0.0.0")
    assert "--advertise HOST:PORT" in done.err


def test_a_folder_of_another_election_is_refused(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    from support.elections import make_election
    from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
    from votenet.storage.files import lock_data_dir

    folder = tmp_path / "data"
    with lock_data_dir(folder):
        SqliteBlockStore(folder, make_election(title="another")).close()
    done = cli("node", "--data-dir", str(folder), "--genesis", str(node.genesis))
    assert done.code == 78
    assert "[network-mismatch]" in done.err


def test_a_taken_port_names_its_holder(
    cli: Callable[..., CommandResult], node: RunningNode, tmp_path: Path
) -> None:
    where = ("--data-dir", str(tmp_path / "data"), "--genesis", str(node.genesis))
    done = cli("node", *where, "--port", str(node.address.port))
    assert done.code == 75
    assert f"port {node.address.port} is taken by pid" in done.err
