"""Records have one spelling; every fault has a code and a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from archive_support import tampered, tampered_receipts
from votenet.core.evidence import FAULTS, decode_record, fault
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
def test_what_is_wrong_with_a_record_is_told_apart(raw: bytes, code: str) -> None:
    assert refusal(raw) == code


def test_every_fault_has_a_sentence_and_shows_it() -> None:
    for code, sentence in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert re.fullmatch(r"[A-Z].*\.", sentence)
        assert fault(code, "line 3").next_step == sentence


def test_the_corpus_shows_every_fault_but_those_of_disk_roll_and_network() -> None:
    shown = {code for code, _ in [*tampered().values(), *tampered_receipts().values()]}
    assert set(FAULTS) - shown == {"unreadable", "not-on-roll", "wrong-key", "abandoned"}
    assert shown <= set(FAULTS)


def test_the_page_about_audits_lists_every_fault() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    for code, sentence in FAULTS.items():
        assert f"| `{code}` | {sentence} |" in page
