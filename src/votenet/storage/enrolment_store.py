"""The folder in which members enrol: who is invited, and the public keys that they made.

`invitations.json` has the members with the hashes of their invitations, and the `uuid` that the election will
have: it is the salt of their voting codes. `keys.jsonl` has a line for each key, which is on the disk before
the member is told. Several programs may use a folder at one time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from votenet.config import private_dir
from votenet.core.election.definition import Uuid
from votenet.core.election.voting_code import invitation_hash, read_code
from votenet.core.encoding import Hex32, VoterId
from votenet.core.keys import is_public_key
from votenet.errors import Command, ConfigError, NextStep, Rejected, StorageError
from votenet.storage.files import FileLock, write_atomically

INVITATIONS_NAME: Final = "invitations.json"
_KEYS_NAME: Final = "keys.jsonl"


class Invited(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member with the hash of the invitation."""

    voter_id: VoterId
    name: str
    weight: int
    invitation: Hex32


class Enrolled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that a member made. `at`: Unix seconds."""

    voter_id: VoterId
    public_key: Hex32
    invitation: Hex32
    at: int


class InvitationsFile(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="votenet-enrolment-1",
    forbid_unknown_fields=True,
):
    """`title`: of the election, for the page of enrolment."""

    uuid: Uuid
    title: str
    members: tuple[Invited, ...]


class EnrolmentStore:
    """The folder of one election."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._invitations: tuple[tuple[int, int], InvitationsFile, dict[str, Invited]] | None = None
        self._keys: dict[str, Enrolled] = {}
        self._read_to = 0

    # -- invitations ---------------------------------------------------------------------------

    def is_made(self) -> bool:
        return (self.folder / INVITATIONS_NAME).exists()

    def invitations(self) -> InvitationsFile:
        """Who is invited, as the file has it now.

        Raises:
            ConfigError: no-enrolment, bad-enrolment.
        """
        return self._current()[0]

    @contextmanager
    def inviting(self) -> Iterator[None]:
        """Make the folder; others who invite wait until the block ends: what it has read stays true.

        A block that invites nobody leaves no folder behind that was not there.

        Raises:
            ConfigError: the folder or the lock cannot be made.
        """
        missing = [folder for folder in (self.folder, *self.folder.parents) if not os.path.exists(folder)]
        try:
            lock = self._lock_invitations()
            try:
                yield
            finally:
                lock.release(remove=True)
        finally:
            with contextlib.suppress(OSError):  # one that is not empty has what others wrote
                for folder in missing:
                    folder.rmdir()

    def _lock_invitations(self) -> FileLock:
        """Raises ConfigError."""
        while True:
            private_dir(self.folder)
            try:
                return FileLock.acquire(self.folder / "invitations.lock", wait=True)
            except ConfigError:
                if os.path.isdir(self.folder):
                    raise  # else one whose invitation was refused has just removed it

    def invite(self, invitations: InvitationsFile) -> None:
        """Replace the invitations. Raises ConfigError, StorageError."""
        private_dir(self.folder)
        data = msgspec.json.format(msgspec.json.encode(invitations), indent=1) + b"\n"
        (self.folder / _KEYS_NAME).touch(0o600)
        write_atomically(self.folder / INVITATIONS_NAME, data)  # and puts both names on the disk

    def _current(self) -> tuple[InvitationsFile, dict[str, Invited]]:
        path = self.folder / INVITATIONS_NAME
        try:
            status = path.stat()
            state = (status.st_mtime_ns, status.st_ino)
            if self._invitations is None or self._invitations[0] != state:
                found = msgspec.json.decode(path.read_bytes(), type=InvitationsFile)
                self._invitations = state, found, {one.invitation: one for one in found.members}
        except OSError as error:
            step = Command(
                "voters", "invite", "members.csv", "-o", "invitations.html", "--enrolment", str(self.folder)
            )
            raise ConfigError(
                f"no member is invited in {self.folder}: {error.strerror or error}",
                code="no-enrolment",
                next_step=NextStep("Invite members with: {}", step),
            ) from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ConfigError(
                f"{path} is damaged: {error}",
                code="bad-enrolment",
                next_step="Restore it from a backup: without it no invitation can be used.",
            ) from error
        return self._invitations[1:]

    # -- keys ----------------------------------------------------------------------------------

    def enrolled(self) -> dict[str, Enrolled]:
        """The key of each member who has enrolled with the invitation that holds now, by voter id.

        Raises:
            ConfigError: no-enrolment, bad-enrolment.
            StorageError: it cannot be read.
        """
        known = self._current()[1]
        with self._locked() as file:
            self._read_new(file)
        return {one.voter_id: one for invitation, one in self._keys.items() if invitation in known}

    def enrol(self, typed: str, public_key: str, at: int) -> Enrolled:
        """Keep the key of the member with this invitation; it is on the disk when this returns.

        The same key again is no error.

        Raises:
            Rejected: bad-code, bad-invitation, invitation-used, bad-enrolment.
            ConfigError, StorageError: as `enrolled`.
        """
        invitation = invitation_hash(read_code(typed))
        if not is_public_key(public_key):
            raise Rejected("bad-enrolment", "this is no Ed25519 public key in 64 hexadecimal digits")
        member = self._current()[1].get(invitation)
        if member is None:
            raise Rejected("bad-invitation", "no member has this invitation, or a new one has replaced it")
        with self._locked() as file:
            self._read_new(file)
            before = self._keys.get(invitation)
            if before is not None and before.public_key == public_key:
                os.fsync(file)  # the program that wrote it may have died before
                return before
            if before is not None:
                raise Rejected("invitation-used", "a key was made with this invitation before")
            theirs = (one for one in self._keys.values() if one.voter_id != member.voter_id)
            if any(one.public_key == public_key for one in theirs):
                raise Rejected("bad-enrolment", "another member has this key")
            made = Enrolled(member.voter_id, public_key, invitation, at)
            self._append(file, made)
            return made

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file of keys, open and locked against other programs."""
        path = self.folder / _KEYS_NAME
        step = "Check the owner of that folder, and the free space."
        with StorageError.of_os_errors(f"cannot use {path}", next_step=step):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            finally:
                os.close(file)

    def _read_new(self, file: int) -> None:
        """Take in the lines that were written since; a torn one, of a power cut, is left out."""
        data = os.pread(file, os.fstat(file).st_size - self._read_to, self._read_to)
        lines, _, _ = data.rpartition(b"\n")
        for line in lines.splitlines():
            try:
                one = msgspec.json.decode(line, type=Enrolled)
            except msgspec.DecodeError as error:
                raise ConfigError(
                    f"{self.folder / _KEYS_NAME} is damaged: {error}",
                    code="bad-enrolment",
                    next_step="Restore it from a backup, or take the damaged line out.",
                ) from error
            self._keys.setdefault(one.invitation, one)
        self._read_to += len(lines) + bool(lines)

    def _append(self, file: int, one: Enrolled) -> None:
        line = msgspec.json.encode(one) + b"\n"
        os.ftruncate(file, self._read_to)  # without the torn line
        if os.pwrite(file, line, self._read_to) != len(line):
            raise OSError(0, "it was not written whole")
        os.fsync(file)
        self._keys[one.invitation] = one
        self._read_to += len(line)
