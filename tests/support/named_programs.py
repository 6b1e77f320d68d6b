"""Four real nodes that are named by their election, as child processes."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from support.amendments import AUTHORITY
from support.elections import keys_of_node, make_election, named_nodes
from support.ports import free_port
from support.processes import Programs
from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll
from votenet.core.ledger.vote import HashedVote
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import SubmitAmendment, SubmitVotes
from votenet.protocol.wire.messages import encode_message
from votenet.storage.key_store import NODE_KEY_NAME, load_or_make_key

NAMED: Final = 4


class NamedPrograms(Programs):
    """`closes`: seconds from now to the end of voting, with a grace of a second. `roll`: who may vote.

    `others`: more of the definition.
    """

    def __init__(
        self, folder: Path, closes: int | None = None, roll: Roll | None = None, **others: Any
    ) -> None:
        super().__init__(folder)
        now = int(time.time())
        end = None if closes is None else now + closes
        fields = {"nodes": named_nodes(NAMED), "authority_key": AUTHORITY.public_hex} | others
        made = make_election(created=now, closes=end, roll=roll, **fields).definition
        chain = msgspec.structs.replace(made.chain, grace_seconds=1)
        self.election = Election(msgspec.structs.replace(made, chain=chain))
        (folder / "genesis.json").write_bytes(self.election.to_file())
        self._options: tuple[str, ...] = ()
        if roll is not None:
            (folder / "roll.json").write_bytes(roll.to_file())
            self._options = "--roll", str(folder / "roll.json")
        self.addresses = [Address("127.0.0.1", free_port()) for _ in range(NAMED)]
        for index in range(NAMED):
            write_node_key(folder / self.name(index), index)

    @staticmethod
    def name(index: int) -> str:
        return f"named-{index}"

    def start_named(self, index: int, *environment: str) -> None:
        """`environment`: NAME=VALUE for this start."""
        peers = [str(address) for address in self.addresses if address != self.addresses[index]]
        options = [word for peer in peers for word in ("--peer", peer)]
        prefix = ("env", *environment) if environment else ()
        self.node(self.name(index), self.addresses[index], *options, *self._options, prefix=prefix)

    def ask(self, index: int, request: bytes) -> dict[str, Any]:
        """The answer of a node; {} when it is gone or not there yet."""
        address = self.addresses[index]
        try:
            with socket.create_connection((address.host, address.port), 60.0) as link:
                link.sendall(request + b"\n")
                with link.makefile("rb") as lines:
                    answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
                    return answer
        except OSError:
            return {}

    def submit(self, index: int, votes: list[HashedVote]) -> bool:
        """Whether the node said that it has all of these votes."""
        message = SubmitVotes(votes=tuple(hashed.vote for hashed in votes), id=1)
        outcomes = self.ask(index, encode_message(message)).get("outcomes", [])
        codes = [outcome.get("error", {}).get("code", "") for outcome in outcomes]
        return bool(codes) and all(code in ("", "duplicate-vote") for code in codes)

    def submit_amendment(self, index: int, one: Amendment) -> bool:
        """Whether the node said that it has it."""
        answer = self.ask(index, encode_message(SubmitAmendment(amendment=one)))
        return answer.get("type") == "amendment_taken"

    def amendments(self, index: int) -> dict[str, Any]:
        """What a node has of amendments; {} when it is gone."""
        return self.ask(index, b'{"type":"get_amendments"}')

    def results(self, index: int) -> dict[str, Any]:
        return self.ask(index, b'{"type":"get_results"}')

    def answered(self, index: int, request: bytes, member: str) -> dict[str, Any]:
        """The answer of a node, once it gives one that has this member."""
        answers: list[dict[str, Any]] = []

        def asked() -> bool:
            answers.append(self.ask(index, request))
            return member in answers[-1]

        self.wait_for(asked)
        return answers[-1]

    def lies(self, index: int) -> list[Any]:
        """The evidence that a node has against named nodes."""
        found: list[Any] = self.answered(index, b'{"type":"get_evidence","id":1}', "lies")["lies"]
        return found

    def all_count(self, votes: int) -> bool:
        """Whether all nodes have the same chain, with so many votes, and its certificate."""
        found = [self.results(index) for index in range(NAMED)]
        same = len({answer.get("tip") for answer in found}) == 1
        certified = all(answer.get("height") in (0, answer.get("final_height")) for answer in found)
        return same and certified and all(answer.get("votes") == votes for answer in found)


def write_node_key(folder: Path, index: int) -> None:
    """Write the key of a named node where `votenet node` looks for it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path, key = folder / NODE_KEY_NAME, keys_of_node(index).node
    load_or_make_key(path, "node")
    record = json.loads(path.read_text()) | {"public_key": key.public_hex, "secret_seed": key.seed.hex()}
    path.write_text(json.dumps(record))
