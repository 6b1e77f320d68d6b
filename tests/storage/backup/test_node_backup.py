from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from support.elections import keys_of_node, make_election, make_vote, named_nodes
from votenet.core.election.definition import Election
from votenet.errors import ConfigError, Locked, StorageError, VotenetError
from votenet.protocol.node.events import SaveRestored, SaveVotes
from votenet.protocol.node.restored import RestoredMark
from votenet.storage.backup import node_backup
from votenet.storage.backup.node_backup import (
    MOVED_NAME,
    NodeFiles,
    back_up,
    read_contents,
    refuse_moved,
    restore,
)
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir
from votenet.storage.key_store import NODE_KEY_NAME

SERVICE = 54321
"""The user of a unit, who is not in the list of users."""
VOTERS = ["ann", "bo", "citra"]


def node_folder(folder: Path, election: Election, index: int = 0) -> NodeFiles:
    """The folder of a named node with some votes that wait."""
    folder.mkdir(mode=0o700)
    key = keys_of_node(index).node
    record = {"kind": "votenet-key-1", "owner": "node", "public_key": key.public_hex,
              "secret_seed": key.seed.hex()}  # fmt: skip
    (folder / NODE_KEY_NAME).write_text(json.dumps(record))
    (folder / "genesis.json").write_bytes(election.to_file())
    env = f"VOTENET_NODE_DATA_DIR={folder}\nVOTENET_NODE_GENESIS={folder}/genesis.json\n# mine\nOTHER=1\n"
    (folder / "node.env").write_text(env + "VOTENET_NODE_BOOTSTRAP=a:4000\n")
    with store_of(folder, election) as store:
        store.apply([SaveVotes([make_vote(election, voter, "Alice") for voter in VOTERS])])
    return NodeFiles(folder, folder / "genesis.json")


@contextlib.contextmanager
def store_of(folder: Path, election: Election):  # type: ignore[no-untyped-def]
    store = SqliteBlockStore(folder, election)
    try:
        yield store
    finally:
        store.close()


def mark_in(folder: Path, election: Election) -> bytes:
    with store_of(folder, election) as store:
        found: bytes = store.load().restored
        return found


def waiting_in(folder: Path, election: Election) -> list[str]:
    with store_of(folder, election) as store:
        return [hashed.voter_id for hashed in store.load().waiting]


@pytest.fixture
def election() -> Election:
    return make_election(nodes=named_nodes(5))


@pytest.fixture
def files(tmp_path: Path, election: Election) -> NodeFiles:
    return node_folder(tmp_path / "north", election)


@pytest.fixture
def path(tmp_path: Path, files: NodeFiles) -> Path:
    back_up(files, tmp_path / "north.backup", "north")
    return tmp_path / "north.backup"


def refused(code: str, path: Path, folder: Path, **how: object) -> VotenetError:
    """A restore that fails leaves nothing of a node in its folder."""
    before = {one.name: one.read_bytes() for one in folder.iterdir()} if folder.exists() else {}
    with pytest.raises(VotenetError) as caught:
        restore(path, folder, **how)  # type: ignore[arg-type]
    assert caught.value.code == code, caught.value.message
    after = {one.name: one.read_bytes() for one in folder.iterdir()} if folder.exists() else {}
    before.pop("lock", None)
    after.pop("lock", None)
    assert after == before
    return caught.value


def test_a_node_comes_back_with_all_its_files(tmp_path: Path, path: Path, election: Election) -> None:
    folder = tmp_path / "again"
    made = restore(path, folder)
    assert made.joined
    assert made.silent
    assert waiting_in(folder, election) == VOTERS
    for name in (NODE_KEY_NAME, "genesis.json"):
        assert (folder / name).read_bytes() == (tmp_path / "north" / name).read_bytes()
    assert (folder / NODE_KEY_NAME).stat().st_mode & 0o777 == 0o600
    assert (folder / "node.env").read_text().splitlines() == [
        f"VOTENET_NODE_DATA_DIR={folder}",
        f"VOTENET_NODE_GENESIS={folder}/genesis.json",
        "VOTENET_NODE_BOOTSTRAP=a:4000",
    ]
    assert mark_in(folder, election) == RestoredMark().encode().state


