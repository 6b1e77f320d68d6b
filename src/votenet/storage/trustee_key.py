"""A trustee's seed on the trustee's own machine, in a file of mode 0600; the recovery cards hold the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from votenet.errors import Command, ConfigError, NextStep
from votenet.secret.documents import Digest
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.files import is_open_to_others, replacing
from votenet.storage.input_file import read_input

_LONGEST: Final = 4096
"""Bytes of a file with a seed."""
_CARD: Final = NextStep(
    "Move it away, and restore it from a recovery card: {}", Command("trustee", "recover", "FOLDER", "NAME")
)


class _SeedFile(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="votenet-trustee-1",
):
    draft: Digest
    place: int
    seed: str


class TrusteeKeyFile(NamedTuple):
    """The file of one trustee of one draft. An error never has the seed in it."""

    path: Path

    @classmethod
    def usual(cls, keys: Path, draft: str, place: int) -> TrusteeKeyFile:
        """Where it is kept below the folder of keys, a file for each draft and trustee."""
        return cls(keys / f"trustee-{draft[:16]}-{place}.json")

    def read(self, draft: str, place: int) -> TrusteeSeed | None:
        """The seed; None where there is no file.

        Raises:
            ConfigError: bad-key, open-file.
        """
        if not self.path.exists():
            return None
        if is_open_to_others(self.path):
            raise ConfigError(
                f"{self.path} holds a trustee's key, and other users of this machine may read it",
                code="open-file",
                next_step=f"Close it: chmod 600 {self.path}",
            )
        data = read_input(self.path, _LONGEST, code="bad-key", next_step=_CARD)
        try:
            kept = msgspec.json.decode(data, type=_SeedFile)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ConfigError(
                f"{self.path} is not a trustee's key", code="bad-key", next_step=_CARD
            ) from None
        if (kept.draft, kept.place) != (draft, place):
            raise ConfigError(
                f"{self.path} holds the key of another trustee, or of another election",
                code="bad-key",
                next_step="Name another file with --key.",
            )
        return TrusteeSeed.parse(kept.seed)

    def write(self, draft: str, place: int, seed: TrusteeSeed) -> None:
        """Keep a seed; a file that is there is never replaced by another seed.

        Raises:
            ConfigError: key-exists; it cannot be written.
        """
        kept = self.read(draft, place)
        if kept is not None and kept != seed:
            raise ConfigError(
                f"{self.path} holds another key of this trustee",
                code="key-exists",
                next_step="Move it away if it is of no use any more.",
            )
        raw = msgspec.json.encode(_SeedFile(draft=draft, place=place, seed=seed.text))
        step = "Check the owner, the mode and the free space of the folder."
        with ConfigError.of_os_errors(f"cannot write the key {self.path}", code="bad-key", next_step=step):
            os.makedirs(self.path.parent, mode=0o700, exist_ok=True)
            with replacing(self.path, 0o600) as file:
                file.write(raw + b"\n")

    def note_count(self, election: str, tally: str) -> None:
        """Note beside the key which count it decrypts: there is one, however often its share is made.

        Nodes in one hand can call two logs of one election final, of which one lacks the vote of a single
        voter: the two counts say how this one has voted.

        Args:
            election: the network id, hexadecimal.
            tally: SHA-256 of the encrypted tally, hexadecimal.

        Raises:
            ConfigError: other-election, when it is another count; it cannot be read or written.
        """
        path, line = self.path.with_name(f"{self.path.name}.count"), f"{election} {tally}\n".encode()
        step = "Check the owner, the mode and the free space of the folder."
        with ConfigError.of_os_errors(f"cannot write {path}", code="bad-key", next_step=step):
            if path.exists():
                known = path.read_bytes()
            else:
                os.makedirs(path.parent, mode=0o700, exist_ok=True)
                with replacing(path, 0o600) as file:
                    file.write(known := line)
        if known != line:
            raise ConfigError(
                f"with this key another count was decrypted, as {path} says: a second one may show how single"
                " voters voted",
                code="other-election",
                next_step="Ask the organiser and the other trustees why there are two counts.",
            )
