"""Which peers come and go, for the log: each once, though two nodes that dial each other have two links."""

from __future__ import annotations

import logging
from typing import Final

from votenet.protocol.wire.connection import PeerInfo

log: Final = logging.getLogger("votenet.node")


class PeerLog:
    """The links of peers, by number, with what is known of the node behind each."""

    def __init__(self) -> None:
        self._links: dict[int, PeerInfo] = {}

    def up(self, link: int, peer: PeerInfo) -> None:
        """A handshake finished on this link; the core may refuse it as the second one to that node.

        One without an address is no node, or nobody can dial it: a program that watches or exports.
        """
        if not peer.listen:
            return
        if not self._is_joined(peer):
            log.info("joined peer %s at height %d", peer.listen, peer.height)
        self._links[link] = peer

    def down(self, link: int) -> None:
        """This link is gone. Nothing for that of a client, or while the node has another one."""
        peer = self._links.pop(link, None)
        if peer is not None and not self._is_joined(peer):
            log.info("lost peer %s", peer.listen)

    def clear(self) -> None:
        """All links are dropped, and nobody hears of it."""
        self._links.clear()

    def _is_joined(self, peer: PeerInfo) -> bool:
        return any(other.node_key == peer.node_key for other in self._links.values())
