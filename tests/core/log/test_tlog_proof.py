"""Proofs as text: C2SP's form, and what does not lead to the checkpoint."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.keys import SigningKey
from votenet.core.log.checkpoint import Checkpoint
from votenet.core.log.merkle import leaf_hash, merkle_path, merkle_root
from votenet.core.log.signed_note import SignedNote, sign_note
from votenet.core.log.tlog_proof import MAX_PROOF_HASHES, TlogProof, check_path, parse_proof
from votenet.errors import NotProven

LEAVES = [leaf_hash(b"%d" % n) for n in range(13)]
CHECKPOINT = Checkpoint("example.com/log", len(LEAVES), merkle_root(LEAVES))
NOTE = SignedNote(str(CHECKPOINT), (sign_note(SigningKey(bytes(32)), "example.com/log", str(CHECKPOINT)),))
PROOF = TlogProof(5, tuple(merkle_path(LEAVES, 5)), NOTE)


def refusal(call: object, *args: object) -> str:
    with pytest.raises(NotProven) as refused:
        call(*args)  # type: ignore[operator]
    return refused.value.code


@pytest.mark.parametrize("index", range(13))
def test_a_proof_reads_back_and_leads_to_the_checkpoint(index: int) -> None:
    proof = TlogProof(index, tuple(merkle_path(LEAVES, index)), NOTE)
    assert parse_proof(str(proof)) == proof
    assert check_path(proof, LEAVES[index]) == CHECKPOINT
    assert refusal(check_path, proof, leaf_hash(b"other")) == "bad-proof"
    assert refusal(check_path, replace(proof, index=index + 1), LEAVES[index]) == "bad-proof"
    assert refusal(check_path, replace(proof, path=proof.path[1:]), LEAVES[index]) == "bad-proof"


def test_a_verifier_of_another_make_finds_the_paths_good() -> None:
    core = pytest.importorskip(
        "witness_log._core", reason="witness-log is not installed: pip install '.[dev]'"
    )
    for index, leaf in enumerate(LEAVES):
        path = [step.hex() for step in merkle_path(LEAVES, index)]
        assert core.verify_inclusion(leaf.hex(), index, len(LEAVES), path, CHECKPOINT.root.hex())
        assert not core.verify_inclusion(leaf.hex(), index, len(LEAVES), path, leaf.hex())


def test_the_text_is_that_of_the_specification() -> None:
    hashes = "".join(f"{b64encode(step).decode()}\n" for step in PROOF.path)
    assert str(PROOF) == f"c2sp.org/tlog-proof@v1\nindex 5\n{hashes}\n{NOTE}"
    extra = replace(PROOF, extra=b"agent")
    assert str(extra) == f"c2sp.org/tlog-proof@v1\nextra YWdlbnQ=\nindex 5\n{hashes}\n{NOTE}"
    assert parse_proof(str(extra)) == extra


def test_a_log_of_one_leaf_needs_no_hashes() -> None:
    checkpoint = Checkpoint("log", 1, LEAVES[0])
    note = SignedNote(str(checkpoint), NOTE.signatures)
    proof = TlogProof(0, (), note)
    assert str(proof).startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nlog\n1\n")
    assert check_path(parse_proof(str(proof)), LEAVES[0]) == checkpoint


TEXT = str(PROOF)
HASH = b64encode(LEAVES[0]).decode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-proof"),
        (TEXT.replace("@v1", "@v2"), "bad-proof"),
        (" " + TEXT, "bad-proof"),
        (TEXT.replace("index 5\n", ""), "bad-proof"),
        (TEXT.replace("index 5", "index 05"), "bad-proof"),
        (TEXT.replace("index 5", "index -5"), "bad-proof"),
        (TEXT.replace("index 5", "index five"), "bad-proof"),
        (TEXT.replace("index 5", "extra !!\nindex 5"), "bad-proof"),
        (TEXT.replace("index 5", "extra \nindex 5"), "bad-proof"),
        (TEXT.replace("index 5", "extra YQ==\nextra YQ==\nindex 5"), "bad-proof"),
        (TEXT.replace("index 5", "index 5\nAAAA"), "bad-proof"),
        (TEXT.replace("index 5", f"index 5\n{HASH} "), "bad-proof"),
        (TEXT.replace("index 5", "index 5" + f"\n{HASH}" * MAX_PROOF_HASHES), "bad-proof"),
        (TEXT.replace("\n\n", "\n", 1), "bad-proof"),
        (TEXT[: TEXT.index("\n\n") + 2] + "no note", "bad-note"),
    ],
)
def test_what_is_no_proof(text: str, code: str) -> None:
    assert refusal(parse_proof, text) == code


def outcome_of(text: str) -> str:
    """The text as it is written again, or the code of its refusal."""
    try:
        return str(parse_proof(text))
    except NotProven as error:
        return error.code


@given(st.text())
def test_any_text_is_a_proof_or_refused(text: str) -> None:
    for candidate in (text, f"c2sp.org/tlog-proof@v1\n{text}", TEXT.replace("index 5\n", f"index 5\n{text}")):
        outcome = outcome_of(candidate)
        assert outcome in {"bad-proof", "bad-note"} or outcome == candidate
