"""A skip is a sentence on a developer's machine and a failure where every tool is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SKIPPING = """
import pytest

def test_without_the_tool():
    pytest.skip("no such tool here: install it")

@pytest.mark.xfail(reason="known")
def test_that_is_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize(("switch", "code"), [("", 0), ("1", 1)])
def test_a_skip_fails_only_where_nothing_may_be_skipped(switch: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SKIPPING)
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        env={**os.environ, "VOTENET_NO_SKIPS": switch},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == code, done.stdout
    assert "no such tool here: install it" in done.stdout
    assert "1 xfailed" in done.stdout
