"""Records have one spelling; every fault has a code and a sentence."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from support.archives import tampered, tampered_receipts
from support.tampered_named_files import tampered_archives as named_archives
from support.tampered_named_receipts import tampered_receipts as named_receipts
from votenet.core.faults import FAULTS
from votenet.core.records.canonical_record import decode_record, read_record
from votenet.errors import NotProven


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: int
    b: str


def refusal(raw: bytes) -> str:
    with pytest.raises(NotProven) as caught:
        decode_record(raw, Pair)
    return caught.value.code


def test_the_canonical_spelling_is_taken_and_no_other() -> None:
    assert decode_record('{"a":1,"b":"é\\n"}'.encode(), Pair) == Pair(1, "é\n")
    for raw in (b'{"b":"","a":1}', b'{"a":1, "b":""}', b'{"a":-0,"b":"\\u0041"}'):
        assert refusal(raw) == "not-canonical"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b'{"a":1,"b":"\\ud800"}', "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"a":Infinity,"b":""}', "not-json"),
        (b'{"a":1,"a":1,"b":""}', "duplicate-key"),
        (b'{"a":1,"b":"","c":{"d":1,"d":2}}', "duplicate-key"),
        (b'{"a":1}', "bad-record"),
        (b'{"a":1,"b":"","c":0}', "bad-record"),
        (b'{"a":"1","b":""}', "bad-record"),
        (b'{"a":1.0,"b":""}', "bad-record"),
        (b"[1]", "bad-record"),
    ],
)
def test_faults_of_a_record_have_different_codes(raw: bytes, code: str) -> None:
    assert refusal(raw) == code


def test_a_record_in_any_spelling_is_read_if_it_leaves_no_doubt() -> None:
    for raw in (b'{"a":1,"b":""}', b' {"b":"" ,\n "a":1}\n', b'{"b":"","\\u0061":1}'):
        assert read_record(raw, Pair) == Pair(1, "")
    for raw, code in (
        (b'{"a":1,"a":1,"b":""}', "duplicate-key"),
        (b'{"a":1,"\\u0061":1,"b":""}', "duplicate-key"),
        (b'{"a":1,"b":"","c":0}', "bad-record"),
        (b'{"a":1.0,"b":""}', "bad-record"),
        (b'{"a":NaN,"b":""}', "not-json"),
        (b'{"a":1,"b":"\xff"}', "not-json"),
        (b'{"a":1,"b":"\\ud800"}', "not-json"),
        (b"[" * 60_000, "not-json"),
        (b'{"a":' + b"9" * 60_000 + b',"b":""}', "not-json"),
    ):
        with pytest.raises(NotProven) as caught:
            read_record(raw, Pair)
        assert caught.value.code == code, raw[:40]


OF_THE_LOG = {"bad-key", "bad-tile", "witness-refused"}
"""Shown in tests/core/log."""
OF_RESULTS_AND_EVIDENCE = {"not-final", "bad-evidence", "needs-archive"}
"""Shown in test_final_result.py and test_evidence.py."""


def test_the_corpus_shows_every_fault_but_those_of_disk_roll_network_log_results_and_evidence() -> None:
    corpora = (tampered(), tampered_receipts(), named_archives(), named_receipts())
    shown = {code for corpus in corpora for code, _ in corpus.values()}
    assert set(FAULTS) - shown - OF_THE_LOG - OF_RESULTS_AND_EVIDENCE == {
        "unreadable",
        "bad-amendment",
        "cancelled",
        "not-on-roll",
        "wrong-key",
        "abandoned",
    }
    assert shown <= set(FAULTS)


def test_the_page_about_audits_lists_every_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    for code, sentence in FAULTS.items():
        assert f"| `{code}` | {sentence} |" in page
