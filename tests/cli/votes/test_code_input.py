"""A vote with the code on a card: read without a trace on the command line, its voter found by the key."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tests.cli.conftest import CommandResult, node_of

from support.elections import key_of, make_election
from support.lying_node import lying_node
from votenet.cli.election.roll import write_roll
from votenet.cli.votes.code_input import asked_code, voter_of_code
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll
from votenet.core.election.voting_code import code_from, key_of_code, shown_code
from votenet.errors import ConfigError, Rejected

Cli = Callable[..., CommandResult]
UUID = make_election().definition.uuid
ANN, BO, STRANGE = (code_from(bytes([n]) * 14) for n in range(3))
ROLL = Roll([("ann", key_of_code(ANN, UUID).public_hex), ("bo", key_of_code(BO, UUID).public_hex)])
ELECTION = make_election(roll=ROLL)


def test_a_code_votes_for_its_voter_once_and_stands_on_no_command_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll, code = tmp_path / "roll.json", tmp_path / "code"
    write_roll(roll, ROLL)
    code.write_text(f" {shown_code(ANN).lower()}\n")
    vote = ("vote", "--roll", str(roll), "--code-file", str(code))
    with node_of(ELECTION, tmp_path, "--roll", str(roll)) as node:
        where = ("--node", str(node.address))
        done = cli(*vote, *where, "Bob")
        assert (done.code, "Voting as ann." in done.err) == (0, True), done.err
        assert "[already-voted]" in cli(*vote, *where, "Alice").err
        code.write_text(STRANGE)
        assert "no voter of this election has this code [not-on-roll]" in cli(*vote, *where, "Bob").err
        assert "[roll-missing]" in cli("vote", "--code-file", str(code), *where, "Bob").err
        with monkeypatch.context() as terminal:
            typed = iter([BO, "1"])
            terminal.setattr(sys.stdin, "isatty", lambda: True, raising=False)
            terminal.setattr(click, "prompt", lambda *_, **__: next(typed))
            terminal.setattr(click, "confirm", lambda *_, **__: False)
            declined = cli("vote", "--code", "--roll", str(roll), *where)
        assert declined.code == 130
        order = [
            "Voting as bo.",
            f"Election: {ELECTION.definition.title}",
            "choice: Alice",
            "Nothing was cast.",
        ]
        assert [line for line in declined.err.splitlines() if line in order] == order
    code.write_text(ANN[:7] + "Z" + ANN[8:])
    assert "group 2 of the code is wrong [bad-code]" in cli(*vote, "Bob").err
    assert cli("vote", "--code", "--key", str(code), "Bob").code == 2
    assert cli("vote").code == 2


def test_a_code_that_was_replaced_is_told_from_one_of_another_election() -> None:
    known = with_roll(ELECTION, ROLL)
    assert voter_of_code(ANN, known, ROLL)[0] == "ann"
    changed = Election(ELECTION.definition, {**ROLL.keys, "ann": key_of("new").public_hex})
    for election, roll, code, says in (
        (changed, ROLL, ANN, "was replaced"),
        (known, ROLL, STRANGE, "no voter of this election"),
        (ELECTION, None, ANN, "the roll of this election is not here"),
        (make_election(), None, ANN, "open to everybody"),
    ):
        with pytest.raises((Rejected, ConfigError), match=says) as refused:
            voter_of_code(code, election, roll)
        assert refused.value.next_step


def test_at_a_terminal_nothing_is_asked_for_where_the_roll_is_missing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prompt(*_: object, **__: object) -> str:
        raise AssertionError("the answer would be of no use")

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with lying_node(ELECTION, {}) as node:
        refused = cli("vote", "--code", "--node", str(node))
    assert "[roll-missing]" in refused.err
    assert "--roll FILE" in refused.err


def test_at_a_terminal_a_wrong_code_is_asked_for_again_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter([ANN[:-1], shown_code(ANN)])
    hidden = []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        hidden.append(hide_input)
        return next(typed)

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert asked_code(None) == ANN
    assert hidden == [True, True]
    assert "A code has 26 characters, this has 25." in capsys.readouterr().err
