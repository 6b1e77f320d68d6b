"""Amendments in lines for people."""

from __future__ import annotations

from support.amendments import CLOSES, amendable, amendment
from support.elections import key_of
from votenet.cli.election.amendment_view import amendment_lines, closes_words
from votenet.client.refusals import when


def test_each_amendment_is_a_line_with_its_reason_and_the_hour_that_it_replaces() -> None:
    election = amendable("ann")
    for action, members in (
        ("extend", {"closes": CLOSES + 60, "reason": "the hall was late"}),
        ("close", {"closes": CLOSES + 30}),
        ("add-voter", {"voter": "dan"}),
        ("add-voter", {"voter": "eve", "weight": 3}),
        ("replace-key", {"voter": "ann", "reason": "lost"}),
        ("cancel", {}),
    ):
        made = amendment(election, action, members.pop("voter", None), **members)  # type: ignore[arg-type]
        election = election.amended([made])
    dan, eve, ann = (key_of(f"new key of {name}").public_hex for name in ("dan", "eve", "ann"))
    assert list(amendment_lines((), CLOSES)) == []
    assert list(amendment_lines(election.amendments, CLOSES)) == [
        "Amendments:",
        f"  1. extend: voting closes {when(CLOSES + 60)}, not {when(CLOSES)} (the hall was late)",
        f"  2. close: voting closes {when(CLOSES + 30)}, not {when(CLOSES + 60)}",
        f"  3. add-voter: dan may vote with the key {dan}",
        f"  4. add-voter: eve may vote with the key {eve}, weight 3",
        f"  5. replace-key: ann votes with the key {ann} (lost)",
        "  6. cancel: the election is cancelled",
    ]
    _, first = amendment_lines(election.amendments[1:2], None)
    assert first == f"  2. close: voting closes {when(CLOSES + 30)}, there was no closing time"


def test_the_closing_time_in_force_names_the_first_one() -> None:
    assert closes_words(200, 200) == when(200)
    assert closes_words(260, 200) == f"{when(260)} (extended from {when(200)})"
    assert closes_words(140, 200) == f"{when(140)} (brought forward from {when(200)})"
    assert closes_words(140, None) == f"{when(140)} (set by an amendment)"
