"""The folder of enrolment: kept before it is answered, each invitation once, by several programs."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from support.elections import UUID, key_of
from votenet.core.election.voting_code import code_from, invitation_hash, shown_code
from votenet.errors import ConfigError, Rejected, StorageError
from votenet.storage.enrolment_store import INVITATIONS_NAME, EnrolmentStore, InvitationsFile, Invited
from votenet.storage.files import FileLock

CODES = {name: code_from(name.encode().ljust(14, b"x")) for name in ("ann", "bo", "cy")}
MADE = InvitationsFile(
    uuid=UUID,
    title="Board",
    members=tuple(Invited(name, name.title(), 1, invitation_hash(code)) for name, code in CODES.items()),
)


@pytest.fixture
def store(tmp_path: Path) -> EnrolmentStore:
    made = EnrolmentStore(tmp_path / "enrolment")
    assert not made.is_made()
    made.invite(MADE)
    return made


def public(name: str) -> str:
    return key_of(name).public_hex


def test_an_invitation_is_used_once_and_the_same_key_again_is_no_error(store: EnrolmentStore) -> None:
    made = store.enrol(shown_code(CODES["ann"]).lower(), public("a"), 5)
    assert (made.voter_id, made.public_key, made.at) == ("ann", public("a"), 5)
    assert store.enrol(CODES["ann"], public("a"), 9) == made
    for typed, key, code in (
        (CODES["ann"], public("b"), "invitation-used"),
        (CODES["bo"], public("a"), "bad-enrolment"),
        (CODES["bo"], public("b").upper(), "bad-enrolment"),
        (CODES["bo"], "00" * 32, "bad-enrolment"),
        (code_from(bytes(14)), public("b"), "bad-invitation"),
        (CODES["bo"][:-1], public("b"), "bad-code"),
    ):
        with pytest.raises(Rejected) as refused:
            store.enrol(typed, key, 6)
        assert refused.value.code == code
    assert list(EnrolmentStore(store.folder).enrolled()) == ["ann"]
    kept = b"".join(path.read_bytes() for path in store.folder.iterdir())
    assert not any(code.encode() in kept for code in CODES.values()), "the folder has hashes alone"
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_a_member_who_is_invited_anew_makes_a_new_key(store: EnrolmentStore) -> None:
    store.enrol(CODES["ann"], public("a"), 5)
    again = Invited("ann", "Ann", 1, invitation_hash(code_from(bytes(14))))
    store.invite(msgspec.structs.replace(MADE, members=(again, *MADE.members[1:])))
    assert store.enrolled() == {}
    with pytest.raises(Rejected, match="a new one has replaced it"):
        store.enrol(CODES["ann"], public("a"), 6)
    assert store.enrol(code_from(bytes(14)), public("a"), 6).voter_id == "ann"


def test_programs_at_one_time_see_each_other(store: EnrolmentStore) -> None:
    other = EnrolmentStore(store.folder)
    assert other.enrolled() == {}

    def enrol(n: int) -> str:
        try:
            return (store, other)[n % 2].enrol(CODES["ann"], public(str(n)), n).public_key
        except Rejected as refused:
            return refused.code

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(enrol, range(40)))
    assert answers.count("invitation-used") == 39
    (kept,) = other.enrolled().values()
    assert kept.public_key in answers
    assert store.enrolled() == other.enrolled()


def test_a_torn_line_is_left_out_and_a_damaged_one_is_named(store: EnrolmentStore, tmp_path: Path) -> None:
    store.enrol(CODES["ann"], public("a"), 5)
    file = store.folder / "keys.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:50])
    again = EnrolmentStore(store.folder)
    assert again.enrol(CODES["bo"], public("b"), 6).voter_id == "bo"
    assert len(EnrolmentStore(store.folder).enrolled()) == 2
    file.write_bytes(b"{}\n")
    with pytest.raises(ConfigError, match="damaged") as damaged:
        EnrolmentStore(store.folder).enrolled()
    assert damaged.value.code == "bad-enrolment"
    (store.folder / INVITATIONS_NAME).write_text("[]")
    with pytest.raises(ConfigError, match="damaged"):
        store.invitations()
    with pytest.raises(ConfigError, match="no member is invited") as missing:
        EnrolmentStore(tmp_path / "none").enrolled()
    assert missing.value.code == "no-enrolment"


def test_what_cannot_be_saved_is_not_said_to_be_saved(
    store: EnrolmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(StorageError, match="No space left"):
        store.enrol(CODES["ann"], public("a"), 5)
    monkeypatch.undo()
    assert store.enrolled() == {}
    assert store.enrol(CODES["ann"], public("b"), 6).public_key == public("b")
    monkeypatch.setattr("os.fsync", full)
    for again in (store, EnrolmentStore(store.folder)):  # what one program wrote may not be on the disk
        with pytest.raises(StorageError, match="No space left"):
            again.enrol(CODES["ann"], public("b"), 7)


def test_an_invitation_makes_a_folder_again_that_a_refused_one_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, acquire = EnrolmentStore(tmp_path / "enrolment"), FileLock.acquire

    def removed_meanwhile(path: Path, *, wait: bool = False) -> FileLock:
        monkeypatch.undo()
        path.parent.rmdir()
        return acquire(path, wait=wait)

    monkeypatch.setattr(FileLock, "acquire", removed_meanwhile)
    with store.inviting():
        store.invite(MADE)
    assert store.invitations() == MADE
    assert not (store.folder / "invitations.lock").exists()