def test_settings_that_come_back_are_those_of_a_node_alone(tmp_path: Path, files: NodeFiles) -> None:
    """systemd and docker put each line of node.env into the environment of the program."""
    foreign = "LD_PRELOAD=/x.so\nPYTHONPATH=/x\nexport=1\nVOTENET_HOME=/x\n"
    names = "VOTENET_NODE_NAME=a\u2028LD_AUDIT=/x.so\nVOTENET_NODE_HOST='::'\n"
    paths = f" VOTENET_NODE_DATA_DIR = {files.folder}\n\tVOTENET_NODE_ROLL=/old/roll.json\n"
    (files.folder / "node.env").write_text(foreign + paths + names, encoding="utf-8")
    back_up(files, tmp_path / "x.backup", "north")
    folder = tmp_path / "again"
    restore(tmp_path / "x.backup", folder)
    assert (folder / "node.env").read_text("utf-8").split("\n") == [
        f"VOTENET_NODE_DATA_DIR={folder}",
        f"VOTENET_NODE_GENESIS={folder}/genesis.json",
        "VOTENET_NODE_NAME=a\u2028LD_AUDIT=/x.so",
        "VOTENET_NODE_HOST=::",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "code"), [("no assignment\n", "bad-env-file"), ("VOTENET_NODE_NAME=a\\'b\n", "bad-value")]
)
def test_settings_that_no_restore_could_use_get_no_backup(
    tmp_path: Path, files: NodeFiles, text: str, code: str
) -> None:
    """And the node is not closed for a backup that is of no use."""
    (files.folder / "node.env").write_text(text)
    with pytest.raises(ConfigError) as caught:
        back_up(files, tmp_path / "x.backup", "north", final=True)
    assert caught.value.code == code
    assert not (files.folder / MOVED_NAME).exists()
    assert not (tmp_path / "x.backup").exists()


def test_bad_settings_in_a_backup_are_refused(
    tmp_path: Path, files: NodeFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files.folder / "node.env").write_text("no assignment\n")
    with monkeypatch.context() as patched:
        patched.setattr(node_backup, "_settings", lambda path: {})
        back_up(files, tmp_path / "x.backup", "north")
    refused("bad-env-file", tmp_path / "x.backup", tmp_path / "again")


def test_a_backup_of_a_node_that_writes_is_of_one_moment(
    tmp_path: Path, files: NodeFiles, election: Election
) -> None:
    with lock_data_dir(files.folder), store_of(files.folder, election) as store:
        store.apply([SaveVotes([make_vote(election, "dewi", "Bob")])])  # it is in the log alone
        back_up(files, tmp_path / "x.backup", "north")
        store.apply([SaveVotes([make_vote(election, "eko", "Bob")])])
    restore(tmp_path / "x.backup", tmp_path / "again")
    assert waiting_in(tmp_path / "again", election) == [*VOTERS, "dewi"]


def test_a_folder_with_the_same_genesis_file_is_fresh(tmp_path: Path, path: Path, election: Election) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "genesis.json").write_bytes(election.to_file())
    restore(path, folder)
    assert waiting_in(folder, election) == VOTERS


def test_a_restore_that_was_killed_is_begun_again(tmp_path: Path, path: Path, election: Election) -> None:
    (tmp_path / "again" / ".restoring").mkdir(parents=True)
    (tmp_path / "again" / ".restoring" / "chain.db").write_bytes(b"part")
    restore(path, tmp_path / "again")
    assert waiting_in(tmp_path / "again", election) == VOTERS


def test_a_backup_of_another_election_is_refused(tmp_path: Path, path: Path) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "genesis.json").write_bytes(make_election(title="Another").to_file())
    refused("network-mismatch", path, folder)
    refused("network-mismatch", path, tmp_path / "other", network_hex="00" * 32)


@pytest.mark.parametrize("name", [NODE_KEY_NAME, "chain.db", "anything"])
def test_a_folder_that_is_in_use_for_something_is_refused(tmp_path: Path, path: Path, name: str) -> None:
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / name).write_bytes(b"precious")
    for end in ("-shm", "-wal"):
        (folder / f"{name}{end}").write_bytes(b"beside")
    assert refused("not-empty", path, folder).message == f"{folder} is not empty: {name}"


