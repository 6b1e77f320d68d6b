"""Proofs that a record is in a log, as a text that outside tools read (C2SP tlog-proof)."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from votenet.core.faults import fault
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint, parse_size
from votenet.core.log.merkle import root_from_path
from votenet.core.log.signed_note import SignedNote, decode_base64, parse_note

PROOF_HEAD: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES: Final = 63
"""A tree of 2**63 leaves has no longer path."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """The path of leaf `index` and the signed checkpoint that it leads to. `str()` gives the text.

    `extra` is for the application, and no signature covers it.
    """

    index: int
    path: tuple[bytes, ...]
    note: SignedNote
    extra: bytes = b""

    def __str__(self) -> str:
        extra = [f"extra {b64encode(self.extra).decode()}"] if self.extra else []
        hashes = (b64encode(step).decode() for step in self.path)
        head = (PROOF_HEAD, *extra, f"index {self.index}", *hashes)
        return "".join(f"{line}\n" for line in head) + f"\n{self.note}"


def parse_proof(text: str) -> TlogProof:
    """A proof that is not checked yet. Raises NotProven: bad-proof, bad-note."""
    head, separator, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != PROOF_HEAD or not separator:
        raise fault(
            "bad-proof", f"a proof begins with {PROOF_HEAD}, and its checkpoint follows an empty line"
        )
    extra: bytes | None = b""
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines.pop(0).removeprefix("extra ")) or None
    if extra is None or not lines or not lines[0].startswith("index "):
        raise fault("bad-proof", "a proof says extra data in base64, if any, then its index")
    index = parse_size(lines.pop(0).removeprefix("index "))
    if index is None:
        raise fault("bad-proof", "the index is not a decimal number")
    return TlogProof(index, parse_hashes(lines), parse_note(note), extra)


def parse_hashes(lines: list[str]) -> tuple[bytes, ...]:
    """The hashes of a proof, one a line in base64. Raises NotProven bad-proof."""
    if len(lines) > MAX_PROOF_HASHES:
        raise fault("bad-proof", f"a proof has at most {MAX_PROOF_HASHES} hashes")
    hashes = [raw for raw in map(decode_base64, lines) if raw is not None and len(raw) == 32]
    if len(hashes) != len(lines):
        raise fault("bad-proof", "a line of the path is no hash: 32 bytes in base64")
    return tuple(hashes)


def check_path(proof: TlogProof, leaf: bytes) -> Checkpoint:
    """The checkpoint that the path leads to from this leaf hash; who signed it is not checked here.

    Raises:
        NotProven: bad-checkpoint, bad-proof.
    """
    checkpoint = parse_checkpoint(proof.note.text)
    if root_from_path(leaf, proof.index, checkpoint.size, proof.path) != checkpoint.root:
        raise fault(
            "bad-proof", f"the path does not lead from the record to the root of {checkpoint.size} leaves"
        )
    return checkpoint
