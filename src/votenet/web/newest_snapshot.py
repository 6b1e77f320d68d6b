"""The newest snapshot, and the readers that wait for another one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from votenet.errors import Stopping
from votenet.web.snapshot import Snapshot


class NewestSnapshot:
    """One snapshot after another; each gets its version here."""

    def __init__(self) -> None:
        self.value: Snapshot | None = None
        """None until the first was published."""
        self._published = asyncio.Event()
        self._ended = False

    async def changed(self, after: Snapshot | None) -> Snapshot:
        """The newest snapshot, as soon as it says more than `after`. Raises Stopping after `end`."""
        while not self._ended:
            if self.value is not None and (after is None or self.value.version != after.version):
                return self.value
            await self._published.wait()
        raise Stopping("the page is just being stopped")

    def end(self) -> None:
        """Let all that wait for a change go: the server stops."""
        self._ended = True
        self._published.set()

    def publish(self, made: Snapshot) -> None:
        """Replace the snapshot; if it says more than the last one its version grows and readers are woken."""
        old = self.value
        made = replace(made, version=0 if old is None else old.version)
        if old is None or replace(made, at=old.at) != old:
            made = replace(made, version=made.version + 1)
        self.value = made
        if old is None or made.version != old.version:
            self._published.set()
            self._published = asyncio.Event()
