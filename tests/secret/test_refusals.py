"""The reasons why a document of a secret election is refused."""

from __future__ import annotations

import re
from pathlib import Path

import votenet
from votenet.core.faults import FAULTS
from votenet.secret.refusals import SECRET_REFUSALS, refusal

SOURCES = Path(votenet.__file__).parent / "secret"


def test_a_refusal_says_where_and_what_it_means() -> None:
    error = refusal("bad-result", "the archive: wrong sums")
    assert (error.code, error.message) == ("bad-result", "the archive: wrong sums")
    assert error.next_step == SECRET_REFUSALS["bad-result"]


def test_every_code_is_a_sentence_and_is_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    used = set(re.findall(r'refusal[(,]\s*"([a-z-]+)"', text))
    assert used == set(SECRET_REFUSALS)
    for code, meaning in SECRET_REFUSALS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", code)
        assert re.fullmatch(r"[A-Z].*\.", meaning)


def test_a_code_of_both_tables_means_one_thing() -> None:
    """Both are codes of NotProven: a caller may look at the code alone."""
    assert set(SECRET_REFUSALS) & set(FAULTS) <= {"not-canonical", "bad-choices"}
