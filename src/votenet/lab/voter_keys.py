"""The keys that sign the ballots of a file: made from a secret, or the registered ones in a key store."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from votenet.core.keys import SigningKey
from votenet.errors import Command, NextStep, Rejected
from votenet.storage.key_store import KeyStore

Fault = tuple[str, str]
"""Why a voter cannot vote, and what to do."""


class VoterKeys(Protocol):
    def key(self, voter_id: str) -> SigningKey:
        """The key that signs for a voter. Raises Rejected: there is none."""
        ...

    def fault(self, voter_id: str) -> Fault | None:
        """Why no vote of this voter can be signed here; None if one can."""
        ...


@dataclass(frozen=True, slots=True)
class DerivedKeys:
    """Keys that follow from a secret of 32 bytes and the voter id: those of an election without a roll."""

    secret: bytes

    def key(self, voter_id: str) -> SigningKey:
        return SigningKey(hmac.digest(self.secret, voter_id.encode(), hashlib.sha256))

    def fault(self, voter_id: str) -> Fault | None:
        return None


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """The keys in the key store `folder`. `roll`: voter id to registered key, None where it is not here."""

    folder: Path
    roll: Mapping[str, str] | None

    def key(self, voter_id: str) -> SigningKey:
        stored = KeyStore(self.folder).find(voter_id)
        if stored is None:
            raise Rejected("wrong-key", f"there is no key for {voter_id!r} here")
        return stored.key

    def fault(self, voter_id: str) -> Fault | None:
        if (fault := not_on_roll(self.roll, voter_id)) is not None:
            return fault
        stored = KeyStore(self.folder).find(voter_id)
        if stored is not None and (self.roll is None or self.roll[voter_id] == stored.key.public_hex):
            return None
        what = "there is no key" if stored is None else "the key here is not the registered one"
        step = NextStep(
            "Take the registered key in with: {}, or cast the other ballots with --partial",
            Command("keys", "import", "KEYFILE"),
        )
        return f"{what} for the voter id {voter_id!r}", step


def not_on_roll(roll: Container[str] | None, voter_id: str) -> Fault | None:
    """The fault of a voter who is not on the roll; None without a roll."""
    if roll is None or voter_id in roll:
        return None
    step = "Compare the id with the roll: a spreadsheet may have taken zeros from its front."
    return f"the voter id {voter_id!r} is not on the roll", step
