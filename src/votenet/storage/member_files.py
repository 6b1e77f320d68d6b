"""What the organiser keeps of members: `members.json` (names, who votes by card), `codes.json` (secret).

Both are beside the genesis file, with mode 0600. No node and no page needs them. A code is a secret of its
voter: its file is removed once the cards are handed out (`votenet voters cards --forget`).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from votenet.core.encoding import Hex32, VoterId
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import Command, ConfigError, NextStep
from votenet.storage.files import (
    alone,
    is_open_to_others,
    replaced_name,
    replacing,
    sync_folder,
    write_atomically,
)
from votenet.storage.input_file import read_input

MAX_QUOTED_ID: Final = 80
"""Characters of a voter id, quoted, in the name of a file; what is longer is told apart by a hash."""
_CARDS_OF_SOME: Final = "cards-some.html"
_CARDS: Final = re.compile(r"cards?-.+\.html", re.DOTALL)
KeptBy = Literal["card", "own"]
"""How a voter has the key: by a code that the organiser printed, or by a key of their own."""


class _OfElection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    network_id: Hex32


T = TypeVar("T", bound=_OfElection)


class MemberNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known about a voter beside the roll."""

    voter_id: VoterId
    name: str = ""
    by: KeptBy = "own"


class MembersFile(_OfElection, frozen=True, kw_only=True, tag_field="kind", tag="votenet-members-1"):
    """`public_url`: of the page, as the cards name it; `guessed`: the organiser has not named it."""

    public_url: str
    guessed: bool = False
    members: tuple[MemberNote, ...]

    def by_id(self) -> dict[str, MemberNote]:
        return {one.voter_id: one for one in self.members}


class CodesFile(_OfElection, frozen=True, kw_only=True, tag_field="kind", tag="votenet-codes-1"):
    """The voting codes, without hyphens, by voter id."""

    codes: dict[VoterId, str]


