"""Properties are tested with the same examples whichever tests ran before, and whatever else is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = """
import json
from hypothesis import given, settings, strategies as st

seen = []

@settings(max_examples=200)
@given(st.integers(), st.text())
def test_something(number, text):
    seen.append((number, text))

def test_told():
    print("seen:", json.dumps(seen))
"""
WORDS = "NUMBERS = [7_777_777_701, 7_777_777_702]\nWORDS = ['a word of this module', 'another word of it']\n"


def test_a_module_that_is_loaded_changes_no_example(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    alone = examples(tmp_path, "")
    beside = examples(tmp_path / "other", "import words_of_ours\n")
    assert "7777777701" not in beside
    assert alone == beside


def examples(folder: Path, before: str) -> str:
    """The examples of a property, tested after this was done."""
    (folder / "words_of_ours.py").write_text(WORDS)
    (folder / "test_sample.py").write_text(before + SAMPLE)
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "test_sample.py"],
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (told,) = (line for line in done.stdout.splitlines() if "seen: " in line)
    return told
