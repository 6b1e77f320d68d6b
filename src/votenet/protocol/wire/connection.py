"""One conversation on the node port: lines in, messages out, the handshake in between.

The handshake is three lines. The side that dialled says `hello` with a challenge and the address that it
dialled. The other answers `hello` with its own challenge, whether it knows that address as its own, and a
proof. The first sends `hello_proof`. A proof is a signature over DOMAIN_HELLO and the canonical JSON of both
hellos, and of whether the signer has dialled. So a proof given to one peer is worth nothing to another, and
no stranger between the two can change a word. A stranger who passes the lines on is noticed: the address
that was dialled is not that of the node that answers. The link is then *unproven* for both. It works, and
counts for little.

Lines after the handshake are not signed. A key answers only for its own signatures in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from votenet.core.encoding import DOMAIN_HELLO, canonical
from votenet.core.keys import SigningKey, verify
from votenet.errors import RemoteProtocolError
from votenet.protocol.wire.fields import work_to_hex
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import decode_message
from votenet.protocol.wire.peer_messages import PROTOCOL_VERSION, Hello, HelloProof


class LocalNode(NamedTuple):
    """What our hellos say of us. `seed` (0 to 2**64 - 1) is of our short ids."""

    key: SigningKey
    network_hex: str
    listen: str
    mines: bool = True
    seed: int = 0


class PeerInfo(NamedTuple):
    """Facts of a finished handshake about the other side.

    `proven`: the node that was dialled knows the address that was dialled as its own. `ahead`: seconds that
    the other side's clock is ahead of ours; None if it told none.
    """

    node_key: str
    listen: str
    height: int
    work: int
    mines: bool = True
    seed: int = 0
    proven: bool = True
    ahead: int | None = None


def _proof_payload(dial: Hello, answer: Hello, *, by_dialler: bool) -> bytes:
    """Covers every member of both hellos, written or left out, but the proofs."""
    dialled, answered = (
        {name: getattr(hello, name) for name in Hello.__struct_fields__ if name != "proof"}
        for hello in (dial, answer)
    )
    return DOMAIN_HELLO + canonical({"answer": answered, "dial": dialled, "signer_dialled": by_dialler})


class Connection:
    """State of one link. `challenge` is 32 random bytes, never used before.

    Args:
        dialled: how we wrote the address that we dialled, at most MAX_DIALLED spellings.
        own: addresses that lead to us, besides the one where we say that we listen.
    """

    def __init__(
        self,
        identity: LocalNode,
        *,
        outbound: bool,
        challenge: bytes,
        dialled: Sequence[str] = (),
        own: Sequence[str] = (),
    ) -> None:
        self.role = LinkRole.STRANGER
        self.outbound = outbound
        self.dialled = tuple(dialled)
        self._identity = identity
        self._own = {address.lower() for address in (identity.listen, *own) if address}
        self._challenge = challenge.hex()
        self._ours: Hello | None = None
        self._theirs: Hello | None = None
        self._ahead: int | None = None
        self.peer_info: PeerInfo | None = None

    def hello(self, height: int, work: int, now: int = 0) -> Hello:
        """Our first line on a link that we dialled. `now`: Unix seconds."""
        self.role = LinkRole.GREETING
        self._ours = self._hello(height, work, now, dialled=self.dialled)
        return self._ours

    def receive(
        self, line: bytes, height: int, work: int, now: int = 0
    ) -> tuple[Message | None, list[Message]]:
        """Take one line: returns (a message for the node or None, handshake lines to send).

        `height` and `work` are our tip's, for our hello, `now` is the time in Unix seconds. When the
        handshake has just finished, `peer_info` is set and the message is None.

        Raises:
            RemoteProtocolError: the line is wrong, or may not be sent now.
        """
        message = decode_message(line)
        allowed = message.senders
        if self.role not in allowed:
            if LinkRole.PEER in allowed and self.role is not LinkRole.PEER:
                raise RemoteProtocolError("hello-required", "this message is for peers: say hello first")
            raise RemoteProtocolError("unexpected-message", "this message is not expected here")
        if isinstance(message, Hello):
            return None, self._take_hello(message, height, work, now)
        if isinstance(message, HelloProof):
            self._take_proof(message.proof)
            return None, []
        return message, []

    # -- the handshake -------------------------------------------------------------------------

    def _take_hello(self, hello: Hello, height: int, work: int, now: int) -> list[Message]:
        if self._theirs is not None or (self.role is LinkRole.GREETING) is not self.outbound:
            raise RemoteProtocolError("unexpected-message", "hello is said once")
        self._check_hello(hello)
        self._theirs = hello
        self._ahead = hello.time - now if hello.time else None
        if self.outbound:
            if hello.proof is None:
                raise RemoteProtocolError("bad-hello", "the answer to hello carries a proof")
            self._take_proof(hello.proof)
            return [HelloProof(proof=self._prove())]
        self.role = LinkRole.GREETING
        own = any(address.lower() in self._own for address in hello.dialled)
        self._ours = self._hello(height, work, now, own_address=own)
        return [msgspec.structs.replace(self._ours, proof=self._prove())]

    def _check_hello(self, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            raise RemoteProtocolError(
                "version-mismatch",
                f"this node speaks version {PROTOCOL_VERSION} of the handshake, not {hello.version}",
            )
        if hello.network_id != self._identity.network_hex:
            raise RemoteProtocolError(
                "network-mismatch", f"this node belongs to network {self._identity.network_hex[:16]}…"
            )
        # Another process may have our key: its seed is another, and it must prove that it has the key.
        ours = hello.node_key == self._identity.key.public_hex
        if ours and int(hello.seed, 16) == self._identity.seed:
            raise RemoteProtocolError("self-connection", "this node has dialled itself")

    def _take_proof(self, proof: str) -> None:
        theirs, ours = self._theirs, self._ours
        if theirs is None or ours is None:
            raise RemoteProtocolError("unexpected-message", "a proof comes after hello")
        dial, answer = (ours, theirs) if self.outbound else (theirs, ours)
        payload = _proof_payload(dial, answer, by_dialler=not self.outbound)
        if not verify(bytes.fromhex(theirs.node_key), payload, bytes.fromhex(proof)):
            raise RemoteProtocolError("bad-hello", "the proof is not signed by the key in hello")
        self.role = LinkRole.PEER
        self.peer_info = PeerInfo(
            theirs.node_key,
            theirs.listen,
            theirs.height,
            work=int(theirs.work, 16),
            mines=theirs.mines,
            seed=int(theirs.seed, 16),
            proven=answer.own_address,
            ahead=self._ahead,
        )

    def _hello(
        self, height: int, work: int, now: int, *, dialled: tuple[str, ...] = (), own_address: bool = False
    ) -> Hello:
        return Hello(
            challenge=self._challenge,
            dialled=dialled,
            height=height,
            listen=self._identity.listen,
            mines=self._identity.mines,
            network_id=self._identity.network_hex,
            node_key=self._identity.key.public_hex,
            own_address=own_address,
            seed=format(self._identity.seed, "016x"),
            time=now,
            version=PROTOCOL_VERSION,
            work=work_to_hex(work),
        )

    def _prove(self) -> str:
        assert self._ours is not None
        assert self._theirs is not None
        dial, answer = (self._ours, self._theirs) if self.outbound else (self._theirs, self._ours)
        return self._identity.key.sign(_proof_payload(dial, answer, by_dialler=self.outbound)).hex()
