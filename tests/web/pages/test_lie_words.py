"""Every lie that can be proven is told in each language, with its numbers and names."""

from __future__ import annotations

import re

import pytest

from support.evidence_files import ELECTION, GOOD, HASHES, WITHOUT, two, voted
from votenet.core.ledger.statement import NIL, PrecommitStatement, PrevoteStatement
from votenet.core.records.evidence import Evidence, check_lie
from votenet.web.language import catalogue
from votenet.web.pages.lie_words import lie_in_words
from votenet.web.words import Words

FAR = 1_234_567
PAIRS = [
    two(voted(kind, HASHES[0], height=FAR), voted(kind, other, height=FAR))
    for kind in (PrevoteStatement, PrecommitStatement)
    for other in (HASHES[1], NIL)
]
LIES = [*GOOD.values(), *PAIRS]


def said(lang: str, sentence: str) -> str | None:
    made = lie_in_words(Words(lang), sentence)
    return None if made is None else re.sub("</?bdi>", "", made).replace("&#39;", "'")


def sentence_of(evidence: Evidence) -> str:
    return check_lie(evidence, ELECTION, WITHOUT)


@pytest.mark.parametrize("evidence", LIES)
def test_the_english_catalogue_has_the_sentences_of_the_nodes(evidence: Evidence) -> None:
    assert said("en", sentence_of(evidence)) == sentence_of(evidence)


def test_every_sentence_about_a_lie_is_one_that_is_proven() -> None:
    told = {said("id", sentence_of(evidence)) for evidence in LIES}
    kinds = [key for key in catalogue("id") if key.startswith("lie.")]
    assert None not in told
    assert len({re.sub(r"[\d.]+", "", text or "") for text in told}) == len(kinds)


def test_numbers_are_written_as_the_language_does() -> None:
    assert "blok 1.234.567, putaran 0." in (said("id", sentence_of(PAIRS[0])) or "")


def test_names_are_escaped_and_what_is_not_known_is_not_guessed() -> None:
    named = "Node 3 (<b>{node}</b>) signed two different closing lists for one closing time."
    assert "(<bdi>&lt;b&gt;{node}&lt;/b&gt;</bdi>)" in (lie_in_words(Words("id"), named) or "")
    assert lie_in_words(Words("id"), f"{named} And more.") is None
    assert lie_in_words(Words("id"), "Node 3 (Node 3) did something new.") is None
