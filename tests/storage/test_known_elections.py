"""What is remembered of elections: networks at addresses, the largest checkpoint, evidence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from votenet.errors import ConfigError
from votenet.storage.known_elections import KnownElections

ONE, OTHER = "ab" * 32, "cd" * 32


def note(size: int) -> str:
    return f"votenet/x\n{size}\nAAAA\n\n"


def test_the_network_at_an_address_is_remembered_until_another_is(tmp_path: Path) -> None:
    known = KnownElections(tmp_path / "known")
    for address in ("127.0.0.1:3000", "[::1]:3000", "../../etc:1", "host.example:65535"):
        assert known.network_at(address) is None
        known.remember_network(address, ONE)
        assert KnownElections(tmp_path / "known").network_at(address) == ONE
    known.remember_network("[::1]:3000", OTHER)
    assert (known.network_at("[::1]:3000"), known.network_at("127.0.0.1:3000")) == (OTHER, ONE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known"]
    assert (known.address_of(OTHER), known.address_of("ef" * 32)) == ("[::1]:3000", None)
    assert known.address_of(ONE) in ("127.0.0.1:3000", "../../etc:1", "host.example:65535")
    assert KnownElections(tmp_path / "none").address_of(ONE) is None


def test_a_smaller_checkpoint_never_replaces_a_larger_one(tmp_path: Path) -> None:
    known = KnownElections(tmp_path)
    assert known.checkpoint_of(ONE) == ""
    for size, kept in ((5, 5), (12, 12), (9, 12), (12, 12)):
        known.remember_checkpoint(ONE, note(size))
        assert known.checkpoint_of(ONE) == note(kept)
    assert known.checkpoint_of(OTHER) == ""


def test_files_are_of_this_user_alone(tmp_path: Path) -> None:
    known = KnownElections(tmp_path / "known")
    known.remember_network("a:1", ONE)
    path = known.keep_evidence("proof.json", b"{}\n")
    assert path.read_bytes() == b"{}\n"
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent, tmp_path / "known" / "networks")]
    assert modes == [0o600, 0o700, 0o700]


def test_a_file_that_was_changed_is_named(tmp_path: Path) -> None:
    known = KnownElections(tmp_path)
    known.remember_network("a:1", ONE)
    file = tmp_path / "networks" / "a%3A1"
    for rubbish in (b"not an id\n", b"\xff\xfe"):
        file.write_bytes(rubbish)
        with pytest.raises(ConfigError) as refused:
            known.network_at("a:1")
        assert refused.value.code == "bad-known-file"
        assert str(file) in refused.value.next_step


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "known").write_bytes(b"a file")
    with pytest.raises(ConfigError):
        KnownElections(tmp_path / "known").remember_network("a:1", ONE)


def test_nodes_stay_where_they_were_seen_last(tmp_path: Path) -> None:
    known = KnownElections(tmp_path / "known")
    assert known.places_of(ONE) == {}
    known.remember_places(ONE, {"aa": "10.0.0.1:3000", "bb": "10.0.0.2:3000"})
    known.remember_places(ONE, {"bb": "[::1]:3000"})
    assert known.places_of(ONE) == {"aa": "10.0.0.1:3000", "bb": "[::1]:3000"}
    assert known.places_of(OTHER) == {}
