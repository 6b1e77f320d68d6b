"""Genesis files: of an election, and of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.elections import make_election
from votenet.errors import ConfigError
from votenet.storage.genesis_file import MAX_GENESIS, read_genesis


def test_the_election_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_bytes(make_election().to_file())
    assert read_genesis(path).network_hex == make_election().network_hex


def test_a_file_that_is_not_there_or_no_definition_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("{}")
    (tmp_path / "long").write_bytes(b" " * (MAX_GENESIS + 1))
    for name in ("none", "text", "long"):
        with pytest.raises(ConfigError) as refused:
            read_genesis(tmp_path / name)
        assert refused.value.code == "bad-genesis"
