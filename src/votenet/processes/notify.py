"""What programs tell their supervisor, ready and alive: the hearing end of the sd_notify protocol.

What lives here: a datagram socket of `KEY=value` lines (sd_notify(3)). What must not: the telling
end (`network/notify.py`), what readiness means (the program decides) and what follows from it (the
state machine).

A program under systemd gets the same variable `NOTIFY_SOCKET` and sends the same bytes. votenet's
own keys begin with `X_`: `X_HEIGHT`, `X_PEERS`, `X_TIP`, `X_WAITING`, `X_LINKS`. The sender's pid comes
from the kernel (SCM_CREDENTIALS), never from the message.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

from votenet.processes.files import SocketFile

MAX_MESSAGE: Final = 4096
"""Longer datagrams are cut by the kernel and dropped here: eight short lines fit many times."""
MAX_BATCH: Final = 256
"""Datagrams taken in one go, so that a flooding child cannot keep the supervisor from its work."""
_CREDENTIALS: Final = struct.Struct("3i")


class NotifySocket:
    """The supervisor's end: bound to a path that only this user reaches."""

    def __init__(self, path: Path) -> None:
        """Bind. A stale file is replaced: the caller holds the lock of the instance. Raises OSError."""
        self.path = path
        self._bind()

    def _bind(self) -> None:
        self._file = SocketFile(self.path, socket.SOCK_DGRAM)
        self._socket = self._file.socket
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def bind_again(self) -> None:
        """After its file was removed; it has another descriptor then. Raises OSError."""
        old = self._file
        self._bind()
        old.close()

    @property
    def there(self) -> bool:
        """Whether programs still find it."""
        return self._file.there

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> list[tuple[int, dict[str, str]]]:
        """What has come: the sender's pid and the fields, oldest first; at most MAX_BATCH."""
        received: list[tuple[int, dict[str, str]]] = []
        for _ in range(MAX_BATCH):
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(
                    MAX_MESSAGE, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:  # nothing more, or out of descriptors: look again when there is something
                break
            pid, uid = _sender(ancillary)
            if pid and uid == os.geteuid() and not flags & socket.MSG_TRUNC:
                received.append((pid, parse(data)))
        return received

    def close(self) -> None:
        self._file.close()


def parse(data: bytes) -> dict[str, str]:
    """`KEY=value` lines to a dict; lines of another form are left out."""
    pairs = (line.partition("=") for line in data.decode("utf-8", errors="replace").split("\n"))
    return {key: value for key, equals, value in pairs if equals and key}


def _sender(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(data) >= _CREDENTIALS.size:
            pid, uid, _ = _CREDENTIALS.unpack_from(data)
            return pid, uid
    return 0, -1
