"""Certificates: a checkpoint of an election's log, cosigned by a quorum of its named nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from votenet.core.faults import fault
from votenet.core.keys import SigningKey
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint
from votenet.core.log.cosignature import cosign, cosignature_time
from votenet.core.log.signed_note import (
    COSIGNATURE_V1,
    ED25519,
    NoteSignature,
    SignedNote,
    VerifierKey,
    parse_note,
    verified_keys,
)


class NamedKeys(NamedTuple):
    """The keys of an election's named nodes, in the order of the definition, and how many make a quorum.

    `witness_keys` are those of outsiders, who count for nothing here.
    """

    origin: str
    cosign_keys: tuple[VerifierKey, ...]
    log_keys: tuple[VerifierKey, ...]
    quorum: int
    witness_keys: tuple[VerifierKey, ...] = ()


class Certificate(NamedTuple):
    """What a quorum of named nodes cosigned: `signers` has the index of each and its time, Unix seconds."""

    size: int
    root: bytes
    signers: Mapping[int, int]
    note: SignedNote


def log_origin(network_id: bytes) -> str:
    """The name of an election's log."""
    return f"votenet/{network_id.hex()}"


def named_keys(
    network_id: bytes, cosign_keys: Sequence[bytes], log_keys: Sequence[bytes], quorum: int
) -> NamedKeys:
    """Public keys of 32 bytes, one of each kind a node, under the names that C2SP tools use."""
    origin = log_origin(network_id)
    return NamedKeys(
        origin,
        tuple(VerifierKey(f"{origin}/{node}", COSIGNATURE_V1, key) for node, key in enumerate(cosign_keys)),
        tuple(VerifierKey(origin, ED25519, key) for key in log_keys),
        quorum,
    )


def checkpoint_text(network_id: bytes, size: int, root: bytes) -> str:
    """The text that all named nodes cosign for this size."""
    return str(Checkpoint(log_origin(network_id), size, root))


def cosign_checkpoint(key: SigningKey, node: int, text: str, time: int) -> NoteSignature:
    """Named node `node`'s cosignature of a checkpoint's text, made at `time` (Unix seconds)."""
    origin = text.partition("\n")[0]
    return VerifierKey(f"{origin}/{node}", COSIGNATURE_V1, key.public).signed(cosign(key, text, time))


def cosigner_of(line: NoteSignature, text: str, keys: NamedKeys) -> int:
    """The index of the named node that made this cosignature of `text`.

    Raises:
        NotProven: bad-cosignature, for any other line.
    """
    for node, key in enumerate(keys.cosign_keys):
        if (line.name, line.key_id) == (key.name, key.key_id):
            if key.holds(text, line.signature):
                return node
            break
    raise fault("bad-cosignature", f"{line.name[:100]!r} did not cosign this checkpoint as a named node")


def good_lines(note: SignedNote, keys: Iterable[VerifierKey]) -> list[NoteSignature]:
    """The lines by these keys that hold; all others are left out, also false ones."""
    known = {(key.name, key.key_id): key for key in keys}
    return [
        line
        for line in note.signatures
        if (key := known.get((line.name, line.key_id))) is not None and key.holds(note.text, line.signature)
    ]


def make_certificate(text: str, lines: Iterable[NoteSignature]) -> SignedNote:
    """The checkpoint with its signature lines, in the order of their names."""
    return SignedNote(text, tuple(sorted(lines)))


def read_certificate(note: str, keys: NamedKeys) -> Certificate:
    """A certificate whose cosignatures hold; lines of other keys are ignored.

    A node counts once, however often it signed.

    Raises:
        NotProven: bad-note, bad-checkpoint, bad-cosignature; bad-certificate for less than a quorum.
    """
    return check_certificate(parse_note(note), keys)


def check_certificate(note: SignedNote, keys: NamedKeys) -> Certificate:
    """As `read_certificate`, of a note that is parsed already."""
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != keys.origin or checkpoint.extensions:
        raise fault(
            "bad-checkpoint", f"this is a checkpoint of {checkpoint.origin[:100]!r}, or has more lines"
        )
    lines = verified_keys(note, keys.cosign_keys)
    signers = {
        node: cosignature_time(lines[key].signature)
        for node, key in enumerate(keys.cosign_keys)
        if key in lines
    }
    if len(signers) < keys.quorum:
        raise fault(
            "bad-certificate",
            f"{len(signers)} of {len(keys.cosign_keys)} named nodes cosigned, {keys.quorum} are needed",
        )
    return Certificate(checkpoint.size, checkpoint.root, signers, note)


def trust_policy(keys: NamedKeys) -> str:
    """The election's rule for outside tools (C2SP tlog-policy): its log keys, its named nodes, the quorum."""
    logs = [f"log {key}" for key in keys.log_keys]
    nodes = [f"witness node-{node} {key}" for node, key in enumerate(keys.cosign_keys)]
    members = " ".join(f"node-{node}" for node in range(len(keys.cosign_keys)))
    lines = [*logs, *nodes, f"group named-nodes {keys.quorum} {members}", "quorum named-nodes"]
    return "".join(f"{line}\n" for line in lines)
