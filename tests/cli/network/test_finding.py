"""Lines of `votenet doctor`, and how it ends."""

from __future__ import annotations

import json

import pytest

from votenet.cli.network.finding import Finding, by_warning, show_findings
from votenet.errors import VotenetError

FOUND = [Finding("disk", "ok", "large"), Finding("node-1", "problem", "down", "Start it.")]


def test_what_to_do_stands_below_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VotenetError) as refused:
        show_findings(FOUND, as_json=False)
    assert (refused.value.code, refused.value.exit_code) == ("problems-found", 1)
    assert capsys.readouterr().out.splitlines() == [
        "ok       disk    large", "problem  node-1  down", "                 -> Start it.",
    ]  # fmt: skip


def test_what_several_nodes_warn_of_is_said_once() -> None:
    told = [("node-1", "low disk"), ("node-2", "clock"), ("node-3", "low disk")]
    assert list(by_warning(told)) == [("node-1, node-3", "low disk"), ("node-2", "clock")]


def test_without_a_problem_it_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    show_findings(FOUND[:1], as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"what": "disk", "state": "ok", "found": "large", "next_step": ""}
    ]
