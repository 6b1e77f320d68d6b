"""The folder of a ceremony: what is handed in comes back, and what does not belong there does no harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.ceremonies import Ceremony, draft_for
from votenet.errors import ConfigError
from votenet.secret.ceremony.bulletin import MAX_RECORD, read_record
from votenet.storage.ceremony_folder import DRAFT_NAME, MAX_RECORD_FILES, PAGE_NAME, CeremonyFolder


@pytest.fixture
def folder(tmp_path: Path) -> CeremonyFolder:
    made = CeremonyFolder(tmp_path / "ceremony")
    made.begin(draft_for())
    return made


def refused(folder: CeremonyFolder) -> str:
    with pytest.raises(ConfigError) as caught:
        folder.bulletin()
    return caught.value.code


def test_records_that_are_handed_in_make_the_bulletin(folder: CeremonyFolder) -> None:
    ceremony = Ceremony()
    ceremony.do("certificate", (1, 3))
    for raw in ceremony.files.values():
        path = folder.hand_in(read_record(raw))
        assert path.read_bytes() == raw
    bulletin = folder.bulletin()
    assert bulletin.waiting() == ("certificate", (2,))
    assert bulletin.refused == []
    before = sorted(folder.path.iterdir())
    folder.hand_in(read_record(ceremony.files["1-certificate"]))
    assert sorted(folder.path.iterdir()) == before, "the same record is the same file"


def test_a_folder_is_of_one_draft(folder: CeremonyFolder) -> None:
    folder.begin(draft_for())
    assert folder.draft() == draft_for()
    with pytest.raises(ConfigError) as caught:
        folder.begin(draft_for(closes=1_800_000_001))
    assert caught.value.code == "file-exists"


def test_the_page_of_trustees_lies_beside_the_draft_and_is_no_record(tmp_path: Path) -> None:
    made = CeremonyFolder(tmp_path / "ceremony")
    for page in (b"<p>older", b"<p>newer"):
        made.begin(draft_for(), page)
        assert (made.path / PAGE_NAME).read_bytes() == page
    assert made.bulletin().refused == []


def test_what_does_not_belong_there_is_named_and_does_no_harm(folder: CeremonyFolder) -> None:
    (folder.path / "large.json").write_bytes(b" " * (MAX_RECORD + 1))
    (folder.path / "notes.json").write_bytes(b"hello")
    (folder.path / "readme.txt").write_bytes(b"hello")
    (folder.path / "folder.json").mkdir()
    assert {one.source for one in folder.bulletin().refused} == {"large.json", "notes.json"}


def test_a_folder_without_a_draft_is_no_ceremony(tmp_path: Path, folder: CeremonyFolder) -> None:
    assert refused(CeremonyFolder(tmp_path / "nowhere")) == "no-ceremony"
    for number in range(MAX_RECORD_FILES + 1):
        (folder.path / f"{number}.json").touch()
    assert refused(folder) == "no-ceremony"
    (folder.path / DRAFT_NAME).unlink()
    assert refused(folder) == "no-ceremony"
