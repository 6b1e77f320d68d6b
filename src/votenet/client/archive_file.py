"""Archive files: read from a file or a pipe, compressed or not, and checked on all cores."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from votenet.core.election.roll import Roll, RollSource
from votenet.core.faults import fault
from votenet.core.limits import MAX_ARCHIVE_LINE, RECEIPT_FORMAT
from votenet.core.records.archive import ArchiveCheck, ArchiveReport
from votenet.core.records.archive_signatures import MAX_BATCHES, StartCheck, first_forgery
from votenet.core.records.election_report import ElectionReport, report_of_archive
from votenet.core.records.final_result import FinalResult, result_of_archive
from votenet.errors import Command, NextStep, NotProven
from votenet.storage.input_file import READ_ERRORS, InputFile


def check_archive(path: Path, network_id: str | None = None, roll: Roll | None = None) -> ArchiveReport:
    """Check every rule and signature in an archive file (.gz and .xz, too), and count its votes.

    Args:
        network_id: the network (64 hexadecimal digits) that it must be of.
        roll: who may vote with which key; without it that is not checked.

    Raises:
        NotProven: with the code of the first fault, and the line it is in.
        ConfigError: the file cannot be read; this is not the roll of that election.
    """
    with opened_check(path, network_id, roll) as (check, _):
        return check.run()


def final_result_of(lines: Iterable[bytes], network_id: str, roll: Roll | None = None) -> FinalResult:
    """The final result that the lines of an archive give, after all checks.

    Raises:
        NotProven: with the first fault.
        ConfigError: roll-missing, where votes have weights; this is not the roll of the election.
    """
    with _on_all_cores() as start:
        now = int(time.time())
        check = ArchiveCheck(lines, now, start_check=start, network_hex=network_id, roll=roll)
        return result_of_archive(check, check.blocks())


def report_of_lines(lines: Iterable[bytes], network_id: str, roll: Roll | None = None) -> ElectionReport:
    """The report of the lines of an archive, after all checks. Raises as `final_result_of`."""
    with _on_all_cores() as start:
        now = int(time.time())
        check = ArchiveCheck(lines, now, start_check=start, network_hex=network_id, roll=roll)
        return report_of_archive(check, check.blocks(), now)


@contextlib.contextmanager
def opened_check(
    path: Path, network_id: str | None = None, roll: RollSource = None, cluster: str | None = None
) -> Iterator[tuple[ArchiveCheck, InputFile]]:
    """The check of an archive, to be run, and its file, which tells how far it is read.

    `cluster`: the address of a Dask scheduler whose workers check signatures and secret ballots.

    Raises as `check_archive`, and as `cluster.on_cluster`.
    """
    with (
        contextlib.closing(open_archive(path)) as source,
        source.stream() as file,
        _checks(cluster) as (start, under_way),
    ):
        lines = lines_of(file)
        first = next(lines, b"")
        if RECEIPT_FORMAT.encode() in first:
            raise NotProven(
                "this is a receipt, not an archive",
                code="wrong-format",
                next_step=NextStep("Check it with: {}", Command.calling("verify", str(path))),
            )
        check = ArchiveCheck(
            itertools.chain([first] if first else [], lines),
            int(time.time()),
            start_check=start,
            under_way=under_way,
            network_hex=network_id,
            roll=roll,
        )
        yield check, source


@contextlib.contextmanager
def _checks(cluster: str | None) -> Iterator[tuple[StartCheck, int]]:
    """What checks signatures, and how many batches may be under way."""
    if cluster is None:
        with _on_all_cores() as start:
            yield start, MAX_BATCHES
        return
    from votenet.client.cluster import on_cluster

    with on_cluster(cluster) as found:
        yield found


def open_archive(path: Path) -> InputFile:
    """An archive to be read once. Raises ConfigError."""
    return InputFile(
        path,
        again=False,
        code="bad-archive-file",
        next_step=NextStep("Make an archive with: {}", Command("export", "-o", "FILE")),
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
def _on_all_cores() -> Iterator[StartCheck]:
    """Signature checks in a thread for each core.

    A batch of them releases the interpreter lock; two processes were measured no faster than two threads.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="audit") as pool:
        try:
            yield lambda votes, election: pool.submit(first_forgery, votes, election).result
        finally:
            pool.shutdown(cancel_futures=True)
