"""The election of `up -f FILE`: made once, the same afterwards, refused where it contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.ceremonies import Ceremony, run
from support.elections import key_of
from votenet.cli.election import election_from_file
from votenet.cli.election.election_from_file import (
    IN_THE_FILE,
    genesis_from_file,
    load_source,
    read_source,
    with_ceremony,
)
from votenet.cli.election.roll import read_roll, write_roll
from votenet.config import InstanceDirs, instance_dirs
from votenet.core.election.ceremony_draft import draft_of
from votenet.core.election.roll import Roll
from votenet.core.election.secret_rules import with_belenios
from votenet.core.election.voting_code import key_of_code
from votenet.core.log.signed_note import COSIGNATURE_V1, VerifierKey
from votenet.errors import ConfigError, NotProven
from votenet.secret.ceremony.bulletin import STEPS, Step, read_record
from votenet.secret.credentials import credential_of_code, public_credential
from votenet.storage.ceremony_folder import CeremonyFolder
from votenet.storage.genesis_file import read_genesis
from votenet.storage.member_files import MemberFiles

TEXT = 'title = "Board"\ndifficulty = 8\n[[contests]]\ncandidates = ["Ann", "Bo"]\n'


@pytest.fixture
def dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceDirs:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    return instance_dirs("default")


def make(dirs: InstanceDirs, file: Path, **options: Any) -> Path:
    usual = dict.fromkeys((*IN_THE_FILE, "kernel", "named_nodes")) | {"nodes": 2, "file": file}
    return genesis_from_file(dirs, usual | options, say=lambda text: None)


def refused(dirs: InstanceDirs, file: Path, **options: Any) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        make(dirs, file, **options)
    return error.value


def test_an_election_is_made_once_and_goes_on(dirs: InstanceDirs, tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(TEXT)
    made = read_genesis(make(dirs, file))
    assert (made.definition.title, made.names, made.named) == ("Board", ("Ann", "Bo"), 2)
    assert made.definition.authority_key is not None
    assert read_genesis(make(dirs, file)).network_id == made.network_id
    file.write_text(TEXT.replace("difficulty = 8\n", ""))
    assert read_genesis(make(dirs, file, nodes=None)).network_id == made.network_id, "it was made to fit"
    file.write_text(TEXT.replace('"Bo"', '"Cy"'))
    other = refused(dirs, file)
    assert (other.code, other.message.endswith("differs in contests")) == ("other-election", True)
    file.write_text(TEXT)
    assert refused(dirs, file, named_nodes=False).code == "other-election"


def test_options_that_the_file_takes_the_place_of_are_refused(dirs: InstanceDirs, tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(TEXT)
    error = refused(dirs, file, title="Chair", candidates=("Ann",))
    assert (error.code, "--title, --candidate says" in error.message) == ("contradiction", True)
    file.write_text(
        TEXT
        + '[[nodes]]\nname = "n"\n'
        + "".join(
            f'{key} = "{number}{"0" * 63}"\n'
            for number, key in enumerate(("node_key", "statement_key", "cosign_key", "log_key"))
        )
    )
    assert refused(dirs, file).code == "contradiction"
    witness = VerifierKey("witness.example", COSIGNATURE_V1, key_of("witness").public)
    file.write_text(f'{TEXT}[[witnesses]]\nname = "w"\nkey = "{witness}"\nurl = "https://w.example"\n')
    assert refused(dirs, file, named_nodes=False).code == "contradiction"
    assert not dirs.genesis.exists()


def test_nothing_is_written_when_anything_is_wrong(
    dirs: InstanceDirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "e.toml"
    file.write_text(TEXT + 'max = 9\ntypo = 1\nblank = "no"\n')
    assert refused(dirs, file).code == "bad-genesis"
    said = capsys.readouterr().err
    assert "line 6, contest 1, typo" in said
    assert "line 7, contest 1, blank" in said
    assert not dirs.genesis.exists()
    assert not list(tmp_path.rglob("*.key"))
    assert refused(dirs, tmp_path / "none.toml").code == "bad-genesis"


def with_members(tmp_path: Path, members: str = "id,name\nann,Ann\nbo,Bo\n") -> Path:
    file = tmp_path / "e.toml"
    (tmp_path / "m.csv").write_text(members)
    file.write_text('members = "m.csv"\npublic_url = "https://vote.example/"\n' + TEXT)
    return file


def test_members_without_keys_get_codes_and_cards_before_there_is_an_election(
    dirs: InstanceDirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, files = with_members(tmp_path), MemberFiles(dirs.state)
    monkeypatch.setattr(election_from_file, "take_genesis", lambda dirs, election: dirs.genesis)  # killed
    make(dirs, file)
    lost = files.codes.read_bytes()
    assert all(path.exists() for path in (*files.paths(), dirs.state / "roll.json"))
    monkeypatch.undo()
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))
    made = read_genesis(make(dirs, file))
    assert files.codes.read_bytes() != lost, "what was not finished is made anew"
    roll, codes = read_roll(dirs.state / "roll.json"), files.read_codes(made.network_hex)
    assert codes is not None
    assert (made.definition.roll_root, made.definition.roll_size) == (roll.root_hex, 2)
    uuid = made.definition.uuid
    assert roll.keys == {one: key_of_code(code, uuid).public_hex for one, code in codes.codes.items()}
    assert "https://vote.example/vote#" not in files.cards.read_text(), "codes are in words and in pictures"
    assert "vote.example/vote<" in files.cards.read_text()
    kept = files.codes.read_bytes()
    assert read_genesis(make(dirs, file)).network_id == made.network_id
    assert files.codes.read_bytes() == kept
    with_members(tmp_path, "id,name\nann,Ann\ncy,Cy\n")
    assert refused(dirs, file).message.endswith("differs in roll_root")
    with_members(tmp_path, "id,name,weight\nann,Ann,1\nbo,Bo,2\n")
    assert refused(dirs, file).code == "bad-genesis"


def test_members_that_cannot_be_read_are_named_with_their_line(
    dirs: InstanceDirs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(dirs, with_members(tmp_path, "id,name\nann,Ann\nAnn,Bo\n")).code == "bad-genesis"
    assert "'ann' (line 2) and 'Ann' (line 3)" in capsys.readouterr().err
    file = with_members(tmp_path)
    file.write_text('members = "none.csv"\nroll = "roll.json"\npublic_url = "ftp://x"\n' + TEXT)
    assert refused(dirs, file).code == "bad-genesis"
    said = capsys.readouterr().err
    assert ("line 2, roll: the roll is given" in said, "line 3, public_url: 'ftp://x'" in said) == (
        True,
        True,
    )
    assert not dirs.state.exists()


SECRET = """\
title = "Board"
difficulty = 8
secrecy = "secret"
closes = 2060-05-31T20:00:00+02:00
members = "members.csv"
[trustees]
names = ["Citra", "Dewi", "Eko"]
[[contests]]
candidates = ["Ann", "Bo"]
"""


def ceremony_of(file: Path, steps: Sequence[Step] = STEPS) -> Ceremony:
    """A ceremony for the election of this file, in the folder that it names."""
    source, _ = read_source(file, None)
    assert source is not None
    assert source.file.trustees is not None
    uuid = "2" * 14
    names, threshold, name = source.file.trustees
    draft = draft_of(msgspec.structs.replace(source.definition, uuid=uuid), names, threshold)
    ceremony = run(steps, draft)
    folder = CeremonyFolder(file.parent / name)
    folder.begin(draft)
    for raw in ceremony.files.values():
        folder.hand_in(read_record(raw))
    return ceremony


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """An election file with secret ballots."""
    (tmp_path / "members.csv").write_text("id,name\n1,Ani\n2,Budi\n")
    file = tmp_path / "e.toml"
    file.write_text(SECRET)
    return file


def test_no_election_is_made_before_its_trustees_have_a_key(dirs: InstanceDirs, secret: Path) -> None:
    missing = refused(dirs, secret)
    assert (missing.code, "votenet trustee init" in str(missing.next_step)) == ("no-ceremony", True)
    ceremony_of(secret, STEPS[:3])
    waiting = refused(dirs, secret)
    assert waiting.code == "ceremony-incomplete"
    assert "waits for Citra, Dewi, Eko" in waiting.message
    assert "votenet trustee status" in str(waiting.next_step)
    assert not dirs.genesis.exists()


def test_an_election_that_changed_since_its_trustees_began_is_not_made(
    dirs: InstanceDirs, secret: Path
) -> None:
    ceremony_of(secret)
    secret.write_text(SECRET.replace('"Bo"', '"Cy"'))
    with pytest.raises(NotProven, match="in: contests") as changed:
        make(dirs, secret)
    assert changed.value.code == "bad-draft"
    assert not dirs.genesis.exists()


def test_a_complete_ceremony_gives_the_election_its_key_and_its_uuid(secret: Path) -> None:
    ceremony = ceremony_of(secret)
    source = load_source(secret, None)
    made = with_ceremony(secret, source).made(0).definition
    assert (made.secrecy, made.uuid) == ("secret", "2" * 14)
    assert made.trustees is not None
    assert [one.name for one in made.trustees.keys] == ["Citra", "Dewi", "Eko"]
    assert [one.key for one in made.trustees.keys] == [key.written() for key in ceremony.bulletin.keys]
    assert made.belenios == "", "it comes last, when the nodes are there, too"


def test_an_election_with_secret_ballots_is_made_once_and_goes_on(dirs: InstanceDirs, secret: Path) -> None:
    """Every member has a credential on the roll, which follows from the code on the card."""
    ceremony = ceremony_of(secret)
    made = read_genesis(make(dirs, secret))
    assert (made.definition.secrecy, made.named) == ("secret", 2)
    assert (dirs.state / "trustees.json").read_bytes() == ceremony.bulletin.trustees
    assert made.definition == with_belenios(made.definition)
    assert ceremony.bulletin.key.written() in made.definition.belenios
    codes = MemberFiles(dirs.state).read_codes(made.network_hex)
    assert codes is not None
    uuid = made.definition.uuid
    assert read_roll(dirs.state / "roll.json").credentials == {
        voter: public_credential(credential_of_code(code, uuid), uuid).written()
        for voter, code in codes.codes.items()
    }
    assert read_genesis(make(dirs, secret)).network_id == made.network_id
    secret.write_text(SECRET.replace('secrecy = "secret"\n', "").replace("[trustees]\nnames", "# names"))
    other = refused(dirs, secret)
    assert (other.code, "secrecy" in other.message) == ("other-election", True)


def test_voters_without_credentials_are_told_before_the_ceremony(secret: Path) -> None:
    key = key_of("1").public_hex
    (secret.parent / "members.csv").write_text(f"id,name,key\n1,Ani,{key}\n2,Budi,\n")
    found, (fault,) = read_source(secret, None)
    assert found is None
    assert "none follows from a key of a member's own" in str(fault)
    write_roll(secret.parent / "roll.json", Roll([("1", key)]))
    secret.write_text(SECRET.replace('members = "members.csv"', 'roll = "roll.json"'))
    found, (fault,) = read_source(secret, None)
    assert found is None
    assert "has no credentials for secret ballots" in str(fault)
