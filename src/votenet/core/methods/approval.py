"""Approval: any number of candidates on a ballot, each gets a vote; most votes win."""

from __future__ import annotations

from typing import Final

from votenet.core.methods.method import Method, count_all, most_votes_win

APPROVAL: Final = Method(
    name="approval",
    ballot="any candidates, order does not matter",
    counted="every choice",
    count=count_all,
    decide=lambda tally, rules: most_votes_win(count_all(tally, rules), rules),
    max_seats=None,
)
