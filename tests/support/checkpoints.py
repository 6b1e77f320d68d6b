"""A log of an election in memory, with whatever its named nodes sign about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from support.elections import keys_of_node, make_election, named_nodes
from votenet.core.election.definition import Election
from votenet.core.log.certificate import (
    checkpoint_text,
    cosign_checkpoint,
    make_certificate,
)
from votenet.core.log.merkle import consistency_ranges, leaf_hash, merkle_path, merkle_root
from votenet.core.log.signed_note import SignedNote, sign_note
from votenet.core.log.witness import CheckpointRequest

TIME: Final = 1_800_000_000
"""Of the cosignatures, Unix seconds."""


def consistency_path(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the tree of `leaves` extends the tree of the first `old` of them (RFC 9162, 2.1.4.1)."""
    ranges = consistency_ranges(old, len(leaves))
    return [merkle_root(leaves[start:end]) for start, end in ranges if (start, end) != (0, old)]


class LogOfTests:
    """`name` decides the leaves from `fork` on: two logs with other names are two histories of one log."""

    def __init__(self, election: Election, name: str = "", fork: int = 0) -> None:
        self.election, self.keys = election, election.named_keys
        common = [leaf_hash(b"%d" % n) for n in range(fork)]
        self.leaves = common + [leaf_hash(f"{name} {n}".encode()) for n in range(fork, 400)]

    def note(self, size: int, logs: Iterable[int] = (0,), cosigners: Iterable[int] = range(4)) -> SignedNote:
        """The checkpoint of a size, signed by the log keys of these nodes and cosigned by those."""
        text = checkpoint_text(self.election.network_id, size, merkle_root(self.leaves[:size]))
        lines = [sign_note(keys_of_node(node).log, self.keys.origin, text) for node in logs]
        lines += [cosign_checkpoint(keys_of_node(node).cosign, node, text, TIME) for node in cosigners]
        return make_certificate(text, lines)

    def proof(self, old: int, new: int) -> Sequence[bytes]:
        return consistency_path(self.leaves[:new], old) if 0 < old <= new else ()

    def inclusion(self, index: int, size: int) -> Sequence[bytes]:
        return merkle_path(self.leaves[:size], index)

    def prover(self, size: int) -> Callable[[int], Awaitable[Sequence[bytes]]]:
        """What the client of a witness asks for proofs."""

        async def prove(old: int) -> Sequence[bytes]:
            return self.proof(old, size)

        return prove

    def request(self, old: int, new: int, *, note: SignedNote | None = None) -> CheckpointRequest:
        return CheckpointRequest(old, tuple(self.proof(old, new)), note or self.note(new))


def log_of_five() -> LogOfTests:
    """Of an election with five named nodes."""
    return LogOfTests(make_election(nodes=named_nodes(5)))
