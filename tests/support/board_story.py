"""A weighted election of named nodes with three contests, as an archive, and its roll."""

from __future__ import annotations

from functools import cache

from support.elections import key_of
from support.named_files import Story, named_definition
from votenet.core.election.roll import Roll


@cache
def board_story() -> tuple[Roll, Story]:
    """A weighted election of named nodes from the first vote to the last late one, with its roll."""
    (one,) = named_definition()["contests"]
    simple = {"basis": "cast", "share": "simple"}
    contests = [
        one,
        one | {"id": "board", "method": "stv", "max": 3, "seats": 2, "blank": True, "title": "Board"},
        one
        | {
            "id": "budget",
            "method": "motion",
            "threshold": simple,
            "title": "Budget",
        },
    ]
    everybody = [f"{word} {n}" for word in ("voter", "late") for n in range(10)] + ["in one list"]
    roll = Roll((name, key_of(name).public_hex, len(everybody) - n) for n, name in enumerate(everybody))
    rolled = {"registration": "roll", "roll_root": roll.root_hex, "roll_size": len(everybody)}
    story = Story(named_definition(contests=contests, weighted=True, **rolled))
    return roll, story.vote().close().count()
