"""One conversation on the node port: lines in, messages out, the handshake in between.

What lives here: Connection, which knows the role of the other side and what it may send. What
must not: sockets, clocks, randomness (the challenge is an argument), what messages mean.

The handshake is three lines. The side that dialled says `hello` with a challenge; the other
answers `hello` with its own challenge and a proof; the first sends `hello_proof`. A proof is a
signature over DOMAIN_HELLO and the canonical JSON of challenge, network, both keys, and whether the
signer has dialled: a proof given to one peer is worth nothing to another, and one that was got out
of a node by dialling it is worth nothing to somebody whom that node has not dialled.
"""

from __future__ import annotations

from typing import NamedTuple

from votenet.core.encoding import DOMAIN_HELLO, canonical
from votenet.core.keys import SigningKey, verify
from votenet.errors import RemoteProtocolError
from votenet.protocol.messages import (
    PROTOCOL_VERSION,
    SENDERS,
    Hello,
    HelloProof,
    Message,
    Role,
    decode_message,
    work_to_hex,
)


class Identity(NamedTuple):
    """Who we are to every peer. `seed` (0 to 2**64 - 1) is of our short ids."""

    key: SigningKey
    network_hex: str
    listen: str
    mines: bool = True
    seed: int = 0


class Greeted(NamedTuple):
    """The handshake is done: who is on the other side. `work` and `seed` are integers."""

    node_key: str
    listen: str
    height: int
    work: int
    mines: bool = True
    seed: int = 0


def _proof_payload(challenge: str, network_hex: str, signer: str, reader: str, *, dialled: bool) -> bytes:
    record = {
        "challenge": challenge,
        "network_id": network_hex,
        "reader_key": reader,
        "signer_dialled": dialled,
        "signer_key": signer,
    }
    return DOMAIN_HELLO + canonical(record)


class Connection:
    """State of one link. `challenge` is 32 random bytes, never used before."""

    def __init__(self, identity: Identity, *, outbound: bool, challenge: bytes) -> None:
        self.role = Role.STRANGER
        self.outbound = outbound
        self._identity = identity
        self._challenge = challenge.hex()
        self._theirs: Hello | None = None
        self.greeted: Greeted | None = None

    def hello(self, height: int, work: int) -> Hello:
        """Our first line on a link that we dialled."""
        self.role = Role.GREETING
        return self._hello(height, work, proof=None)

    def receive(self, line: bytes, height: int, work: int) -> tuple[Message | None, list[Message]]:
        """Take one line: returns (a message for the node or None, handshake lines to send).

        `height` and `work` are our tip's, for our hello. When the handshake has just finished,
        `greeted` is set and the message is None.

        Raises:
            RemoteProtocolError: whatever is wrong with the line, or with sending it now.
        """
        message = decode_message(line)
        allowed = SENDERS[type(message)]
        if self.role not in allowed:
            if Role.PEER in allowed and self.role is not Role.PEER:
                raise RemoteProtocolError("hello-required", "this message is for peers: say hello first")
            raise RemoteProtocolError("unexpected-message", "this message is not expected here")
        if isinstance(message, Hello):
            return None, self._take_hello(message, height, work)
        if isinstance(message, HelloProof):
            self._take_proof(message.proof)
            return None, []
        return message, []

    # -- the handshake -------------------------------------------------------------------------

    def _take_hello(self, hello: Hello, height: int, work: int) -> list[Message]:
        if self._theirs is not None or (self.role is Role.GREETING) is not self.outbound:
            raise RemoteProtocolError("unexpected-message", "hello is said once")
        if hello.version != PROTOCOL_VERSION:
            raise RemoteProtocolError("version-mismatch", f"this node speaks version {PROTOCOL_VERSION}")
        if hello.network_id != self._identity.network_hex:
            raise RemoteProtocolError(
                "network-mismatch", f"this node belongs to network {self._identity.network_hex[:16]}…"
            )
        if hello.node_key == self._identity.key.public_hex:
            raise RemoteProtocolError("self-connection", "this node has dialled itself")
        self._theirs = hello
        if self.outbound:
            if hello.proof is None:
                raise RemoteProtocolError("bad-hello", "the answer to hello carries a proof")
            self._take_proof(hello.proof)
            return [HelloProof(proof=self._prove(hello))]
        self.role = Role.GREETING
        return [self._hello(height, work, proof=self._prove(hello))]

    def _take_proof(self, proof: str) -> None:
        theirs = self._theirs
        if theirs is None:
            raise RemoteProtocolError("unexpected-message", "a proof comes after hello")
        payload = _proof_payload(
            self._challenge,
            self._identity.network_hex,
            theirs.node_key,
            self._identity.key.public_hex,
            dialled=not self.outbound,
        )
        if not verify(bytes.fromhex(theirs.node_key), payload, bytes.fromhex(proof)):
            raise RemoteProtocolError("bad-hello", "the proof is not signed by the key in hello")
        self.role = Role.PEER
        self.greeted = Greeted(
            theirs.node_key,
            theirs.listen,
            theirs.height,
            int(theirs.work, 16),
            theirs.mines,
            int(theirs.seed, 16),
        )

    def _hello(self, height: int, work: int, proof: str | None) -> Hello:
        return Hello(
            challenge=self._challenge,
            height=height,
            listen=self._identity.listen,
            mines=self._identity.mines,
            network_id=self._identity.network_hex,
            node_key=self._identity.key.public_hex,
            proof=proof,
            seed=format(self._identity.seed, "016x"),
            version=PROTOCOL_VERSION,
            work=work_to_hex(work),
        )

    def _prove(self, theirs: Hello) -> str:
        payload = _proof_payload(
            theirs.challenge,
            self._identity.network_hex,
            self._identity.key.public_hex,
            theirs.node_key,
            dialled=self.outbound,
        )
        return self._identity.key.sign(payload).hex()
