"""Attacks on beliefs of nodes about each other: relayed handshakes, claimed addresses, wrong clocks."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import msgspec

from support.elections import make_votes
from support.processes import Programs
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.message import LinkRole
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import Votes

HANDSHAKE_LINES = 3


class Relay:
    """A node that dials it is joined to `target`, line by line; after the handshake both are sent rubbish.

    It signs nothing and has no key: the two nodes do their handshake with each other. `rubbish` none: it
    only holds the link. `shaken` counts handshakes that both sides finished, `ended` links that are over.
    """

    def __init__(self, target: Address, source: str, rubbish: Sequence[bytes] = ()) -> None:
        self.target, self._source, self._rubbish = target, source, rubbish
        self.shaken = self.ended = 0
        self._closing = False
        self._open: list[socket.socket] = []
        self._server = socket.create_server((source, 0))
        self.address = Address(source, int(self._server.getsockname()[1]))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def name_to(self, victim: Address) -> None:
        """Tell a node of our address as anybody may: it dials us."""
        data = base64.b64encode(str(self.address).encode()).decode()
        with socket.create_connection(victim, timeout=150, source_address=(self._source, 0)) as link:
            link.sendall(json.dumps({"type": "new_peer_joined", "data": data}).encode() + b"\n")

    def close(self) -> None:
        self._closing = True
        for made in (self._server, *self._open):
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._closing:
            with contextlib.suppress(OSError):
                near, _ = self._server.accept()
                far = socket.create_connection(self.target, timeout=150, source_address=(self._source, 0))
                near.settimeout(None), far.settimeout(None)
                self._open += [near, far]
                thread = threading.Thread(target=self._carry, args=(near, far))
                self._threads.append(thread)
                thread.start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """Three lines there and back, then ours; afterwards both are only kept open."""
        with contextlib.suppress(OSError, ValueError):
            readers = near.makefile("rb"), far.makefile("rb")
            for number in range(HANDSHAKE_LINES):
                line = readers[number % 2].readline()
                if not line or line.startswith(b'{"error"'):
                    break
                (far, near)[number % 2].sendall(line)
            else:
                self.shaken += 1
                for line in self._rubbish:
                    near.sendall(line), far.sendall(line)
                threading.Thread(target=_drain, args=(readers[1],), daemon=True).start()
                _drain(readers[0])
        if self._rubbish:
            near.close(), far.close()
        self.ended += 1


def _drain(reader: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        while reader.readline():  # type: ignore[attr-defined]
            pass


def forged_votes(election: Election) -> bytes:
    """A line that costs a ban: a vote that its voter did not sign."""
    one, two = make_votes(election, 2, first=3 * 10**6)
    forged = msgspec.structs.replace(one.vote, signature=two.vote.signature)
    return encode_message(Votes(votes=(forged,))) + b"\n"


@contextlib.contextmanager
def relay(target: Address, source: str, *rubbish: bytes) -> Iterator[Relay]:
    made = Relay(target, source, rubbish)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def idle_peers(victim: Address, source: str, network: str, claims: Sequence[str]) -> Iterator[list[str]]:
    """One peer with a fresh key for each claimed address; each finishes the handshake, and is silent then.

    They answer pings, so that they stay. Yields the keys of those that were taken.
    """
    with contextlib.ExitStack() as opened:
        keys: list[str] = []
        for claim in claims:
            key = SigningKey(os.urandom(32))
            link = socket.create_connection(victim, timeout=150, source_address=(source, 0))
            opened.callback(link.close)
            if _shake(link, victim, key, network, claim):
                keys.append(key.public_hex)
                threading.Thread(target=_answer_pings, args=(link,), daemon=True).start()
        yield keys


def _shake(link: socket.socket, victim: Address, key: SigningKey, network: str, claim: str) -> bool:
    connection = Connection(
        LocalNode(key, network, claim, False),
        outbound=True,
        challenge=os.urandom(32),
        dialled=(str(victim),),
    )
    link.sendall(encode_message(connection.hello(0, 0, int(time.time()))) + b"\n")
    line = link.makefile("rb").readline().rstrip(b"\n")
    if not line or line.startswith(b'{"error"'):
        return False
    _, answers = connection.receive(line, 0, 0, int(time.time()))
    for answer in answers:
        link.sendall(encode_message(answer) + b"\n")
    return connection.role is LinkRole.PEER


def _answer_pings(link: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        link.settimeout(None)
        for line in link.makefile("rb"):
            if line.startswith(b'{"type":"ping"'):
                link.sendall(b'{"type":"pong"}\n')


WRONG_CLOCK = (
    "import sys, time; real, exact, off = time.time, time.time_ns, int(sys.argv.pop(1)); "
    "time.time = lambda: real() + off; time.time_ns = lambda: exact() + off * 10**9; "
    "import runpy; runpy.run_module('votenet', run_name='__main__', alter_sys=True)"
)


def wrong_clock(made: Programs, name: str, address: Address, seconds: int, *options: str) -> None:
    """Start a node whose clock is so many seconds ahead; negative: behind."""
    where = ("--data-dir", str(made.folder / name), "--genesis", str(made.folder / "genesis.json"))
    command = ("node", *where, "--listen", str(address), "--name", name, *options)
    made.start_python(name, "-c", WRONG_CLOCK, str(seconds), *command)
