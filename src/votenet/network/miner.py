"""The miner: one thread that searches nonces in slices, at low priority.

What lives here: Miner. What must not: what to mine (`protocol/mining.py`) and what the nonce is
good for; it goes back as an event and is checked like a stranger's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from votenet.pow import bits_to_target, search
from votenet.protocol.events import Template

SLICE_SECONDS: Final = 0.004
"""Length of one search: a new template waits this long at most; the call itself costs 1 microsecond."""
FIRST_SLICE: Final = 2_000
"""Nonces of the first slice: 4 ms of the slowest kernel (hashlib)."""
NONCES: Final = 2**32

Found = Callable[[int, int | None], None]


class Miner:
    """Searches one template at a time. `found(template id, nonce or None)` is called in its thread.

    Every template starts at a random nonce: nodes that mine the same votes on the same block at the
    same second would otherwise all try the same nonces.
    """

    def __init__(self, found: Found, kernel: str | None = None) -> None:
        self._found, self._kernel = found, kernel
        self._changed = threading.Condition()
        self._wanted: Template | None = None
        self._running = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Miner:
        self._running = True
        self._thread = threading.Thread(target=self._run, name="miner", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def mine(self, template: Template | None) -> None:
        """Search this template from now on, or nothing. Returns at once."""
        with self._changed:
            self._wanted = template
            self._changed.notify()

    def _run(self) -> None:
        # Linux gives each thread its own nice value: validation and I/O always go before the search.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        count = FIRST_SLICE
        while True:
            with self._changed:
                while self._running and self._wanted is None:
                    self._changed.wait()
                if not self._running:
                    return
                template = self._wanted
            assert template is not None
            count = self._search(template, count)

    def _search(self, template: Template, count: int) -> int:
        """Until found, exhausted or no longer wanted; returns the slice size that suits this machine."""
        header, target = template.header.pack(), bits_to_target(template.header.bits)
        position = int.from_bytes(os.urandom(4), "little") % NONCES
        left = NONCES
        while left and self._running and self._wanted is template:
            size = min(count, left, NONCES - position)
            began = time.perf_counter()
            nonce = search(header, target, position, size, kernel=self._kernel)
            if nonce is not None:
                self._finish(template, nonce)
                return count
            elapsed = time.perf_counter() - began
            if size == count and elapsed > 0:
                # At most doubled: a slice that was preempted says little about the next.
                count = max(256, min(2 * count, int(count * SLICE_SECONDS / elapsed)))
            left -= size
            position = (position + size) % NONCES
        if not left:
            self._finish(template, None)
        return count

    def _finish(self, template: Template, nonce: int | None) -> None:
        with self._changed:
            if self._wanted is template:
                self._wanted = None
        self._found(template.id, nonce)
