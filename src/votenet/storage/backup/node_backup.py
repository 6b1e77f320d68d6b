"""The backup of a node, taken while it runs, and its restore: all or nothing, and never another promise.

A database that is put back does not know what the node signed later. So a restore marks it
(`protocol/node/restored.py`), and a named node that was moved leaves a mark in its old folder.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from votenet import __version__
from votenet.core.election.definition import Election
from votenet.core.election.roll import roll_from_file, with_roll
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import Command, ConfigError, NextStep, StorageError
from votenet.protocol.node.restored import RestoredMark
from votenet.storage.backup.backup_file import (
    FILES,
    BackedUpFile,
    BackupContents,
    BackupReader,
    bad_backup,
    digest_of_file,
    write_backup,
)
from votenet.storage.blocks.chain_reader import check_election
from votenet.storage.blocks.sqlite_block_store import MARK_NAME, SqliteBlockStore
from votenet.storage.blocks.tables import CHAIN_SCHEMA, DATABASE_NAME
from votenet.storage.database import open_database, reading
from votenet.storage.env_file import ENV_NAME, PREFIX, check_values, read_env_file, write_env_file
from votenet.storage.files import lock_data_dir, lock_stopped_dir, sync_folder, write_atomically
from votenet.storage.genesis_file import read_genesis
from votenet.storage.input_file import read_input
from votenet.storage.key_store import NODE_KEY_NAME, read_key

MOVED_NAME: Final = "moved"
"""In a folder whose node went elsewhere: no node starts there any more."""
LOCK_NAME: Final = "lock"
_FRESH: Final = ".restoring"
_ENV_PATHS: Final = {"DATA_DIR": "", "GENESIS": "genesis.json", "ROLL": "roll.json"}
"""Settings in node.env that name the folder, and a file in it."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The files of a node, wherever each of them is."""

    folder: Path
    genesis: Path
    roll: Path | None = None

    def sources(self) -> Iterator[tuple[str, Path]]:
        """Those that are in a backup, but the database."""
        yield NODE_KEY_NAME, self.folder / NODE_KEY_NAME
        yield "genesis.json", self.genesis
        if self.roll is not None:
            yield "roll.json", self.roll
        if (self.folder / ENV_NAME).exists():
            yield ENV_NAME, self.folder / ENV_NAME


# -- a folder whose node has gone ------------------------------------------------------------------


def refuse_moved(folder: Path) -> None:
    """Raises ConfigError moved: this node went elsewhere with a final backup."""
    if (folder / MOVED_NAME).exists():
        raise ConfigError(
            f"the node in {folder} was moved: its final backup was taken",
            code="moved",
            next_step="Start it where the backup was restored. Never start both: two that sign with one key"
            " are a lie that others can prove.",
        )


# -- backup ----------------------------------------------------------------------------------------


def back_up(files: NodeFiles, output: Path, name: str, *, final: bool = False) -> tuple[BackupContents, str]:
    """Take a backup; the node may go on running unless this is its `final` one.

    Args:
        name: what the node is called, for people.
        final: the node is stopped, and never starts in this folder again. Root may close the folder of a
            service, which stays its owner's.

    Returns:
        What is in the backup, and the digest of all of it.

    Raises:
        ConfigError: the key, the genesis file, the roll or node.env cannot be used; network-mismatch, moved.
        StorageError: the database cannot be read, or the backup cannot be written.
        Locked: the node runs, and this should be its final backup.
    """
    key = read_key(files.folder / NODE_KEY_NAME, "node")
    election = _with_roll(read_genesis(files.genesis), files.roll)
    if (env := files.folder / ENV_NAME).exists():
        _settings(env)  # else it could never be restored
    with contextlib.ExitStack() as held:
        if final:
            owner = held.enter_context(lock_stopped_dir(files.folder))
            # Before anything leaves the folder. A backup that fails may be tried again.
            write_atomically(files.folder / MOVED_NAME, b"%d\n" % int(time.time()), owner=owner)
        else:
            refuse_moved(files.folder)
        work = Path(held.enter_context(_beside(output)))
        height = _copy_database(files.folder, work / DATABASE_NAME, election)
        sources = dict(files.sources())
        for source in [found for found in sources if found != NODE_KEY_NAME]:
            sources[source] = _copied(sources[source], work / source)
        sources[DATABASE_NAME] = work / DATABASE_NAME
        ordered = [(one, sources[one]) for one in FILES if one in sources]
        step = "Check the owner and the mode of the files, and the disk."
        with StorageError.of_os_errors(f"cannot read {files.folder}", next_step=step):
            listed = tuple(BackedUpFile(one, *digest_of_file(source)) for one, source in ordered)
        contents = BackupContents(
            network_id=election.network_hex,
            name=name,
            node_key=key.public_hex,
            created=int(time.time()),
            version=__version__,
            height=height,
            final=final,
            files=listed,
        )
        return contents, write_backup(output, contents, [source for _, source in ordered])


