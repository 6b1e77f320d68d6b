"""Which characters a name may have: refusals, the needs of real names, and names that look the same."""

from __future__ import annotations

import pytest

from votenet.core import text
from votenet.core.text import did_you_mean, folded, is_plain, skeleton, text_fault, twins

REAL = {
    "Indonesian": "Siti Nurhaliza",
    "Irish and Polish": "Zoë O’Neil-Łuk, 3. Bezirk",
    "Vietnamese, decomposed": "Nguye\u0302\u0303n Thi\u0323 Mai",
    "Arabic": "محمد عبد الله",
    "Persian with a non-joiner": "علی\u200cرضا می\u200cخواهم",
    "Hebrew with points": "שָׁלוֹם בֶּן־דָּוִד",
    "Hindi with a joiner": "क\u094d\u200dष लक\u094d\u200cष\u094dमी",
    "Bengali, joiner before the sign": "র\u200d\u09cdযাব",
    "Malayalam with an old chillu": "ഇന\u0d4d\u200d",
    "Sinhala": "ශ\u0dca\u200dර\u0dd3",
    "Telugu, non-joiner at the end": "క\u0c4d\u200c",
    "Mongolian": "ᠰᠠᠷ\u180eᠠ",
    "Thai": "สมชาย ใจดี",
    "Khmer": "សុខា",
    "Japanese": "山田\u3000太郎",
    "Japanese with a variant": "葛\U000e0100城",
    "Korean": "홍길동",
    "a family": "👨\u200d👩\u200d👧 Families first",
    "a flag": "🏳\ufe0f\u200d🌈 Pride",
    "Cyrillic": "Олексій Гончаренко",
    "Georgian, Armenian, Amharic": "გიორგი Հայկ አበበ",
}

WRONG = [
    ("a\tb", "a control character (U+0009) in place 2"),
    ("a\x1b[31m", "a control character (U+001B) in place 2"),
    ("a\x9b31m", "a control character (U+009B) in place 2"),
    ("a\u2028b", "a control character (U+2028) in place 2"),
    ("Ann\u200b", "a character that cannot be seen (U+200B) in place 4"),
    ("An\u200dn", "a character that cannot be seen (U+200D) in place 3"),
    ("\u200cАнна", "a character that cannot be seen (U+200C) in place 1"),
    ("山\u200d田", "a character that cannot be seen (U+200D) in place 2"),
    ("می\u200c\u200cخ", "a character that cannot be seen (U+200C) in place 4"),
    ("Bo\u202e nnA", "a character that cannot be seen (U+202E) in place 3"),
    ("\u2066Bo", "a character that cannot be seen (U+2066) in place 1"),
    ("Bo\u200f", "a character that cannot be seen (U+200F) in place 3"),
    ("Ann\ufe0f", "a character that cannot be seen (U+FE0F) in place 4"),
    ("Ann\U000e0100", "a character that cannot be seen (U+E0100) in place 4"),
    ("Ann\U000e0041", "a character that cannot be seen (U+E0041) in place 4"),
    ("\u3164", "a character that cannot be seen (U+3164) in place 1"),
    ("\ufeffAnn", "a character that cannot be seen (U+FEFF) in place 1"),
    ("A\U0001ffffn", "a character that cannot be seen (U+1FFFF) in place 2"),
    (" Ann", "a space at its beginning"),
    ("Ann ", "a space at its end"),
    ("Ann\u00a0", "a blank (U+00A0) at its end"),
    ("\u3000太郎", "a blank (U+3000) at its beginning"),
    ("\u2800", "a blank (U+2800) at its beginning"),
]


@pytest.mark.parametrize("script", REAL)
def test_real_names_in_all_scripts_work(script: str) -> None:
    assert text_fault(REAL[script]) == ""
    assert is_plain(REAL[script])


@pytest.mark.parametrize(("name", "says"), WRONG, ids=lambda value: ascii(value)[:40])
def test_a_forbidden_character_is_named_with_its_place(name: str, says: str) -> None:
    assert text_fault(name) == says
    assert not is_plain(name)


def test_both_answers_agree_on_every_character() -> None:
    for point in (
        *range(0x3100),
        *range(0xA800, 0xB000),
        *range(0xD700, 0x20000, 3),
        *range(0xE0000, 0xE0200),
    ):
        for name in (chr(point), f"a{chr(point)}a", f"\u0628{chr(point)}\u0628"):
            assert is_plain(name) == (not text_fault(name)), hex(point)


def test_names_that_look_the_same() -> None:
    assert skeleton("Ann  \u00a0Li") == skeleton("Ann Li") == "Ann Li"
    assert skeleton("علی\u200cرضا") == skeleton("علیرضا")
    assert skeleton("葛\U000e0100城") == skeleton("葛城")
    assert skeleton("Ann") != skeleton("ann")


def test_the_ranges_do_not_overlap_where_it_matters() -> None:
    """A character that may never stand may not be one after which, or as which, others may."""
    refused = {p for first, last in text.CONTROL + text.INVISIBLE for p in range(first, last + 1)}
    for ranges in (
        text.JOINERS, text.JOINING, text.MONGOLIAN, text.MONGOLIAN_SELECTORS, text.SELECTORS, text.SELECTABLE,
        text.PICTURES, text.IDEOGRAPHS, text.IDEOGRAPH_SELECTORS, text.BLANKS,
    ):  # fmt: skip
        assert all(first <= last for first, last in ranges)
        assert list(ranges) == sorted(ranges)
        assert refused.isdisjoint(p for first, last in ranges for p in range(first, last + 1))


def test_names_that_people_take_for_one() -> None:
    for one, other in (
        ("Ann", "ANN"), ("Straße", "STRASSE"), ("Zoë", "Zoe\u0308"), ("00 17", "0017"), ("a\u00a0b", "ab"),
        ("ﬁn", "fin"), ("１", "1"), ("علی\u200cرضا", "علیرضا"), ("\u1e9e", "ss"),
    ):  # fmt: skip
        assert folded(one) == folded(other)
        assert twins(["x", one, "y", other, one]) == (1, 3)
    assert twins(["0017", "17", "Zoë", "Zoe", "l", "1"]) is None
    assert twins([]) is None


def test_what_was_probably_meant() -> None:
    known = ["0017", "0018", "Ann Li", "Zoë"]
    for asked, meant in (("17", "0017"), ("ann  li", "Ann Li"), ("Ann L", "Ann Li"), ("x", None), ("", None)):
        assert did_you_mean(asked, known) == meant
    assert did_you_mean("ann", []) is None


def test_among_very_many_names_only_the_same_one_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_COMPARED", 1)
    assert did_you_mean("ann  li", ["Ann Li", "Bo"]) == "Ann Li"
    assert did_you_mean("Ann L", ["Ann Li", "Bo"]) is None
