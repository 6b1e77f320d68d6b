"""Golden conversations of the bootstrap port: tests/scenarios/bootstrap_*.txt.

A file is a list of commands and, below each, what came of it. `VOTENET_REWRITE=1 pytest …` writes the
files anew from what the code does; the difference is then to be read, not only committed.

    @ client 10.0.0.5      the lines below come from there; `@ time +60` lets time pass;
    @ check                the peers that are due are dialled
    @ owner no             the answer to "does the host resolve to the client"; `@ alive no` likewise
    > {"type":…}           a line to the server; `> signed KEY ADDRESS SEQUENCE LIFE` and
                           `> removal KEY ADDRESS SEQUENCE` stand for lines with signatures
    < …                    the answer line (of errors: code and message)
    ? …                    a fact that the server finds out first
    ! KIND ADDRESS -> …    a notice, and who is told
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.memory_peer_store import MemoryPeerStore
from votenet.core.keys import SigningKey
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.bootstrap.bootstrap_messages import decode_request, encode_request
from votenet.protocol.bootstrap.peer_record import sign_record, sign_removal
from votenet.protocol.bootstrap.registry import Notice
from votenet.protocol.bootstrap.server_core import BootstrapCore, Call, NeedsOwner, NeedsProbe, Probed

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("bootstrap_*.txt"))


class Player:
    def __init__(self) -> None:
        self.core = BootstrapCore(MemoryPeerStore(), random.Random(1))
        self.client, self.now, self.owner, self.alive = "127.0.0.1", 1_700_000_000, True, True

    def settings(self, words: list[str]) -> None:
        match words:
            case ["client", address]:
                self.client = address
            case ["time", passed]:
                self.now += int(passed)
            case ["owner" | "alive" as fact, answer]:
                setattr(self, fact, answer == "yes")
            case ["sweep"]:
                self.core.liveness_policy.expire(100, self.now)
            case _:
                raise AssertionError(f"unknown setting: {words}")

    def bytes_of(self, text: str) -> bytes:
        match text.split():
            case ["signed", key, address, sequence, life]:
                signing = SigningKey(bytes([int(key)] * 32))
                expires = self.now + int(life)
                signed = sign_record(signing, address, "ab" * 32, sequence=int(sequence), expires=expires)
                return encode_request("REGISTER", signed)
            case ["removal", key, address, sequence]:
                signing = SigningKey(bytes([int(key)] * 32))
                return encode_request("REMOVE", sign_removal(signing, address, sequence=int(sequence)))
            case _:
                return text.encode()

    def send(self, text: str) -> Iterator[str]:
        try:
            call = Call(decode_request(self.bytes_of(text)), self.client)
            outcome = self.core.step(call, self.now)
            if isinstance(outcome, NeedsOwner):
                yield f"? does {outcome.host} resolve to {self.client}: {'yes' if self.owner else 'no'}"
                outcome = self.core.step(call._replace(owner=self.owner), self.now)
            elif isinstance(outcome, NeedsProbe):
                key = f" with key {outcome.node_key[:8]}" if outcome.node_key else ""
                yield f"? does {outcome.target} answer{key}: {'yes' if self.alive else 'no'}"
                outcome = self.core.step(call._replace(probed=Probed(outcome.sequence, self.alive)), self.now)
        except (Rejected, RemoteProtocolError) as error:
            yield f"< error {error.code}: {error.message}"
            return
        assert not isinstance(outcome, NeedsOwner | NeedsProbe)
        yield f"< {outcome.line.decode()}"
        if outcome.notice is not None:
            yield self.told(outcome.notice)

    def check(self) -> Iterator[str]:
        for entry in self.core.liveness_policy.take_checks(100, self.now).entries:
            yield f"? does {entry.target} answer: {'yes' if self.alive else 'no'}"
            notice = self.core.liveness_policy.checked(entry, self.alive, self.now)
            if notice is not None:
                yield self.told(notice)

    def told(self, notice: Notice) -> str:
        told = [str(peer.target) for peer in self.core.audience(notice, self.now)]
        return f"! {notice.kind} {notice.address} -> {' '.join(told) or 'nobody'}"


def play(text: str) -> str:
    player = Player()
    out = []
    for line in text.splitlines():
        if line.startswith(("<", "?", "!")):
            continue
        out.append(line)
        if line == "@ check":
            out += player.check()
        elif line.startswith("@"):
            player.settings(line[1:].split())
        elif line.startswith("> "):
            out += player.send(line[2:])
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_conversation_goes_as_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if os.environ.get("VOTENET_REWRITE"):
        path.write_text(play(text), encoding="utf-8")
    else:
        assert play(text) == text


def test_there_are_conversations() -> None:
    assert len(SCENARIOS) >= 3
