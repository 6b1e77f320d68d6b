"""The words on cards and invitations, in English and Indonesian."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from votenet.core.election.definition import ElectionDefinition
from votenet.core.election.local_time import local_time

CardKind = Literal["card", "invitation"]
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
}
WORDS: Final = {
    "en": {
        "card": "Your voting card",
        "invitation": "Your invitation",
        "how-card": "Scan, or open this page and type the code:",
        "how-invitation": "Scan, or open this page and type the code, to make your key:",
        "help-card": "Keep it secret: this code votes for you. Lost? Tell the organiser before you vote.",
        "help-secret": "Keep it secret: it votes for you. Lost? Tell the organiser. {threshold} trustees"
        " together could open your vote; you could prove it to others.",
        "help-invitation": "Keep it secret: it works once. Lost, or used already? Tell the organiser.",
        "hours": "Vote from {opens} to {closes} ({zone})",
        "from": "Vote from {opens} ({zone})",
        "until": "Vote until {closes} ({zone})",
        "hour": "{day} {month} {year}, {clock}",
    },
    "id": {
        "card": "Kartu suara Anda",
        "invitation": "Undangan Anda",
        "how-card": "Pindai, atau buka halaman ini dan ketik kodenya:",
        "how-invitation": "Pindai, atau buka halaman ini dan ketik kodenya, untuk membuat kunci Anda:",
        "help-card": "Rahasiakan: kode ini memilih atas nama Anda. Hilang? Segera beri tahu penyelenggara.",
        "help-secret": "Rahasiakan: ini suara Anda. Hilang? Lapor panitia. {threshold} pemegang kunci"
        " bersama dapat membukanya; Anda dapat membuktikannya.",
        "help-invitation": "Rahasiakan: hanya berlaku sekali. Hilang atau dipakai? Beri tahu penyelenggara.",
        "hours": "Memilih dari {opens} sampai {closes} ({zone})",
        "from": "Memilih mulai {opens} ({zone})",
        "until": "Memilih sampai {closes} ({zone})",
        "hour": "{day} {month} {year}, {clock}",
    },
}


def language_of(definition: ElectionDefinition) -> str:
    """The language of the cards: that of the election where there are words in it, else English."""
    language = definition.language.partition("-")[0].lower()
    return language if language in WORDS else "en"


def hours_text(definition: ElectionDefinition, closes: int | None) -> str:
    """When to vote, in the time zone of the election; empty where it has no hours. `closes`: in force."""
    language, opens = language_of(definition), definition.opens
    if opens is None and closes is None:
        return ""
    start, end = (None if one is None else local_time(one, definition.time_zone) for one in (opens, closes))
    zone = definition.time_zone
    if start is None or end is None:
        known = start or end
        assert known is not None
        key, name = ("until", "closes") if start is None else ("from", "opens")
        return WORDS[language][key].format(zone=_zone(known, zone), **{name: _hour(known, language)})
    last = _clock(end, language) if start.date() == end.date() else _hour(end, language)
    return WORDS[language]["hours"].format(opens=_hour(start, language), closes=last, zone=_zone(end, zone))


def _zone(moment: datetime, name: str) -> str:
    return name if moment.tzinfo is not None and str(moment.tzinfo) == name else "UTC"


def _hour(moment: datetime, language: str) -> str:
    month = _MONTHS[language].split()[moment.month - 1]
    clock = _clock(moment, language)
    return WORDS[language]["hour"].format(day=moment.day, month=month, year=moment.year, clock=clock)


def _clock(moment: datetime, language: str) -> str:
    return f"{moment:%H.%M}" if language == "id" else f"{moment:%H:%M}"
