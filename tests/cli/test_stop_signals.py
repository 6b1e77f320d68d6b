"""HUP: a node and a bootstrap server end with their terminal, unless they were started under nohup."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.elections import make_election, named_nodes
from support.network_shell import wait_until
from support.ports import free_port
from support.processes import in_pid_namespace, need_pid_namespace
from votenet.processes import procfs
from votenet.processes.signals import signal_exactly

PROGRAMS = ("node", "bootstrap", "witness", "web")


def command(program: str, folder: Path, port: int) -> list[str]:
    if program == "web":
        options = ["--node", f"127.0.0.1:{free_port()}", "--port", str(port)]
        return [sys.executable, "-m", "votenet", program, *options]
    options = ["--data-dir", str(folder / "data")]
    options += ["--listen", f"127.0.0.1:{port}"] if program == "witness" else ["--port", str(port)]
    if program == "node":
        (folder / "genesis.json").write_bytes(make_election().to_file())
        options += ["--genesis", str(folder / "genesis.json"), "--no-mine", "--kernel", "python"]
    if program == "witness":
        (folder / "genesis.json").write_bytes(make_election(nodes=named_nodes(1)).to_file())
        options += ["--genesis", str(folder / "genesis.json")]
    return [sys.executable, "-m", "votenet", program, *options]


@contextlib.contextmanager
def running(program: str, folder: Path, *, nohup: bool) -> Iterator[subprocess.Popen[str]]:
    """As the shell starts it; ready."""
    number = signal.SIG_IGN if nohup else signal.SIG_DFL
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0votenet-test-{os.getpid()}-{os.urandom(6).hex()}")
        told.settimeout(60)
        name = "@" + told.getsockname()[1:].decode()
        process = subprocess.Popen(
            command(program, folder, free_port()),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "VOTENET_HOME": str(folder), "NOTIFY_SOCKET": name},
            preexec_fn=lambda: signal.signal(signal.SIGHUP, number),
        )  # fmt: skip
        try:
            while "READY=1" not in told.recv(4096).decode().splitlines():
                pass
            yield process
        finally:
            process.kill()
            process.communicate()


def ignores_hup(process: subprocess.Popen[str]) -> bool:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) & 1)
    raise LookupError("SigIgn")


@pytest.mark.parametrize("program", PROGRAMS)
def test_hup_ends_a_program_as_term_does(program: str, tmp_path: Path) -> None:
    with running(program, tmp_path, nohup=False) as process:
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=150)
    assert process.returncode == 0
    assert "stopped" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("program", PROGRAMS)
def test_under_nohup_hup_is_nothing_and_term_still_ends_it(program: str, tmp_path: Path) -> None:
    with running(program, tmp_path, nohup=True) as process:
        assert ignores_hup(process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=150)
        assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_process_1_hears_a_signal_before_it_has_started_anything(
    tmp_path: Path, number: signal.Signals
) -> None:
    """`docker stop` in the first moments: the kernel gives process 1 nothing that it has no handler for."""
    need_pid_namespace()
    os.mkfifo(tmp_path / "ballots.csv")
    up = ("up", "--candidates-from", str(tmp_path / "ballots.csv"), "--choice-column", "x")
    argv = in_pid_namespace(sys.executable, "-m", "votenet", *up)
    env = {**os.environ, "VOTENET_HOME": str(tmp_path / "h")}
    process = subprocess.Popen(argv, env=env)
    try:
        with open(tmp_path / "ballots.csv", "w"):  # returns when it is being read: long before any network
            (inside,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(inside), number)
            assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("program", PROGRAMS)
def test_as_process_1_it_leaves_no_zombies(tmp_path: Path, program: str) -> None:
    """Those of `docker exec`: a process that comes in from outside and leaves an orphan."""
    need_pid_namespace()
    port = free_port()
    argv = command(program, tmp_path, port)
    process = subprocess.Popen(in_pid_namespace(*argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port))
        (inside,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        enter = ("nsenter", "--target", inside, "--pid", "--mount", "sh", "-c", "setsid sleep 600 &")
        subprocess.run(enter, check=True)

        def orphans() -> list[procfs.ProcessStat]:
            return [stat for stat in procfs.all_processes() if stat.parent == int(inside)]

        wait_until(lambda: orphans())
        for orphan in orphans():
            signal_exactly(orphan.pid, orphan.start_ticks, signal.SIGKILL)
        wait_until(lambda: not orphans())
        os.kill(int(inside), signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0
