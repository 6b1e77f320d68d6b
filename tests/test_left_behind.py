"""A test that leaves its process changed fails, and not a later one whose programs inherit the change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CHANGES = {
    "$VOTENET_PARENT": "os.environ['VOTENET_PARENT'] = '1'",
    "$HOME": "del os.environ['HOME']",
    "signal 17": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "SigBlk": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
    "Umask": "os.umask(0o123)",
    "RLIMIT_NOFILE": "resource.setrlimit(resource.RLIMIT_NOFILE, (500, 600))",
    "folder": "os.chdir('/')",
}


def test_what_a_test_leaves_behind_fails_it(tmp_path: Path) -> None:
    tests = [f"def test_{number}():\n    {change}\n" for number, change in enumerate(CHANGES.values())]
    done = run("import os, resource, signal\n\n" + "\n".join(tests), tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"{len(CHANGES)} passed, {len(CHANGES)} errors" in done.stdout
    for number, name in enumerate(CHANGES):
        (said,) = re.findall(rf"^ERROR .*::test_{number} - (.*)$", done.stdout, re.MULTILINE)
        assert f"'{name}'" in said


def test_what_a_test_puts_back_is_fine(tmp_path: Path) -> None:
    sample = "def test_it(monkeypatch):\n    monkeypatch.setenv('X', 'y'); monkeypatch.chdir('/')\n"
    done = run(sample, tmp_path)
    assert done.returncode == 0, done.stdout


def run(sample: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(sample)
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rE", str(folder)],
        env={**os.environ, "HOME": str(folder), "COLUMNS": "500"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
