"""Members without keys: a code, a key and a card each, and all of it saved before the genesis file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.elections import key_of, make_election
from support.secret_definitions import SecretSetup
from votenet.ballots.voter_list import Member
from votenet.cli.election.member_setup import (
    cards_here,
    cards_lines,
    credential_on_roll,
    is_local,
    keep_members,
    make_members,
)
from votenet.config import instance_dirs, private_dir
from votenet.core.election.voting_code import key_of_code, read_code, shown_code
from votenet.errors import ConfigError
from votenet.storage.member_files import MemberFiles, MemberNote

SECRET = SecretSetup().election
UUID = "7JYPTQBmzZ4Uej"
ANN, BO = Member("ann", "Ann", weight=3), Member("bo", "Bo", key_of("bo").public_hex)


def test_a_code_for_each_member_without_a_key_and_the_key_that_follows() -> None:
    made = make_members([ANN, BO], UUID)
    assert made.notes == (MemberNote("ann", "Ann", "card"), MemberNote("bo", "Bo", "own"))
    assert list(made.codes) == ["ann"]
    assert read_code(shown_code(made.codes["ann"])) == made.codes["ann"]
    assert made.roll.keys == {"ann": key_of_code(made.codes["ann"], UUID).public_hex, "bo": BO.key}
    assert made.roll.weights == {"ann": 3, "bo": 1}
    assert make_members([ANN], UUID).codes != make_members([ANN], UUID).codes


def test_ten_thousand_members_have_ten_thousand_keys() -> None:
    made = make_members([Member(f"{n:05}") for n in range(10_000)], UUID)
    assert len(set(made.roll.keys.values())) == len(set(made.codes.values())) == 10_000


def test_what_the_organiser_keeps(tmp_path: Path) -> None:
    made = make_members([ANN, BO], UUID)
    election = make_election(roll=made.roll)
    keep_members(tmp_path, election, made, "http://127.0.0.1:8080")
    files = MemberFiles(tmp_path)
    codes = files.read_codes(election.network_hex)
    assert codes is not None
    assert codes.codes == made.codes
    page = files.cards.read_text()
    assert page.count("<section") == 1
    assert re.search("A person who prints a card, or reads this file, could vote for the holders", page)
    told = "\n".join(cards_lines(tmp_path, election))
    assert (str(files.cards) in told, "this machine only" in told, "--forget" in told) == (True,) * 3
    assert list(cards_lines(tmp_path, make_election(title="Other"))) == []
    keep_members(tmp_path, election, made, "http://127.0.0.1:8080", genesis=Path("g.json"))
    forget = "votenet voters cards --genesis g.json --forget"
    assert forget in files.cards.read_text()
    assert forget in "\n".join(cards_lines(tmp_path, election, Path("g.json")))
    assert [is_local(f"http://{host}") for host in ("localhost:1", "127.0.0.2", "[::1]:8", "10.0.0.1")] == [
        True, True, True, False
    ]  # fmt: skip


def test_cards_get_the_address_of_the_page_once_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path))
    dirs, made = instance_dirs(), make_members([ANN], UUID)
    private_dir(dirs.state)
    election, files = make_election(roll=made.roll), MemberFiles(dirs.state)
    keep_members(dirs.state, election, made, "")
    dirs.genesis.write_bytes(election.to_file())
    assert "127.0.0.1:8080/vote" in files.cards.read_text()
    told = "\n".join(cards_here(dirs, "http://192.168.1.5:8081"))
    assert ("this machine only" in told, "192.168.1.5:8081/vote" in files.cards.read_text()) == (False, True)
    files.codes.chmod(0o644)
    assert "others may read" in "".join(cards_here(dirs, "http://192.168.1.6"))
    files.cards.unlink()
    assert list(cards_here(dirs, None)) == []


def test_members_who_all_have_keys_get_no_codes(tmp_path: Path) -> None:
    made = make_members([BO], UUID)
    keep_members(tmp_path, make_election(roll=made.roll), made, "https://x")
    assert [path.name for path in tmp_path.iterdir()] == ["members.json"]


def test_no_credential_follows_from_a_key_of_their_own() -> None:
    members = [Member("ann", "Ann", key_of("ann").public_hex)]
    with pytest.raises(ConfigError, match="no credential for secret ballots"):
        make_members(members, "1" * 14, secret=True)
    made = make_members([Member("bo", "Bo")], "1" * 14, secret=True)
    assert made.roll.credentials == {"bo": credential_on_roll(made.codes["bo"], "1" * 14)}


def test_cards_of_secret_ballots_are_told_with_the_address_of_the_page(tmp_path: Path) -> None:
    made = make_members([Member("ann")], SECRET.definition.uuid, secret=True)
    keep_members(private_dir(tmp_path / "here"), SECRET, made, "")
    assert "--public-url" in "\n".join(cards_lines(tmp_path / "here", SECRET))
    assert "could open your vote" in (tmp_path / "here" / "cards.html").read_text()
