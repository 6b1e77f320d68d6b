"""What several benches share: the chain of the record, built once, and a home for networks as typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from record_chain import RecordChain, build
from votenet.config import InstanceDirs, instance_dirs


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> RecordChain:
    return build(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def dirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[InstanceDirs]:
    """A home of its own, in which nothing runs afterwards. Its path is short, because sockets lie in it."""
    home = tempfile.mkdtemp(prefix="votenet-bench-")
    monkeypatch.setenv("VOTENET_HOME", home)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # no user compiles all modules at each start
    try:
        yield instance_dirs()
    finally:
        subprocess.run(
            [sys.executable, "-m", "votenet", "down"], capture_output=True, timeout=60, check=False
        )
        shutil.rmtree(home)
