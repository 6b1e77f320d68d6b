"""Secret keys on disk: those of voters, of a node, of a replay.

What lives here: files of mode 0600, made on first use. What must not: signing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from votenet.config import private_dir
from votenet.core.keys import SEED_BYTES, SigningKey
from votenet.errors import ConfigError
from votenet.storage.folders import sync_folder

_KIND: Final = "votenet-key-1"
_NAME_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key and whose it is."""

    owner: str
    key: SigningKey
    path: Path
    created: bool


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A new key, saved under a hidden name until its owner has used it: `keep` or `drop` it then.

    A refused vote thus leaves no key behind, and a vote that may have been taken never loses its key.
    """

    owner: str
    key: SigningKey
    _hidden: Path | None
    """None: the owner's key is in its place already."""
    _path: Path

    def keep(self) -> None:
        """Into its place, once. Another process that was first there keeps the place; ours stays hidden."""
        if self._hidden is None or not self._hidden.exists():
            return
        try:
            os.link(self._hidden, self._path)
            sync_folder(self._path.parent)
        except FileExistsError:
            return
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._hidden.unlink()

    def drop(self) -> None:
        """Nothing was signed with it that anybody took."""
        if self._hidden is not None:
            self._hidden.unlink(missing_ok=True)


class KeyStore:
    """Keys of many owners in one folder, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, owner: str) -> Path:
        """The file of an owner: readable where the name allows, unique always.

        Raises:
            ConfigError: the name is not text (bytes of a command line that are not UTF-8).
        """
        try:
            digest = hashlib.sha256(owner.encode()).hexdigest()[:12]
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"the name {owner!r} is not text", code="bad-key", next_step="Write the name in UTF-8."
            ) from error
        return self.folder / f"{quote(owner, safe='@ ')[:_NAME_LENGTH]}-{digest}.json"

    def get_or_make(self, owner: str) -> StoredKey:
        """The owner's key, made now if there is none.

        Raises:
            ConfigError: the folder or the file cannot be used.
        """
        private_dir(self.folder)
        path = self.path_of(owner)
        if not path.exists():
            created = _write_new(path, owner, secrets.token_bytes(SEED_BYTES))
            return StoredKey(owner, read_key(path, owner), path, created)
        return StoredKey(owner, read_key(path, owner), path, False)

    def pending(self, owner: str) -> PendingKey:
        """The owner's key, or a new one that is not in its place yet.

        Raises:
            ConfigError: the folder or the file cannot be used.
        """
        private_dir(self.folder)
        path = self.path_of(owner)
        if path.exists():
            return PendingKey(owner, read_key(path, owner), None, path)
        seed = secrets.token_bytes(SEED_BYTES)
        hidden = _write_hidden(path, owner, seed)
        sync_folder(self.folder)
        return PendingKey(owner, SigningKey(seed), hidden, path)

    def find(self, owner: str) -> StoredKey | None:
        """The owner's key, if there is one. Raises ConfigError when its file cannot be used."""
        path = self.path_of(owner)
        return StoredKey(owner, read_key(path, owner), path, False) if path.exists() else None

    def all(self) -> list[StoredKey]:
        """Every key in the folder, by owner. Files that are not keys are passed over."""
        found = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            with contextlib.suppress(ConfigError):
                owner, key = _read(path)
                found.append(StoredKey(owner, key, path, False))
        return found


def load_or_make_key(path: Path, owner: str) -> SigningKey:
    """The key in one file (a node's own), made on first use.

    Raises:
        ConfigError: it cannot be read or made, or is no key.
    """
    if not path.exists():
        _write_new(path, owner, secrets.token_bytes(SEED_BYTES))
    return read_key(path, owner)


def read_key(path: Path, owner: str) -> SigningKey:
    """The key in a file. Raises ConfigError when it is not one, or another owner's."""
    found, key = _read(path)
    if found != owner:
        raise ConfigError(
            f"{path} holds the key of {found!r}, not of {owner!r}",
            code="bad-key",
            next_step="Move the file away, or use the right name.",
        )
    return key


def _read(path: Path) -> tuple[str, SigningKey]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["kind"] != _KIND:
            raise ValueError("it is of another kind")
        key = SigningKey(bytes.fromhex(record["secret_seed"]))
        if record["public_key"] != key.public_hex:
            raise ValueError("its public key is not that of its secret seed")
        return str(record["owner"]), key
    except OSError as error:
        raise ConfigError(
            f"cannot read the key {path}: {error.strerror or error}",
            code="bad-key",
            next_step="Check the owner and the mode of the file, and the disk.",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a key file: {error}",
            code="bad-key",
            next_step="Restore it from a backup; a lost key cannot be made again. A node (not a voter) may"
            " go on with another: move the file away and start again.",
        ) from error


def _write_new(path: Path, owner: str, seed: bytes) -> bool:
    """Whole or not at all, never over another: two first uses at once agree on one key."""
    part = _write_hidden(path, owner, seed)
    try:
        os.link(part, path)
        sync_folder(path.parent)  # a vote signed with it may be acknowledged within the second
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # what is left over is no key, and nobody reads it
            part.unlink()
    return True


def _write_hidden(path: Path, owner: str, seed: bytes) -> Path:
    """The key file of `path` under a hidden name of its own, on the disk. Raises ConfigError."""
    record = {
        "kind": _KIND,
        "owner": owner,
        "public_key": SigningKey(seed).public_hex,
        "secret_seed": seed.hex(),
    }
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise _unwritable(path, error) from error
    return part


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot write the key {path}: {error.strerror or error}",
        code="bad-key",
        next_step="Check the owner, the mode and the free space of the folder.",
    )