def test_the_folder_of_a_running_node_is_refused(tmp_path: Path, path: Path) -> None:
    with lock_data_dir(tmp_path / "north"), pytest.raises(Locked):
        restore(path, tmp_path / "north")


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, election: Election) -> None:
    """Each digest is right: somebody has put this together."""
    other = make_election(title="Another", nodes=named_nodes(5))
    files = node_folder(tmp_path / "north", election)
    mixed = NodeFiles(files.folder, tmp_path / "other.json")
    mixed.genesis.write_bytes(other.to_file())
    with pytest.raises(ConfigError) as caught:
        back_up(mixed, tmp_path / "x.backup", "north")
    assert caught.value.code == "network-mismatch"
    assert not (tmp_path / "x.backup").exists()


def test_a_database_with_programs_of_its_own_is_refused(
    tmp_path: Path, files: NodeFiles, election: Election
) -> None:
    with contextlib.closing(sqlite3.connect(files.folder / "chain.db")) as conn:
        conn.execute("CREATE TRIGGER t AFTER INSERT ON bans BEGIN DELETE FROM meta; END")
        conn.commit()
    back_up(files, tmp_path / "x.backup", "north")
    refused("bad-backup", tmp_path / "x.backup", tmp_path / "again")


def test_a_damaged_database_gets_no_backup_or_is_not_restored(
    tmp_path: Path, files: NodeFiles, election: Election
) -> None:
    with contextlib.closing(sqlite3.connect(files.folder / "chain.db")) as conn:
        conn.execute("UPDATE waiting SET records = replace(CAST(records AS TEXT), 'Alice', 'Alive')")
        conn.commit()
    back_up(files, tmp_path / "x.backup", "north")
    error = refused("storage-corrupt", tmp_path / "x.backup", tmp_path / "again")
    assert "damaged" in error.message


def test_no_backup_is_written_where_the_disk_has_no_folder(tmp_path: Path, files: NodeFiles) -> None:
    with pytest.raises(StorageError):
        back_up(files, tmp_path / "missing" / "x.backup", "north")


# -- who must be silent ------------------------------------------------------------------------------


def test_a_moved_node_knows_how_far_it_had_come_and_its_old_folder_is_closed(
    tmp_path: Path, files: NodeFiles, election: Election
) -> None:
    contents, _ = back_up(files, tmp_path / "x.backup", "north", final=True)
    assert contents.final
    with pytest.raises(ConfigError) as caught:
        refuse_moved(files.folder)
    assert caught.value.code == "moved"
    restore(tmp_path / "x.backup", tmp_path / "again")
    refuse_moved(tmp_path / "again")
    assert mark_in(tmp_path / "again", election) == RestoredMark(known_height=1).encode().state


def test_a_final_backup_wants_a_stopped_node_and_may_be_taken_again(tmp_path: Path, files: NodeFiles) -> None:
    with lock_data_dir(files.folder), pytest.raises(Locked):
        back_up(files, tmp_path / "x.backup", "north", final=True)
    assert not (files.folder / MOVED_NAME).exists()
    with pytest.raises(StorageError):
        back_up(files, tmp_path / "missing" / "x.backup", "north", final=True)
    assert (files.folder / MOVED_NAME).exists(), "a part of the file may be somewhere"
    with pytest.raises(ConfigError):
        back_up(files, tmp_path / "x.backup", "north")
    back_up(files, tmp_path / "x.backup", "north", final=True)
    assert read_contents(tmp_path / "x.backup").final


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("gone", [None, "lock"])
def test_root_closes_the_folder_of_a_service_which_keeps_its_owner(
    tmp_path: Path, files: NodeFiles, election: Election, gone: str | None
) -> None:
    """The user of a unit with DynamicUser= is none who could type the command."""
    with lock_data_dir(files.folder):
        pass  # the node ran once
    if gone:
        (files.folder / gone).unlink()
    for one in (files.folder, *files.folder.iterdir()):
        os.chown(one, SERVICE, SERVICE)
    back_up(files, tmp_path / "x.backup", "north", final=True)
    for one in (files.folder, *files.folder.iterdir()):
        found = one.stat()
        assert (found.st_uid, found.st_gid) == (SERVICE, SERVICE), one
        assert one.name not in ("lock", MOVED_NAME) or found.st_mode & 0o077 == 0, one
    with pytest.raises(ConfigError) as caught:
        refuse_moved(files.folder)
    assert caught.value.code == "moved"
    assert (tmp_path / "x.backup").stat().st_uid == 0
    restore(tmp_path / "x.backup", tmp_path / "again")
    assert mark_in(tmp_path / "again", election) == RestoredMark(known_height=1).encode().state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_root_waits_for_the_end_of_a_service_and_follows_none_of_its_links(
    tmp_path: Path, files: NodeFiles
) -> None:
    with lock_data_dir(files.folder):
        os.chown(files.folder, SERVICE, SERVICE)
        with pytest.raises(Locked):
            back_up(files, tmp_path / "x.backup", "north", final=True)
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    (files.folder / MOVED_NAME).symlink_to(victim)
    back_up(files, tmp_path / "x.backup", "north", final=True)
    assert (victim.read_bytes(), victim.stat().st_uid) == (b"keep", 0)
    (files.folder / "lock").unlink()
    (files.folder / "lock").symlink_to(victim)
    with pytest.raises(StorageError):
        back_up(files, tmp_path / "x.backup", "north", final=True)
    assert (victim.read_bytes(), victim.stat().st_uid) == (b"keep", 0)