class MemberFiles(NamedTuple):
    """The files of one election, in the folder of its genesis file."""

    folder: Path

    @property
    def members(self) -> Path:
        return self.folder / "members.json"

    @property
    def codes(self) -> Path:
        return self.folder / "codes.json"

    @property
    def cards(self) -> Path:
        return self.folder / "cards.html"

    def some_cards(self, voter_ids: Sequence[str]) -> Path:
        """Where the cards of these voters are written: each voter has a name of their own."""
        if len(voter_ids) != 1:
            return self.folder / _CARDS_OF_SOME
        name = quote(voter_ids[0], safe="@ ")
        if len(name) > MAX_QUOTED_ID:  # `quote` leaves no "=": no short id looks like a long one
            digest = hashlib.sha256(voter_ids[0].encode()).hexdigest()
            name = f"{name[:MAX_QUOTED_ID]}={digest[:32]}"
        return self.folder / f"card-{name}.html"

    def paths(self) -> tuple[Path, ...]:
        return self.members, self.codes, self.cards

    def remove(self) -> None:
        """Remove what was kept for an election that does not exist."""
        for path in self.paths():
            path.unlink(missing_ok=True)

    def read_members(self, network_hex: str) -> MembersFile | None:
        """None where there are none for this election. Raises ConfigError, code bad-members."""
        return read_members(self.members, network_hex)

    def read_codes(self, network_hex: str) -> CodesFile | None:
        """None where there are none for this election. Raises ConfigError: bad-members; open-file."""
        refuse_open(self.codes)
        return _of(_read(self.codes, CodesFile), network_hex)

    def write_members(self, members: MembersFile) -> None:
        """Raises StorageError."""
        write_atomically(self.members, _encoded(members))

    def write_codes(self, codes: CodesFile) -> None:
        """Raises StorageError."""
        write_atomically(self.codes, _encoded(codes))

    def name_page(self, network_hex: str, public_url: str, *, guessed: bool = False) -> None:
        """Keep another address of the page. Raises ConfigError, StorageError."""
        with self._alone():
            kept = self.read_members(network_hex)
            if kept is not None:
                self.write_members(msgspec.structs.replace(kept, public_url=public_url, guessed=guessed))

    def note(self, network_hex: str, note: MemberNote) -> None:
        """Keep a changed or new member; nothing where no members were kept for this election."""
        with self._alone():
            kept = self.read_members(network_hex)
            if kept is None:
                return
            notes = kept.by_id()
            before = notes.get(note.voter_id)
            name = note.name or (before.name if before else "")
            notes[note.voter_id] = msgspec.structs.replace(note, name=name)
            self.write_members(msgspec.structs.replace(kept, members=tuple(notes.values())))

    def keep_code(self, network_hex: str, voter_id: str, code: str | None) -> None:
        """Keep the new code of a voter, or forget the old one; nothing where all codes are forgotten."""
        with self._alone():
            kept = self.read_codes(network_hex)
            if kept is None:
                return
            codes = {one: known for one, known in kept.codes.items() if one != voter_id}
            if code is not None:
                codes[voter_id] = code
            self.write_codes(msgspec.structs.replace(kept, codes=codes))

    def forget_codes(self, ours: bool) -> list[Path]:
        """Remove the codes and the cards, and parts of them that a killed program left.

        Args:
            ours: whether the folder has files of this program alone. In another one the single cards of
                the members that are kept are removed, and no file that is merely called like one.

        Returns:
            The files that were there.

        Raises:
            ConfigError: bad-members; the codes and the cards of all are gone then.
            OSError: a file cannot be removed.
        """
        with self._alone():
            always = {self.codes.name, self.cards.name, _CARDS_OF_SOME}
            gone = self._remove(lambda name: name in always or (ours and bool(_CARDS.fullmatch(name))))
            kept = None if ours else _read(self.members, MembersFile)
            if kept is not None:
                single = {self.some_cards([one.voter_id]).name for one in kept.members}
                gone += self._remove(single.__contains__)
        return gone

    def _remove(self, is_one: Callable[[str], bool]) -> list[Path]:
        """Remove the files with such names, and the parts of such files. Raises OSError."""
        found = [one for one in self.folder.iterdir() if is_one(replaced_name(one.name) or one.name)]
        first = {self.codes.name: 0, self.cards.name: 1}
        gone = sorted(found, key=lambda one: (first.get(one.name, 2), one.name))
        for path in gone:
            path.unlink()
        if gone:
            sync_folder(self.folder)
        return gone

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Other programs that change these files wait, so that none drops what another one keeps."""
        if not (self.members.exists() or self.codes.exists()):
            yield
            return
        with alone(self.folder / "members.lock"):
            yield


def read_members(path: Path, network_hex: str) -> MembersFile | None:
    """A file of members; None where there is none of this election. Raises ConfigError, code bad-members."""
    return _of(_read(path, MembersFile), network_hex)


@contextlib.contextmanager
def secret_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into that its owner alone may read. A file that is there is replaced.

    Raises:
        ConfigError: output-failed.
    """
    step = "Name a file in a folder that you may write to, on a disk with room."
    what, code = f"cannot write {path}", "output-failed"
    with ConfigError.of_os_errors(what, code=code, next_step=step), replacing(path, 0o600) as file:
        yield file


def refuse_open(path: Path) -> None:
    """Refuse a file with secrets that others may read. Raises ConfigError, code open-file."""
    if is_open_to_others(path):
        raise ConfigError(
            f"others may read {path}: a person who has read it can vote for its voters",
            code="open-file",
            next_step=f"Find out who could read it. If no one has: chmod 600 {shlex.quote(str(path))}",
        )


def _encoded(record: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def _read(path: Path, kind: type[T]) -> T | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_input(path, MAX_RECEIPT, code="bad-members"), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConfigError(
            f"{path} is damaged: {error}",
            code="bad-members",
            next_step=NextStep(
                "Restore it from a backup, or move it away. A member without a card gets one with: {}",
                Command("voters", "replace-key", "VOTER_ID", "--card"),
            ),
        ) from error


def _of(found: T | None, network_hex: str) -> T | None:
    return found if found is not None and found.network_id == network_hex else None
