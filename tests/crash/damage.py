"""Damage of files at rest: bits, sectors and pages changed, ends cut off, files lost.

A damaged folder must be refused in words that name the file and a next step, or give back the very
state that was acknowledged. After a refusal the next step is taken: the files are moved away, and the
node must start.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from crash.harness import Outcome
from crash.workload import DATA, KEY_NAME, judge, opened, take_step, workloads
from votenet.core.election.definition import Election
from votenet.errors import StorageError, VotenetError
from votenet.storage.blocks.sqlite_block_store import MARK_NAME
from votenet.storage.blocks.tables import DATABASE_NAME

PAGE: Final = 4096
SECTOR: Final = 512
FILES: Final = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", MARK_NAME, KEY_NAME, "lock")

Damage = Callable[[bytearray, random.Random], None]


def _flip_bit(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _change_bytes(data: bytearray, dice: random.Random) -> None:
    at, size = dice.randrange(len(data)), dice.randrange(1, 64)
    data[at : at + size] = dice.randbytes(len(data[at : at + size]))


def _zero_sector(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data)) // SECTOR * SECTOR
    data[at : at + SECTOR] = bytes(len(data[at : at + SECTOR]))


def _scramble_page(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data)) // PAGE * PAGE
    data[at : at + PAGE] = dice.randbytes(len(data[at : at + PAGE]))


def _swap_pages(data: bytearray, dice: random.Random) -> None:
    one, other = (dice.randrange(max(1, len(data) // PAGE)) * PAGE for _ in range(2))
    data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]


def _copy_page(data: bytearray, dice: random.Random) -> None:
    one, other = (dice.randrange(max(1, len(data) // PAGE)) * PAGE for _ in range(2))
    data[one : one + PAGE] = data[other : other + PAGE]


def _truncate(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def _cut_out(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.randrange(1, 2 * PAGE)]


def _empty(data: bytearray, dice: random.Random) -> None:
    data.clear()


DAMAGES: Final[dict[str, Damage]] = {
    "flip a bit": _flip_bit,
    "change bytes": _change_bytes,
    "zero a sector": _zero_sector,
    "scramble a page": _scramble_page,
    "swap pages": _swap_pages,
    "copy a page": _copy_page,
    "truncate": _truncate,
    "cut out": _cut_out,
    "empty": _empty,
}
AT_REST: Final = ("stopped", "killed")


class Rest:
    """The folder of a node that took a whole workload: after a clean stop, or after kill -9."""

    def __init__(self, scratch: Path, workload: str = "first start") -> None:
        self._scratch = scratch
        self.workload = workloads()[workload]
        home = scratch / "live"
        home.mkdir()
        with opened(home, self.workload.election) as (store, key):
            self.key = key
            for step in self.workload.steps:
                take_step(store, step)
            shutil.copytree(home, scratch / "killed")
        home.rename(scratch / "stopped")

    def files(self, state: str) -> list[str]:
        return [name for name in FILES if (self._scratch / state / DATA / name).exists()]

    def experiment(self, state: str, name: str, way: str, seed: int) -> Outcome:
        """Damage one file in one way; the verdict of a starting node."""
        with self._copy(state) as home:
            path = home / DATA / name
            data = bytearray(path.read_bytes())
            if data:
                DAMAGES[way](data, random.Random(f"{state} {name} {way} {seed}"))
            path.write_bytes(data)
            return self._verdict(home, f"{name} ({state})", way)

    def loss(self, state: str, name: str) -> Outcome:
        """One file is gone."""
        with self._copy(state) as home:
            (home / DATA / name).unlink()
            return self._verdict(home, f"{name} ({state})", "lost")

    @contextlib.contextmanager
    def _copy(self, state: str) -> Iterator[Path]:
        home = self._scratch / "damaged"
        shutil.copytree(self._scratch / state, home)
        try:
            yield home
        finally:
            shutil.rmtree(home)

    def _verdict(self, home: Path, operation: str, fault: str) -> Outcome:
        try:
            judge(home, self.workload, len(self.workload.steps), self.key, hints=False)
        except VotenetError as error:
            return Outcome(operation, fault, True, _take_next_step(home, self.workload.election, error))
        except Exception as error:
            return Outcome(operation, fault, False, f"{type(error).__name__}: {error}")
        return Outcome(operation, fault, False, "")


def _take_next_step(home: Path, election: Election, error: VotenetError) -> str:
    """Do what the error says; '' when the node starts then."""
    if not error.next_step or not (isinstance(error, StorageError) or error.code == "bad-key"):
        return f"an unhelpful refusal: [{error.code}] {error.message}"
    pattern = f"{KEY_NAME}*" if error.code == "bad-key" else f"{DATABASE_NAME}*"
    for path in (home / DATA).glob(pattern):
        path.rename(home / path.name)
    try:
        with opened(home, election):
            return ""
    except VotenetError as again:
        return f"still refused after its next step: {again.message}"
