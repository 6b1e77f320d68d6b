"""Charts as inline SVG without styles of their own: the policy of the page allows none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup, escape

from votenet.core.methods.method import Round
from votenet.text import visible
from votenet.web.words import Words

SHADES: Final = 8
"""Candidates with a colour of their own in the chart of rounds; the others share one."""
CHART_WIDTH: Final = 720
ROUND_HEIGHT: Final = 56
LABEL_HEIGHT: Final = 22
"""Height of the line with the number of a round, above its bar."""
LETTER: Final = 9.5
"""About the width of a letter in a segment."""


def bar(part: float, of: float) -> Markup:
    """A bar whose filled part says a share; the numbers beside it say the same."""
    width = f"{100 * part / of:.2f}" if of else "0"
    return Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-track" width="100" height="8"/><rect class="bar-fill" width="{}" height="8"/></svg>'
    ).format(width)


def rounds_chart(words: Words, rounds: Sequence[Round]) -> Markup:
    """A bar for each round with a segment for each candidate; the table beside it has the numbers."""
    if len(rounds) < 2:
        return Markup("")
    order = list(dict.fromkeys(name for one in reversed(rounds) for name, _ in one.counts))
    shade = {name: place for place, name in enumerate(order[:SHADES])}
    total = max(_total(one) for one in rounds) or 1
    parts = [part for place, one in enumerate(rounds) for part in _row(words, one, place, shade, total)]
    height = ROUND_HEIGHT * len(rounds)
    return Markup('<svg class="rounds-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        CHART_WIDTH, height, words.t("rounds.chart-label"), Markup("").join(parts)
    )


def _total(one: Round) -> float:
    return sum(float(votes) for _, votes in one.counts) + float(one.exhausted)


def _row(words: Words, one: Round, place: int, shade: dict[str, int], total: float) -> Iterator[Markup]:
    top = place * ROUND_HEIGHT
    label = words.t("rounds.number", number=one.number)
    yield Markup('<text class="chart-label" x="0" y="{}">{}</text>').format(top + LABEL_HEIGHT - 6, label)
    left = 0.0
    ordered = sorted(one.counts, key=lambda line: shade.get(line[0], SHADES))
    for name, votes in (*ordered, ("", one.exhausted)):
        width = CHART_WIDTH * float(votes) / total
        if width > 0:
            kind = f"shade-{shade.get(name, SHADES)}" if name else "shade-exhausted"
            title = visible(name) or words.t("rounds.exhausted")
            yield _segment(left, top + LABEL_HEIGHT, width, kind, title, words.number(votes))
        left += width


def _segment(left: float, top: float, width: float, kind: str, name: str, votes: str) -> Markup:
    """A part of a bar with its name, as far as there is room for it; the whole as its title."""
    title = escape(f"{name}: {votes}")
    room = int((width - 14) / LETTER)
    short = name if len(name) <= room else f"{name[: max(0, room - 1)]}…"
    text = Markup('<text class="segment-name" x="{:.1f}" y="{}">{}</text>').format(left + 8, top + 21, short)
    return Markup(
        '<g><title>{}</title><rect class="segment {}" x="{:.1f}" y="{}" width="{:.1f}" height="30"/>{}</g>'
    ).format(title, kind, left, top, max(0.5, width - 2), text if room >= 3 else "")
