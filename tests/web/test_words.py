"""Sentences, numbers, dates and foreign names in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import votenet.web
from votenet.web.language import catalogue
from votenet.web.words import Words

EN, ID = Words("en", "Asia/Jakarta"), Words("id", "Asia/Jakarta")
NOON = 1_811_739_600
"""2027-05-31 05:00 UTC, noon in Jakarta."""


@pytest.mark.parametrize(
    ("value", "english", "indonesian"),
    [(0, "0", "0"), (1234567, "1,234,567", "1.234.567"), ("1234.50000", "1,234.50000", "1.234,50000")],
)
def test_numbers(value: int | str, english: str, indonesian: str) -> None:
    assert (EN.number(value), ID.number(value)) == (english, indonesian)


def test_percent() -> None:
    assert (EN.percent(1, 3), ID.percent(1, 3), EN.percent(1, 0)) == ("33.3%", "33,3%", "–")


def test_dates_have_weekday_zone_and_a_form_for_programs() -> None:
    assert EN.date(NOON) == (
        '<time datetime="2027-05-31T12:00:00+07:00">'
        "Monday, 31 May 2027, 12:00 (Asia/Jakarta, UTC+07:00)</time>"
    )
    assert "Senin, 31 Mei 2027, pukul 12.00 (Asia/Jakarta, UTC+07:00)" in ID.date(NOON)
    assert "12:00:07" in EN.date(NOON + 7)
    assert (
        Words("en").date(0)
        == '<time datetime="1970-01-01T00:00:00+00:00">Thursday, 1 January 1970, 00:00 (UTC)</time>'
    )
    assert EN.date(2**53) == "9007199254740992 seconds after 1970"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (200_000, "2 days"),
    ],
)
def test_spans(seconds: int, text: str) -> None:
    assert EN.span(seconds) == text


def test_texts_of_others_are_escaped_isolated_and_never_a_template() -> None:
    name = EN.name("<b>{count}</b>\u202e")
    assert name == "<bdi>&lt;b&gt;{count}&lt;/b&gt;\\u202e</bdi>"
    assert name in EN.t("decision.winners", count=1, names=name)
    assert "&lt;i&gt;" in EN.t("error.code", code="<i>")


def test_names_of_an_election_carry_its_language() -> None:
    assert Words("en", own_language="de-AT").name("Jörg") == '<bdi lang="de-AT">Jörg</bdi>'
    assert Words("id", own_language="id-ID").name("Budi") == "<bdi>Budi</bdi>"


def test_lists() -> None:
    assert re.sub("</?bdi>", "", EN.names(["A"])) == "A"
    assert re.sub("</?bdi>", "", EN.names(["A", "B", "C"])) == "A, B and C"
    assert re.sub("</?bdi>", "", ID.names("ABC", most=2)) == "A, B, … (seluruhnya 3)"
    assert EN.names([]) == ""


def test_one_and_many() -> None:
    assert EN.t("ballots.count", count=1) == "1 ballot."
    assert EN.t("ballots.count", count=2000) == "2,000 ballots."
    assert ID.t("ballots.count", count=2000) == "2.000 surat suara."


def test_every_sentence_of_the_catalogues_is_used() -> None:
    """Keys that are put together in code are known by their beginning."""
    root = Path(votenet.web.__file__).parent
    sources = "\n".join(
        path.read_text("utf-8") for path in (*root.rglob("*.py"), *root.glob("templates/*.html"))
    )
    built = re.findall(r"""f?["']([a-z-]+(?:\.[a-z-]+)*\.)(?:\{|["'] ~|["'] \+)""", sources)
    for key in catalogue("en"):
        whole = re.sub(r"\.(one|other)$", "", key)
        used = f'"{whole}"' in sources or f"'{whole}'" in sources
        assert used or key.startswith((*built, "help.code.", "lie.")), f"no page says {key}"
