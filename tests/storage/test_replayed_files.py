"""A file is known by its hash: not cast twice with other ids, and no other file with its ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.replayed_files import ReplayedFiles

NETWORK, ONE, OTHER = "ab" * 32, "01" * 32, "02" * 32


def test_the_same_file_is_recognised_and_others_are_kept_apart(tmp_path: Path) -> None:
    files = ReplayedFiles(tmp_path / "replayed")
    assert not files.remember(NETWORK, ONE, "a-")
    assert ReplayedFiles(tmp_path / "replayed").remember(NETWORK, ONE, "a-")
    assert not files.remember("cd" * 32, OTHER, "a-"), "another election"
    assert not files.remember(NETWORK, OTHER, None)
    for sha256, prefix, why in (
        (OTHER, "a-", "another file was cast before with the voter ids a-000001"),
        (ONE, None, "this file was cast before with numbers as voter ids"),
        (OTHER, "b-", "this file was cast before with its own voter ids"),
    ):
        with pytest.raises(ConfigError, match=why) as refused:
            files.remember(NETWORK, sha256, prefix)
        assert refused.value.code == "file-cast-before"
    assert files.remember(NETWORK, OTHER, None)
