"""The rules of tlog-witness: every answer, a conversation of another witness, checkpoints of another log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.checkpoints import TIME, LogOfTests, log_of_five
from support.elections import key_of
from votenet.core.keys import SigningKey
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint
from votenet.core.log.cosignature import cosign, cosignature_time
from votenet.core.log.merkle import EMPTY_ROOT
from votenet.core.log.signed_note import (
    ED25519,
    SignedNote,
    VerifierKey,
    parse_key,
    parse_note,
    parse_signatures,
    sign_note,
    verified_keys,
)
from votenet.core.log.witness import (
    SIZE_TYPE,
    CheckpointRequest,
    WatchedLog,
    WitnessAnswer,
    WitnessPolicy,
    WitnessSize,
    origin_hash,
    parse_request,
    read_answer,
)
from votenet.errors import NotProven

CONVERSATION = json.loads((Path(__file__).parents[2] / "vectors" / "witness_conversation.json").read_text())
LOG = log_of_five()


class Memory:
    """A witness that keeps its state in memory."""

    def __init__(self, logs: dict[str, WatchedLog]) -> None:
        self.policy = WitnessPolicy("witness.example/w1", key_of("witness"), logs)
        self.notes: dict[str, SignedNote] = {}

    def ask(self, request: object, now: int = TIME) -> WitnessAnswer:
        read = self.policy.read(str(request).encode())
        if isinstance(read, WitnessAnswer):
            return read
        origin = read.checkpoint.origin
        known = self.notes.get(origin)
        latest = None if known is None else parse_checkpoint(known.text)
        answer, note = self.policy.judge(read, latest, now)
        if note is not None:
            self.notes[origin] = note
        return answer


def witness() -> Memory:
    return Memory({LOG.keys.origin: WatchedLog(LOG.keys.log_keys, LOG.keys)})


def test_a_checkpoint_is_cosigned_and_its_growth() -> None:
    memory = witness()
    for old, new in ((0, 10), (10, 10), (10, 257), (257, 400)):
        answer = memory.ask(LOG.request(old, new), now=TIME + new)
        assert answer.status == 200
        (line,) = parse_signatures(answer.body)
        assert memory.policy.verifier.holds(LOG.note(new).text, line.signature)
        assert cosignature_time(line.signature) == TIME + new
        kept = memory.notes[LOG.keys.origin]
        assert parse_checkpoint(kept.text).size == new
        assert line in kept.signatures
        keys = [*LOG.keys.log_keys, *LOG.keys.cosign_keys, memory.policy.verifier]
        assert len(verified_keys(kept, keys)) == len(kept.signatures) == 6


def test_another_old_size_is_answered_with_the_size_that_is_held() -> None:
    memory = witness()
    assert memory.ask(LOG.request(5, 10)) == (409, "0\n", SIZE_TYPE)
    memory.ask(LOG.request(0, 20))
    for old in (0, 10):
        assert memory.ask(LOG.request(old, 20)) == (409, "20\n", SIZE_TYPE)
    assert memory.ask(LOG.request(10, 15)) == (409, "20\n", SIZE_TYPE)


def test_both_kinds_of_split_view_are_refused() -> None:
    memory = witness()
    memory.ask(LOG.request(0, 20))
    other = LogOfTests(LOG.election, "another history", fork=15)
    assert memory.ask(other.request(20, 20)).status == 422
    assert memory.ask(other.request(20, 30)).status == 422
    assert memory.ask(other.request(15, 30)).status == 409
    assert memory.ask(LOG.request(20, 30)).status == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": ()}, 422),
        ({"path": (bytes(32), *LOG.proof(20, 30))}, 422),
        ({"path": tuple(LOG.proof(20, 30))[:-1]}, 422),
        ({"old": 31}, 400),
        ({"note": LOG.note(30, logs=())}, 403),
        ({"note": LOG.note(30, cosigners=range(3))}, 403),
        ({"note": LOG.note(30, logs=(0, 3), cosigners=(1, 2, 3, 4))}, 200),
        ({"note": LOG.note(30, logs=(4,))}, 200),
    ],
)
def test_requests_that_differ_in_one_thing(change: dict[str, Any], status: int) -> None:
    memory = witness()
    memory.ask(LOG.request(0, 20))
    assert memory.ask(LOG.request(20, 30)._replace(**change)).status == status


def test_a_proof_for_the_first_checkpoint_or_for_the_same_size_is_refused() -> None:
    memory = witness()
    assert memory.ask(LOG.request(0, 20)._replace(path=(bytes(32),))).status == 422
    memory.ask(LOG.request(0, 20))
    assert memory.ask(LOG.request(20, 20)._replace(path=(bytes(32),))).status == 422


def simple_log() -> tuple[Memory, SigningKey, VerifierKey]:
    """A log of one key that is no election."""
    key = key_of("a log")
    vkey = VerifierKey("log.example", ED25519, key.public)
    return Memory({"log.example": WatchedLog((vkey,))}), key, vkey


def test_the_empty_log_has_one_root() -> None:
    memory, key, _ = simple_log()
    for root, status in ((bytes(32), 422), (EMPTY_ROOT, 200)):
        text = str(Checkpoint("log.example", 0, root))
        note = SignedNote(text, (sign_note(key, "log.example", text),))
        assert memory.ask(CheckpointRequest(0, (), note)).status == status


def test_a_false_line_of_a_known_key_and_an_unknown_log() -> None:
    memory, key, vkey = simple_log()
    text = str(Checkpoint("log.example", 3, bytes(32)))
    good, false = sign_note(key, "log.example", text), vkey.signed(bytes(64))
    assert memory.ask(CheckpointRequest(0, (), SignedNote(text, (good, false)))).status == 403
    stranger = sign_note(key_of("a stranger"), "log.example", text)
    assert memory.ask(CheckpointRequest(0, (), SignedNote(text, (stranger,)))).status == 403
    assert memory.ask(CheckpointRequest(0, (), SignedNote(text, (stranger, good)))).status == 200
    other = str(Checkpoint("other.example", 3, bytes(32)))
    note = SignedNote(other, (sign_note(key, "other.example", other),))
    assert memory.ask(CheckpointRequest(0, (), note)).status == 404


BODY = str(LOG.request(20, 30))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "old 20",
        BODY.replace("old 20", "old"),
        BODY.replace("old 20", "old 020"),
        BODY.replace("old 20", "old  20"),
        BODY.replace("old 20", "Old 20"),
        BODY.replace("old 20", "old 20\nAAAA"),
        BODY.replace("old 20", "old 20" + ("\n" + "A" * 43 + "=") * 64),
        BODY.replace("\n\n", "\n", 1),
        BODY.replace("\n30\n", "\n030\n"),
        BODY[:-1],
    ],
)
def test_what_is_no_request(body: str) -> None:
    assert witness().ask(body).status == 400


def test_a_body_that_is_no_utf_8_is_no_request() -> None:
    answer = witness().policy.read(b"\xff" + BODY.encode())
    assert isinstance(answer, WitnessAnswer)
    assert answer.status == 400


@given(st.binary())
def test_any_bytes_are_answered(body: bytes) -> None:
    answer = witness().policy.read(body)
    assert isinstance(answer, WitnessAnswer)
    assert answer.status == 400


def test_a_request_reads_back() -> None:
    request = LOG.request(20, 30)
    assert parse_request(str(request).encode()) == request
    assert str(request).startswith("old 20\n")


# -- from outside --------------------------------------------------------------------------------------


def test_a_conversation_of_another_witness_goes_the_same_way_here() -> None:
    """Made for litewitness, with a log of sigsum.

    An unknown log was answered with 403 at that time, and a signature in another spelling of base64 was read.
    """
    recorded = CONVERSATION["sigsum"]
    origin = parse_request(recorded["steps"][0]["body"].encode()).note.text.partition("\n")[0]
    key = VerifierKey(origin, ED25519, bytes.fromhex(recorded["log_key"]))
    memory = Memory({origin: WatchedLog((key,))})
    for step in recorded["steps"]:
        answer = memory.ask(step["body"])
        known = f"\n\n{origin}\n" in step["body"]
        spelled = not step["body"].endswith("6gx=\n")
        assert answer.status == (step["status"] if known and spelled else 404 if spelled else 400)
        assert answer.body == step.get("answer", answer.body)
    assert parse_checkpoint(memory.notes[origin].text).size == 5


def test_a_checkpoint_of_the_go_checksum_database_is_cosigned() -> None:
    recorded = CONVERSATION["sumdb"]
    key = parse_key(recorded["log_key"])
    memory = Memory({"go.sum database tree": WatchedLog((key,))})
    assert memory.ask(recorded["body"]).status == 200
    assert parse_checkpoint(memory.notes["go.sum database tree"].text).size == 35_225_469


def test_checkpoints_of_another_implementation_are_cosigned_as_they_grow() -> None:
    core = pytest.importorskip(
        "witness_log._core", reason="witness-log is not installed: pip install '.[dev]'"
    )
    log = core.WitnessLog.generate()
    origin = log.canonical_origin()
    memory = Memory({origin: WatchedLog((parse_key(log.c2sp_vkey(origin)),))})
    size = 0
    for grow in (1, 1, 5, 250, 300):
        for _ in range(grow):
            log.append_intent(b"a leaf")
        answer = memory.ask(log.add_checkpoint_body(size))
        assert answer.status == 200
        size = log.tree_size()
        assert parse_checkpoint(memory.notes[origin].text).root.hex() == log.root_hex()


# -- the side of the log -------------------------------------------------------------------------------


def test_the_log_reads_what_a_witness_answers() -> None:
    memory = witness()
    key, text = memory.policy.verifier, LOG.note(10).text
    answer = memory.ask(LOG.request(0, 10))
    note = read_answer(200, answer.body, text, [key])
    assert isinstance(note, SignedNote)
    assert parse_note(str(note)) == note
    stranger = VerifierKey("other.example", key.type, key.public).signed(cosign(key_of("x"), text, 5))
    assert read_answer(200, stranger.line + answer.body, text, [key]) == note, "strangers' lines are left out"
    assert read_answer(409, "20\n", text, [key]) == WitnessSize(20)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, "", "bad-note"),
        (200, "no line\n", "bad-note"),
        (200, key_of("w").sign(b"").hex() + "\n", "bad-note"),
        (409, "twenty\n", "witness-refused"),
        (409, "020\n", "witness-refused"),
        (403, "no\n", "witness-refused"),
        (422, "no\n", "witness-refused"),
        (302, "", "witness-refused"),
    ],
)
def test_answers_that_bring_no_cosignature(status: int, body: str, code: str) -> None:
    with pytest.raises(NotProven) as refused:
        read_answer(status, body, LOG.note(10).text, [witness().policy.verifier])
    assert refused.value.code == code


def test_the_name_of_a_log_in_addresses() -> None:
    assert origin_hash("example.com/log") == hashlib.sha256(b"example.com/log").hexdigest()
