"""Certificates: who counts towards the quorum, and what never does."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest

from votenet.core.keys import SigningKey
from votenet.core.log.certificate import (
    NamedKeys,
    checkpoint_text,
    cosign_checkpoint,
    cosigner_of,
    log_origin,
    make_certificate,
    named_keys,
    read_certificate,
    trust_policy,
)
from votenet.core.log.cosignature import cosign
from votenet.core.log.signed_note import COSIGNATURE_V1, SignedNote, VerifierKey, parse_note, sign_note
from votenet.errors import NotProven

NETWORK = hashlib.sha256(b"a network").digest()
ROOT = hashlib.sha256(b"a root").digest()
COSIGN_KEYS = [SigningKey(bytes([node]) * 32) for node in range(5)]
LOG_KEYS = [SigningKey(bytes([100 + node]) * 32) for node in range(5)]
KEYS = named_keys(NETWORK, [key.public for key in COSIGN_KEYS], [key.public for key in LOG_KEYS], 4)
TEXT = checkpoint_text(NETWORK, 77, ROOT)
LINES = [cosign_checkpoint(key, node, TEXT, 1000 + node) for node, key in enumerate(COSIGN_KEYS)]


def refusal(note: object, keys: NamedKeys = KEYS) -> str:
    with pytest.raises(NotProven) as refused:
        read_certificate(str(note), keys)
    return refused.value.code


def test_the_text_and_the_names_are_those_of_the_documents() -> None:
    lines = [f"votenet/{NETWORK.hex()}", "77", b64encode(ROOT).decode(), ""]
    assert TEXT.split("\n") == lines
    line = LINES[3]
    assert line.name == f"votenet/{NETWORK.hex()}/3"
    material = f"{line.name}\n".encode() + b"\x04" + COSIGN_KEYS[3].public
    assert line.key_id == hashlib.sha256(material).digest()[:4]


def test_a_quorum_is_enough_and_says_who_signed_when() -> None:
    note = make_certificate(TEXT, [LINES[4], LINES[0], LINES[2], LINES[1]])
    certificate = read_certificate(str(note), KEYS)
    assert (certificate.size, certificate.root) == (77, ROOT)
    assert certificate.signers == {0: 1000, 1: 1001, 2: 1002, 4: 1004}
    assert certificate.note == note
    assert [line.name[-1] for line in note.signatures] == list("0124")
    assert refusal(make_certificate(TEXT, LINES[:3])) == "bad-certificate"


def test_a_node_counts_once_however_often_it_signed() -> None:
    again = cosign_checkpoint(COSIGN_KEYS[0], 0, TEXT, 2000)
    assert refusal(make_certificate(TEXT, [*LINES[:3], LINES[0], again])) == "bad-certificate"
    certificate = read_certificate(str(SignedNote(TEXT, (again, *LINES[:4]))), KEYS)
    assert certificate.signers == {0: 2000, 1: 1001, 2: 1002, 3: 1003}


def test_lines_of_other_keys_are_ignored_and_do_not_count() -> None:
    stranger = cosign_checkpoint(SigningKey(bytes(32)), 3, TEXT, 5)  # the name of a node, another key
    witness = VerifierKey("witness.example/w1", COSIGNATURE_V1, COSIGN_KEYS[4].public)
    elsewhere = witness.signed(cosign(COSIGN_KEYS[4], TEXT, 5))  # the key of a node, another name
    log_line = sign_note(LOG_KEYS[0], log_origin(NETWORK), TEXT)
    extra = [stranger, elsewhere, log_line]
    assert refusal(make_certificate(TEXT, [*LINES[:3], *extra])) == "bad-certificate"
    assert len(read_certificate(str(make_certificate(TEXT, [*LINES[:4], *extra])), KEYS).signers) == 4
    assert refusal(make_certificate(TEXT, extra)) == "bad-note"


def test_a_false_line_of_a_named_node_spoils_the_certificate() -> None:
    false = LINES[4]._replace(signature=LINES[3].signature)
    assert refusal(make_certificate(TEXT, [*LINES[:4], false])) == "bad-cosignature"
    other_size = cosign_checkpoint(COSIGN_KEYS[4], 4, checkpoint_text(NETWORK, 78, ROOT), 5)
    assert refusal(make_certificate(TEXT, [*LINES[:4], other_size])) == "bad-cosignature"


def test_a_checkpoint_of_another_log_or_with_more_lines_is_none_of_this_election() -> None:
    other = checkpoint_text(bytes(32), 77, ROOT)
    for text in (other, TEXT + "extension\n", "no checkpoint\n"):
        lines = [KEYS.cosign_keys[node].signed(cosign(key, text, 5)) for node, key in enumerate(COSIGN_KEYS)]
        assert refusal(make_certificate(text, lines)) == "bad-checkpoint"


def test_one_cosignature_says_its_node() -> None:
    assert [cosigner_of(line, TEXT, KEYS) for line in LINES] == [0, 1, 2, 3, 4]
    other_text = checkpoint_text(NETWORK, 78, ROOT)
    for line, text in ((LINES[0], other_text), (LINES[0]._replace(name="other"), TEXT)):
        with pytest.raises(NotProven) as refused:
            cosigner_of(line, text, KEYS)
        assert refused.value.code == "bad-cosignature"


def test_a_certificate_of_seven_nodes_stays_below_2_kb() -> None:
    keys = [SigningKey(bytes([50 + node]) * 32) for node in range(7)]
    lines = [cosign_checkpoint(key, node, TEXT, 1_800_000_000) for node, key in enumerate(keys)]
    log_line = sign_note(LOG_KEYS[0], log_origin(NETWORK), TEXT)
    note = str(make_certificate(TEXT, [*lines, log_line]))
    assert len(note.encode()) < 2000
    assert len(parse_note(note).signatures) == 8


def test_the_policy_for_outside_tools() -> None:
    lines = trust_policy(KEYS).splitlines()
    assert lines[0] == f"log {KEYS.log_keys[0]}"
    assert lines[5] == f"witness node-0 {KEYS.cosign_keys[0]}"
    assert lines[10:] == [
        "group named-nodes 4 node-0 node-1 node-2 node-3 node-4",
        "quorum named-nodes",
    ]
