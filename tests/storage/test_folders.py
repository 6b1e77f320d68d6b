"""Folders: which ones are synced is seen by watching fsync; that it helps, in tests/crash."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.folders import durable_private_dir, sync_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders as they are synced."""
    seen: list[str] = []
    real = os.fsync

    def watched(handle: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    return seen


def test_every_new_name_is_synced_in_its_folder(tmp_path: Path, synced: list[str]) -> None:
    path = durable_private_dir(tmp_path / "a" / "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a")]
    durable_private_dir(path)
    assert len(synced) == 2, "nothing new"
    sync_folder(path)
    assert synced[2:] == [str(path)]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        durable_private_dir(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
