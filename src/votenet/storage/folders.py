"""Names of files on the disk: after `sync_folder` they survive a power cut.

What lives here: syncing of folders. What must not: file contents, databases.
"""

from __future__ import annotations

import os
from pathlib import Path

from votenet.config import private_dir


def sync_folder(folder: Path) -> None:
    """Names of files made in, moved into or removed from this folder are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def durable_private_dir(path: Path) -> Path:
    """As `config.private_dir`, and the names of all folders it made are on the disk.

    Raises:
        ConfigError: as `private_dir`.
        OSError: a folder cannot be synced.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    private_dir(path)
    for folder in missing:
        sync_folder(folder.parent)
    return path
