"""One node asked what it says of itself, and which key it has: its word, and its proof."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final, NamedTuple

from votenet.client.connection import NodeConnection
from votenet.client.nodes import readable_addresses
from votenet.core.keys import SigningKey
from votenet.errors import RemoteProtocolError, VotenetError
from votenet.network.transport import Link
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus
from votenet.protocol.wire.connection import Connection, LocalNode, PeerInfo
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetPeers, Peers

PROBE_DIAL_SECONDS: Final = 5.0
"""A machine that answers nothing at all, not even that nothing listens there, is left after this."""
PROBE_ANSWER_SECONDS: Final = 20.0
"""For one answer. The machine of a node, or ours, may be busy for seconds."""
_HANDSHAKE: Final = 0
"""Stands for the handshake among the numbers of answers."""


class Probe(NamedTuple):
    """What a node said, and what it proved.

    `peers` and `servers`: addresses of other nodes, and of bootstrap servers. `ahead`: seconds that its clock
    is ahead of ours. `proof` is None where it did not finish the handshake, and `error` says why.
    """

    address: Address
    status: NodeStatus
    peers: tuple[Address, ...]
    servers: tuple[Address, ...]
    ahead: float | None
    proof: PeerInfo | None
    error: VotenetError | None = None


async def probe_node(address: Address, *, as_written: bool = False) -> Probe:
    """Ask the node at an address for its status, its peers and a proof of its key, over one connection.

    The proof is for the network of which the node says that it is.

    Args:
        as_written: a name must be the node's own, as in `prove_key`.

    Raises:
        Unreachable: nothing answers there, or not in time.
        VotenetError: it refused, or is no node.
    """
    connection = ProvingConnection(
        address, dial_timeout=PROBE_DIAL_SECONDS, answer_timeout=PROBE_ANSWER_SECONDS
    )
    async with connection as node:
        asked_at = time.time()
        status = await node.ask(GetStatus(), NodeStatus)
        answered_at = time.time()
        known = await node.ask(GetPeers(), Peers)
        try:
            proof, error = await node.prove(status.network_id, as_written=as_written), None
        except VotenetError as failure:
            proof, error = None, failure
    ahead = clock_ahead(status.clock, asked_at, answered_at)
    if ahead is None and proof is not None and proof.ahead is not None:
        ahead = float(proof.ahead)
    peers, servers = readable_addresses(known.addresses), readable_addresses(known.bootstraps)
    return Probe(address, status, tuple(peers), tuple(servers), ahead, proof, error)


async def prove_key(address: Address, network_hex: str) -> PeerInfo:
    """What the node at an address proves of itself in a network.

    It is `proven` only where the node knows a name as it is written here as its own. Whoever owns a name
    decides where it leads, and may lead us elsewhere the next time.

    Raises:
        Unreachable: nothing answers there, or not in time.
        VotenetError: it refused, or what it answered proves nothing.
    """
    connection = ProvingConnection(
        address, dial_timeout=PROBE_DIAL_SECONDS, answer_timeout=PROBE_ANSWER_SECONDS
    )
    async with connection as node:
        return await node.prove(network_hex, as_written=True)


def clock_ahead(clock: int | None, asked_at: float, answered_at: float) -> float | None:
    """Seconds that a clock is ahead of ours: it was read between the two times of ours, in whole seconds."""
    return None if clock is None else clock + 0.5 - (asked_at + answered_at) / 2


class ProvingConnection(NodeConnection):
    """A connection to one node that can also ask for the proof of its key, as the last question.

    The handshake is not finished from here: the node never counts us as a peer.
    """

    def __init__(self, address: Address, *, dial_timeout: float, answer_timeout: float) -> None:
        super().__init__(address, dial_timeout=dial_timeout, answer_timeout=answer_timeout)
        self._handshake: Connection | None = None

    async def prove(self, network_hex: str, *, as_written: bool = False) -> PeerInfo:
        """What the node proves of itself: its key, and whether it knows the dialled address as its own.

        Args:
            as_written: the IP address to which a name led does not count as the dialled address.

        Raises:
            Unreachable: the connection broke, or no answer came in time.
            VotenetError: the node refused, or what it answered proves nothing.
        """
        assert self._link is not None, "used before it was entered"
        identity = LocalNode(SigningKey(os.urandom(32)), network_hex, listen="", mines=False)
        dialled = self._link.dialled[:1] if as_written else self._link.dialled
        made = Connection(identity, outbound=True, challenge=os.urandom(32), dialled=dialled)
        self._handshake = made
        if self._error is not None:
            raise self._error
        self._waiting[_HANDSHAKE] = asyncio.get_running_loop().create_future()
        self._link.send_line(encode_message(made.hello(0, 0, int(time.time()))))
        await self._answer(_HANDSHAKE)
        if made.peer_info is None:
            raise RemoteProtocolError("bad-hello", f"{self.address} answered hello without a proof")
        return made.peer_info

    def _take(self, link: Link, line: bytes) -> None:
        if self._handshake is None:
            super()._take(link, line)
        elif self._handshake.peer_info is None:
            self._handshake.receive(line, 0, 0, int(time.time()))
            self._answered(_HANDSHAKE, None)
