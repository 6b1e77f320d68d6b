"""The words of a page in its language: sentences of the catalogue, numbers, dates, names of others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from markupsafe import Markup, escape

from votenet.core.election.local_time import local_time
from votenet.text import visible
from votenet.web.language import catalogue

Value = str | int | None
NOTHING_TO_SAY: Final = Markup("")


class Words:
    """The words of one page.

    Args:
        language: one of LANGUAGES (`web/language.py`).
        zone: the time zone of the election, in which dates are written.
        own_language: BCP 47 tag of the election's own texts.
    """

    def __init__(self, language: str, zone: str = "UTC", own_language: str = "") -> None:
        self.lang, self._zone = language, zone
        own = own_language or language
        self._own = "" if own.partition("-")[0] == language else f' lang="{escape(own)}"'

    def has(self, key: str) -> bool:
        return key in catalogue(self.lang)

    def t(self, key: str, **values: Value) -> Markup:
        """The sentence of a key. Numbers are written as the language does, texts are escaped.

        With a `count` it is that of `key.one` or `key.other`, where the catalogue has these.
        """
        entries = catalogue(self.lang)
        if "count" in values and f"{key}.other" in entries:
            key = f"{key}.one" if values["count"] == 1 else f"{key}.other"
        shown = {name: self._shown(value) for name, value in values.items()}
        return Markup(entries[key]).format(**shown)

    def _shown(self, value: Value) -> str:
        return self.number(value) if isinstance(value, int) else "" if value is None else value

    # -- numbers and times -------------------------------------------------------------------------

    def number(self, value: int | str) -> str:
        """`1,234.5` in English, `1.234,5` in Indonesian. Decimal text keeps its digits."""
        whole, _, part = str(value).partition(".")
        text = f"{int(whole):,}" + (f".{part}" if part else "")
        return text if self.lang == "en" else text.translate(str.maketrans(",.", ".,"))

    def percent(self, part: float, of: float) -> str:
        """`30.8%`; a dash where there is nothing to compare with."""
        if not of:
            return "–"
        return f"{self.number(f'{100 * part / of:.1f}')}%"

    def date(self, seconds: int | float) -> Markup:
        """A moment with its weekday and its zone, in a `<time>` that programs can read.

        A script puts the reader's local time beside it, where its offset is another one.
        """
        whole = int(seconds)
        try:
            local = local_time(whole, self._zone)
        except (ValueError, OverflowError, OSError):
            return self.t("date.far", seconds=str(whole))
        clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
        text = self.t(
            "date.full",
            weekday=str(self.t("date.weekdays")).split()[local.weekday()],
            day=str(local.day),
            month=str(self.t("date.months")).split()[local.month - 1],
            year=str(local.year),
            clock=clock if self.lang == "en" else clock.replace(":", "."),
            zone=self._zone_text(local),
        )
        return Markup('<time datetime="{}">{}</time>').format(local.isoformat(), text)

    def _zone_text(self, local: datetime) -> str:
        offset = local.strftime("%z")
        if self._zone == "UTC" and offset == "+0000":
            return "UTC"
        return f"{self._zone.replace('_', ' ')}, UTC{offset[:3]}:{offset[3:5]}"

    def span(self, seconds: float) -> Markup:
        """A length of time in its largest unit: `3 hours`."""
        for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
            if seconds >= 2 * length or (unit == "minutes" and seconds >= length):
                return self.t(f"span.{unit}", count=int(seconds // length))
        return self.t("span.seconds", count=max(0, int(seconds)))

    # -- names -------------------------------------------------------------------------------------

    def name(self, text: str) -> Markup:
        """Text of others: escaped, nothing invisible, kept apart from the direction of the text around it."""
        return Markup("<bdi{}>{}</bdi>").format(Markup(self._own), visible(text))

    def names(self, texts: Iterable[str], most: int = 20) -> Markup:
        """Names as a list in a sentence; of more than `most` the first ones and how many there are."""
        found = [self.name(text) for text in texts]
        if len(found) > most:
            return self.t("list.many", first=Markup(", ").join(found[:most]), count=len(found))
        if len(found) < 2:
            return found[0] if found else Markup("")
        return self.t("list.and", first=Markup(", ").join(found[:-1]), last=found[-1])

    def paragraphs(self, text: str) -> list[Markup]:
        """The lines of a text of others that are not empty."""
        return [self.name(line) for line in text.splitlines() if line.strip()]
