"""Both verifiers name the same fault, or none, in closings that were made up at random."""

from __future__ import annotations

import io
import random
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.elections import CREATED
from support.named_files import (
    BLOCK_VOTES,
    CLOSES,
    Batch,
    Json,
    NamedFile,
    closing_of,
    named_definition,
    record_id,
)
from verifier.test_votenet_verifier import verifier
from votenet.core.records.archive import ArchiveCheck
from votenet.errors import NotProven

NOW = CREATED + 100_000
ROUNDS = 25
"""Elections of a test: about a second."""


class RandomEnd:
    """One election with random lists and late votes; each step goes wrong with a small probability."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes = self.random.choice([1, 2, 3, 4, 5, 7])
        self.file = NamedFile(named_definition(self.nodes))
        self.liars = (self.nodes - 1) // 3
        self.first = [self.file.vote(f"voter {n}") for n in range(4)]
        late = [self.file.vote(f"voter {self.random.randrange(9)}", name) for name in ("Bob", "Çelik") * 4]
        self.late = list({record_id(vote): vote for vote in late}.values())

    def wrong(self, chance: float = 0.06) -> bool:
        return self.random.random() < chance

    def pack(self) -> bytes:
        self.file.block(Batch(self.first))
        held = self.close()
        for batch in self.batches(held):
            self.file.block(batch, ordered=not self.wrong(0.03))
        signers = self.random.sample(range(self.nodes), self.random.randint(1, self.nodes))
        return self.file.pack("" if self.wrong(0.2) else self.file.certificate(signers))

    def close(self) -> list[list[bytes]]:
        """The closing block; returns the ids of each list."""
        quorum = (self.nodes + self.liars) // 2 + 1
        count = self.random.randint(max(1, quorum - self.wrong()), self.nodes)
        nodes = sorted(self.random.sample(range(self.nodes), count))
        if self.wrong(0.03):
            nodes[-1] = nodes[0]
        everything = [*self.late, *self.first]
        ids = [[record_id(vote) for vote in everything if self.random.random() < 0.6] for _ in nodes]
        lists = [self.one_list(node, own) for node, own in zip(nodes, ids, strict=True)]
        closing = closing_of(ids)
        if self.wrong():
            closing["bits"] = b64encode(bytes(self.random.randrange(16) for _ in range(5))).decode()
        votes = [self.file.vote("early")] if self.wrong(0.02) else []
        batch = Batch(votes, lists, None if self.wrong(0.02) else closing)
        self.file.block(batch, time=CLOSES + self.random.randint(-900, 60))
        return ids

    def one_list(self, node: int, own: Sequence[bytes]) -> Json:
        other = self.random.choice(["closes", "count", "height"]) if self.wrong(0.03) else ""
        return self.file.closing_list(node, own, **({other: self.random.randint(0, 3)} if other else {}))

    def batches(self, held: list[list[bytes]]) -> list[Batch]:
        """What follows the closing block."""
        counted = {one: sum(one in own for own in held) for own in held for one in own}
        known = {record_id(vote): vote for vote in self.late}
        late = [known[one] for one in sorted(counted) if counted[one] > self.liars and one in known]
        if self.wrong() and late:
            late.pop(self.random.randrange(len(late)))
        if self.wrong():
            self.random.shuffle(late)
        if self.wrong():
            late.append(self.random.choice(self.late))
        size = BLOCK_VOTES - self.wrong()
        groups = [late[start : start + size] for start in range(0, len(late), size)]
        if self.wrong(0.1) and groups:
            groups.pop()
        if self.wrong(0.03):
            groups.insert(self.random.randint(0, len(groups)), [])
        voters = {vote["voter_id"] for vote in self.first}
        return [self.batch(group, voters) for group in groups]

    def batch(self, group: list[Json], voters: set[str]) -> Batch:
        votes, records = list[Json](), list[Json]()
        for vote in group:
            if (vote["voter_id"] in voters) != self.wrong(0.02):
                records.append({"kind": "not-counted", "vote": vote})
            else:
                votes.append(vote)
            voters.add(vote["voter_id"])
        return Batch(votes, records)


def verdicts(path: Path, data: bytes) -> tuple[str, str]:
    """What the verifier and the product say: a code, or how final the result is."""
    path.write_bytes(data)
    try:
        theirs = str(verifier.check_archive(str(path), None, NOW)["final"])
    except verifier.Fault as fault:
        theirs = str(fault.code)
    try:
        ours = str(ArchiveCheck(io.BytesIO(data), NOW).run().final)
    except NotProven as error:
        ours = error.code
    return theirs, ours


@pytest.mark.parametrize("seed", range(8))
def test_both_say_the_same_of_random_closings(tmp_path: Path, seed: int) -> None:
    for number in range(seed * ROUNDS, (seed + 1) * ROUNDS):
        theirs, ours = verdicts(tmp_path / "archive", RandomEnd(number).pack())
        assert theirs == ours, number


def test_random_closings_are_of_every_kind(tmp_path: Path) -> None:
    said = {verdicts(tmp_path / "archive", RandomEnd(number).pack())[0] for number in range(120)}
    assert said >= {"True", "False", "bad-closing", "bad-late-votes", "bad-certificate"}
