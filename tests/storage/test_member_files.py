"""Files about members: for their owner alone, of one election, and gone when the codes are forgotten."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from votenet.errors import ConfigError
from votenet.storage.member_files import (
    CodesFile,
    MemberFiles,
    MemberNote,
    MembersFile,
    refuse_open,
    secret_file,
)

NETWORK, OTHER = "aa" * 32, "bb" * 32
NOTES = (MemberNote("ann", "Ann Lee", "card"), MemberNote("bo", "", "own"))


def kept(folder: Path) -> MemberFiles:
    files = MemberFiles(folder)
    files.write_members(MembersFile(network_id=NETWORK, public_url="https://x", members=NOTES))
    files.write_codes(CodesFile(network_id=NETWORK, codes={"ann": "A" * 26}))
    with secret_file(files.cards) as file:
        file.write(b"cards")
    return files


def test_what_is_kept_is_read_for_its_own_election_alone(tmp_path: Path) -> None:
    assert MemberFiles(tmp_path).read_members(NETWORK) is None
    files = kept(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.paths()} == {0o600}
    found, codes = files.read_members(NETWORK), files.read_codes(NETWORK)
    assert found is not None
    assert (found.members, found.public_url) == (NOTES, "https://x")
    assert codes is not None
    assert codes.codes == {"ann": "A" * 26}
    assert (files.read_members(OTHER), files.read_codes(OTHER)) == (None, None)


def test_a_voter_gets_a_new_key_or_is_added(tmp_path: Path) -> None:
    MemberFiles(tmp_path).note(NETWORK, MemberNote("ann"))
    assert not list(tmp_path.iterdir()), "nothing is kept where nothing was"
    files = kept(tmp_path)
    files.note(NETWORK, MemberNote("ann", "", "own"))
    files.note(NETWORK, MemberNote("dan", "Dan", "card"))
    files.keep_code(NETWORK, "ann", None)
    files.keep_code(NETWORK, "dan", "D" * 26)
    found, codes = files.read_members(NETWORK), files.read_codes(NETWORK)
    assert found is not None
    assert found.members == (MemberNote("ann", "Ann Lee", "own"), NOTES[1], MemberNote("dan", "Dan", "card"))
    assert codes is not None
    assert codes.codes == {"dan": "D" * 26}


def test_codes_are_forgotten_and_names_are_not(tmp_path: Path) -> None:
    files = kept(tmp_path)
    single, some = files.some_cards(["a/b"]), files.some_cards(["ann", "bo"])
    for path in (single, some):
        with secret_file(path):
            pass
    assert single.parent == tmp_path
    assert files.forget_codes(ours=False) == [files.codes, files.cards, some]
    assert files.forget_codes(ours=True) == [single]
    assert files.forget_codes(ours=True) == []
    assert (files.read_codes(NETWORK), files.read_members(NETWORK) is None) == (None, False)
    files.keep_code(NETWORK, "ann", "B" * 26)
    assert not files.codes.exists(), "what was forgotten does not come back"
    files.remove()
    assert not list(tmp_path.iterdir())


def test_in_a_folder_of_others_what_this_program_makes_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    files = kept(tmp_path)
    others = [tmp_path / name for name in ("card-game.html", "cards-2025.html", ".card-game.html.part")]
    for path in (files.some_cards(["ann"]), files.some_cards(["bo"]), *others):
        path.touch()
    assert [one.name for one in files.forget_codes(ours=False)] == [
        "codes.json", "cards.html", "card-ann.html", "card-bo.html",
    ]  # fmt: skip
    assert all(path.exists() for path in (*others, files.members))
    files.some_cards(["ann"]).touch()
    files.cards.touch()
    files.members.write_text("{}")
    with pytest.raises(ConfigError, match="damaged"):
        files.forget_codes(ours=False)
    assert not files.cards.exists(), "the cards of all are gone before names are asked for"


@pytest.mark.parametrize("ours", [True, False])
def test_parts_of_cards_and_codes_that_a_killed_program_left_are_forgotten(
    tmp_path: Path, ours: bool
) -> None:
    files = kept(tmp_path)
    names = (files.codes, files.cards, files.some_cards(["ann"]), files.some_cards(["ann", "bo"]))
    parts = {tmp_path / f".{path.name}.0123456789ab.part" for path in names}
    for path in parts | {tmp_path / ".members.json.0123456789ab.part"}:
        path.touch()
    assert set(files.forget_codes(ours)) == {files.codes, files.cards} | parts
    assert (tmp_path / ".members.json.0123456789ab.part").exists()


def test_no_program_drops_what_another_one_keeps_at_the_same_time(tmp_path: Path) -> None:
    kept(tmp_path)

    def add(n: int) -> None:
        files = MemberFiles(tmp_path)
        files.note(NETWORK, MemberNote(f"new {n}", "", "card"))
        files.keep_code(NETWORK, f"new {n}", "N" * 26)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(16)))
    found, codes = MemberFiles(tmp_path).read_members(NETWORK), MemberFiles(tmp_path).read_codes(NETWORK)
    assert found is not None
    assert codes is not None
    assert (len(found.members), len(codes.codes)) == (2 + 16, 1 + 16)
    assert {path.name for path in tmp_path.iterdir()} == {"members.json", "codes.json", "cards.html"}


@given(st.lists(st.text("aé/.%=_ 0", min_size=1, max_size=128), min_size=2, max_size=2, unique=True))
@example(["é" * 127 + "a", "é" * 127 + "b"])
@example(["some", "."])
@example(["a" * 80, "a" * 81])
def test_no_two_voters_have_one_file_of_cards(voter_ids: list[str]) -> None:
    files = MemberFiles(Path("/folder"))
    paths = {files.some_cards([one]) for one in voter_ids} | {files.some_cards(voter_ids), files.cards}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {files.folder}
    assert all(len(path.name) < 150 for path in paths)


def test_a_file_that_others_may_read_is_refused_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    files = kept(tmp_path)
    files.codes.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read") as refused:
        files.read_codes(NETWORK)
    assert (refused.value.code, f"chmod 600 {files.codes}" in refused.value.next_step) == ("open-file", True)
    with secret_file(files.codes) as file:
        file.write(b"{}")
    refuse_open(files.codes)
    with pytest.raises(ConfigError, match="damaged") as refused:
        files.read_codes(NETWORK)
    assert refused.value.code == "bad-members"
    with pytest.raises(ConfigError, match="cannot write") as refused, secret_file(tmp_path / "no" / "file"):
        pass
    assert refused.value.code == "output-failed"
