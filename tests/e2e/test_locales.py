"""Terminals that know few letters, names and homes that are no text: whole commands, as started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e
LOCALE = "de_DE.ISO-8859-1"
TITLE, ANN, BO = "Wahl 徐 🗳", "Žofie", "Zoë"


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a terminal in ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    try:
        made = subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / LOCALE)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("needs localedef (Debian: libc-bin and locales)")
    if not (folder / LOCALE).is_dir():
        pytest.skip(f"localedef has no de_DE in ISO-8859-1 (Debian: locales): {made.stderr}")
    return {"LOCPATH": str(folder), "LC_ALL": LOCALE}


def test_the_locale_is_set_as_named(latin: dict[str, str]) -> None:
    script = "import sys; print(sys.stdout.encoding, sys.getfilesystemencoding())"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **latin}, capture_output=True)
    assert done.stdout.lower() == b"iso8859-1 iso8859-1\n"


@pytest.mark.long
def test_an_election_with_letters_that_the_terminal_does_not_know(
    votenet: Votenet, tmp_path: Path, latin: dict[str, str]
) -> None:
    """A command that had one of them to print ended in a trace, and with 1: of audit, "does not hold"."""
    command = [sys.executable, "-m", "votenet"]
    utf_8 = {**votenet.env, "LC_ALL": "C.UTF-8"}
    up = [
        "up",
        "--nodes",
        "1",
        "-d",
        "--difficulty",
        "8",
        "--title",
        TITLE,
        "--candidate",
        ANN,
        "--candidate",
        BO,
    ]
    subprocess.run([*command, *up], env=utf_8, check=True, capture_output=True)
    subprocess.run([*command, "vote", "ann", ANN], env=utf_8, check=True, capture_output=True)
    archive, receipt = str(tmp_path / "a.jsonl"), str(tmp_path / "r.json")
    for arguments in (
        ("results",), ("status",), ("ps",), ("top", "--once", "--interval", "0.1"), ("logs",), ("ls",),
        ("receipt", "ann", "-o", receipt), ("verify", receipt), ("export", "-o", archive), ("audit", archive),
        ("results", "--json"), ("verify", receipt, "--json"), ("audit", archive, "--json"), ("doctor",),
    ):  # fmt: skip
        done = subprocess.run(
            [*command, *arguments], env={**votenet.env, **latin}, capture_output=True, check=False
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0, (arguments, done.stderr)
        if arguments[0] in ("results", "audit"):
            if "--json" in arguments:
                found = json.loads(done.stdout)
                assert found["title"] == TITLE
            else:
                shown = done.stdout.decode("latin-1")
                assert BO in shown
                assert r"\u017dofie" in shown
    vote = [*command, "vote", "bo", BO.encode("latin-1")]
    done = subprocess.run(
        vote, env={**votenet.env, **latin}, capture_output=True, check=False
    )  # as typed there
    assert done.returncode == 0, done.stderr


def test_arguments_that_are_no_text_are_usage_errors(votenet: Votenet) -> None:
    for arguments in (
        [b"vote", b"Zo\xeb", b"Alice"],
        [b"results", b"-i", b"\xff"],
        [b"status", b"--node", b"\xff"],
    ):
        done = subprocess.run(
            [sys.executable.encode(), b"-m", b"votenet", *arguments], env=votenet.env, capture_output=True
        )
        assert done.returncode == 2
        assert b"is not UTF-8" in done.stderr
        assert b"\\udc" in done.stderr


@pytest.mark.parametrize("command", [["ls"], ["keys", "list"], ["results"], ["up", "--dry-run"]])
def test_a_home_that_is_no_text_is_refused_with_a_next_step(command: list[str], tmp_path: Path) -> None:
    home = os.fsencode(tmp_path) + b"/Zo\xeb"
    os.mkdir(home)
    plain = {name: value for name, value in os.environb.items() if not name.startswith((b"VOTENET", b"XDG"))}
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *command], env={**plain, b"HOME": home}, capture_output=True
    )
    assert done.returncode == 78, done.stderr
    assert b"[bad-directory]" in done.stderr
    assert b"VOTENET_HOME" in done.stderr
