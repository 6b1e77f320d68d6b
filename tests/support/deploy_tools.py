"""Tools that judge the files of deploy/: found on this machine, or the test is skipped with a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TIMEOUT = 240


def tool(name: str, package: str) -> str:
    """The program's path; skips the test when there is none. `package` is Debian's, or of PyPI."""
    folders = os.environ.get("PATH", ""), "/usr/sbin"  # where Debian has servers, for root
    program = shutil.which(name, path=os.pathsep.join(folders))
    if program is None:
        pytest.skip(f"no {name} on this machine: install {package}")
    return program


def run(*words: str | Path, cwd: Path | None = None, stdin: str = "", **env: str) -> str:
    """Standard output and error of a tool that must succeed."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=TIMEOUT,
        env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
