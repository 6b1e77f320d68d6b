"""The election of `up -f FILE`: made once, the same afterwards, refused where it contradicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.elections import key_of
from votenet.cli.election import election_from_file
from votenet.cli.election.election_from_file import IN_THE_FILE, genesis_from_file
from votenet.cli.election.roll import read_roll
from votenet.config import InstanceDirs, instance_dirs
from votenet.core.election.voting_code import key_of_code
from votenet.core.log.signed_note import COSIGNATURE_V1, VerifierKey
from votenet.errors import ConfigError
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
