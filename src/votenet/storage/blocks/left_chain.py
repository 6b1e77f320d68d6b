"""A node leaves an election in which it has no vote and has signed nothing: its files there are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from votenet.core.election.definition import Election
from votenet.errors import ConfigError, StorageError
from votenet.storage.blocks.sqlite_block_store import MARK_NAME, SqliteBlockStore
from votenet.storage.blocks.tables import CHAIN_SCHEMA, DATABASE_NAME
from votenet.storage.database import open_database, reading
from votenet.storage.files import lock_data_dir, sync_folder, write_atomically

_COPIED: Final = ("genesis.json", "roll.json", "node.env")
"""They stay in the folder, too, until others take their places."""
_USED: Final = """
    SELECT EXISTS (SELECT 1 FROM blocks) OR EXISTS (SELECT 1 FROM waiting)
        OR EXISTS (SELECT 1 FROM meta WHERE name NOT IN ('network_id', 'commits'))
"""
"""Whether there is a vote or a block, or a value of `meta` by which a node remembers what it has signed."""


def may_leave(folder: Path, election: Election) -> bool:
    """Whether the node in this folder has no vote of its election, and has signed nothing there.

    Raises:
        Locked: the node runs.
        StorageError: its database cannot be read, or is damaged.
        ConfigError: network-mismatch; the database is of an election that is not this one.
    """
    with lock_data_dir(folder):
        return _is_unused(folder, election)


def leave(folder: Path, election: Election) -> Path:
    """Put the chain and copies of the settings into a folder of their own, and return that.

    Raises:
        Locked, StorageError, ConfigError: as `may_leave`.
        ConfigError: other-election; meanwhile there are votes.
        StorageError: a file cannot be moved.
    """
    step = "Check the owner, the mode and the free space of the folder."
    with lock_data_dir(folder), StorageError.of_os_errors(f"cannot change {folder}", next_step=step):
        if not _is_unused(folder, election):
            raise ConfigError(
                f"the node in {folder} has votes of another election, or has signed in it",
                code="other-election",
                next_step="Nothing was changed.",
            )
        aside = _new_folder(folder, f"left-{election.network_hex[:16]}")
        for name in _COPIED:
            if (folder / name).exists():
                write_atomically(aside / name, (folder / name).read_bytes())
        # The database goes last: a node that has its mark alone has lost votes, and may leave no more.
        database = folder / DATABASE_NAME
        _move([path for path in folder.glob(f"{DATABASE_NAME}*") if path != database], aside)
        _move([database] if database.exists() else [], aside)
        return aside


def _move(paths: Sequence[Path], aside: Path) -> None:
    """Put these files of one folder into another one, and both on the disk."""
    for path in paths:
        path.replace(aside / path.name)
    for folder in {path.parent for path in paths} | {aside}:
        sync_folder(folder)


def _is_unused(folder: Path, election: Election) -> bool:
    path = folder / DATABASE_NAME
    if not path.exists():
        return not (folder / MARK_NAME).exists()
    SqliteBlockStore(folder, election).close()  # refuses a database that has lost commits
    conn = open_database(path, CHAIN_SCHEMA, read_only=True)
    with contextlib.closing(conn), reading():
        [(used,)] = conn.execute(_USED)
        return not used


def _new_folder(parent: Path, name: str) -> Path:
    """A private folder that was not there before."""
    number = 1
    while True:
        made = parent / (name if number == 1 else f"{name}-{number}")
        try:
            made.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return made
