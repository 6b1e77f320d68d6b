"""How results look."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from votenet.cli import render
from votenet.errors import VotenetError


@pytest.mark.parametrize(("share", "bar"), [(0.0, ""), (1.0, "█" * 30), (0.5, "█" * 15), (1 / 240, "▏")])
def test_bars(share: float, bar: str) -> None:
    assert render.bar(share) == bar


def test_times_are_utc() -> None:
    assert render.when(1_700_000_000) == "2023-11-14 22:13:20 UTC"


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
