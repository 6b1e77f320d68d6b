"""Secret keys on disk: private, made once, and never mistaken for another's."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from votenet.core.keys import SigningKey, verify
from votenet.errors import ConfigError
from votenet.storage import key_store
from votenet.storage.key_store import KeyStore, load_or_make_key, read_key, read_voter_key


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def test_a_key_is_made_on_first_use_and_kept(keys: KeyStore) -> None:
    first = keys.get_or_make("voter123")
    assert first.created
    again = KeyStore(keys.folder).get_or_make("voter123")
    assert not again.created
    assert again.key.seed == first.key.seed
    assert (again.owner, again.path) == ("voter123", first.path)
    assert verify(first.key.public, b"vote", again.key.sign(b"vote"))
    assert keys.get_or_make("voter124").key.seed != first.key.seed


def test_looking_makes_nothing(keys: KeyStore) -> None:
    assert keys.find("voter123") is None
    assert keys.all() == []
    assert not keys.folder.exists()


def test_a_pending_key_belongs_to_no_voter_until_it_is_kept(keys: KeyStore) -> None:
    pending = keys.pending("voter123")
    assert keys.find("voter123") is None
    (hidden,) = keys.folder.iterdir()
    assert json.loads(hidden.read_text(encoding="utf-8"))["public_key"] == pending.key.public_hex, "saved"
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o600
    pending.keep()
    found = keys.find("voter123")
    assert found is not None
    assert found.key.seed == pending.key.seed
    assert [path.name for path in keys.folder.iterdir()] == [found.path.name]


def test_a_key_that_was_handed_over_is_taken_in_and_replaces_no_other(keys: KeyStore, tmp_path: Path) -> None:
    made = KeyStore(tmp_path / "authority").get_or_make("voter123")
    handed = read_voter_key(made.path, "voter123")
    assert (handed.owner, handed.key.public) == ("voter123", made.key.public)
    for created in (True, False):
        put = keys.put(handed.owner, handed.key)
        assert (put.created, put.key.seed) == (created, made.key.seed)
    assert stat.S_IMODE(put.path.stat().st_mode) == 0o600
    assert [path.name for path in keys.folder.iterdir()] == [put.path.name]
    other = SigningKey(bytes(32))
    with pytest.raises(ConfigError, match="another key of 'voter123'"):
        keys.put("voter123", other)
    assert read_key(put.path, "voter123").seed == made.key.seed, "kept"
    with pytest.raises(ConfigError, match="not of 'eve'"):
        read_voter_key(made.path, "eve")


def test_a_dropped_key_leaves_nothing(keys: KeyStore) -> None:
    keys.pending("voter123").drop()
    assert list(keys.folder.iterdir()) == []


def test_a_key_that_is_there_is_neither_replaced_nor_dropped(keys: KeyStore) -> None:
    made = keys.get_or_make("voter123")
    for end in ("keep", "drop"):
        pending = keys.pending("voter123")
        assert pending.key.seed == made.key.seed
        getattr(pending, end)()
        assert [(one.owner, one.key.seed) for one in keys.all()] == [("voter123", made.key.seed)]


def test_of_two_first_uses_at_once_the_second_loses_neither_key(keys: KeyStore) -> None:
    one, other = keys.pending("voter123"), keys.pending("voter123")
    one.keep()
    other.keep()
    found = keys.find("voter123")
    assert found is not None
    assert found.key.seed == one.key.seed
    kept = "".join(path.read_text(encoding="utf-8") for path in keys.folder.iterdir())
    assert other.key.seed.hex() in kept


def test_no_other_user_can_read_a_key(keys: KeyStore, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = keys.get_or_make("voter123")
        load_or_make_key(tmp_path / "node.json", "node")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "node.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.folder.stat().st_mode) == 0o700


def test_the_key_file_names_its_kind(keys: KeyStore) -> None:
    made = keys.get_or_make("Zoë")
    record = json.loads(made.path.read_text(encoding="utf-8"))
    assert record == {
        "kind": "votenet-key-1",
        "owner": "Zoë",
        "public_key": made.key.public_hex,
        "secret_seed": made.key.seed.hex(),
    }
    assert [path.name for path in keys.folder.iterdir()] == [made.path.name], "no parts are left behind"


ODD_NAMES = [
    "../../etc/passwd",
    "/absolute",
    "..",
    ".",
    ".hidden",
    "a/b",
    "a\\b",
    "a\x00b",
    "new\nline",
    "Zoë Ünal",
    "周" * 128,
    "v" * 128,
    "%2e%2e%2f",
    "-rf",
    "*?[a]",
    " ",
    "",
    "e\u0301",
    "é",
    "voter@example.org",
]


def test_odd_owners_have_a_file_each_in_the_folder(keys: KeyStore) -> None:
    made = {name: keys.get_or_make(name) for name in ODD_NAMES}
    assert len({stored.key.seed for stored in made.values()}) == len(ODD_NAMES)
    for name, stored in made.items():
        assert stored.path.parent == keys.folder
        assert stored.path.is_file()
        found = keys.find(name)
        assert found is not None
        assert (found.owner, found.key.seed) == (name, stored.key.seed)
    assert {stored.owner for stored in keys.all()} == set(ODD_NAMES)
    assert len(list(keys.folder.parent.iterdir())) == 1, "nothing outside"


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=128)


@given(names, names)
@settings(max_examples=80)
def test_a_file_name_is_short_safe_and_the_owners_alone(one: str, other: str) -> None:
    store = KeyStore(Path("/keys"))
    path = store.path_of(one)
    assert path.parent == Path("/keys")
    assert len(os.fsencode(path.name)) <= 120, "room for the name of a part, within 255"
    assert path.name.isascii()
    assert path.name.isprintable()
    assert (path == store.path_of(other)) == (one == other)


def test_names_that_begin_alike_for_long_have_files_of_their_own(keys: KeyStore) -> None:
    one, other = keys.get_or_make("v" * 127 + "1"), keys.get_or_make("v" * 127 + "2")
    assert one.path != other.path
    assert one.key.seed != other.key.seed


def test_a_name_that_is_not_text_is_refused(keys: KeyStore) -> None:
    # What Python makes of a command line that is not UTF-8. No vote can carry it.
    with pytest.raises(ConfigError) as caught:
        keys.get_or_make("caf\udce9")
    assert caught.value.code == "bad-key"
    with pytest.raises(ConfigError):
        keys.find("caf\udce9")
    assert not list(keys.folder.glob("*")), "nothing is left of the attempt"


# -- two first uses at once -----------------------------------------------------------------------


def test_a_key_made_between_looking_and_writing_wins(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = key_store.secrets.token_bytes
    rival: list[bytes] = []

    def interrupted(count: int) -> bytes:
        monkeypatch.setattr(key_store.secrets, "token_bytes", real)
        rival.append(KeyStore(keys.folder).get_or_make("voter123").key.seed)
        return real(count)

    monkeypatch.setattr(key_store.secrets, "token_bytes", interrupted)
    late = keys.get_or_make("voter123")
    assert [late.key.seed] == rival
    assert not late.created
    assert len(list(keys.folder.iterdir())) == 1


def test_many_first_uses_at_once_agree(keys: KeyStore) -> None:
    start = threading.Barrier(8)
    seeds: list[bytes] = []
    makers: list[bool] = []

    def use() -> None:
        start.wait()
        stored = KeyStore(keys.folder).get_or_make("voter123")
        seeds.append(stored.key.seed)
        makers.append(stored.created)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seeds) == 8
    assert len(set(seeds)) == 1
    assert makers.count(True) == 1


# -- what is broken -------------------------------------------------------------------------------

KEY = SigningKey(bytes(range(32)))
GOOD = {
    "kind": "votenet-key-1",
    "owner": "voter123",
    "public_key": KEY.public_hex,
    "secret_seed": KEY.seed.hex(),
}
BROKEN = {
    "empty": b"",
    "cut": json.dumps(GOOD).encode()[:-20],
    "not JSON": b"key",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "a number": b"7",
    "nested": b"[" * 100_000,
    "another kind": json.dumps(GOOD | {"kind": "votenet-key-2"}).encode(),
    "no kind": json.dumps({k: v for k, v in GOOD.items() if k != "kind"}).encode(),
    "no seed": json.dumps({k: v for k, v in GOOD.items() if k != "secret_seed"}).encode(),
    "a short seed": json.dumps(GOOD | {"secret_seed": "00"}).encode(),
    "a seed of letters": json.dumps(GOOD | {"secret_seed": "z" * 64}).encode(),
    "a seed of numbers": json.dumps(GOOD | {"secret_seed": [0] * 32}).encode(),
    "a digit changed": json.dumps(GOOD | {"secret_seed": "1" + KEY.seed.hex()[1:]}).encode(),
    "no owner": json.dumps({k: v for k, v in GOOD.items() if k != "owner"}).encode(),
    "another owner": json.dumps(GOOD | {"owner": "voter124"}).encode(),
}


def test_the_record_that_is_broken_below_is_good(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps(GOOD))
    assert read_key(tmp_path / "key.json", "voter123").seed == KEY.seed


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_and_left_alone(name: str, keys: KeyStore) -> None:
    path = keys.get_or_make("voter123").path
    path.write_bytes(BROKEN[name])
    calls = (
        lambda: keys.get_or_make("voter123"),
        lambda: keys.find("voter123"),
        lambda: load_or_make_key(path, "voter123"),
    )
    for call in calls:
        with pytest.raises(ConfigError) as caught:
            call()
        assert caught.value.code == "bad-key"
        assert str(path) in caught.value.message
        assert caught.value.exit_code == 78
    assert path.read_bytes() == BROKEN[name]


def test_a_list_of_keys_skips_other_files(keys: KeyStore) -> None:
    keys.get_or_make("b")
    keys.get_or_make("a")
    (keys.folder / "note.json").write_text("{}")
    (keys.folder / "folder.json").mkdir()
    (keys.folder / "readme.txt").write_text("keys")
    assert [stored.owner for stored in keys.all()] == ["a", "b"]


def test_a_folder_in_the_place_of_a_key(keys: KeyStore) -> None:
    keys.get_or_make("other")
    keys.path_of("voter123").mkdir()
    with pytest.raises(ConfigError, match="cannot read the key"):
        keys.get_or_make("voter123")


def test_a_link_that_leads_nowhere_is_not_written_through(keys: KeyStore, tmp_path: Path) -> None:
    keys.get_or_make("other")
    keys.path_of("voter123").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError):
        keys.get_or_make("voter123")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        KeyStore(tmp_path / "file").get_or_make("voter123")
    assert caught.value.code == "bad-directory"
    with pytest.raises(ConfigError) as caught:
        load_or_make_key(tmp_path / "missing" / "node.json", "node")
    assert caught.value.code == "bad-key"


def test_a_nodes_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    made = load_or_make_key(path, "node-1")
    assert load_or_make_key(path, "node-1").seed == made.seed
    with pytest.raises(ConfigError, match="not of 'node-2'"):
        load_or_make_key(path, "node-2")


def test_a_full_disk_leaves_no_half_key(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.get_or_make("other")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(key_store.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        keys.get_or_make("voter123")
    assert [stored.owner for stored in keys.all()] == ["other"]
    assert len(list(keys.folder.iterdir())) == 1


def test_a_hidden_file_that_cannot_be_removed_costs_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        key = load_or_make_key(tmp_path / "node.key", "node")
    assert read_key(tmp_path / "node.key", "node").seed == key.seed