def _beside(output: Path) -> contextlib.AbstractContextManager[str]:
    """A hidden folder on the same disk for the copy of the database."""
    step = "Name a file in a folder that you may write to, on a disk with room."
    with StorageError.of_os_errors(f"cannot write beside {output}", next_step=step):
        return tempfile.TemporaryDirectory(prefix=f".{output.name[:100]}.", dir=output.parent)


def _copied(source: Path, target: Path) -> Path:
    """A copy that nobody changes while it is read again."""
    step = "Check the owner and the mode of the file."
    with StorageError.of_os_errors(f"cannot read {source}", next_step=step):
        return Path(shutil.copyfile(source, target))


def _copy_database(folder: Path, target: Path, election: Election) -> int:
    """The database as it is at one moment, page by page; returns the height of its best branch.

    Raises:
        StorageError: it cannot be read, is damaged, or there is no room.
        ConfigError: network-mismatch.
    """
    path = folder / DATABASE_NAME
    with (
        contextlib.closing(open_database(path, CHAIN_SCHEMA, read_only=True)) as conn,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
        reading(),
    ):
        target.chmod(0o600)
        conn.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        check_election(copy, path, election)
        (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StorageError(
                f"{path} is damaged: {' '.join(str(verdict).split())}",
                next_step="Check the disk; no backup was written.",
            )
        (height,) = copy.execute("SELECT max(height) FROM blocks WHERE best = 1").fetchone()
        return height or 0


def _with_roll(election: Election, roll: Path | None) -> Election:
    if roll is None:
        return with_roll(election, None)
    return with_roll(election, roll_from_file(read_input(roll, MAX_RECEIPT, code="bad-roll")))


# -- restore ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RestoredNode:
    """What a restore has made. `silent`: it says nothing before others have decided two more blocks."""

    contents: BackupContents
    election: Election
    silent: bool

    @property
    def joined(self) -> bool:
        """Whether it has settings with which it starts."""
        return any(file.name == ENV_NAME for file in self.contents.files)


def read_contents(path: Path) -> BackupContents:
    """What a backup says of itself, before anything of it is checked. Raises ConfigError."""
    with _opened(path) as reader:
        return reader.contents


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BackupReader]:
    try:
        with path.open("rb") as file:
            yield BackupReader(path, file)
    except OSError as error:
        raise StorageError(
            f"cannot restore {path}: {error.strerror or error}",
            next_step="Nothing was changed. Check the path, and the free space of both disks.",
        ) from error


