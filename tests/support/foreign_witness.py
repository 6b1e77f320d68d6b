"""A witness of another make: witness-log's (PyPI), behind Python's own HTTP server, in a process of its own.

As a program it prints its key and its port, each on a line, and serves until it is killed.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

MISSING = "witness-log is not installed: pip install '.[dev]'"


@contextlib.contextmanager
def foreign_witness(logs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, list[bool]]]:
    """Its URL, its key, and whether it took each of the logs (origin, key).

    Skips the test where witness-log is missing.
    """
    pytest.importorskip("witness_log._core", reason=MISSING)
    arguments = [word for log in logs for word in log]
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        key, taken, port = (process.stdout.readline().strip() for _ in range(3))
        yield f"http://127.0.0.1:{port}", key, [word == "True" for word in taken.split()]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def serve(logs: list[tuple[str, str]]) -> None:
    from witness_log._core import WitnessService  # type: ignore[import-not-found]

    service: Any = WitnessService.new("foreign.example/w1", bytes(range(32)))
    taken = [service.add_log(origin, key) for origin, key in logs]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, media_type, text = service.handle_add_checkpoint_http(body)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(service.vkey(), " ".join(map(str, taken)), server.server_port, sep="\n", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    words = sys.argv[1:]
    serve(list(zip(words[::2], words[1::2], strict=True)))
