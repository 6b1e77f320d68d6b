"""Text and tables out of status dicts."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.elections import key_of, make_election
from support.secret_definitions import CLOSES, SecretSetup
from votenet.cli import ui
from votenet.cli.election.roll import write_roll
from votenet.cli.network import view
from votenet.config import instance_dirs
from votenet.core.election.roll import Roll
from votenet.storage.key_store import KeyStore


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert ui.wants_colour(Terminal())
    assert not ui.wants_colour(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not ui.wants_colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not ui.wants_colour(Terminal())


def test_troubles_name_cause_problem_and_last_lines() -> None:
    program = {
        "name": "node-1",
        "state": "removed",
        "cause": "exit 1",
        "says": None,
        "problem": "port 3000 is still held",
        "last_lines": ["boom"],
        "log": "/l",
        "cut_off": None,
    }
    ready = {**program, "state": "ready"}
    assert list(view.troubles({"instance": "default", "programs": [ready, program]})) == [
        "node-1 is removed: exit 1",
        "  port 3000 is still held",
        "  | boom",
        "  whole log: /l",
    ]


PLACE: dict[str, Any] = {
    "bootstrap": "127.0.0.1:4000",
    "nodes": ["127.0.0.1:3000", "127.0.0.1:3001", "127.0.0.1:3002"],
}


@pytest.fixture
def vote_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The line that says how to vote in a network with this election."""
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))

    def line(
        instance: str = "default", roll: Roll | None = None, height: int | None = None, **fields: Any
    ) -> str:
        dirs = instance_dirs(instance)
        dirs.state.mkdir(exist_ok=True)
        if roll is not None:
            write_roll(dirs.state / "roll.json", roll)
        dirs.genesis.write_bytes(make_election(roll=roll, **fields).to_file())
        status = {
            "instance": instance,
            "genesis": str(dirs.genesis),
            "supervisor": {"detached": True},
            "programs": [{"height": None}, {"height": height, "waiting": 0}],
        } | PLACE
        return next(view.how_to_vote(status)).removeprefix("Vote:    ")

    return line


def test_the_next_step_depends_on_instance_and_mode(vote_line: Callable[..., str], tmp_path: Path) -> None:
    assert vote_line() == "votenet vote voter123 Alice"
    assert vote_line("b") == "votenet vote -i b voter123 Alice"
    status = {"instance": "b", "supervisor": {"detached": False}, "genesis": str(tmp_path / "none")} | PLACE
    lines = list(view.how_to_vote(status))
    assert lines[-1] == "Stop:    Ctrl-C"
    assert lines[-2] == (
        "Where:   this machine only: 127.0.0.1, bootstrap server on port 4000, nodes on 3000 to 3002. "
        "Other machines cannot reach it."
    )
    status["nodes"] = ["127.0.0.1:3000", "127.0.0.1:3007"]
    assert "nodes on 3000, 3007." in view.where(status)
    status["supervisor"] = {"detached": True}
    assert list(view.how_to_vote(status))[-1] == "Stop:    votenet down -i b"


def test_the_suggested_vote_names_a_real_candidate(vote_line: Callable[..., str]) -> None:
    assert vote_line(candidates=("Ann",)) == "votenet vote voter123 Ann"
    assert vote_line(candidates=("--force", "Bo O'Neil")) == "votenet vote voter123 'Bo O'\"'\"'Neil'"
    assert vote_line(candidates=("-x",)) == "votenet vote -- voter123 -x"


def test_the_voter_to_try_has_not_voted(vote_line: Callable[..., str], tmp_path: Path) -> None:
    """After a restart the example was refused: voter123 was the first that everybody had tried."""
    again = vote_line(height=1)
    assert re.fullmatch(r"votenet vote voter\d{6} Alice", again)
    key = KeyStore(tmp_path / "keys").get_or_make("bo").key
    roll = Roll([("bo", key.public_hex)])
    assert vote_line("r", roll=roll, height=0) == "votenet vote -i r bo Alice"
    assert vote_line("r", roll=roll, height=1) == "if bo has not voted yet: votenet vote -i r bo Alice"


def test_the_voter_to_try_is_on_the_roll_and_has_the_key_here(
    vote_line: Callable[..., str], tmp_path: Path
) -> None:
    other = Roll([("ann", key_of("ann").public_hex)])
    assert "where their keys are" in vote_line(roll=other)
    keys = KeyStore(tmp_path / "keys")
    keys.get_or_make("ann")
    assert "where their keys are" in vote_line(roll=other), "ann's key here is not the one on the roll"
    ours = Roll([("bo", keys.get_or_make("bo").key.public_hex), *other.keys.items()])
    assert vote_line(roll=ours) == "votenet vote bo Alice"


def test_before_and_after_its_hours_no_vote_is_offered_now(vote_line: Callable[..., str]) -> None:
    now = int(time.time())
    assert vote_line(created=now, opens=now + 3600).startswith("from 2")
    assert vote_line(created=now - 9, closes=now - 5).startswith("closed since 2")


def _program(**fields: object) -> dict[str, object]:
    program = {
        "name": "node-1", "state": "ready", "address": "127.0.0.1:3000", "pid": 4000000, "uptime": 700,
        "height": 12345, "peers": 4, "waiting": 12345, "cpu": 100.0, "memory": 50 * 2**20, "restarts": 12,
        "cause": None, "problem": "", "alert": "", "next_try_in": None, "links": None, "cut_off": None,
        "finality": {"height": 12344, "index": 0, "named": 5, "quorum": 4, "reachable": [0, 1, 2]},
    }  # fmt: skip
    return {**program, **fields}


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_nothing_is_cut_off_on_a_terminal_of_any_usual_width(width: int) -> None:
    from rich.console import Console

    cause = "exit 1 (a failure); next try in 4m59s"
    programs = [_program(), _program(name="bootstrap", state="stopping", cause="exit 1 (a failure)")]
    status = {
        "programs": [*programs, _program(name="node-64", state="removed", next_try_in=299, cause=cause)]
    }
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(view.status_table(status, width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in (
        "bootstrap",
        "FINAL",
        "12344",
        "stopping",
        "3000",
        "4000000",
        "11m40s",
        "12345",
        "100%",
        "50M",
        "RESTARTS",
    ):
        assert word in text
    assert "exit 1" in text
    assert ("127.0.0.1:3000" in text) == (width >= 140)


def test_without_named_nodes_there_is_no_column_for_what_is_final() -> None:
    from rich.console import Console

    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(view.status_table({"programs": [_program(finality=None)]}, 200))
    assert isinstance(console.file, io.StringIO)
    assert "FINAL" not in console.file.getvalue()


def test_what_is_final_is_said_of_the_whole_network_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status = {"instance": "default", "phase": "running", "programs": [_program()]}
    view.show(status, False)
    assert "Final:" not in capsys.readouterr().out
    view.show(status, False, finality=True)
    assert capsys.readouterr().out.endswith(
        "Final: up to block 12344; 3 of 5 named nodes are connected, 4 must agree.\n"
        "Too few: votes are received and saved, none becomes final until they are back.\n"
    )


def test_secret_ballots_are_cast_with_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(CLOSES - 1))
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(SecretSetup().election.to_file())
    status = {"instance": "b", "genesis": str(genesis), "supervisor": {"detached": True}} | PLACE
    assert next(view.how_to_vote(status)) == (
        "Vote:    those on the roll, with the code on a card: votenet vote -i b --code"
    )
