"""The client of a witness: asks for a cosignature over HTTP (C2SP tlog-witness)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import MAX_NOTE_SIZE, SignedNote, VerifierKey
from votenet.core.log.witness import CheckpointRequest, WitnessSize, read_answer
from votenet.network.http_client import http_post

WITNESS_SECONDS: Final = 10.0
"""Time that one request to a witness may take."""
MAX_TRIES: Final = 3
"""Requests for one checkpoint: another node may push a newer one between the answer 409 and ours."""


async def push_checkpoint(
    url: str,
    key: VerifierKey,
    note: SignedNote,
    prove: Callable[[int], Awaitable[Sequence[bytes]]],
    old: int = 0,
    seconds: float = WITNESS_SECONDS,
) -> SignedNote | WitnessSize:
    """The checkpoint with the witness' cosignature alone below it; its size if it holds a larger one.

    Args:
        url: the witness' submission prefix.
        note: a checkpoint that a log key signed, with whatever else its witness asks for.
        prove: the consistency proof from a smaller size, at least 1, to this checkpoint.
        old: the size that the witness is believed to hold.

    Raises:
        Unreachable: no answer in time, or none in HTTP.
        NotProven: witness-refused, bad-note, bad-cosignature.
    """
    size = parse_checkpoint(note.text).size
    known = WitnessSize(old)
    for _ in range(MAX_TRIES):
        path = tuple(await prove(known.size)) if 0 < known.size < size else ()
        request = CheckpointRequest(known.size, path, note)
        status, body, _ = await http_post(
            f"{url.rstrip('/')}/add-checkpoint",
            str(request).encode(),
            max_size=MAX_NOTE_SIZE,
            seconds=seconds,
        )
        answer = read_answer(status, body.decode("utf-8", "replace"), note.text, [key])
        if isinstance(answer, SignedNote):
            return answer
        known = answer
        if known.size > size:
            break
    return known
