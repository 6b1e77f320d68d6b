"""`votenet export --belenios`: a finished election with secret ballots as Belenios' own archive."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from votenet.cli import ui
from votenet.cli.election.election_from_file import TRUSTEES_NAME
from votenet.cli.election.roll import KnownRoll
from votenet.core.election.definition import Election
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.secret_archive import SecretArchive, read_secret_archive
from votenet.errors import Command, ConfigError, NextStep
from votenet.secret.belenios_archive import BeleniosArchive, write_archive
from votenet.secret.decryption_share import DecryptionShare, read_share
from votenet.secret.documents import decode
from votenet.secret.finished_election import count_ballots, finished_archive
from votenet.secret.tally import TallyResult
from votenet.storage.input_file import read_input
from votenet.storage.output_file import write_output

MAX_TRUSTEES_FILE: Final = 1 << 20
MAX_SHARE: Final = 8 << 20
"""Bytes: 500 candidates take a quarter of it."""
_SHARES: Final = NextStep(
    "Each trustee makes a share with: {}",
    Command("trustee", "decrypt", "ceremony", "NAME"),
)


def export_belenios(
    output: Path, lines: Generator[bytes, None, None], roll: KnownRoll, trustees: Path, shares: Sequence[Path]
) -> None:
    """Write the archive, and say how Belenios checks it.

    Args:
        lines: of votenet's archive of the election, closed in the end.
        shares: files with shares that the archive does not have.

    Raises:
        NotProven: the election or a share does not hold; not-final; too-few-decryptions.
        ConfigError: a file cannot be read or is of another election; its ballots are public.
    """
    with closing(lines):
        found = archived(lines, roll)
    made = _finished(
        found, read_trustees_file(trustees, found.election), (*found.shares, *map(read_share_file, shares))
    )
    write_output(output, write_archive(made))
    assert made.result is not None
    rows = decode(made.result, TallyResult, "the result").result
    for contest, row in zip(found.election.definition.contests, rows, strict=True):
        names = ["blank"] * contest.blank + [one.name for one in contest.candidates]
        counts = ", ".join(f"{name} {count}" for name, count in zip(names, row, strict=True))
        ui.echo(f"{contest.title}: {counts}")
    ui.echo(f"Wrote {output}. Belenios checks it, alone in a folder as {found.election.definition.uuid}.bel:")
    ui.echo("  belenios-tool election verify")


def archived(lines: Iterator[bytes], roll: KnownRoll) -> SecretArchive:
    """The final election in the lines of an archive, all checked. Raises NotProven, ConfigError."""
    check = ArchiveCheck(lines, int(time.time()), roll=roll)
    return read_secret_archive(check, check.blocks())


def read_trustees_file(path: Path, election: Election) -> bytes:
    """The proof of the key generation. Raises ConfigError: bad-trustees, when it is of another election."""
    step = f"Take {TRUSTEES_NAME} from the organiser: it was made with the genesis file."
    data = read_input(path, MAX_TRUSTEES_FILE, code="bad-trustees", next_step=step)
    trustees = election.definition.trustees
    if trustees is None or hashlib.sha256(data).hexdigest() != trustees.record:
        raise ConfigError(
            f"{path} is not of the trustees of this election", code="bad-trustees", next_step=step
        )
    return data


def read_share_file(path: Path) -> DecryptionShare:
    """Raises ConfigError: it cannot be read; NotProven: it is no share."""
    return read_share(read_input(path, MAX_SHARE, code="bad-share-file", next_step=_SHARES).rstrip(b"\n"))


def _finished(found: SecretArchive, trustees: bytes, shares: Sequence[DecryptionShare]) -> BeleniosArchive:
    ballots = count_ballots(found.secret, found.ballots, found.weights)
    return finished_archive(found.secret, trustees, found.weights, ballots, shares, found.ended)
