"""The name of a socket in the filesystem."""

from __future__ import annotations

import socket
from pathlib import Path

from votenet.processes.socket_file import SocketFile


def test_the_name_is_private_and_goes_with_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.touch()  # a stale one
    file = SocketFile(path, socket.SOCK_STREAM)
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.there
    file.close()
    assert not path.exists()


def test_a_name_that_leads_elsewhere_by_now_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    file = SocketFile(path, socket.SOCK_STREAM)
    path.unlink()
    assert not file.there
    path.touch()
    file.close()
    assert path.exists()
