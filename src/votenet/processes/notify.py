"""sd_notify(3) on both sides of a supervisor: what its programs tell it, what it tells systemd.

A program under systemd gets the same variable `NOTIFY_SOCKET` and sends the same bytes. votenet's own keys
begin with `X_`: `X_HEIGHT`, `X_PEERS`, `X_TIP`, `X_WAITING`, `X_FINALITY`,
`X_LINKS`. The sender's pid comes from the
kernel (SCM_CREDENTIALS), never from the message.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from votenet.network.notify import notify
from votenet.processes.socket_file import SocketFile
from votenet.processes.spec import ProgramRole

MAX_DATAGRAM: Final = 4096
"""Longer datagrams are cut by the kernel and dropped here: eight short lines fit many times."""
MAX_DATAGRAMS: Final = 256
"""Taken in one go, so that a child that floods the socket cannot keep the supervisor from its work."""
WATCHDOG_VARIABLES: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
SERVICE_VARIABLES: Final = ("NOTIFY_SOCKET", *WATCHDOG_VARIABLES)
"""What systemd sets for one process and not for its children (sd_notify(3), sd_watchdog_enabled(3))."""
_CREDENTIALS: Final = struct.Struct("3i")


class NotifySocket:
    """The socket of a supervisor that its programs send to.

    A stale file is replaced: the caller holds the lock of the instance.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, path: Path) -> None:
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
        """The sender's pid and the fields of each datagram, oldest first; at most MAX_DATAGRAMS."""
        received: list[tuple[int, dict[str, str]]] = []
        for _ in range(MAX_DATAGRAMS):
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(
                    MAX_DATAGRAM, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:  # nothing more, or out of descriptors: the next call tries again
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


class ServiceNotifier:
    """Tells the service manager above READY until it is heard, WATCHDOG at every update, STOPPING once."""

    def __init__(self, send: Callable[..., bool] = notify) -> None:
        self._send, self._ready, self._stopping = send, False, False

    def update(self, states: Mapping[str, str], *, settled: bool) -> None:
        """The supervisor's loop goes round.

        Args:
            states: of each program, by name.
            settled: whether every program is ready, or known to be out. Without a node no voter is served.
        """
        others = (ProgramRole.BOOTSTRAP.value, ProgramRole.WEB.value)
        nodes = [state for name, state in states.items() if name not in others]
        ready = sum(state == "ready" for state in states.values())
        fields: dict[str, Any] = {"WATCHDOG": 1, "STATUS": f"{ready} of {len(states)} programs are ready"}
        ready_now = settled and "ready" in nodes and not self._ready and not self._stopping
        if ready_now:
            fields = {"READY": 1, **fields}
        if self._stopping:
            fields["STATUS"] = "stopping"
        if self._send(**fields) and ready_now:  # one whose queue was full is told at the next update
            self._ready = True

    def stopping(self) -> None:
        """The network is being stopped."""
        if not self._stopping:
            self._stopping = True
            self._send(STOPPING=1, STATUS="stopping")
