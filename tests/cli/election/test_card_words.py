"""The words on cards: the same keys in each language, hours as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from support.elections import make_election
from votenet.cli.election.card_words import WORDS, hours_text, language_of

MORNING, NIGHT = (int(datetime(2037, 6, 1, hour, tzinfo=UTC).timestamp()) for hour in (6, 18))
DEFINITION = make_election().definition


def test_every_language_has_the_same_words() -> None:
    assert {frozenset(words) for words in WORDS.values()} == {frozenset(WORDS["en"])}
    assert [language_of(msgspec.structs.replace(DEFINITION, language=one)) for one in ("id-ID", "de")] == [
        "id", "en"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "zone", "opens", "closes", "text"),
    [
        ("en", "Europe/Berlin", MORNING, NIGHT, "Vote from 1 June 2037, 08:00 to 20:00 (Europe/Berlin)"),
        ("id", "Asia/Jakarta", MORNING, NIGHT + 86400,
         "Memilih dari 1 Juni 2037, 13.00 sampai 3 Juni 2037, 01.00 (Asia/Jakarta)"),
        ("en", "UTC", None, NIGHT, "Vote until 1 June 2037, 18:00 (UTC)"),
        ("en", "Nowhere/Else", MORNING, None, "Vote from 1 June 2037, 06:00 (UTC)"),
        ("en", "UTC", None, None, ""),
    ],
)  # fmt: skip
def test_hours(language: str, zone: str, opens: int | None, closes: int | None, text: str) -> None:
    definition = msgspec.structs.replace(DEFINITION, language=language, time_zone=zone, opens=opens)
    assert hours_text(definition, closes) == text
