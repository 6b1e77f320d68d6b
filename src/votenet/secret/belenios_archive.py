"""Belenios' `.bel` archives (specification 4.4): an old-style tar of hash-named data and events.

`write_archive` decides how an archive looks; `read_archive` accepts just that, as the tool's own check does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Self

from votenet.secret.documents import Digest, Document, T, Unsigned, decode, encode
from votenet.secret.refusals import refusal
from votenet.secret.tally import OwnedDecryption, SizedTally, WrittenWeight

_BLOCK: Final = 512
_HEADER_NAME: Final = "BELENIOS"
_RECORD_NAME: Final = re.compile(r"([0-9a-f]{64})\.(data|event)\.json\Z")
_EVENTS_IN_ORDER: Final = ("Setup", "Ballot", "EndBallots", "EncryptedTally", "PartialDecryption", "Result")
_REPEATED: Final = {"Ballot", "PartialDecryption"}


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


# -- reading ---------------------------------------------------------------------------------------------


class _Records(NamedTuple):
    """The files of an archive: data by hash, and the events in order."""

    timestamp: int
    data: Mapping[str, bytes]
    events: list[ArchiveEvent]

    @classmethod
    def read(cls, raw: bytes) -> Self:
        files = _files(raw)
        name, content = next(files, ("", b""))
        if name != _HEADER_NAME:
            raise refusal("bad-archive", f"the archive does not begin with {_HEADER_NAME}")
        header = decode(content, ArchiveHeader, "the archive's header")
        if header.version != 1 or not re.fullmatch(r"0|[1-9][0-9]{0,9}", header.timestamp):
            raise refusal("bad-archive", "the archive's header has an unknown version, or no time")
        data: dict[str, bytes] = {}
        events = []
        for name, content in files:
            match = _RECORD_NAME.match(name)
            if match is None or match[1] != hash_of(content):
                raise refusal("bad-archive", f"{name} does not have the hash that it is named after")
            if match[2] == "event":
                events.append(decode(content, ArchiveEvent, "an event"))
            else:
                data[match[1]] = content
        return cls(int(header.timestamp), data, events)

    def content(self, name: str | None) -> bytes:
        if name is None or name not in self.data:
            raise refusal("bad-archive", f"the data {name} is missing")
        return self.data[name]

    def document(self, name: str | None, kind: type[T]) -> T:
        return decode(self.content(name), kind, "the payload of an event")

    def payloads(self, kind: str) -> list[str | None]:
        return [event.payload for event in self.events if event.type == kind]


def _files(raw: bytes) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place < len(raw):
        head = raw[place : place + _BLOCK]
        size = re.fullmatch(rb"([0-7]{11})\0", head[124:136])
        if size is None:
            raise refusal("bad-archive", f"no file begins at byte {place}")
        end = place + _BLOCK + int(size[1], 8)
        if end > len(raw):
            raise refusal("bad-archive", "the archive ends too early")
        yield head[:100].rstrip(b"\0").decode("ascii", "replace"), raw[place + _BLOCK : end]
        place = end + -end % _BLOCK


def read_archive(raw: bytes) -> BeleniosArchive:
    """What an archive holds; written again it is the same bytes. Raises NotProven. No proof is checked."""
    records = _Records.read(raw)
    kinds = [event.type for event in records.events]
    if not set(kinds) <= set(_EVENTS_IN_ORDER) or kinds[:1] != ["Setup"]:
        raise refusal("bad-archive", "the events are not those of an election with homomorphic contests")
    if any(kinds.count(kind) > 1 for kind in set(kinds) - _REPEATED):
        raise refusal("bad-archive", "an event is there twice")
    setup = records.document(records.payloads("Setup")[0], SetupData)
    archive = BeleniosArchive(
        timestamp=records.timestamp,
        election=records.content(setup.election),
        trustees=records.content(setup.trustees),
        credentials=records.content(setup.credentials),
        ballots=tuple(records.content(name) for name in records.payloads("Ballot")),
        closed="EndBallots" in kinds,
    )
    for name in records.payloads("EncryptedTally"):
        sized = records.document(name, SizedTally)
        archive = archive._replace(
            encrypted_tally=records.content(sized.encrypted_tally),
            num_tallied=sized.num_tallied,
            total_weight=sized.total_weight,
        )
    owned = [records.document(name, OwnedDecryption) for name in records.payloads("PartialDecryption")]
    archive = archive._replace(
        decryptions=tuple(OwnedPart(one.owner, records.content(one.payload)) for one in owned)
    )
    for name in records.payloads("Result"):
        archive = archive._replace(result=records.content(name))
    if write_archive(archive) != raw:
        raise refusal("bad-archive", "the events are not a chain in the order of an election")
    return archive