def restore(
    path: Path, folder: Path, *, network_hex: str | None = None, lost: Sequence[str] = ()
) -> RestoredNode:
    """Make a node's folder out of a backup. Whatever fails, the folder has no file of a node.

    Args:
        network_hex: the network that it must be of.
        lost: names of named nodes whose disks are lost, too.

    Raises:
        ConfigError: bad-backup, backup-version, network-mismatch, not-empty, not-named, needs-final,
            bad-env-file, bad-value.
        StorageError: the database in it is damaged, or the folder cannot be written.
        Locked: a node runs in the folder.
    """
    with _opened(path) as reader:
        contents = reader.contents
        if network_hex not in (None, contents.network_id):
            raise _other_election(path, contents, str(network_hex))
        with lock_data_dir(folder):
            fresh = folder / _FRESH
            shutil.rmtree(fresh, ignore_errors=True)
            _check_target(path, folder, contents)
            fresh.mkdir(mode=0o700)
            try:
                reader.unpack(fresh)
                election = _checked(path, fresh, contents)
                mark = _mark(election, contents, lost)
                mark = _check_database(path, fresh, election, contents, mark)
                _place(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    silent = mark is not None and mark.known_height <= contents.height
    return RestoredNode(contents, election, silent)


def _other_election(path: Path, contents: BackupContents, expected: str) -> ConfigError:
    return ConfigError(
        f"{path} is of another election, network {contents.network_id[:16]}…, not {expected[:16]}…",
        code="network-mismatch",
        next_step="Nothing was changed. Take the backup of this election, or another folder: --data-dir DIR",
    )


def _check_target(path: Path, folder: Path, contents: BackupContents) -> None:
    """A genesis file of the same election may be there, nothing else. Raises ConfigError."""
    genesis = folder / "genesis.json"
    if genesis.exists() and (held := read_genesis(genesis).network_hex) != contents.network_id:
        raise _other_election(path, contents, held)
    found = sorted(one.name for one in folder.iterdir() if one.name not in (LOCK_NAME, genesis.name))
    beside = {f"{name}{end}" for name in found for end in ("-shm", "-wal")}
    if others := [name for name in found if name not in beside]:  # what SQLite keeps beside a database
        raise ConfigError(
            f"{folder} is not empty: {', '.join(others[:5])}",
            code="not-empty",
            next_step="Restore into a fresh folder: --data-dir DIR. Or move the old one away first.",
        )


def _checked(path: Path, fresh: Path, contents: BackupContents) -> Election:
    """Key, genesis file and roll belong together. Raises ConfigError bad-backup, and as for each file."""
    election = read_genesis(fresh / "genesis.json")
    if election.network_hex != contents.network_id:
        raise bad_backup(path, "its genesis file is of another election than it says")
    if read_key(fresh / NODE_KEY_NAME, "node").public_hex != contents.node_key:
        raise bad_backup(path, "its key is of another node than it says")
    roll = fresh / "roll.json"
    return _with_roll(election, roll if roll.exists() else None)


def _mark(election: Election, contents: BackupContents, lost: Sequence[str]) -> RestoredMark | None:
    """Raises ConfigError: not-named, needs-final."""
    names = [node.name for node in election.definition.nodes]
    if unknown := [name for name in lost if name not in names]:
        raise ConfigError(
            f"the election names no node {unknown[0]!r}",
            code="not-named",
            next_step=f"Its named nodes are: {', '.join(names) or 'none'}.",
        )
    own = election.node_index(contents.node_key)
    if own is None:
        return None  # a relay signs nothing that binds it
    if election.named == 1:
        if not contents.final:
            raise ConfigError(
                "this node decides alone, so nobody could tell what it signed after the backup",
                code="needs-final",
                next_step=NextStep(
                    "Nothing was changed. Only the final backup of a stopped node brings it back: {}",
                    Command("backup", contents.name, "--final", "-o", "FILE"),
                ),
            )
        return None
    known = contents.height + 1 if contents.final else 0
    return RestoredMark(known_height=known, lost=tuple(sorted({names.index(name) for name in lost} - {own})))


def _check_database(
    path: Path, fresh: Path, election: Election, contents: BackupContents, mark: RestoredMark | None
) -> RestoredMark | None:
    """All that a start checks, then the mark, which is returned. Raises ConfigError, StorageError."""
    with reading(), contextlib.closing(sqlite3.connect(fresh / DATABASE_NAME)) as conn:
        (programs,) = conn.execute(
            "SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')"
        ).fetchone()
    if programs:
        raise bad_backup(path, "its database has programs of its own")
    store = SqliteBlockStore(fresh, election)
    try:
        loaded = store.load()
        if sum(best for _, best in loaded.headers) != contents.height:
            raise bad_backup(path, "its database has another height than it says")
        if mark is not None:
            try:
                mark = mark.in_place_of(loaded.restored)
            except ValueError as error:
                raise bad_backup(path, f"its database has a strange mark: {error}") from error
            store.apply([mark.encode()])
        return mark
    finally:
        store.close()


def _place(fresh: Path, folder: Path) -> None:
    """Give the files their names; the key comes last, so that no node starts with a part of them."""
    _rewrite_env(fresh / ENV_NAME, folder)
    names = [*(name for name in reversed(FILES) if name != NODE_KEY_NAME), MARK_NAME, NODE_KEY_NAME]
    placed: list[Path] = []
    try:
        for name in names:
            if (fresh / name).exists():
                (fresh / name).replace(folder / name)
                placed.append(folder / name)
        sync_folder(folder)
    except OSError:
        for one in placed:
            with contextlib.suppress(OSError):
                one.unlink()
        raise


def _rewrite_env(path: Path, folder: Path) -> None:
    """Settings of a node alone, of which those that name the old folder name the new one.

    Raises:
        ConfigError: bad-env-file; bad-value, also for a folder that no environment file can name.
        StorageError: it cannot be written.
    """
    if not path.exists():
        return
    names = [name for name, file in _ENV_PATHS.items() if not file or path.with_name(file).exists()]
    paths = {PREFIX + name: str((folder / _ENV_PATHS[name]).absolute()) for name in names}
    write_env_file(path, paths | _settings(path))


def _settings(path: Path) -> dict[str, str]:
    """What node.env says of a node, but for its paths: no other line may reach the environment of a program.

    Raises:
        ConfigError: bad-env-file, bad-value.
    """
    kept = {name: value for name, value in read_env_file(path).items() if name.startswith(PREFIX)}
    for name in _ENV_PATHS:
        kept.pop(PREFIX + name, None)
    check_values(kept)
    return kept
