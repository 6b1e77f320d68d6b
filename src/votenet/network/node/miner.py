"""The miner: threads that search nonces in slices."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from votenet.network.threads import no_threads
from votenet.pow import bits_to_target, search
from votenet.protocol.node.events import Template

SLICE_SECONDS: Final = 0.02
"""Processor time of one search. A new template waits this long, or longer on a busy machine; after each
search the thread may wait 5 ms for Python's lock, so that shorter ones would be mostly waiting."""
FIRST_SLICE: Final = 2_000
"""Nonces of the first slice: 4 ms of the slowest kernel (hashlib)."""
NONCES: Final = 2**32
NICENESS: Final = 5
"""Validation and I/O go before the search, but blocks are still found while votes pour in: at 10 a search
takes ten seconds beside five busy nodes on two cores, at 19 it gets almost nothing."""
NAMED_NICENESS: Final = 0
"""Of a named node: it searches only when it is the proposer, and then all others wait for its block."""
MAX_THREADS: Final = 256

Found = Callable[[int, int | None], None]


@dataclass(slots=True, eq=False)
class _Hunt:
    """The search for one template's nonce: slices are cut off one after the other, by whichever thread."""

    template: Template
    header: bytes
    target: int
    position: int
    left: int
    searching: int = 0
    """Slices that threads are working on."""
    told: bool = False
    """Its end has been reported: a second find, by another thread, is not."""

    def cut(self, count: int) -> tuple[int, int] | None:
        """The next slice (start, size), None when the whole range has been given out."""
        size = min(count, self.left, NONCES - self.position)
        if not size:
            return None
        start = self.position
        self.left -= size
        self.position = (start + size) % NONCES
        self.searching += 1
        return start, size


class NonceSearcher:
    """Searches one template at a time. `found(template id, nonce or None)` is called in some thread.

    Every template starts at a random nonce: nodes that mine the same votes on the same block at the
    same second would otherwise all try the same nonces. Threads take turns at the same range.
    """

    def __init__(
        self, found: Found, kernel: str | None = None, threads: int = 1, niceness: int = NICENESS
    ) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"a miner has 1 to {MAX_THREADS} threads, not {threads}")
        self._found, self._kernel, self._niceness = found, kernel, niceness
        self._changed = threading.Condition()
        self._hunt: _Hunt | None = None
        self._running = False
        self._threads = [
            threading.Thread(target=self._run, name=f"miner-{n}", daemon=True) for n in range(threads)
        ]

    def __enter__(self) -> NonceSearcher:
        """Start every thread. Raises VotenetError: no-threads, when the system refuses one."""
        self._running = True
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._end()
            raise no_threads(error) from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def _end(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def mine(self, template: Template | None) -> None:
        """Search this template from now on, or nothing. Returns at once."""
        hunt = None
        if template is not None:
            start = int.from_bytes(os.urandom(4), "little") % NONCES
            header = template.header
            hunt = _Hunt(template, header.pack(), bits_to_target(header.bits), start, NONCES)
        with self._changed:
            self._hunt = hunt
            self._changed.notify_all()

    def _run(self) -> None:
        # Linux gives each thread a nice value of its own. It may rise, not fall.
        thread = threading.get_native_id()
        niceness = max(self._niceness, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
        count = FIRST_SLICE
        while True:
            with self._changed:
                while self._running and (self._hunt is None or not self._hunt.left):
                    self._changed.wait()
                if not self._running:
                    return
                hunt = self._hunt
            assert hunt is not None
            count = self._search(hunt, count)

    def _search(self, hunt: _Hunt, count: int) -> int:
        """Slice by slice until it is over; returns the slice size that suits this thread."""
        while True:
            with self._changed:
                piece = hunt.cut(count) if self._running and self._hunt is hunt else None
            if piece is None:
                return count
            start, size = piece
            # Not by the clock: waiting for a core, or for Python's lock, says nothing about the search.
            began = time.thread_time()
            nonce = search(hunt.header, hunt.target, start, size, kernel=self._kernel)
            elapsed = time.thread_time() - began
            self._searched(hunt, nonce)
            if size == count and nonce is None and elapsed > 0:
                # At most doubled: the clock of a short search is coarse.
                count = max(256, min(2 * count, int(count * SLICE_SECONDS / elapsed)))

    def _searched(self, hunt: _Hunt, nonce: int | None) -> None:
        """One slice is done. The first good nonce ends the hunt, and so does the last slice without one.

        A nonce of an earlier template is told, too: where votes come all the time, templates change often.
        """
        with self._changed:
            hunt.searching -= 1
            over = nonce is not None or (not hunt.left and not hunt.searching)
            if not over or hunt.told or (self._hunt is not hunt and nonce is None):
                return
            hunt.told = True
            if self._hunt is hunt:
                self._hunt = None
        self._found(hunt.template.id, nonce)
