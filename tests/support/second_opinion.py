"""What the second verifier says of contests, compared with the product's reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from votenet.core.election.contest import ContestReport

OF_THE_OUTCOME: Final[dict[str, Any]] = {
    "state": "",
    "winners": [],
    "tied": [],
    "quota": "",
    "conditions": [],
}
"""What the verifier says of an outcome, with what a report leaves out."""


def same_contests(theirs: Sequence[dict[str, Any]], ours: Sequence[ContestReport]) -> None:
    """Fails unless the verifier (`theirs`) counts and decides as the product does."""
    assert json.loads(json.dumps(theirs)) == [_as_theirs(report) for report in ours]


def _as_theirs(report: ContestReport) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(msgspec.json.encode(report))
    outcome = made.pop("outcome")
    made.pop("blank_weighed", None)  # only words follow from it
    return made | {name: outcome.get(name, left_out) for name, left_out in OF_THE_OUTCOME.items()}
