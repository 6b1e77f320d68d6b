"""A real Redis server of our own for tests: on a free loopback port, in a folder of its own.

Where the program is missing, tests are skipped with a reason, except in CI, which installs it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_port

PATIENCE = 60.0


def needs_redis() -> str:
    """The program's path; skips the test when there is none."""
    program = shutil.which("redis-server")
    if program is None:
        why = "no redis-server on this machine: install the Debian package redis-server"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
        raise AssertionError(why)
    pytest.importorskip("redis")
    return program


class RedisServer:
    """`start` and `kill` may be called again and again: the folder and the port stay."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self, *options: str) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self._folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([self._program, *words, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1.0) as conn,
            ):
                conn.sendall(b"PING\r\n")
                if conn.recv(7).startswith(b"+PONG"):
                    return
            assert self.process.poll() is None, (self._folder / "redis.log").read_text()
            time.sleep(0.01)
        pytest.fail("the Redis server does not answer")

    def kill(self) -> None:
        """As kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running server that keeps what it takes; gone when the block ends.

    Stores of this process wait for it with patience: a busy disk may take seconds to sync.
    """
    server = RedisServer(needs_redis(), folder)
    store = importlib.import_module("votenet.storage.registry.redis_peer_store")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONNECT_SECONDS", "REDIS_SECONDS"):
            patch.setattr(store, name, PATIENCE)
        try:
            server.start()
            yield server
        finally:
            server.kill()
