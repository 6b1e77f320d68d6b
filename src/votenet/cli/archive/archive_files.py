"""Archives: checked with a progress bar, written whole, made into a node's data folder.

Databases are imported where they are used: an audit needs none.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from votenet.cli import ui
from votenet.client.archive_file import opened_check
from votenet.config import known_dir
from votenet.core.election.roll import Roll, RollSource, with_roll
from votenet.core.faults import fault
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.vote import HashedVote
from votenet.core.limits import MAX_RECEIPT
from votenet.core.records.archive import ArchiveCheck, ArchiveReport
from votenet.core.records.evidence import FinalChain
from votenet.core.records.final_result import FinalResult, decode_result, result_of_archive
from votenet.errors import Command, ConfigError, NextStep, NotRunning, StorageError
from votenet.storage.files import lock_data_dir, write_atomically
from votenet.storage.input_file import STDIN, read_input
from votenet.storage.known_elections import KnownElections
from votenet.storage.output_file import written

BLOCKS_IN_TRANSACTION: Final = 100
"""Blocks that an import saves at once: bounds memory, and the number of syncs."""


Blocks = Iterator[tuple[BlockIndexEntry, Sequence[HashedVote]]]


# -- reading ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def checking(
    path: Path, network_hex: str | None = None, roll: RollSource = None, cluster: str | None = None
) -> Iterator[tuple[ArchiveCheck, Blocks]]:
    """The check of an archive, and its blocks with progress shown. Raises as `opened_check`."""
    with opened_check(path, network_hex, roll, cluster) as (check, source):
        name = source.name if path == STDIN else path.name
        with ui.progress(name, source.size) as progress:

            def blocks() -> Blocks:
                for entry, votes in check.blocks():
                    yield entry, votes
                    if source.position == source.size:  # a short file is read ahead: its blocks are not done
                        continue
                    progress(source.position, f"block {entry.height:,}")
                progress(source.position, f"block {check.chain.tip.height:,}")

            yield check, blocks()


def audit_archive(
    path: Path, network_hex: str | None = None, roll: RollSource = None, cluster: str | None = None
) -> ArchiveReport:
    """Check and count all of an archive. Raises NotProven with the first fault; as `opened_check`."""
    with checking(path, network_hex, roll, cluster) as (check, blocks):
        for _ in blocks:
            pass
        return check.report()


def seen_at(network_id: str) -> str | None:
    """An address at which this user has met the network, if that can be read."""
    try:
        return KnownElections(known_dir()).address_of(network_id)
    except ConfigError:
        return None


def audit_final(
    path: Path, network_hex: str | None = None, roll: RollSource = None, cluster: str | None = None
) -> tuple[ArchiveReport, FinalResult]:
    """Check and count all of an archive, and make its final result. Raises as `audit_archive`; not-final."""
    with checking(path, network_hex, roll, cluster) as (check, blocks):
        result = result_of_archive(check, blocks)
        return check.report(), result


def read_result(path: Path) -> FinalResult:
    """Raises NotProven: it is no file with a final result; ConfigError: it cannot be read."""
    step = NextStep("Write one with: {}", Command("audit", "ARCHIVE", "--result", "FILE"))
    data = read_input(path, MAX_RECEIPT + 1, code="bad-result-file", next_step=step)
    if len(data) > MAX_RECEIPT:
        raise fault("line-too-long", f"a final result has at most {MAX_RECEIPT} bytes")
    return decode_result(data)


def read_final_chain(path: Path, network_hex: str, roll: RollSource = None) -> FinalChain:
    """What the archive of a final result says about votes that were left out, after checking all of it.

    Raises:
        NotProven: with the first fault; not-final, cancelled.
        ConfigError: roll-missing, where votes have weights; this is not the roll of the election.
    """
    with checking(path, network_hex, roll) as (check, blocks):
        for _ in blocks:
            pass
        if check.certificate is not None and check.election.cancelled:
            raise fault("cancelled", "the election was cancelled")
        if check.certificate is None or not check.end.over or check.end.listed is None:
            raise fault("not-final", "the archive does not hold a final result")
        return FinalChain(check.end.listed, check.chain.voters, check.election)


# -- writing ---------------------------------------------------------------------------------------


def _compressed(raw: IO[bytes], suffix: str) -> contextlib.AbstractContextManager[Any]:
    if suffix == ".xz":
        return lzma.LZMAFile(raw, "w", preset=1)
    if suffix == ".gz":
        return gzip.GzipFile("", "wb", 6, raw, mtime=0)
    return contextlib.nullcontext(raw)


_NOT_PACKED: Final = {".zst": "zstd", ".bz2": "bzip2", ".zip": "zip"}


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """A file with these lines, compressed as its suffix says; it appears whole or not at all.

    Raises:
        ConfigError: the suffix is that of a compression that votenet does not write.
        StorageError: it cannot be written.
    """
    if packing := _NOT_PACKED.get(path.suffix.lower()):
        raise ConfigError(
            f"cannot write {path}: votenet does not compress with {packing}",
            code="bad-suffix",
            next_step="Name a file that ends in .xz or .gz; any other ending is written as it is.",
        )
    with (
        StorageError.of_os_errors(f"cannot write {path}", next_step="Check the folder and its free space."),
        written(path) as raw,
        _compressed(raw, path.suffix) as file,
    ):
        for line in lines:
            file.write(line)


def write_folder(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """A new folder with these files, name and content; it appears whole or not at all. Returns the names.

    Raises:
        ConfigError: not-empty.
        StorageError: it cannot be written.
    """
    names = []
    with StorageError.of_os_errors(
        f"cannot write {folder}", next_step="Check the folder and its free space."
    ):
        folder = folder.absolute()  # of "." the name is needed, and that of the folder above
        if folder.exists() and (
            not folder.is_dir() or any(folder.iterdir()) or folder.samefile(Path.cwd())
        ):  # who works in the folder would go on in one that is gone
            raise ConfigError(f"{folder} is there already", code="not-empty", next_step="Name a new folder.")
        part = folder.with_name(f".{folder.name[:200]}.{secrets.token_hex(6)}.part")
        with contextlib.ExitStack() as failed:
            failed.callback(shutil.rmtree, part, ignore_errors=True)
            part.mkdir()
            for name, content in files:
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                names.append(name)
            part.rename(folder)
            failed.pop_all()
    return names


def import_archive(
    path: Path, data_dir: Path, network_hex: str | None = None, roll: Roll | None = None
) -> ArchiveReport:
    """Make a node's data folder out of an archive. A failed check leaves the folder unchanged.

    With it goes what `votenet node` needs: genesis.json, and roll.json where the election has a roll. With
    named nodes the certificate takes the place of the commits of the blocks: the node proves every vote with
    it, but other nodes get these blocks from nodes that have the commits.

    Raises:
        NotProven: the archive does not hold; not-final, when named nodes have not signed it.
        ConfigError: the folder has a chain already; roll-missing, roll-mismatch.
        Locked: a node is using the folder.
    """
    from votenet.storage.blocks.tables import DATABASE_NAME

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
                _store(fresh, check, blocks)
                report = check.report()
            if roll is not None:
                write_atomically(data_dir / "roll.json", roll.to_file(), mode=None)
            write_atomically(data_dir / "genesis.json", check.election.to_file(), mode=None)
            (fresh / DATABASE_NAME).replace(data_dir / DATABASE_NAME)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return report


def _store(folder: Path, check: ArchiveCheck, blocks: Blocks) -> None:
    from votenet.core.ledger.block import log_leaves, log_start
    from votenet.protocol.node.events import Change, SaveBlock, SaveCertificate, SaveShare, SaveTiles, SetBest
    from votenet.protocol.node.restored import RestoredMark
    from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore

    store, named = SqliteBlockStore(folder, check.election), check.election.named > 0
    try:
        changes: list[Change] = []
        log = log_start(check.election)
        for entry, votes in blocks:
            changes += [SaveBlock(entry, votes), SetBest(entry.height - 1, [(entry, votes)])]
            if named:
                log, tiles = log.append(log_leaves(entry.header, votes, entry.extras.records))
                changes.append(SaveTiles(tuple(tiles)))
            if len(changes) >= 2 * BLOCKS_IN_TRANSACTION:
                store.apply(changes)
                changes = []
        tip = check.chain.tip
        if named and tip.height and check.certificate is None:
            raise fault("not-final", "named nodes have not signed this archive: a node believes nothing else")
        if check.certificate is not None:
            changes.append(SaveCertificate(tip.height, str(check.certificate.note)))
        changes += map(SaveShare, check.decrypted_by, check.shares)
        if check.election.named > 1:
            changes.append(RestoredMark().encode())  # an archive does not say what a named node has signed
        if changes:
            store.apply(changes)
    finally:
        store.close()


def longest_chain(state: Path) -> Path:
    """The data folder of the node of an instance with the newest certificate, or else the longest chain.

    Raises NotRunning.
    """
    from votenet.storage.blocks.chain_reader import best_height, stored_certificate
    from votenet.storage.blocks.tables import DATABASE_NAME

    folders = [database.parent for database in sorted(state.glob(f"node-*/{DATABASE_NAME}"))]
    if not folders:
        raise NotRunning(
            "no network here has a chain",
            next_step="Name the folder and the genesis file of a node: --data-dir DIR --genesis FILE",
        )
    return max(folders, key=lambda folder: (stored_certificate(folder)[0], best_height(folder)))
