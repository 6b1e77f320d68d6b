"""The command: a short run that holds, one that breaks, what it prints and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult as Said

from votenet.lab import chaos_checks, chaos_run
from votenet.lab.chaos_checks import ALL_AGREE, Broken
from votenet.lab.chaos_plan import Step, StepKind
from votenet.lab.chaos_recorder import Recording, SeenBlock, Stand
from votenet.lab.chaos_run import Chaos, ChaosResult, StepResult


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run's own folder is made."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def ends_with(monkeypatch: pytest.MonkeyPatch, broken: Broken | None) -> None:
    """A run of one step, as far as the command can see: what it does itself is in test_chaos_run.py."""

    def run(self: Chaos) -> ChaosResult:
        assert os.environ["VOTENET_HOME"] == str(self._home)
        done = StepResult(0.5, Step(StepKind.KILL, ("node-1",)), 0.25, 0.125)
        return ChaosResult(self._outcome.seed, self._outcome.nodes, [done], 10, 1.0, 0.5, broken)

    monkeypatch.setattr(chaos_run.Chaos, "run", run)


def test_a_good_run_is_reported_and_leaves_nothing_behind(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temporary: Path
) -> None:
    ends_with(monkeypatch, None)
    home = os.environ["VOTENET_HOME"]
    said = cli("chaos", "--seed", "9", "--nodes", "4", "--report", str(tmp_path / "r.html"))
    assert said.code == 0
    assert "1 faults in 1 s, 10 votes counted; every invariant held" in said.out
    assert "votenet chaos --seed 9 --nodes 4" in said.out
    assert "seed 9" in (tmp_path / "r.html").read_text()
    assert list(temporary.iterdir()) == []
    assert os.environ["VOTENET_HOME"] == home


def test_a_broken_invariant_is_named_and_its_logs_are_kept(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temporary: Path
) -> None:
    ends_with(monkeypatch, Broken(ALL_AGREE, "2 different tips"))
    said = cli("chaos", "--seed", "9", "--report", str(tmp_path / "r.html"), "--json")
    assert said.code == 1
    found: dict[str, Any] = json.loads(said.out)
    assert found["broken"] == f"broken: {ALL_AGREE}: 2 different tips"
    assert found["steps"] == [{"at": 0.5, "step": "kill node-1", "ready": 0.25, "agreed": 0.125}]
    assert "[invariant-broken]" in said.err
    (kept,) = temporary.iterdir()
    assert str(kept) in said.err
    assert ALL_AGREE in (tmp_path / "r.html").read_text()


def test_a_picture_is_drawn_of_what_was_recorded_and_the_command_is_told_with_its_choices(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temporary: Path
) -> None:
    made: dict[str, Any] = {}

    def run(self: Chaos) -> ChaosResult:
        made.update(named=self._named, record=self._record, first=self._planner.next().kind)
        found = Recording(stands={"node-1": [Stand(0.0, "a")]}, blocks={"a": SeenBlock(0.0, 1, "", "node-1")})
        return ChaosResult(self._outcome.seed, self._outcome.nodes, seconds=1.0, recording=found)

    monkeypatch.setattr(chaos_run.Chaos, "run", run)
    file = tmp_path / "fork.svg"
    said = cli("chaos", "--seed", "9", "--no-named-nodes", "--fault", "partition", "--picture", str(file))
    assert said.code == 0
    assert made == {"named": False, "record": True, "first": StepKind.PARTITION}
    assert "Again: votenet chaos --seed 9 --nodes 5 --no-named-nodes --fault partition" in said.out
    assert file.read_text().startswith("<svg ")
    assert "node-1" in file.read_text()


@pytest.mark.parametrize(
    "args", [("--fault", "sleep"), ("--nodes", "2"), ("--seed", "-1"), ("--duration", "x"), ("--report", "/")]
)
def test_bad_input_starts_nothing(cli: Callable[..., Said], temporary: Path, args: tuple[str, ...]) -> None:
    assert cli("chaos", *args).code == 2
    assert list(temporary.iterdir()) == []


def test_a_run_without_time_for_a_fault_fails(cli: Callable[..., Said]) -> None:
    said = cli("chaos", "--seed", "1", "--duration", "0", "--nodes", "3")
    assert said.code == 1
    assert chaos_checks.SOMETHING_DONE in said.err
    kept = said.err.partition("logs are in ")[2].split()[0]
    assert Path(kept).name.startswith("votenet-chaos-")
    shutil.rmtree(kept)
