"""The folder of a trustees' ceremony: the draft, and a file for each record. Nothing in it is secret.

It is copied or shared between trustees: files come in any order, under any name, from anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from votenet.errors import Command, ConfigError, NextStep, StorageError
from votenet.secret.ceremony.bulletin import MAX_RECORD, Bulletin, CeremonyRecord, read_bulletin
from votenet.secret.ceremony.draft import CeremonyDraft, read_draft
from votenet.secret.documents import encode
from votenet.storage.files import write_atomically
from votenet.storage.input_file import read_input

DRAFT_NAME: Final = "draft.json"
PAGE_NAME: Final = "trustee.html"
"""The page of trustees without a shell: it is no record, and lies in the folder so that they find it."""
MAX_RECORD_FILES: Final = 1000
"""Files that are looked at; a ceremony of 16 trustees has 64."""
_BEGIN: Final = NextStep(
    "Take the folder of the ceremony, whole, from the organiser, who begins it with: {}",
    Command("trustee", "init", "election.toml"),
)


def record_name(record: CeremonyRecord) -> str:
    """The name of its file, where nobody has given it another one."""
    digest = hashlib.sha256(encode(record)).hexdigest()[:8]
    return f"{record.place}-{record.step}-{digest}.json"


class CeremonyFolder(NamedTuple):
    """A folder with the records of all trustees, as far as they have come in."""

    path: Path

    @property
    def draft_path(self) -> Path:
        return self.path / DRAFT_NAME

    def begin(self, draft: CeremonyDraft, page: bytes = b"") -> None:
        """Write the draft, and beside it the page for trustees, unless that is empty.

        Raises ConfigError, code file-exists, where there is another draft; StorageError.
        """
        if self.draft_path.exists() and self.draft_path.read_bytes() != encode(draft):
            raise ConfigError(
                f"{self.path} has the ceremony of another election, or of an older draft of this one",
                code="file-exists",
                next_step="Move that folder away, and begin again: its trustees need new keys.",
            )
        step = "Check the owner of that folder, and free space."
        with StorageError.of_os_errors(f"cannot make the folder {self.path}", next_step=step):
            self.path.mkdir(parents=True, exist_ok=True)
        if page:
            write_atomically(self.path / PAGE_NAME, page, None)
        write_atomically(self.draft_path, encode(draft), None)

    def draft(self) -> CeremonyDraft:
        """Raises ConfigError, code no-ceremony; NotProven."""
        if not self.draft_path.is_file():
            raise ConfigError(
                f"there is no {DRAFT_NAME} in {self.path}", code="no-ceremony", next_step=_BEGIN
            )
        return read_draft(read_input(self.draft_path, MAX_RECORD, code="no-ceremony", next_step=_BEGIN))

    def bulletin(self) -> Bulletin:
        """Everything that has come in. Raises as `draft`."""
        return read_bulletin(self.draft(), dict(self._files()))

    def hand_in(self, record: CeremonyRecord) -> Path:
        """Add a record; returns its file. Raises StorageError."""
        path = self.path / record_name(record)
        write_atomically(path, encode(record), None)
        return path

    def _files(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents; of files that are too long as much as shows it. Raises ConfigError."""
        step = "Check the owner and the mode of the files in that folder."
        with ConfigError.of_os_errors(f"cannot read {self.path}", code="no-ceremony", next_step=step):
            paths = sorted(path for path in self.path.glob("*.json") if path.name != DRAFT_NAME)
            if len(paths) > MAX_RECORD_FILES:
                raise ConfigError(
                    f"{self.path} has {len(paths):,} files, and {MAX_RECORD_FILES:,} is the most",
                    code="no-ceremony",
                    next_step="Take out what does not belong to the ceremony.",
                )
            for path in paths:
                if path.is_file():
                    with path.open("rb") as file:
                        yield path.name, file.read(MAX_RECORD + 1)
