"""Commands as typed in a shell."""

from __future__ import annotations

import subprocess
import sys


def votenet(*args: str) -> str:
    """Run a command that must succeed; its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "votenet", *args], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
