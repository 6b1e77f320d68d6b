"""What the command makes of a demonstration; a whole one is run by tests/e2e/test_readers_of_demo.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.cli.conftest import CommandResult

from votenet.cli.lab import demo
from votenet.lab.demo_network import DemoCheck, DemoCount

COUNTS = [DemoCount("Mayor", "BETSY HODGES, in round 33", [("BETSY HODGES", 12, 12), ("DON SAMUELS", 8, 8)])]

SECRET_COUNTS = [DemoCount("Secret: drink", "Tea", [("Tea", 3, 3)])]


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_it_shows_what_was_checked_and_counted(
    cli: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, passed: bool, code: int
) -> None:
    asked: list[Any] = []

    def run(ballots: int, nodes: int, say: Callable[[str], None], *, keep: bool) -> Any:
        asked.append((ballots, nodes, keep))
        say("nodes start")
        return [DemoCheck("all started", True, "yes"), DemoCheck("all counted", passed, "19 of 20")], COUNTS

    def run_secret(say: Callable[[str], None], *, keep: bool) -> Any:
        return [DemoCheck("trustees counted", True, "2 of 3")], SECRET_COUNTS

    monkeypatch.setattr(demo, "run_demo", run)
    monkeypatch.setattr(demo, "run_secret_demo", run_secret)
    shown = cli("demo", "--ballots", "20", "--nodes", "3", "--keep")
    told = cli("demo", "--ballots", "20", "--nodes", "3", "--json")
    assert asked == [(20, 3, True), (20, 3, False)]
    assert (shown.code, told.code) == (code, code)
    assert "... nodes start" in shown.err
    for text in (
        "Mayor: BETSY HODGES, in round 33",
        "Secret: drink: Tea",
        "19 of 20",
        f"{2 + passed} of 3 checks passed in ",
    ):
        assert text in shown.out
    assert ("[demo-failed]" in shown.err, "FAILED" in shown.out) == (not passed, not passed)
    found = json.loads(told.out)
    assert (found["passed"], [check["passed"] for check in found["checks"]]) == (
        passed,
        [True, passed, True],
    )
    assert found["contests"][0]["counts"][0] == {"candidate": "BETSY HODGES", "votenet": 12, "by_hand": 12}
