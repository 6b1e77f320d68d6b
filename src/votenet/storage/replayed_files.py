"""Which files of ballots a user has cast in an election, by their hashes."""

from __future__ import annotations

import json
from pathlib import Path

from votenet.config import private_dir
from votenet.errors import ConfigError
from votenet.storage.files import write_atomically


class ReplayedFiles:
    """A folder with one small file for each election."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def remember(self, network_id: str, sha256: str, prefix: str | None) -> bool:
        """Note that a file is cast; whether it was noted before.

        Args:
            prefix: of the voter ids that are made of numbers; None where the file has ids.

        Raises:
            ConfigError: code file-cast-before; another file has these ids, or the file was cast with others.
        """
        path = self._folder / f"{network_id}.json"
        held: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        with_ids = f"ids {sha256}"
        if prefix is None:
            numbered = [key for key, value in held.items() if value == sha256 and key != with_ids]
            if numbered:
                raise _refused(
                    f"this file was cast before with numbers as voter ids ({numbered[0].split(' ', 1)[1]}…)",
                    "Its ballots would count twice. Leave --voter-column out as before.",
                )
            key = with_ids
        else:
            key = f"prefix {prefix}"
            if held.get(key, sha256) != sha256:
                raise _refused(
                    f"another file was cast before with the voter ids {prefix}000001, {prefix}000002…",
                    "Give the voters of this file other ids: --prefix NAME, or --voter-column COLUMN.",
                )
            if with_ids in held:
                raise _refused(
                    "this file was cast before with its own voter ids",
                    "Its ballots would count twice. Name the same --voter-column as before.",
                )
        known = key in held
        if not known:
            private_dir(self._folder)
            write_atomically(path, json.dumps(held | {key: sha256}, sort_keys=True).encode())
        return known


def _refused(what: str, next_step: str) -> ConfigError:
    return ConfigError(what, code="file-cast-before", next_step=next_step)
