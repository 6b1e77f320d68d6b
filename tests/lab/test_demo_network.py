"""What elections of the demonstration have: hours that fit the machine, and an end that leaves nothing."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from votenet.errors import VotenetError
from votenet.lab import demo_network
from votenet.lab.demo_network import LONGER, MOST_SECONDS, DemoNetwork, TooLate, within_hours, works_in


class Sample(DemoNetwork):
    """An election whose only step is what a test gives it; it starts no program."""

    def __init__(self, seconds: int, fails: type[Exception] | None = None) -> None:
        super().__init__(2, seconds, lambda text: None)
        self._fails = fails

    @property
    def folder(self) -> Path:
        return self._home

    def _while_open(self) -> None:
        self._closes = int(time.time()) + self._seconds
        if self._fails is VotenetError:
            raise VotenetError("not in time", code="command-failed")
        if self._fails is not None:
            raise self._fails

    def _end(self) -> None:
        self._check("all counted", True, "2 of 2")

    def _run(self, *command: str, **given: Any) -> subprocess.CompletedProcess[str]:
        assert command == ("down",)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture(autouse=True)
def _folders_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_hours_that_are_too_short_are_made_longer() -> None:
    tried, said = list[int](), list[str]()

    def trial(seconds: int) -> str:
        tried.append(seconds)
        if seconds < 100:
            raise TooLate
        return "done"

    assert within_hours(10, trial, said.append) == "done"
    assert tried == [10, 10 * LONGER, 10 * LONGER**2]
    assert len(said) == 2

    def never(seconds: int) -> str:
        tried.append(seconds)
        raise TooLate

    with pytest.raises(VotenetError, match="too long"):
        within_hours(10, never, said.append)
    assert max(tried) <= MOST_SECONDS


@pytest.mark.parametrize("keep", [False, True])
def test_its_folder_is_kept_only_when_that_is_asked_for(keep: bool) -> None:
    sample = Sample(3000)
    checks, counts = sample.run(keep=keep)
    assert [check.what for check in checks] == ["all counted", "everything is stopped, no process is left"]
    assert (all(check.passed for check in checks), counts) == (True, [])
    assert sample.folder.exists() == keep


def test_a_step_that_fails_is_a_failed_check_while_voting_is_open() -> None:
    checks, _ = Sample(3000, VotenetError).run()
    assert (checks[0].passed, checks[0].seen) == (False, "not in time")
    assert checks[-1].what == "everything is stopped, no process is left"


@pytest.mark.parametrize("fails", [VotenetError, TooLate])
def test_a_step_that_fails_after_closing_calls_for_longer_hours_and_leaves_no_folder(
    fails: type[Exception],
) -> None:
    sample = Sample(0, fails)
    with pytest.raises(TooLate):
        sample.run(keep=True)
    assert not sample.folder.exists()


def test_nodes_that_do_not_answer_in_time_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine: the error of the command was taken for the answer of the nodes."""
    silent = {"code": "unreachable", "message": "no answer"}
    agree = {"agree": True, "nodes": [{"final": True}, {"final": True}]}
    answers = [silent, {"agree": False, "nodes": [{"final": True}]}, silent, agree]
    sample = Sample(3000)
    monkeypatch.setattr(sample, "_command", lambda *_, **__: answers.pop(0))
    assert sample._all_nodes(lambda node: bool(node["final"])) == agree
    assert answers == []
    monkeypatch.setattr(sample, "_command", lambda *_, **__: silent)
    monkeypatch.setattr(demo_network, "DEMO_RECOVERY_SECONDS", 0.0)
    with pytest.raises(VotenetError, match="no node says"):
        sample._all_nodes(lambda node: True)


def test_only_processes_of_the_folder_work_in_it(tmp_path: Path) -> None:
    own = psutil.Process()
    assert not works_in(own, tmp_path)
    assert works_in(own, Path(own.cwd()).parent)
