"""Belenios' `.bel` archives (specification 4.4): an old-style tar of hash-named data and events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from votenet.secret.documents import Digest, Document, Unsigned, encode
from votenet.secret.tally import OwnedDecryption, SizedTally, WrittenWeight

_BLOCK: Final = 512
_HEADER_NAME: Final = "BELENIOS"


class ArchiveHeader(Document, frozen=True):
    """The specification's `header` (4.4); the tool writes the time as a string."""

    version: int
    timestamp: str


class ArchiveEvent(Document, frozen=True, kw_only=True):
    """The specification's `event` (4.4)."""

    parent: Digest | None = None
    height: Unsigned
    type: str
    payload: Digest | None = None


class SetupData(Document, frozen=True):
    """The specification's `setup_data` (4.10)."""

    election: Digest
    trustees: Digest
    credentials: Digest


class OwnedPart(NamedTuple):
    """A partial decryption's bytes and the number of its trustee."""

    owner: int
    raw: bytes


class BeleniosArchive(NamedTuple):
    """Everything that is published of an election, as bytes: hashes are over them."""

    timestamp: int
    election: bytes
    trustees: bytes
    credentials: bytes
    ballots: tuple[bytes, ...] = ()
    closed: bool = False
    """Whether the end of the ballots is marked."""
    encrypted_tally: bytes | None = None
    num_tallied: int = 0
    total_weight: WrittenWeight = 0
    decryptions: tuple[OwnedPart, ...] = ()
    result: bytes | None = None

    def open_payloads(self) -> Iterator[tuple[str, tuple[bytes, ...]]]:
        """Every event with its data, the payload last."""
        setup = SetupData(
            election=hash_of(self.election),
            trustees=hash_of(self.trustees),
            credentials=hash_of(self.credentials),
        )
        yield "Setup", (self.election, self.trustees, self.credentials, encode(setup))
        for ballot in self.ballots:
            yield "Ballot", (ballot,)
        if self.closed:
            yield "EndBallots", ()
        if self.encrypted_tally is not None:
            sized = SizedTally(
                num_tallied=self.num_tallied,
                total_weight=self.total_weight,
                encrypted_tally=hash_of(self.encrypted_tally),
            )
            yield "EncryptedTally", (self.encrypted_tally, encode(sized))
        for owner, raw in self.decryptions:
            yield "PartialDecryption", (raw, encode(OwnedDecryption(owner=owner, payload=hash_of(raw))))
        if self.result is not None:
            yield "Result", (self.result,)


def hash_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


# -- writing ---------------------------------------------------------------------------------------------


def write_archive(archive: BeleniosArchive) -> bytes:
    """The bytes of `UUID.bel`."""
    header = encode(ArchiveHeader(version=1, timestamp=str(archive.timestamp)))
    records = [_tar_record(_HEADER_NAME, header, archive.timestamp)]
    parent: str | None = None
    for height, (kind, data) in enumerate(archive.open_payloads()):
        payload = hash_of(data[-1]) if data else None
        event = encode(ArchiveEvent(parent=parent, height=height, type=kind, payload=payload))
        parent = hash_of(event)
        records += [_tar_record(f"{hash_of(raw)}.data.json", raw, archive.timestamp) for raw in data]
        records.append(_tar_record(f"{parent}.event.json", event, archive.timestamp))
    return b"".join(records)


def _tar_record(name: str, raw: bytes, timestamp: int) -> bytes:
    """A file in the tar format of Unix V7: name, mode, owner, group, size, time, checksum, type."""
    head = name.encode().ljust(100, b"\0")
    head += b"0000644\0" + b"0000000\0" * 2 + f"{len(raw):011o}\0{timestamp:011o}\0".encode()
    checksum = (sum(head) + sum(b" " * 8) + ord("0")) & 0o777777
    head += f"{checksum:06o}\0 0".encode()
    return head.ljust(_BLOCK, b"\0") + raw + bytes(-len(raw) % _BLOCK)
