"""The course of docs/course.md: its six exercises run as they are printed, and show what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e

PAGE: Final = Path(__file__).parents[2] / "docs" / "course.md"
SECONDS: Final = 500
OUTPUT: Final = re.compile("block  ", re.ASCII)
"""How a block of the page begins that shows what is printed."""
NODE: Final = re.compile(r"127\.0\.0\.1:300(\d)")
ADDRESS: Final = """node() {
  votenet ps --json | python3 -c '
import json, sys
print({one["name"]: one["address"] for one in json.load(sys.stdin)["programs"]}["node-" + sys.argv[1]])' $1
}
"""
"""In place of the usual ports: other tests have them."""


def exercises() -> list[tuple[str, str]]:
    """Number and text of each exercise."""
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    return [(one[0], one) for one in sections if one[0].isdigit()]


def script(text: str) -> str:
    """The commands of an exercise, one block after the other."""
    blocks = [block for block in text.split("\n\n") if block.startswith("    ")]
    lines = ["\n".join(line.removeprefix("    ") for line in block.splitlines()) for block in blocks]
    return "\n".join(block for block in lines if not OUTPUT.match(block.lstrip()))


EXERCISES: Final = dict(exercises())
QUICK: Final = "3"
"""The one that `make test` runs."""
CASES: Final = [QUICK, *(pytest.param(one, marks=pytest.mark.long) for one in EXERCISES if one != QUICK)]


def test_the_course_has_six_exercises_each_with_a_question_and_an_answer() -> None:
    assert sorted(EXERCISES) == ["1", "2", "3", "4", "5", "6"]
    for text in EXERCISES.values():
        assert text.count("\n**Question.** ") == text.count("\n**Answer.** ") == 1
        lines = script(text).splitlines()
        assert lines[0] == "export VOTENET_HOME=$(mktemp -d)"
        assert lines[-1] == "votenet down --purge --yes"


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; whatever was started with a home in it is stopped."""
    with tempfile.TemporaryDirectory(prefix="vc-") as name:
        yield Path(name)
        for home in Path(name).glob("tmp.*"):
            run(Path(name), f"VOTENET_HOME={shlex.quote(str(home))} votenet down", check=False)
        assert Votenet(Path(name)).left_over() == []


def run(folder: Path, commands: str, *, check: bool = True) -> str:
    """What the commands print, on both streams; they end with the first that fails."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for name, words in (("votenet", [sys.executable, "-m", "votenet"]), ("python3", [sys.executable])):
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (tools / name).chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("VOTENET_", "XDG_"))}
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        env={**kept, "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(folder), "TMPDIR": str(folder)},
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


SHOWN: Final = {
    "1": [r"hash +(\w{62}00)\nas shown \1\n", " 4,09[67] ", " 1,048,57[67] "],
    "2": [
        "The nodes stand on 2 different blocks",
        "├─╮",
        r"reorganisation behind block 1: \d+ blocks? off .*, \d+ blocks? on .* waits? again",
    ],
    "3": [r"1  .* of 5 ", r"node-2\) precommitted two different blocks at height 1 in round 0"],
    "4": ["Your vote is final, signed by 4 of 5", r"\[not-final-yet\]", "Final up to block 2, signed by"],
    "5": [r"computed (\S{44})\nsigned   \1\n"],
    "6": [r"Bob +300 ", r"\[not-on-roll\]", r"Alice +1 +100\.0%"],
}


@pytest.mark.parametrize("number", CASES)
def test_an_exercise_runs_as_it_is_printed(folder: Path, number: str) -> None:
    commands = NODE.sub(lambda found: f"$(node {int(found[1]) + 1})", script(EXERCISES[number]))
    said = run(folder, ADDRESS + commands)
    for wanted in SHOWN[number]:
        assert re.search(wanted, said), f"{wanted} is not in what was printed:\n{said}"