def test_a_node_that_is_moved_while_it_is_silent_stays_silent(
    tmp_path: Path, path: Path, election: Election
) -> None:
    """Its final backup knows as little of what the lost disk had signed as the backup that it came from."""
    restore(path, tmp_path / "again")
    moved = NodeFiles(tmp_path / "again", tmp_path / "again/genesis.json")
    back_up(moved, tmp_path / "x.backup", "north", final=True)
    assert restore(tmp_path / "x.backup", tmp_path / "third").silent
    assert mark_in(tmp_path / "third", election) == RestoredMark(known_height=0).encode().state


def test_a_node_that_has_spoken_again_is_moved_like_any_other(
    tmp_path: Path, files: NodeFiles, election: Election
) -> None:
    with store_of(files.folder, election) as store:
        store.apply([RestoredMark(speaks=True, no_list=7).encode()])
    back_up(files, tmp_path / "x.backup", "north", final=True)
    assert not restore(tmp_path / "x.backup", tmp_path / "again").silent
    mark = RestoredMark(known_height=1, forgot=True)
    assert mark_in(tmp_path / "again", election) == mark.encode().state


def test_a_mark_that_is_none_is_refused(tmp_path: Path, files: NodeFiles, election: Election) -> None:
    with store_of(files.folder, election) as store:
        store.apply([SaveRestored(b"no mark")])
    back_up(files, tmp_path / "x.backup", "north", final=True)
    refused("bad-backup", tmp_path / "x.backup", tmp_path / "again")


def test_lost_nodes_are_named_as_in_the_definition(tmp_path: Path, path: Path, election: Election) -> None:
    names = [node.name for node in election.definition.nodes]
    refused("not-named", path, tmp_path / "again", lost=["nobody"])
    restore(path, tmp_path / "again", lost=[names[4], names[2], names[4], names[0]])  # twice, and itself
    assert mark_in(tmp_path / "again", election) == RestoredMark(lost=(2, 4)).encode().state


def test_a_relay_signs_nothing_and_needs_no_mark(tmp_path: Path, election: Election) -> None:
    files = node_folder(tmp_path / "relay", election, index=9)
    back_up(files, tmp_path / "x.backup", "relay")
    assert not restore(tmp_path / "x.backup", tmp_path / "again").silent
    assert mark_in(tmp_path / "again", election) == b""


def test_a_node_that_decides_alone_comes_back_from_its_final_backup_only(tmp_path: Path) -> None:
    alone = make_election(nodes=named_nodes(1))
    files = node_folder(tmp_path / "alone", alone)
    back_up(files, tmp_path / "x.backup", "alone")
    refused("needs-final", tmp_path / "x.backup", tmp_path / "again")
    back_up(files, tmp_path / "y.backup", "alone", final=True)
    assert not restore(tmp_path / "y.backup", tmp_path / "again").silent


def test_no_step_of_a_restore_that_fails_leaves_a_node_behind(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(self.name)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    for fails_at in range(1, 6):  # noqa: B007
        calls.clear()
        refused("storage-failed", path, tmp_path / "again")
        assert calls[-1] != NODE_KEY_NAME or len(calls) == 5
        shutil.rmtree(tmp_path / "again")
