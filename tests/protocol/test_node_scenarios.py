"""Golden conversations of the node port: tests/scenarios/node_*.txt.

A file is a list of commands and, below each, what came of it. `VOTENET_REWRITE=1 pytest …` writes the
files anew from what the code does; the difference is then to be read, not only committed.

    @ client ann           the lines below come from there, on a connection of her own
    @ time +60             lets time pass; `@ mine` lets it pass until no vote waits
    > {"type":…}           a line to the node; `> vote VOTER CHOICE…` stands for a signed submission
    < …                    a line to that client: long hexadecimal shortened, errors as code and message
    x                      the node closed the connection
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.elections import CREATED, make_election, make_vote
from support.simulated_network import SimulatedClient, SimulatedNetwork
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.messages import encode_message

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("node_*.txt"))
ANSWER_SECONDS = 1.0
CLOSE_SECONDS = 0.1
"""Twice what a line takes at most: time for the end of a connection to arrive."""


class Player:
    def __init__(self) -> None:
        self.election = make_election(max_block_votes=5000)  # as when the conversations were written down
        self.net = SimulatedNetwork(self.election, seed=1, start=CREATED + 100.0, mine_seconds=0.5)
        self.node = self.net.add("node")
        self.clients: dict[str, SimulatedClient] = {}
        self.name = "ann"
        self.requests = 0

    def settings(self, words: list[str]) -> None:
        match words:
            case ["client", name]:
                self.name = name
            case ["time", passed]:
                self.net.run(float(passed))
            case ["mine"]:
                assert self.net.run_until(lambda: not len(self.node.core.state.pool), 120.0)
            case _:
                raise AssertionError(f"unknown setting: {words}")

    def line_of(self, text: str) -> bytes:
        match text.split():
            case ["vote", voter, *choices]:
                self.requests += 1
                vote = make_vote(self.election, voter, *choices, time=CREATED + 50)
                return encode_message(SubmitVotes(votes=(vote.vote,), id=self.requests))
            case _:
                return text.encode()

    def send(self, text: str) -> Iterator[str]:
        if self.name not in self.clients or self.clients[self.name].closed:
            self.clients[self.name] = self.net.client("node")
        client = self.clients[self.name]
        before = len(client.lines)
        client.send(self.line_of(text))
        self.net.run_until(lambda: len(client.lines) > before or client.closed, ANSWER_SECONDS)
        self.net.run_until(lambda: client.closed, CLOSE_SECONDS)
        yield from (f"< {shown(line)}" for line in client.lines[before:])
        if client.closed:
            yield "x"


def shown(line: bytes) -> str:
    """A line as a person reads it."""
    message = json.loads(line)
    if "error" in message:
        # What a library says of bad JSON may change with its version: only our own words are kept.
        words = re.sub(r"(not JSON|not valid): .*", r"\1: …", message["error"]["message"])
        return f"error {message['error']['code']}: {words}"
    if message["type"] == "blockchain_update":
        message["data"] = json.loads(base64.b64decode(message["data"], validate=True))
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    text = re.sub(r'"version":"[^"]*"', '"version":"…"', text)
    text = re.sub(r"[0-9a-f]{32,}", lambda found: found[0][:8] + "…", text)
    return re.sub(r"[A-Za-z0-9+/]{43}=", lambda found: found[0][:8] + "…", text)


def play(text: str) -> str:
    player = Player()
    out = []
    for line in text.splitlines():
        if line.startswith("<") or line == "x":
            continue
        out.append(line)
        if line.startswith("@"):
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
