"""The witness protocol (C2SP tlog-witness), both sides of it, without network and disk.

A witness cosigns checkpoints of a log as long as each extends the one that it cosigned before.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from votenet.core.faults import fault
from votenet.core.keys import SigningKey
from votenet.core.log.certificate import NamedKeys, check_certificate
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint, parse_size
from votenet.core.log.cosignature import cosign
from votenet.core.log.merkle import EMPTY_ROOT, consistency_holds
from votenet.core.log.signed_note import (
    COSIGNATURE_V1,
    MAX_NOTE_SIZE,
    NoteSignature,
    SignedNote,
    VerifierKey,
    parse_note,
    parse_signatures,
    verified_keys,
)
from votenet.core.log.tlog_proof import MAX_PROOF_HASHES, parse_hashes
from votenet.errors import NotProven

PLAIN_TEXT: Final = "text/plain; charset=utf-8"
SIZE_TYPE: Final = "text/x.tlog.size"
"""Media type of the size in an answer 409."""
MAX_REQUEST_BYTES: Final = MAX_NOTE_SIZE + 45 * MAX_PROOF_HASHES + 64
"""Bytes of a request: a note, the hashes of a proof, the line before them."""


class WitnessAnswer(NamedTuple):
    status: HTTPStatus
    body: str
    media_type: str = PLAIN_TEXT


class CheckpointRequest(NamedTuple):
    """A checkpoint to cosign, and the proof that it extends the one of `old` leaves. `str()`: the body."""

    old: int
    path: tuple[bytes, ...]
    note: SignedNote

    def __str__(self) -> str:
        hashes = "".join(f"{b64encode(step).decode()}\n" for step in self.path)
        return f"old {self.old}\n{hashes}\n{self.note}"


def parse_request(body: bytes) -> CheckpointRequest:
    """The body of add-checkpoint. Raises NotProven: bad-proof, bad-note."""
    try:
        head, separator, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise fault("bad-note", "a request is UTF-8") from None
    first, *lines = head.split("\n")
    old = parse_size(first.removeprefix("old ")) if first.startswith("old ") else None
    if old is None or not separator:
        raise fault(
            "bad-proof", "a request begins with the old size, and its checkpoint follows an empty line"
        )
    return CheckpointRequest(old, parse_hashes(lines), parse_note(note))


def origin_hash(origin: str) -> str:
    """The name of a log in the addresses of a witness."""
    return hashlib.sha256(origin.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class WatchedLog:
    """A log that a witness knows. One of its keys must sign each checkpoint.

    With `named`, a quorum of the election's named nodes must have cosigned it, too: so one of them alone
    cannot show the witness a history that the others do not have.
    """

    keys: tuple[VerifierKey, ...]
    named: NamedKeys | None = None

    def signatures(self, note: SignedNote) -> tuple[NoteSignature, ...]:
        """The lines of its keys. Raises NotProven for a note that is not to be trusted."""
        lines = verified_keys(note, self.keys)
        if self.named is not None:
            check_certificate(note, self.named)
            lines |= verified_keys(note, self.named.cosign_keys)
        return tuple(lines.values())


@dataclass(frozen=True, slots=True)
class TrustedRequest:
    """A request whose checkpoint is signed as its log's are."""

    request: CheckpointRequest
    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]


class WitnessPolicy:
    """What one witness answers. `logs` are those that it knows, by origin."""

    def __init__(self, name: str, key: SigningKey, logs: dict[str, WatchedLog]) -> None:
        self._key = key
        self.logs = logs
        self.verifier = VerifierKey(name, COSIGNATURE_V1, key.public)

    def read(self, body: bytes) -> TrustedRequest | WitnessAnswer:
        """All checks that need no state: 400, 403, 404."""
        try:
            request = parse_request(body)
            checkpoint = parse_checkpoint(request.note.text)
        except NotProven as error:
            return _refusal(HTTPStatus.BAD_REQUEST, error.message)
        log = self.logs.get(checkpoint.origin)
        if log is None:
            return _refusal(HTTPStatus.NOT_FOUND, "this witness does not know this log")
        try:
            signatures = log.signatures(request.note)
        except NotProven as error:
            return _refusal(HTTPStatus.FORBIDDEN, error.message)
        if request.old > checkpoint.size:
            return _refusal(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's")
        return TrustedRequest(request, checkpoint, signatures)

    def judge(
        self, trusted: TrustedRequest, latest: Checkpoint | None, now: int
    ) -> tuple[WitnessAnswer, SignedNote | None]:
        """The answer, and the note to save before it is sent, if this checkpoint is cosigned.

        No other request for the same log may be judged before the note is saved.

        Args:
            latest: the checkpoint of this log that was cosigned last.
            now: the time of the cosignature, Unix seconds.
        """
        checkpoint, request = trusted.checkpoint, trusted.request
        known = latest or Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
        if request.old != known.size:
            return WitnessAnswer(HTTPStatus.CONFLICT, f"{known.size}\n", SIZE_TYPE), None
        if not _extends(checkpoint, known, request.path):
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the consistency proof does not hold"), None
        text = request.note.text
        own = self.verifier.signed(cosign(self._key, text, now))
        return WitnessAnswer(HTTPStatus.OK, own.line), SignedNote(text, (*trusted.signatures, own))


def _extends(checkpoint: Checkpoint, known: Checkpoint, path: Sequence[bytes]) -> bool:
    if known.size == 0:
        return not path and (checkpoint.size > 0 or checkpoint.root == EMPTY_ROOT)
    return consistency_holds(known.size, checkpoint.size, known.root, checkpoint.root, path)


def _refusal(status: HTTPStatus, reason: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{reason}\n")


# -- the side of the log ---------------------------------------------------------------------------


class WitnessSize(NamedTuple):
    """The witness holds a checkpoint of this size: send the proof from there."""

    size: int


def read_answer(status: int, body: str, text: str, keys: Iterable[VerifierKey]) -> SignedNote | WitnessSize:
    """What a witness says to the checkpoint with this text: its cosignatures below it, or the size it holds.

    Raises:
        NotProven: witness-refused; bad-note or bad-cosignature where an answer 200 has no good cosignature.
    """
    if status == HTTPStatus.OK:
        note = SignedNote(text, parse_signatures(body))
        return SignedNote(text, tuple(verified_keys(note, keys).values()))
    if status == HTTPStatus.CONFLICT and (size := parse_size(body.removesuffix("\n"))) is not None:
        return WitnessSize(size)
    raise fault("witness-refused", f"the witness answered {status}: {body.strip()[:200]}")
