"""Signed notes against the examples of C2SP and of Go's checksum database, and text that is no note."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.keys import SigningKey
from votenet.core.log.cosignature import cosign
from votenet.core.log.signed_note import (
    COSIGNATURE_V1,
    ED25519,
    MAX_NOTE_SIGNATURES,
    MAX_NOTE_SIZE,
    NoteSignature,
    SignedNote,
    VerifierKey,
    parse_key,
    parse_note,
    parse_signatures,
    sign_note,
    verified_keys,
)
from votenet.errors import NotProven

# The example of C2SP signed-note, "Verifier keys".
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n"
    "\n"
    "\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# Of the documentation of golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The first example of C2SP signed-note: an empty line in the text, and an accent.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "\u2014 quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
CONVERSATION = json.loads((Path(__file__).parents[2] / "vectors" / "witness_conversation.json").read_text())
KEY = SigningKey(bytes(range(32)))


def refusal(call: object, *args: object) -> str:
    with pytest.raises(NotProven) as refused:
        call(*args)  # type: ignore[operator]
    return refused.value.code


@pytest.mark.parametrize(("vkey", "note"), [(FOO, FOO_NOTE), (NEUMANN, NEUMANN_NOTE)])
def test_notes_from_outside_hold(vkey: str, note: str) -> None:
    key, parsed = parse_key(vkey), parse_note(note)
    assert str(key) == vkey
    assert str(parsed) == note
    assert list(verified_keys(parsed, [key])) == [key]


def test_a_checkpoint_of_the_go_checksum_database_holds() -> None:
    note = CONVERSATION["sumdb"]["body"].removeprefix("old 0\n\n")
    key = parse_key(CONVERSATION["sumdb"]["log_key"])
    assert list(verified_keys(parse_note(note), [key])) == [key]


def test_the_last_empty_line_ends_the_text() -> None:
    note = parse_note(POEM)
    assert note.text.endswith("\n\ned è subito sera.\n")
    assert [line.name for line in note.signatures] == ["quasimodo.example/salvatore"]
    assert str(note) == POEM


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        FOO_NOTE[:-1],
        FOO_NOTE + "\n",
        FOO_NOTE + "more\n",
        FOO_NOTE.replace("\u2014", "-"),
        FOO_NOTE.replace("\u2014 ", "\u2014"),
        FOO_NOTE.replace("example.com/foo", "example.com+foo"),
        FOO_NOTE.replace("example.com/foo", "example.com\u00a0foo"),
        FOO_NOTE.replace("example.com/foo ", " "),
        FOO_NOTE.replace("Uw2Q", "Uw2Q Uw2Q"),
        FOO_NOTE.replace("aQM=", "aQN="),  # the same bytes in another spelling
        FOO_NOTE.replace("aQM=", "aQM"),
        FOO_NOTE.replace("This", "Thi\ts"),
        FOO_NOTE.replace("This", "Thi\rs"),
        FOO_NOTE.replace("This", "Thi\x00s"),
        FOO_NOTE.replace("This", "Thi\ud800s"),
        "text\n\n\u2014 name AAAAAA==\n",  # four bytes: an id, and no signature
        "x" * MAX_NOTE_SIZE + FOO_NOTE,
        FOO_NOTE + FOO_NOTE.rpartition("\n\n")[2] * MAX_NOTE_SIGNATURES,
    ],
)
def test_what_is_no_note(note: str) -> None:
    assert refusal(parse_note, note) == "bad-note"


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        FOO.replace("530d903a", "530D903A"),
        FOO.replace("530d903a", "530d903b"),
        FOO.replace("/foo", "/fo o"),
        FOO.replace("/foo", "/fo\ud800o"),
        FOO[:-1],
        FOO + "=",
        FOO.replace("+AekyeR", "+BekyeR"),
        # An ECDSA key, type 2: none that this program reads.
        "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0"
        "hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
    ],
)
def test_what_is_no_key(vkey: str) -> None:
    assert refusal(parse_key, vkey) == "bad-key"


def test_lines_of_other_keys_are_ignored_and_a_false_one_spoils_the_note() -> None:
    text = "log\n1\nroot\n"
    log = VerifierKey("log", ED25519, KEY.public)
    cosigner = VerifierKey("witness", COSIGNATURE_V1, KEY.public)
    good = sign_note(KEY, "log", text)
    cosigned = cosigner.signed(cosign(KEY, text, 5))
    stranger = NoteSignature("log", b"none", b"x" * 64)  # the known name, another id
    note = SignedNote(text, (stranger, good, cosigned, good))
    assert parse_note(str(note)) == note
    assert verified_keys(note, [log, cosigner]) == {log: good, cosigner: cosigned}
    assert list(verified_keys(note, [cosigner])) == [cosigner]

    assert refusal(verified_keys, note, []) == "bad-note"
    assert refusal(verified_keys, SignedNote(text, (stranger,)), [log]) == "bad-note"
    false = good._replace(signature=bytes(64))
    assert refusal(verified_keys, SignedNote(text, (good, false)), [log]) == "bad-cosignature"
    crossed = log.signed(cosigned.signature)  # a cosignature is no signature of a log
    assert refusal(verified_keys, SignedNote(text, (crossed,)), [log]) == "bad-cosignature"


def test_two_keys_with_one_name_and_id_do_not_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerifierKey, "key_id", b"same")
    other = SigningKey(bytes(32))
    keys = [VerifierKey("log", ED25519, key.public) for key in (KEY, other)]
    for key, verifier in zip((KEY, other), keys, strict=True):
        note = SignedNote("text\n", (sign_note(key, "log", "text\n"),))
        assert list(verified_keys(note, keys)) == [verifier]


def test_lines_alone_are_the_answer_of_a_witness() -> None:
    line = sign_note(KEY, "log", "text\n")
    assert parse_signatures(line.line * 2) == (line, line)
    for text in ("", "\n", line.line + "\n" + line.line, line.line[:-1]):
        assert refusal(parse_signatures, text) == "bad-note"


def outcome_of(text: str) -> str:
    """The text as it is written again, or the code of its refusal."""
    try:
        return str(parse_note(text))
    except NotProven as error:
        return error.code


@given(st.text())
def test_any_text_is_a_note_or_refused(text: str) -> None:
    for candidate in (text, f"{text}\n\n{text}\n", f"body\n\n\u2014 {text} AAAAAAAA\n"):
        outcome = outcome_of(candidate)
        assert outcome in {"bad-note"} or outcome == candidate
