"""The log of an election as a node shows it to clients: certificates of any leaves, signed by any nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.elections import CREATED, keys_of_node
from votenet.core.election.definition import Election
from votenet.core.log.certificate import (
    Certificate,
    checkpoint_text,
    cosign_checkpoint,
    make_certificate,
    read_certificate,
)
from votenet.core.log.merkle import consistency_ranges, leaf_hash, merkle_path, merkle_root
from votenet.core.log.tlog_proof import TlogProof


def leaves(count: int, *, other_from: int | None = None) -> list[bytes]:
    """Leaf hashes 0, 1, …; from `other_from` on, those of another log."""
    words = (b"other" if other_from is not None and n >= other_from else b"leaf" for n in range(count))
    return [leaf_hash(word + b" %d" % n) for n, word in enumerate(words)]


class SignedLog:
    """A log that `signers` (by default a quorum of the election's named nodes) have cosigned."""

    def __init__(
        self, election: Election, leaf_hashes: Sequence[bytes], signers: Sequence[int] | None = None
    ) -> None:
        self.leaves = list(leaf_hashes)
        self.election = election
        text = checkpoint_text(election.network_id, len(self.leaves), merkle_root(self.leaves))
        nodes = range(election.quorum) if signers is None else signers
        lines = [cosign_checkpoint(keys_of_node(node).cosign, node, text, CREATED) for node in nodes]
        self.signed_note = make_certificate(text, lines)
        self.note = str(self.signed_note)

    @property
    def certificate(self) -> Certificate:
        return read_certificate(self.note, self.election.named_keys)

    def proof_of(self, index: int) -> str:
        """The tlog-proof of a leaf."""
        return str(TlogProof(index, tuple(merkle_path(self.leaves, index)), self.signed_note))

    def checkpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to `get_checkpoint`."""
        old, new = request.get("size", 0), len(self.leaves)
        ranges = consistency_ranges(old, new) if old < new else []
        proof = [merkle_root(self.leaves[start:end]).hex() for start, end in ranges]
        return {"type": "checkpoint", "note": self.note, "height": 1, "proof": proof}
