"""What a voter is told about a refusal, and how times look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from votenet.client.refusals import explained, when
from votenet.errors import Rejected

NOW = 1_700_000_000


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("UTC0", "2023-11-14 22:13:20 UTC"),
        ("WIB-7", "2023-11-15 05:13:20 WIB (UTC+07:00)"),
        ("<+0545>-5:45", "2023-11-15 03:58:20 UTC+05:45"),
        ("EST5EDT,M3.2.0,M11.1.0", "2023-11-14 17:13:20 EST (UTC-05:00)"),
    ],
)
def test_times_are_local_with_their_zone(zone: Callable[[str], None], name: str, shown: str) -> None:
    zone(name)
    assert when(NOW) == shown


@pytest.mark.parametrize("seconds", [2**53, 10**17, 2**63, -(2**62)])
def test_a_number_that_is_no_time_is_shown_as_it_is(seconds: int) -> None:
    """Receipts and definitions may carry any number: Python's own functions raise."""
    shown = when(seconds)
    assert str(seconds) in shown or shown[:4].isdigit()


def test_already_voted_names_the_vote_with_any_sentence_of_the_node() -> None:
    """The voter is who was asked for; the sentence of a node is not taken apart."""
    error = Rejected("already-voted", "diese Person hat schon gewählt", time=NOW)
    assert str(explained(error, "ann has already voted")) == (
        f"'ann has already voted' has already voted: {when(NOW)}, and that vote waits for its block"
    )
    in_block = Rejected("already-voted", "x", time=NOW, block="ab", height=7)
    assert explained(in_block, "ann").message.endswith("in block 7 (ab)")
    assert explained(in_block, "ann").details == in_block.details
    assert explained(Rejected("already-voted", "x", time="1"), "ann").args == ("x",)


def test_too_early_and_too_late_say_the_hour() -> None:
    assert explained(Rejected("not-open", "x", opens=NOW), "").message.endswith(f"it opens {when(NOW)}")
    assert explained(Rejected("closed", "x", closes=NOW), "").message.endswith(f"it closed {when(NOW)}")
    assert explained(Rejected("closed", "x", closes="soon"), "").message == "x"


def test_a_bad_voter_id_has_its_own_next_step_and_other_refusals_stay() -> None:
    assert "organisers" in explained(Rejected("bad-vote", "x"), "").next_step
    busy = Rejected("busy", "x")
    assert explained(busy, "") is busy
