"""Secret keys on disk, in files of mode 0600: those of voters, of a node, of a replay."""

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
from votenet.storage.files import replacing, sync_folder
from votenet.storage.input_file import read_input

NODE_KEY_NAME: Final = "node.key"
"""In the data folder of a node."""
AUTHORITY_KEY_NAME: Final = "authority.key"
"""Beside the genesis file that was made with it."""
AUTHORITY: Final = "authority"
"""The owner of that key."""
_KIND: Final = "votenet-key-1"
_NAME_LENGTH: Final = 80
_LONGEST: Final = 64 * 1024
"""Bytes of a key file that was handed over."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    owner: str
    key: SigningKey
    path: Path
    created: bool = False
    """It was made by this call."""


@dataclass(frozen=True, slots=True)
class PendingKey:
    """An owner's key, or a new one under a hidden name until its owner has used it: `keep` or `drop` it then.

    So a refused vote leaves no key behind, and a vote that may have been taken never loses its key.
    """

    key: SigningKey
    _path: Path
    _hidden: Path | None
    """None: the owner's file was there already."""

    def keep(self) -> bool:
        """Give a new key its owner's file name; returns whether it has.

        If another process was first, its key keeps the name and ours stays hidden.
        """
        if self._hidden is None or not self._hidden.exists():
            return False
        with _writing(self._path):
            try:
                os.link(self._hidden, self._path)
                sync_folder(self._path.parent)
            except FileExistsError:
                return False
        self.drop()  # its second name; where that cannot be removed the key is kept all the same
        return True

    def drop(self) -> None:
        """Remove the hidden file: no program reads it as a key."""
        if self._hidden is not None:
            with contextlib.suppress(OSError):
                self._hidden.unlink()


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
        return _get_or_make(self.path_of(owner), owner)

    def pending(self, owner: str) -> PendingKey:
        """The owner's key, or a new one to keep or to drop. Raises ConfigError as `get_or_make`."""
        private_dir(self.folder)
        return _pending(self.path_of(owner), owner)

    def put(self, owner: str, key: SigningKey) -> StoredKey:
        """Keep a key that was made elsewhere; another key of the owner is never replaced.

        Raises:
            ConfigError: key-exists; as `get_or_make`.
        """
        private_dir(self.folder)
        path = self.path_of(owner)
        pending = PendingKey(key, path, _hidden_file(path, owner, key))
        try:
            created = pending.keep()
        finally:
            pending.drop()
        if not created and read_key(path, owner).public != key.public:
            raise ConfigError(
                f"{path} holds another key of {owner!r}",
                code="key-exists",
                next_step="Move that file away if it is of no use any more: a lost key cannot be made again.",
            )
        return StoredKey(owner, key, path, created)

    def find(self, owner: str) -> StoredKey | None:
        """The owner's key, if there is one. Raises ConfigError when its file cannot be used."""
        path = self.path_of(owner)
        return StoredKey(owner, read_key(path, owner), path) if path.exists() else None

    def all(self) -> list[StoredKey]:
        """Every key in the folder, by owner. Other files are skipped."""
        stored = []
        for path in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(ConfigError):
                stored.append(StoredKey(*_read(path), path))
        return stored


def load_or_make_key(path: Path, owner: str) -> SigningKey:
    """The key in one file (a node's own), made on first use. Raises ConfigError as `get_or_make`."""
    return _get_or_make(path, owner).key


def read_voter_key(path: Path, owner: str | None = None) -> StoredKey:
    """The key in a file (or standard input) that was handed over: that of `owner`, if one is named.

    Raises:
        ConfigError: bad-key.
    """
    found = StoredKey(*_parsed(read_input(path, _LONGEST, code="bad-key"), path), path)
    if owner is not None:
        _check_owner(found.owner, owner, path)
    return found


def read_key(path: Path, owner: str) -> SigningKey:
    """The key in a file. Raises ConfigError when it is not one, or another owner's."""
    named, key = _read(path)
    _check_owner(named, owner, path)
    return key


def _check_owner(named: str, owner: str, path: Path) -> None:
    if named != owner:
        raise ConfigError(
            f"{path} holds the key of {named!r}, not of {owner!r}",
            code="bad-key",
            next_step="Move the file away, or use the right name.",
        )


def _get_or_make(path: Path, owner: str) -> StoredKey:
    pending = _pending(path, owner)
    try:
        created = pending.keep()
    finally:
        pending.drop()  # where another process was first
    return StoredKey(owner, read_key(path, owner), path, created)


def _pending(path: Path, owner: str) -> PendingKey:
    if path.exists():
        return PendingKey(read_key(path, owner), path, None)
    key = SigningKey(secrets.token_bytes(SEED_BYTES))
    return PendingKey(key, path, _hidden_file(path, owner, key))


def _hidden_file(path: Path, owner: str, key: SigningKey) -> Path:
    record = {
        "kind": _KIND,
        "owner": owner,
        "public_key": key.public_hex,
        "secret_seed": key.seed.hex(),
    }
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _writing(path), replacing(hidden, 0o600) as file:
        file.write(json.dumps(record, ensure_ascii=False, indent=1).encode() + b"\n")
    return hidden


def _read(path: Path) -> tuple[str, SigningKey]:
    step = "Check the owner and the mode of the file, and the disk."
    with ConfigError.of_os_errors(f"cannot read the key {path}", code="bad-key", next_step=step):
        return _parsed(path.read_bytes(), path)


def _parsed(data: bytes, path: Path) -> tuple[str, SigningKey]:
    """The owner and the key in the content of a key file. Raises ConfigError."""
    try:
        record = json.loads(data.decode())
        if record["kind"] != _KIND:
            raise ValueError("it is of another kind")
        key = SigningKey(bytes.fromhex(record["secret_seed"]))
        if record["public_key"] != key.public_hex:
            raise ValueError("its public key is not that of its secret seed")
        return str(record["owner"]), key
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is not a key file: {error}",
            code="bad-key",
            next_step="Restore it from a backup; a lost key cannot be made again. A node (not a voter) may"
            " go on with another: move the file away and start again.",
        ) from error


def _writing(path: Path) -> contextlib.AbstractContextManager[None]:
    """Raises ConfigError where the key cannot be written."""
    step = "Check the owner, the mode and the free space of the folder."
    return ConfigError.of_os_errors(f"cannot write the key {path}", code="bad-key", next_step=step)
