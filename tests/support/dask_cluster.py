"""A Dask cluster of two workers on this machine, in processes of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from support.processes import PATIENCE

_PROGRAM = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, host="127.0.0.1",
                      dashboard_address=None, silence_logs=50) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextlib.contextmanager
def dask_cluster(folder: str, workers: int = 2) -> Iterator[str]:
    """The address of its scheduler, until the block ends; skips the test where Dask is not installed."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'votenet[dask]'")
    program = f"{folder}/cluster.py"
    with open(program, "w", encoding="utf-8") as file:  # a file: its workers import it again
        file.write(_PROGRAM)
    words = [sys.executable, program, str(workers)]
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        try:
            address = made.stdout.readline().strip()
            assert address.startswith("tcp://127.0.0.1:"), address
            yield address
        finally:
            made.stdin.close()
            try:
                made.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                made.kill()
                raise
