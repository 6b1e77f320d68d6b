"""`.bel` archives: what the tool wrote is read and written again the same; all else is refused."""

from __future__ import annotations

import random
import tarfile
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

from support.belenios_check import read_archive
from support.secret_elections import SampleElection, refusing
from votenet.secret.belenios_archive import ArchiveEvent, BeleniosArchive, OwnedPart, hash_of, write_archive
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import encode

VECTOR = Path(__file__).parent.parent / "vectors" / "belenios" / "JUKAAfQKwDeaXu.bel"
BLOCK = 512


@cache
def whole() -> BeleniosArchive:
    question = HomomorphicQuestion(answers=("a", "b"), min=0, max=1, question="?")
    election = SampleElection(random.Random(16), [question])
    for voter in range(3):
        election.vote(voter)
    return election.archive()


def records(raw: bytes) -> list[bytes]:
    """The files of an archive, each with its header and padding."""
    found = []
    while raw:
        size = int(raw[124:135], 8)
        end = BLOCK + size + -size % BLOCK
        found.append(raw[:end])
        raw = raw[end:]
    return found


def test_what_the_tool_wrote_is_read_and_written_again() -> None:
    raw = VECTOR.read_bytes()
    archive = read_archive(raw)
    assert write_archive(archive) == raw
    assert (len(archive.ballots), archive.num_tallied, archive.total_weight) == (3, 3, 3)
    assert [owner for owner, _ in archive.decryptions] == [2, 3, 1]
    assert archive.result == b'{"result":[[2,1],[1,1,1,1]]}'


def test_every_stage_of_an_election_can_be_written() -> None:
    full = whole()
    setup = BeleniosArchive(full.timestamp, full.election, full.trustees, full.credentials)
    stages = [
        setup,
        setup._replace(ballots=full.ballots),
        setup._replace(ballots=full.ballots, closed=True),
        full._replace(decryptions=(), result=None),
        full._replace(result=None),
        full,
    ]
    for stage in stages:
        assert read_archive(write_archive(stage)) == stage


def test_other_programs_read_it_as_a_tar_archive() -> None:
    with tarfile.open(fileobj=BytesIO(write_archive(whole()))) as tar:
        members = tar.getmembers()
        assert members[0].name == "BELENIOS"
        assert {member.mtime for member in members} == {whole().timestamp}
        for member in members[1:]:
            content = tar.extractfile(member)
            assert content is not None
            assert member.name.partition(".")[0] == hash_of(content.read())


def test_files_that_are_missing_doubled_or_moved_are_refused() -> None:
    files = records(write_archive(whole()))
    for number in range(len(files)):
        without = b"".join(files[:number] + files[number + 1 :])
        if number < len(files) - 1:
            with refusing("bad-archive"):
                read_archive(without)
        with refusing("bad-archive"):
            read_archive(b"".join(files[: number + 1] + files[number:]))
        if 0 < number < len(files) - 1:
            swapped = [*files[:number], files[number + 1], files[number], *files[number + 2 :]]
            with refusing("bad-archive"):
                read_archive(b"".join(swapped))


def test_a_changed_byte_is_refused() -> None:
    raw = write_archive(whole())
    rng = random.Random(17)
    for place in [*range(BLOCK), *(rng.randrange(len(raw)) for _ in range(300))]:
        other = bytearray(raw)
        other[place] ^= 1
        with pytest.raises(Exception, match=r"archive|BELENIOS|hash|file|event|missing") as caught:
            read_archive(bytes(other))
        assert caught.value.code in {"bad-archive", "not-canonical", "bad-document"}  # type: ignore[attr-defined]


def test_a_cut_or_longer_archive_is_refused() -> None:
    raw = write_archive(whole())
    longer = (raw + bytes(BLOCK), raw + bytes(2 * BLOCK))
    for other in (b"", raw[:-BLOCK], raw[:-1], raw[:700], raw[1:], *longer):
        with refusing("bad-archive"):
            read_archive(other)


def with_events(*events: ArchiveEvent) -> bytes:
    """An archive whose events are these, with right hashes."""
    full = whole()
    files = records(write_archive(full))
    kept = [one for one in files if b".event.json" not in one[:100]]
    made = [tar_file(encode(event)) for event in events]
    return b"".join([*kept, *made])


def tar_file(content: bytes) -> bytes:
    """An event's file, with the header that the writer gives one of this size."""
    sample = records(write_archive(whole()))[1]
    head = bytearray(sample[:BLOCK])
    head[:100] = f"{hash_of(content)}.event.json".encode().ljust(100, b"\0")
    head[124:135] = f"{len(content):011o}".encode()
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + content + bytes(-len(content) % BLOCK)


def test_other_chains_of_events_are_refused() -> None:
    setup = ArchiveEvent(height=0, type="Setup", payload=None)
    for events in (
        (),
        (ArchiveEvent(height=0, type="Ballot", payload="0" * 64),),
        (setup,),
        (ArchiveEvent(height=0, type="Setup", payload="0" * 64),),
        (setup, setup),
        (ArchiveEvent(height=0, type="Shuffle", payload="0" * 64),),
    ):
        with refusing("bad-archive"):
            read_archive(with_events(*events))


def test_owners_travel_with_their_parts() -> None:
    archive = whole()._replace(decryptions=(OwnedPart(3, b"{}"), OwnedPart(1, b"[]")))
    assert read_archive(write_archive(archive)).decryptions == archive.decryptions
