"""Many changes to the registry in one transaction, and what became of each.

What lives here: GroupCommit, which steps a batch of requests against core and store. What must not:
links, the order of answers (`bootstrap_server.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from votenet.errors import Rejected, StorageError, VotenetError
from votenet.protocol.bootstrap import BootstrapCore, Call, NeedsOwner, NeedsProbe, Outcome
from votenet.storage.peer_store import PeerStore, StoreConflict

TRIES_AFTER_CONFLICT: Final = 5
"""Times a batch is stepped again because another server changed the same entries."""

Result = Outcome | VotenetError


class GroupCommit:
    """`failed` is called with what the store refused."""

    def __init__(self, store: PeerStore, core: BootstrapCore, failed: Callable[[StorageError], None]) -> None:
        self._store, self._core, self._failed = store, core, failed

    def change(self, calls: Sequence[tuple[int, Call]], now: int) -> list[Result | None]:
        """Step (link id, call) in order; when this returns, what they changed is on disk.

        None stands for a call behind one of the same link that must wait for a fact. If the changes
        cannot be saved, every result is the same `storage-failed`, and nothing was changed.
        """
        if not calls:
            return []
        for _ in range(TRIES_AFTER_CONFLICT):
            try:
                with self._store.saving():
                    return self._step(calls, now)
            except StorageError as failure:
                self._core.rolled_back()
                error = failure
                if not isinstance(failure, StoreConflict):
                    break
        self._failed(error)
        refusal = StorageError(
            f"nothing was changed: {error.message}",
            code="storage-failed",
            next_step="Try again later; the operator of this server must look at its storage.",
        )
        return [refusal] * len(calls)

    def look_up(self, call: Call, now: int) -> Result:
        """The result of a request that changes nothing."""
        try:
            return self._core.step(call, now)
        except Rejected as error:
            return error
        except StorageError as error:
            self._failed(error)
            return error

    def _step(self, calls: Sequence[tuple[int, Call]], now: int) -> list[Result | None]:
        self._store.prefetch([call.request.address for _, call in calls])
        waiting: set[int] = set()
        results: list[Result | None] = []
        for link, call in calls:
            result: Result | None = None
            if link not in waiting:
                try:
                    result = self._core.step(call, now)
                except Rejected as error:
                    result = error
                if isinstance(result, NeedsOwner | NeedsProbe):
                    waiting.add(link)
            results.append(result)
        return results
