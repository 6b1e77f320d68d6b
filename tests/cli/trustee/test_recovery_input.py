"""A recovery code, asked for until it holds, or read from a file."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from votenet.cli.trustee.recovery_input import asked_seed
from votenet.core.election.recovery_code import recovery_code
from votenet.errors import Rejected

SEED = "J6ZsnsMkfGxyBBrDgpLLKy"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_code_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.write_text(f" {recovery_code(SEED).lower()}\n")
    assert asked_seed(path).text == SEED
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Rejected):
        asked_seed(path)


def test_a_person_is_asked_again_and_nothing_typed_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = recovery_code(SEED)
    wrong = "0" + code[1:] if code[0] != "0" else "1" + code[1:]
    typed = iter([wrong[:-1], wrong, code])
    hidden = []

    def prompt(text: str, *, hide_input: bool, err: bool) -> str:
        hidden.append(hide_input)
        return next(typed)

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    found = {asked_seed(None).text}
    assert found == {SEED}
    assert hidden == [True] * 3
    shown = capsys.readouterr()
    assert wrong not in shown.out + shown.err
    assert "characters" in shown.err
