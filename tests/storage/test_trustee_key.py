"""A trustee's seed on disk: closed to others, never replaced, never in an error."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.trustee_key import TrusteeKeyFile

DRAFT = "ab" * 32
SEED = TrusteeSeed("2" * 22)


@pytest.fixture
def file(tmp_path: Path) -> TrusteeKeyFile:
    return TrusteeKeyFile.usual(tmp_path / "keys", DRAFT, 1)


def refused(file: TrusteeKeyFile, draft: str = DRAFT, place: int = 1) -> str:
    with pytest.raises(ConfigError) as caught:
        file.read(draft, place)
    assert SEED.text not in f"{caught.value.message} {caught.value.next_step}"
    return caught.value.code


def test_a_seed_is_kept_for_its_owner_alone(file: TrusteeKeyFile) -> None:
    assert file.read(DRAFT, 1) is None
    file.write(DRAFT, 1, SEED)
    file.write(DRAFT, 1, SEED)
    assert file.read(DRAFT, 1) == SEED
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_a_key_is_never_replaced(file: TrusteeKeyFile) -> None:
    file.write(DRAFT, 1, SEED)
    with pytest.raises(ConfigError) as caught:
        file.write(DRAFT, 1, TrusteeSeed("3" * 22))
    assert caught.value.code == "key-exists"
    assert file.read(DRAFT, 1) == SEED


def test_the_key_of_another_trustee_or_election_is_not_taken(file: TrusteeKeyFile) -> None:
    file.write(DRAFT, 1, SEED)
    assert refused(file, place=2) == "bad-key"
    assert refused(file, draft="cd" * 32) == "bad-key"


def test_a_file_that_others_may_read_or_that_is_no_key_is_refused(file: TrusteeKeyFile) -> None:
    file.write(DRAFT, 1, SEED)
    file.path.chmod(0o644)
    assert refused(file) == "open-file"
    file.path.chmod(0o600)
    for content in (SEED.text.encode(), b"\xff", b"{}"):
        file.path.write_bytes(content)
        assert refused(file) == "bad-key"


def test_a_key_decrypts_one_count_and_no_other(file: TrusteeKeyFile) -> None:
    """An election with the same trustees and the ballots of one voter would open this voter's vote."""
    file.note_count("aa" * 32, "01" * 32)
    file.note_count("aa" * 32, "01" * 32)
    assert stat.S_IMODE(file.path.with_name(f"{file.path.name}.count").stat().st_mode) == 0o600
    for election, tally in (("bb" * 32, "01" * 32), ("aa" * 32, "02" * 32)):
        with pytest.raises(ConfigError) as caught:
            file.note_count(election, tally)
        assert caught.value.code == "other-election"
