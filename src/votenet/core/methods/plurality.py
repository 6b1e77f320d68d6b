"""Plurality: one candidate on a ballot; most votes win."""

from __future__ import annotations

from typing import Final

from votenet.core.methods.method import Method, count_first, most_votes_win

PLURALITY: Final = Method(
    name="plurality",
    ballot="one candidate",
    counted="that candidate",
    count=count_first,
    decide=lambda tally, rules: most_votes_win(count_first(tally, rules), rules),
    max_choices=1,
)
