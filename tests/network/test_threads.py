"""Worker threads: all there from the start, or a sentence instead of a program that breaks later."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.elections import make_election
from votenet.errors import VotenetError
from votenet.network.node.miner import NonceSearcher
from votenet.network.threads import start_threads

LIMITED = """
import sys, threading
allowed, threads = int(sys.argv[1]), [0]
start = threading._start_new_thread

def refuse(*args):
    threads[0] += 1
    if threads[0] > allowed:
        raise RuntimeError("can't start new thread")
    return start(*args)

threading._start_new_thread = refuse
from votenet.cli.main import run
sys.argv = ["votenet", *sys.argv[2:]]
run()
"""
"""A program for which the system has `allowed` threads: RLIMIT_NPROC does not hold for root."""


def test_all_threads_run_before_the_first_task() -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(3) as executor:
        start_threads(executor, 3)
        started = set(threading.enumerate()) - before
        assert len(started) == 3
        assert executor.submit(lambda: 7).result() == 7
        assert set(threading.enumerate()) - before == started


def refuse_after(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    start, count = threading.Thread.start, iter(range(1000))

    def limited(thread: threading.Thread) -> None:
        if next(count) >= allowed:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def test_one_thread_too_few_is_an_error_with_a_next_step_and_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = set(threading.enumerate())
    refuse_after(monkeypatch, 2)
    with pytest.raises(VotenetError, match="no more threads") as caught:
        start_threads(ThreadPoolExecutor(3), 3)
    assert caught.value.code == "no-threads"
    assert "ulimit -u" in caught.value.next_step
    assert set(threading.enumerate()) <= before


def test_a_miner_without_all_of_its_threads_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    refuse_after(monkeypatch, 1)
    with pytest.raises(VotenetError, match="no more threads"), NonceSearcher(lambda *_: None, threads=2):
        pass
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_node_that_cannot_have_its_threads_ends_at_its_start(tmp_path: Path, allowed: int) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election().to_file())
    options = ["--data-dir", str(tmp_path / "node"), "--genesis", str(genesis), "--port", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(allowed), "node", *options, "--kernel", "python"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "no more threads" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "listening" not in ended.stderr
