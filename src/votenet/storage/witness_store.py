"""What a witness has cosigned, in one SQLite file: the newest checkpoint of each log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint
from votenet.core.log.signed_note import SignedNote, parse_note
from votenet.errors import NotProven, StorageCorrupt
from votenet.storage.database import open_database, reading, transaction
from votenet.storage.files import lock_data_dir

T = TypeVar("T")

WITNESS_FILE: Final = "witness.db"
WITNESS_SCHEMA: Final = (
    """
    CREATE TABLE cosigned (
        origin TEXT PRIMARY KEY,
        note TEXT NOT NULL      -- with the log's signatures and the witness' own
    ) WITHOUT ROWID;
    """,
)


class WitnessStore:
    """Calls block: each waits for the disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / WITNESS_FILE
        self._conn = open_database(self._path, WITNESS_SCHEMA)

    def close(self) -> None:
        self._conn.close()

    def note(self, origin: str) -> SignedNote | None:
        """The newest checkpoint of a log, as it was cosigned. Raises StorageError."""
        with reading():
            row = self._conn.execute("SELECT note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
        try:
            return None if row is None else parse_note(row[0])
        except NotProven as error:
            raise self._corrupt(error) from error

    def update(self, origin: str, decide: Callable[[Checkpoint | None], tuple[T, SignedNote | None]]) -> T:
        """Replace the checkpoint of a log by the note that `decide` gives, if any, in one transaction.

        Returns the other half of its answer, when the note is on the disk.

        Raises:
            StorageError: nothing was saved.
        """
        with transaction(self._conn) as conn:
            latest = self.note(origin)
            try:
                checkpoint = None if latest is None else parse_checkpoint(latest.text)
            except NotProven as error:
                raise self._corrupt(error) from error
            answer, note = decide(checkpoint)
            if note is not None:
                conn.execute("INSERT OR REPLACE INTO cosigned VALUES (?, ?)", (origin, str(note)))
        return answer

    def _corrupt(self, error: NotProven) -> StorageCorrupt:
        return StorageCorrupt(
            f"{self._path} holds what this program did not write: {error.message}",
            next_step="Restore it from a backup that is not older than the last cosignature, or start a new "
            "witness with another key: an older state would cosign two histories.",
        )


@contextlib.contextmanager
def opened_witness(folder: Path) -> Iterator[WitnessStore]:
    """The store in a folder that this process holds alone. Raises Locked, ConfigError, StorageError."""
    with lock_data_dir(folder):
        store = WitnessStore(folder)
        try:
            yield store
        finally:
            store.close()
