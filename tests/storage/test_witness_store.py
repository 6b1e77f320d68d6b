"""The store of a witness: what it holds survives, and only one process has it."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from support.checkpoints import log_of_five
from votenet.core.log.checkpoint import Checkpoint, parse_checkpoint
from votenet.errors import Locked, StorageCorrupt
from votenet.storage.witness_store import WITNESS_FILE, opened_witness

LOG = log_of_five()
ORIGIN = LOG.keys.origin


def test_a_note_is_kept_and_the_next_decision_sees_it(tmp_path: Path) -> None:
    seen: list[Checkpoint | None] = []
    with opened_witness(tmp_path) as store:
        assert store.note(ORIGIN) is None
        for size in (10, 20):
            note = LOG.note(size)
            assert store.update(ORIGIN, lambda latest, note=note: (seen.append(latest), note)) is None
    with opened_witness(tmp_path) as store:
        assert store.note(ORIGIN) == LOG.note(20)
        assert store.note("another") is None
        store.update(ORIGIN, lambda latest: (seen.append(latest), None))
    assert seen == [None, *(parse_checkpoint(LOG.note(size).text) for size in (10, 20))]
    assert stat.S_IMODE((tmp_path / WITNESS_FILE).stat().st_mode) == 0o600


def test_a_decision_that_fails_keeps_nothing(tmp_path: Path) -> None:
    with opened_witness(tmp_path) as store:
        store.update(ORIGIN, lambda latest: (None, LOG.note(10)))
        with pytest.raises(ZeroDivisionError):
            store.update(ORIGIN, lambda latest: (1 // 0, LOG.note(20)))
        assert store.note(ORIGIN) == LOG.note(10)


def test_one_process_holds_the_folder(tmp_path: Path) -> None:
    with opened_witness(tmp_path), pytest.raises(Locked), opened_witness(tmp_path):
        pass


def test_what_this_program_did_not_write_is_not_judged(tmp_path: Path) -> None:
    with opened_witness(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / WITNESS_FILE)) as other, other:
        other.execute("INSERT INTO cosigned VALUES (?, ?)", (ORIGIN, "no note"))
    with opened_witness(tmp_path) as store:
        with pytest.raises(StorageCorrupt) as refused:
            store.note(ORIGIN)
        assert "older state" in refused.value.next_step
        with pytest.raises(StorageCorrupt):
            store.update(ORIGIN, lambda latest: (None, LOG.note(10)))
