"""Text of others on one line, and nothing in it that acts."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.text import is_unicode, visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë 徐 🗳 בן", "Zoë 徐 🗳 בן"),
        (
            "a\n2026-01-01T00:00:00.000Z INFO votenet: forged",
            "a\\n2026-01-01T00:00:00.000Z INFO votenet: forged",
        ),
        ("\x1b[2J\x1b]0;title\x07", "\\u001b[2J\\u001b]0;title\\u0007"),
        ("\x9b2J\x85\x7f", "\\u009b2J\\u0085\\u007f"),
        ("\u202eecila\u2066\u2069\u200f", "\\u202eecila\\u2066\\u2069\\u200f"),
        ("a\u2028b\u2029c\r\td", "a\\u2028b\\u2029c\\r\\td"),
        ("\udcff\U000e0041", "\\udcff\\udb40\\udc41"),
    ],
)
def test_active_characters_are_written_as_json_writes_them(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_no_text_has_a_second_line_or_a_control_character(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(c) for c in shown} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    }
    assert visible(shown) == shown


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_a_json_document_stays_the_same_document(value: dict[str, str]) -> None:
    assert json.loads(visible(json.dumps(value, ensure_ascii=False))) == value
    assert json.loads(visible_lines(json.dumps(value, ensure_ascii=False, indent=1))) == value


def test_line_breaks_that_are_meant_stay() -> None:
    assert visible_lines("a\x1b\nb\n") == "a\\u001b\nb\n"


def test_bytes_that_are_not_utf_8_are_known() -> None:
    assert is_unicode("Zoë")
    assert not is_unicode(b"Zo\xeb".decode(errors="surrogateescape"))
