"""A stranger leaves a `votenet.toml` where another user will type a command: it has no effect."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

from support.ports import free_port

pytestmark = pytest.mark.e2e

STRANGER = 54321
WAYS = ("file of another user", "file that all can write", "link", "folder like /tmp")


@pytest.fixture(params=WAYS)
def trap(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder with the stranger's file; it names a program that leaves a mark, and the stranger's node."""
    if os.geteuid() != 0 and request.param == "file of another user":
        pytest.skip("only root can give a file to another user")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777 if request.param == "folder like /tmp" else 0o755)
    script = folder / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nsleep 1\n")
    script.chmod(0o755)
    with socket.create_server(("127.0.0.1", free_port())) as node:
        node.settimeout(0.0)
        real = tmp_path / "real.toml" if request.param == "link" else folder / "votenet.toml"
        address = f"127.0.0.1:{node.getsockname()[1]}"
        real.write_text(
            f'[up]\nprogram = "{script}"\nnodes = 1\n[vote]\nnode = "{address}"\n'
            f'[results]\nnode = "{address}"\n[peers.list]\nbootstrap = "{address}"\n'
        )
        real.chmod(0o666 if request.param == "file that all can write" else 0o644)
        if request.param == "link":
            real.chmod(0o622)
            (folder / "votenet.toml").symlink_to(real)
        if request.param == "file of another user":
            os.chown(real, STRANGER, STRANGER)
        yield folder
        with pytest.raises(BlockingIOError):
            node.accept()  # no node has dialled the stranger
    assert not (tmp_path / "ran").exists(), "the stranger's program ran"


@pytest.mark.long
def test_a_file_that_a_stranger_left_neither_runs_a_program_nor_redirects_a_command(trap: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="votenet-e2e-") as home:
        votenet = Votenet(Path(home))

        def typed(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "votenet", *words],
                env=votenet.env, cwd=trap, capture_output=True, text=True, check=False, timeout=150,
            )  # fmt: skip

        try:
            for words in (("vote", "v", "Alice"), ("results",), ("peers", "list")):
                done = typed(*words)
                assert "Not read: " in done.stderr
                # (another network of this machine may have the usual port of the bootstrap server)
                assert done.returncode == 3 or words[0] == "peers", done.stderr
            dry = typed("up", "--dry-run", "--json")
            assert "Not read: " in dry.stderr
            argv = [one["argv"] for one in json.loads(dry.stdout)["programs"]]
            assert len(argv) > 2
            assert all(words[words.index("-m") + 1] == "votenet" for words in argv)
            if trap.stat().st_mode & 0o777 != 0o777:  # a network in one of the folders is enough
                return
            done = typed("up", "--detach", "--nodes", "2", "--difficulty", "8", "--timeout", "100")
            assert done.returncode == 0, done.stderr
            running = [
                Path(f"/proc/{one['pid']}/cmdline").read_bytes() for one in votenet.programs().values()
            ]
            assert all(b"\0-m\0votenet\0" in words for words in running)
            assert typed("results").returncode == 0
        finally:
            votenet("down", exit_code=None)
        assert votenet.left_over() == []
