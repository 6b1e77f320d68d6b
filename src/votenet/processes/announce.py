"""Telling the process manager that started the supervisor (systemd, a container runtime) how its network is.

What lives here: `Announcer`, which decides what to send and when. What must not: the datagram itself
(`network/notify.py`), listening to our own programs (`notify.py`).

With systemd: `Type=notify` for `votenet supervise` or a `votenet up` that stays in the foreground.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from votenet.network.notify import notify
from votenet.processes.spec import Role

WATCHDOG_VARIABLES: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
ANNOUNCE_VARIABLES: Final = ("NOTIFY_SOCKET", *WATCHDOG_VARIABLES)
"""What sd_notify(3) and sd_watchdog_enabled(3) read. Meant for one process; not for those that it starts."""


class Announcer:
    """Says READY once, WATCHDOG at every look, STOPPING once. Silent where nobody listens."""

    def __init__(self, send: Callable[..., object] = notify) -> None:
        self._send, self._ready, self._stopping = send, False, False

    def look(self, states: Mapping[str, str], *, settled: bool) -> None:
        """The supervisor's loop goes round.

        Args:
            states: of each program, by name.
            settled: whether every program is ready, or known to be out. Without a node nobody is served.
        """
        serves = any(state == "ready" for name, state in states.items() if name != Role.BOOTSTRAP.value)
        ready = sum(state == "ready" for state in states.values())
        fields: dict[str, Any] = {"WATCHDOG": 1, "STATUS": f"{ready} of {len(states)} programs are ready"}
        if settled and serves and not self._ready and not self._stopping:
            self._ready, fields = True, {"READY": 1, **fields}
        if self._stopping:
            fields["STATUS"] = "stopping"
        self._send(**fields)

    def stopping(self) -> None:
        """The network is being stopped."""
        if not self._stopping:
            self._stopping = True
            self._send(STOPPING=1, STATUS="stopping")
