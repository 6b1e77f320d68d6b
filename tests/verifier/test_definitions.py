"""Both readers refuse the same definitions and voter ids, and take the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.test_limits import CHARACTERS, NOW, definition, product_says, verifier, verifier_says, voted
from votenet.core import text
from votenet.core.text import is_plain

CONTRADICTIONS: Final = {
    "plurality-with-three-choices": {"max_choices": 3},
    "more-choices-than-candidates": {"max_choices": 3, "method": "approval", "candidates": ["A", "B"]},
    "candidate-twice": {"candidates": ["A", "A"]},
    "candidates-alike": {"candidates": ["A B", "A\u00a0B"]},
    "direction-override": {"candidates": ["A\u202eB"]},
    "zero-width": {"title": "A\u200bB"},
    "joiner-in-latin": {"title": "A\u200dB"},
    "no-break-space-at-the-end": {"title": "A\u00a0"},
    "closes-before-it-opens": {"opens": 9, "closes": 9},
    "roll-without-root": {"registration": "roll", "roll_size": 1},
    "no-target": {"chain": {"bits": 1}},
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_both_refuse_a_definition_that_contradicts_itself(tmp_path: Path, what: str) -> None:
    data = definition(**CONTRADICTIONS[what])
    assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == ("bad-genesis", "bad-genesis")


@pytest.mark.parametrize(
    "name", ["\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u845b\U000e0100\u57ce", "Zo\u00eb"]
)
def test_both_take_names_that_need_unseen_characters(tmp_path: Path, name: str) -> None:
    data = definition(candidates=[name], title=name)
    assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == ("", "")


@pytest.mark.parametrize("voter", ["v\u200b", "v\u202e", "\u00a0v", "v\x00"])
def test_both_refuse_a_voter_id_with_such_characters(tmp_path: Path, voter: str) -> None:
    data = voted(voter)
    assert (product_says(data, NOW), verifier_says(tmp_path, data, NOW)) == ("bad-vote", "bad-vote")


# -- names -----------------------------------------------------------------------------------------

AROUND: Final = ["a{}a", "\u0628{}\u0628", "\u845b{}", "\u1820{}\u1820", "{}a", "\U0001f468{}x"]
EDGE_POINTS: Final = sorted(
    {
        point
        for name in CHARACTERS
        for first, last in getattr(text, name)
        for point in (first - 1, first, last, last + 1)
        if 0 <= point < 0x110000 and not 0xD800 <= point < 0xE000
    }
    | set(range(0x250))
)
"""Where a range begins or ends, and the letters next door."""


@pytest.mark.parametrize("around", AROUND, ids=ascii)
def test_both_take_the_same_characters(around: str) -> None:
    for name in (around.format(chr(point)) for point in EDGE_POINTS):
        assert is_plain(name) != verifier.unprintable(name), ascii(name)
        assert text.skeleton(name) == verifier.skeleton(name)


@given(st.text(st.sampled_from([chr(point) for point in EDGE_POINTS]), min_size=1, max_size=6))
@settings(max_examples=2000)
def test_both_take_the_same_names(name: str) -> None:
    assert is_plain(name) != verifier.unprintable(name)
    assert text.skeleton(name) == verifier.skeleton(name)
