"""Many changes to the registry in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from votenet.errors import Rejected, StorageError
from votenet.protocol.bootstrap.batches import Result, Session, step_changes
from votenet.protocol.bootstrap.server_core import BootstrapCore, Call
from votenet.storage.registry.peer_store import PeerStore, StoreConflict

TRIES_AFTER_CONFLICT: Final = 5
"""Times a batch is stepped again because another server changed the same entries."""


class GroupCommit:
    """`saved` is called with None after each transaction with changes, or with the store's error."""

    def __init__(
        self, store: PeerStore, core: BootstrapCore, saved: Callable[[StorageError | None], None]
    ) -> None:
        self._store, self._core, self._saved = store, core, saved

    def change(self, calls: Sequence[tuple[Session, Call]], now: int) -> list[Result | None]:
        """Step calls in order, as `step_changes`; when this returns, their changes are on disk.

        If the changes cannot be saved, every result is the same `storage-failed`, and nothing was changed.
        """
        if not calls:
            return []
        before = self._core.writer.revision
        for _ in range(TRIES_AFTER_CONFLICT):
            try:
                with self._store.saving():
                    self._store.prefetch([call.request.address for _, call in calls])
                    results = step_changes(self._core, calls, now)
            except StorageError as failure:
                self._core.writer.rolled_back()
                error = failure
                if not isinstance(failure, StoreConflict):
                    break
            else:
                if self._core.writer.revision != before:
                    self._saved(None)
                return results
        self._saved(error)
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
            self._saved(error)
            return error
