"""Archives: read from a file or a pipe with a progress bar, checked on all cores, written whole.

What lives here: the work behind `votenet export`, `audit` and `import`. What must not: options, the
rules (`core/archive.py`). Databases are imported where they are used: an audit needs none.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import lzma
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, cast

from votenet.cli.hints import command_line
from votenet.cli.render import BAR_WIDTH, bar
from votenet.core.archive import ArchiveCheck, ArchiveReport, StartCheck, first_bad_signature
from votenet.core.chain import Entry
from votenet.core.election import Election
from votenet.core.evidence import fault
from votenet.core.limits import MAX_ARCHIVE_LINE, RECEIPT_FORMAT
from votenet.core.roll import Roll, with_roll
from votenet.core.vote import SealedVote
from votenet.errors import ConfigError, NotProven, NotRunning, StorageError
from votenet.storage.input_file import READ_ERRORS, STDIN, InputFile
from votenet.storage.output_file import store, written
from votenet.text import visible

BLOCKS_IN_TRANSACTION: Final = 100
"""Blocks that an import saves at once: bounds memory, and the number of syncs."""


Blocks = Iterator[tuple[Entry, Sequence[SealedVote]]]


# -- reading ---------------------------------------------------------------------------------------


class Progress:
    """How far a file has been read, on stderr: a bar for a terminal, a line every tenth elsewhere."""

    def __init__(self, name: str, size: int | None, out: IO[str]) -> None:
        """`size` is None where nobody knows how long it is: of a pipe there is nothing to show."""
        self._name, self._size, self._out = visible(name), size, out
        self._live = out.isatty()
        self._shown = 0
        self._steps = 100 if self._live else 10

    def at(self, position: int, height: int) -> None:
        if self._size is None:
            return
        step = min(position, self._size) * self._steps // max(self._size, 1)
        if step <= self._shown:
            return
        self._shown = step
        share = step / self._steps
        if self._live:
            line = f"\r{self._name} {bar(share):<{BAR_WIDTH}} {share:4.0%}  block {height:,} "
            self._out.write(line + ("\n" if step == self._steps else ""))
        else:
            self._out.write(f"{self._name}: {share:.0%}, block {height:,}\n")
        self._out.flush()


def open_archive(path: Path) -> InputFile:
    """An archive to be read once. Raises ConfigError."""
    return InputFile(
        path,
        again=False,
        code="bad-archive-file",
        next_step="Make an archive with: votenet export -o FILE",
    )


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with their newlines, of bounded length. Raises NotProven truncated, unreadable."""
    while True:
        try:
            line = file.readline(MAX_ARCHIVE_LINE + 1)
        except EOFError:
            raise fault("truncated", "the compressed file ends too early") from None
        except READ_ERRORS as error:
            raise fault("unreadable", f"the file cannot be read: {error}") from error
        if not line:
            return
        yield line


@contextlib.contextmanager
def on_all_cores() -> Iterator[StartCheck]:
    """Signature checks in a thread for each core.

    A batch of them releases the interpreter lock; two processes were measured no faster than two threads.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="audit") as pool:
        try:
            yield lambda votes: pool.submit(first_bad_signature, votes).result
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def checking(
    path: Path, network_hex: str | None = None, roll: Roll | None = None
) -> Iterator[tuple[ArchiveCheck, Blocks]]:
    """The check of an archive, and its blocks with progress shown. Raises NotProven, ConfigError."""
    source = open_archive(path)
    name = source.name if path == STDIN else path.name
    progress = Progress(name, source.size, sys.stderr)
    with contextlib.closing(source), source.stream() as file, on_all_cores() as start:
        lines = lines_of(file)
        first = next(lines, b"")
        if RECEIPT_FORMAT.encode() in first:
            step = command_line("verify", str(path))
            raise NotProven(
                "this is a receipt, not an archive", code="wrong-format", next_step=f"Check it with: {step}"
            )
        check = ArchiveCheck(
            itertools.chain([first] if first else [], lines),
            int(time.time()),
            start_check=start,
            network_hex=network_hex,
            roll=roll,
        )

        def blocks() -> Blocks:
            for entry, votes in check.blocks():
                yield entry, votes
                progress.at(source.position, entry.height)
            progress.at(source.position, check.chain.tip.height)

        yield check, blocks()


def audit_archive(path: Path, network_hex: str | None = None, roll: Roll | None = None) -> ArchiveReport:
    """Check and count all of an archive. Raises NotProven with the first fault, ConfigError."""
    with checking(path, network_hex, roll) as (check, blocks):
        for _ in blocks:
            pass
        return check.report()


# -- writing ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _compressing(raw: IO[bytes], suffix: str) -> Iterator[IO[bytes]]:
    if suffix == ".xz":
        with lzma.LZMAFile(raw, "w", preset=1) as file:
            yield file
    elif suffix == ".gz":
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            yield cast("IO[bytes]", file)
    else:
        yield raw


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """A file with these lines, compressed as its suffix says; it appears whole or not at all."""
    try:
        with written(path) as raw, _compressing(raw, path.suffix) as file:
            for line in lines:
                file.write(line)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}",
            next_step="Check the folder and its free space.",
        ) from error


def import_archive(
    path: Path, data_dir: Path, network_hex: str | None = None, roll: Roll | None = None
) -> ArchiveReport:
    """A node's data folder out of an archive: checked in full, or left as it was.

    With it goes what `votenet node` needs: genesis.json, and roll.json where the election has a roll.

    Raises:
        NotProven: the archive does not hold.
        ConfigError: the folder has a chain already; roll-missing, roll-mismatch.
        Locked: a node is using the folder.
    """
    from votenet.storage.block_store import DATABASE_NAME
    from votenet.storage.database import lock_data_dir

    with lock_data_dir(data_dir):
        if (data_dir / DATABASE_NAME).exists():
            raise ConfigError(
                f"{data_dir} has a chain already",
                code="not-empty",
                next_step="Import into a fresh folder: --data-dir DIR",
            )
        fresh = data_dir / ".importing"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        try:
            with checking(path, network_hex, roll) as (check, blocks):
                with_roll(check.election, roll)
                _store(fresh, check.election, blocks)
                report = check.report()
            if roll is not None:
                store(data_dir / "roll.json", roll.to_file())
            store(data_dir / "genesis.json", check.election.to_file())
            (fresh / DATABASE_NAME).replace(data_dir / DATABASE_NAME)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return report


def _store(folder: Path, election: Election, blocks: Blocks) -> None:
    from votenet.protocol.events import Change, SaveBlock, SetBest
    from votenet.storage.block_store import SqliteBlockStore

    store = SqliteBlockStore(folder, election)
    try:
        changes: list[Change] = []
        for entry, votes in blocks:
            changes += [SaveBlock(entry, votes), SetBest(entry.height - 1, [(entry, votes)])]
            if len(changes) >= 2 * BLOCKS_IN_TRANSACTION:
                store.apply(changes)
                changes = []
        if changes:
            store.apply(changes)
    finally:
        store.close()


def longest_chain(state: Path) -> Path:
    """The data folder of the node of an instance whose stored chain is the longest. Raises NotRunning."""
    from votenet.storage.block_store import DATABASE_NAME
    from votenet.storage.chain_reader import best_height

    folders = [database.parent for database in sorted(state.glob(f"node-*/{DATABASE_NAME}"))]
    if not folders:
        raise NotRunning(
            "no network here has a chain",
            next_step="Name the folder and the genesis file of a node: --data-dir DIR --genesis FILE",
        )
    return max(folders, key=best_height)
