"""How results look."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from votenet.cli import render
from votenet.errors import VotenetError


@pytest.mark.parametrize(("share", "bar"), [(0.0, ""), (1.0, "█" * 30), (0.5, "█" * 15), (1 / 240, "▏")])
def test_bars(share: float, bar: str) -> None:
    assert render.bar(share) == bar


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the zone of this machine."""

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
    assert render.when(1_700_000_000) == shown


@pytest.mark.parametrize("seconds", [2**53, 10**17, 2**63, -(2**62)])
def test_a_number_that_is_no_time_is_shown_as_it_is(seconds: int) -> None:
    """Receipts and definitions may carry any number: Python's own functions raise."""
    shown = render.when(seconds)
    assert str(seconds) in shown or shown[:4].isdigit()


def test_only_ranked_ballots_have_an_order() -> None:
    assert render.preferences(("Ann", "Bo"), "instant-runoff") == "Ann > Bo"
    assert render.preferences(("Ann", "Bo"), "approval") == "Ann, Bo"


def test_numbers_of_things() -> None:
    assert [render.count_of(n, "block") for n in (0, 1, 2000)] == ["0 blocks", "1 block", "2,000 blocks"]


def test_json_keeps_unicode_and_takes_dataclasses(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Row:
        name: str

    render.print_json(Row("Zoë"))
    out = capsys.readouterr().out
    assert "Zoë" in out
    assert json.loads(out) == {"name": "Zoë"}


def test_markup_in_a_name_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    made = render.table("[bold]T[/]", [("name", "left")])
    made.add_row("[red]Eve[/red] :smile:")
    render.print_table(made)
    assert "[red]Eve[/red] :smile:" in capsys.readouterr().out


def test_no_colour_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not render.wants_colour()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not render.wants_colour()


def test_a_reported_error_is_marked() -> None:
    error = render.reported(VotenetError("x"))
    assert error.reported
    assert not VotenetError("y").reported
