"""The log names a peer once when it joins, and once when its last link is gone."""

from __future__ import annotations

import pytest

from votenet.network.node.peer_log import PeerLog
from votenet.protocol.wire.connection import PeerInfo

WEST, EAST = (PeerInfo(key * 64, f"{name}:3000", 7, 0) for key, name in (("a", "west"), ("b", "east")))


def test_a_peer_that_comes_and_goes_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "votenet.node")
    peers = PeerLog()
    peers.up(1, WEST)
    peers.up(2, EAST)
    peers.down(1)
    peers.down(3)  # of a client
    assert caplog.messages == [
        "joined peer west:3000 at height 7", "joined peer east:3000 at height 7", "lost peer west:3000",
    ]  # fmt: skip


@pytest.mark.parametrize("refused", [1, 2])
def test_two_links_to_one_peer_are_one(caplog: pytest.LogCaptureFixture, refused: int) -> None:
    caplog.set_level("INFO", "votenet.node")
    peers = PeerLog()
    for link in (1, 2):
        peers.up(link, WEST)
    peers.down(refused)
    assert caplog.messages == ["joined peer west:3000 at height 7"]
    peers.down(3 - refused)
    assert caplog.messages[1:] == ["lost peer west:3000"]


def test_after_a_start_over_all_join_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "votenet.node")
    peers = PeerLog()
    for link in (1, 2):
        peers.up(link, WEST)
        peers.clear()
    assert len(caplog.messages) == 2


def test_what_has_no_address_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "votenet.node")
    peers = PeerLog()
    peers.up(1, PeerInfo("c" * 64, "", 0, 0))
    peers.down(1)
    assert caplog.messages == []
