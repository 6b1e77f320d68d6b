"""Telling a supervisor how this program is: the sd_notify protocol, in pure Python."""

from __future__ import annotations

import os
import socket
from typing import Final

from votenet.text import visible

HEARTBEAT_SECONDS: Final = 1.0
"""How often a supervisor hears that the main loop of a program turns."""


def notify(**fields: object) -> bool:
    """Send `KEY=value` lines, e.g. `notify(READY=1, STATUS="listening on 127.0.0.1:4000")`.

    Keys are those of sd_notify(3) (READY, STATUS, STOPPING, WATCHDOG) and `X_…` of one's own. Newlines
    in values become spaces. Silently does nothing without a supervisor; a supervisor that is gone or
    full never stops the program.

    Returns:
        Whether a supervisor was told.
    """
    target = os.environ.get("NOTIFY_SOCKET", "")
    if not target or target[0] not in "/@":
        return False
    message = "\n".join(f"{key}={visible(str(value).replace(chr(10), ' '))}" for key, value in fields.items())
    address = "\0" + target[1:] if target[0] == "@" else target
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.connect(address)
            sock.send(message.encode())
    except (OSError, ValueError):
        return False
    return True
