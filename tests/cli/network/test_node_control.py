"""The operator's channel: permitted users and refused commands."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.cli.conftest import RunningNode

from votenet.cli.network.node_control import ask_node, control_socket
from votenet.errors import NotRunning, VotenetError


def folder(node: RunningNode) -> Path:
    return node.genesis.parent / "data"


def test_only_this_user_can_open_it(node: RunningNode) -> None:
    mode = control_socket(folder(node)).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"command": "stop"}, "unknown-type"),
        ({"command": "ban"}, "bad-message"),
        ({"command": "ban", "subject": 5, "seconds": 5}, "bad-message"),
        ({"command": "ban", "subject": "203.0.113.7"}, "bad-message"),
        ({"command": "ban", "subject": "203.0.113.7", "seconds": True}, "bad-message"),
        ({"command": "ban", "subject": "203.0.113.7", "seconds": 0}, "bad-message"),
        ({"command": "ban", "subject": "x" * 9999, "seconds": 5}, "bad-address"),
    ],
)
def test_unknown_commands_are_refused(node: RunningNode, request_: dict[str, object], code: str) -> None:
    with pytest.raises(VotenetError) as caught:
        ask_node(folder(node), request_)
    assert caught.value.code == code
    assert ask_node(folder(node), {"command": "banned"})["bans"] == []


def test_a_folder_too_deep_for_a_socket_has_it_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    elsewhere = control_socket(deep)
    try:
        assert len(str(elsewhere)) <= 107
        with pytest.raises(NotRunning, match="data folder"):
            ask_node(deep, {"command": "banned"})
    finally:
        elsewhere.parent.rmdir()
