"""Targets: signed notes, proofs and requests to a witness, as strangers send them."""

from __future__ import annotations

import contextlib
from typing import Final

from fuzz.engine import Target
from support.checkpoints import TIME, LogOfTests, log_of_five
from support.elections import key_of
from support.log_tiles import decode_bundle
from votenet.core.log.certificate import check_certificate, make_certificate, read_certificate
from votenet.core.log.checkpoint import parse_checkpoint
from votenet.core.log.signed_note import parse_key
from votenet.core.log.tiles import encode_bundle
from votenet.core.log.tlog_proof import TlogProof, check_path, parse_proof
from votenet.core.log.witness import WatchedLog, WitnessAnswer, WitnessPolicy, WitnessSize, read_answer
from votenet.errors import NotProven

LOG: Final = log_of_five()
POLICY: Final = WitnessPolicy(
    "witness.example/w1", key_of("witness"), {LOG.keys.origin: WatchedLog(LOG.keys.log_keys, LOG.keys)}
)
HELD: Final = parse_checkpoint(LOG.note(20).text)
PROOF: Final = TlogProof(7, tuple(LOG.inclusion(7, 300)), LOG.note(300))
_HISTORY: Final = {size: parse_checkpoint(LOG.note(size).text).root for size in range(20, 400)}


def certificates(data: bytes) -> None:
    """What is taken is what a quorum of these nodes signed, and it is written as it was read."""
    text = data.decode("utf-8", "surrogateescape")
    certificate = read_certificate(text, LOG.keys)
    assert _HISTORY[certificate.size] == certificate.root
    assert len(certificate.signers) >= LOG.keys.quorum
    assert str(certificate.note) == text
    again = make_certificate(certificate.note.text, certificate.note.signatures)
    assert check_certificate(again, LOG.keys).signers.keys() == certificate.signers.keys()


def tlog_proofs(data: bytes) -> None:
    """What leads from leaf 7 to a signed root says its place."""
    text = data.decode("utf-8", "surrogateescape")
    proof = parse_proof(text)
    assert str(proof) == text
    checkpoint = check_path(proof, LOG.leaves[7])
    with contextlib.suppress(NotProven):
        check_certificate(proof.note, LOG.keys)
        assert (proof.index, _HISTORY[checkpoint.size]) == (7, checkpoint.root)


def witness_requests(data: bytes) -> None:
    """Every request is answered, and only the one history is cosigned."""
    read = POLICY.read(data)
    if isinstance(read, WitnessAnswer):
        assert read.status in (400, 403, 404)
        return
    answer, note = POLICY.judge(read, HELD, TIME)
    assert (answer.status == 200) == (note is not None)
    if note is not None:
        checkpoint = parse_checkpoint(note.text)
        assert _HISTORY[checkpoint.size] == checkpoint.root


def witness_answers(data: bytes) -> None:
    body = data.decode("utf-8", "replace")
    for status in (200, 409):
        with contextlib.suppress(NotProven):
            answer = read_answer(status, body, LOG.note(20).text, [POLICY.verifier])
            assert isinstance(answer, WitnessSize) == (status == 409)


def verifier_keys(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert str(parse_key(text)) == text


def entry_bundles(data: bytes) -> None:
    with contextlib.suppress(ValueError):  # an entry longer than any that we write
        assert encode_bundle(decode_bundle(data)) == data


def _requests() -> list[bytes]:
    other = LogOfTests(LOG.election, "another history", fork=15)
    requests = [LOG.request(20, 30), LOG.request(20, 20), LOG.request(0, 30), other.request(20, 30)]
    return [str(request).encode() for request in requests]


def _answers() -> list[bytes]:
    read = POLICY.read(str(LOG.request(20, 20)).encode())
    assert not isinstance(read, WitnessAnswer)
    answer, _ = POLICY.judge(read, HELD, TIME)
    return [answer.body.encode(), b"20\n", answer.body.encode() * 2]


TARGETS: Final = (
    Target(
        "certificates",
        certificates,
        lambda: [str(LOG.note(size, cosigners=range(5))).encode() for size in (20, 300)],
        (f"{LOG.keys.origin}\n".encode(), "\u2014 ".encode(), b"\n\n"),
    ),
    Target(
        "tlog-proofs",
        tlog_proofs,
        lambda: [str(PROOF).encode(), str(PROOF).replace("index", "extra YQ==\nindex").encode()],
        (b"index ", b"extra ", b"\n\n"),
    ),
    Target("witness-requests", witness_requests, _requests, (b"old 0\n", b"old 20\n", b"\n\n")),
    Target("witness-answers", witness_answers, _answers, weight=0.4),
    Target(
        "verifier-keys", verifier_keys, lambda: [str(key).encode() for key in LOG.keys.log_keys], weight=0.4
    ),
    Target("entry-bundles", entry_bundles, lambda: [encode_bundle([b"a", b"", b"bc" * 99])], weight=0.2),
)
