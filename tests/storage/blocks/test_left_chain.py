"""A node leaves an election only where it has no vote and has signed nothing, and keeps what was there."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from support.elections import make_election, make_votes, named_nodes
from votenet.errors import ConfigError, Locked, StorageCorrupt
from votenet.protocol.node.events import Change, SaveFinality, SaveTiles, SaveVotes
from votenet.protocol.node.restored import RestoredMark
from votenet.storage.blocks import left_chain
from votenet.storage.blocks.left_chain import leave, may_leave
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir

ELECTION = make_election(nodes=named_nodes(3))


def saved(folder: Path, *changes: Change) -> Path:
    """The folder of a node that ran in the election, and is stopped."""
    folder.mkdir(mode=0o700)
    store = SqliteBlockStore(folder, ELECTION)
    if changes:
        store.apply(changes)
    store.close()
    (folder / "genesis.json").write_bytes(ELECTION.to_file())
    return folder


@pytest.mark.parametrize("changes", [(), (SaveTiles(((0, 0, bytes(32)),)),)])
def test_a_chain_of_genesis_alone_is_put_aside_with_the_genesis_file(
    tmp_path: Path, changes: tuple[Change, ...]
) -> None:
    folder = saved(tmp_path / "node", *changes)
    assert may_leave(folder, ELECTION)
    aside = leave(folder, ELECTION)
    assert aside == folder / f"left-{ELECTION.network_hex[:16]}"
    assert {"chain.db", "chain.db-commits", "genesis.json"} <= {path.name for path in aside.iterdir()}
    assert not list(folder.glob("chain.db*"))
    SqliteBlockStore(aside, ELECTION).close()
    assert leave(folder, ELECTION).name.endswith("-2"), "a folder that is there keeps what it has"


@pytest.mark.parametrize(
    "change",
    [
        SaveVotes(make_votes(ELECTION, 1)),
        SaveFinality(b"{}"),
        RestoredMark().encode(),
    ],
    ids=["vote", "statement", "restored"],
)
def test_what_binds_the_node_keeps_it_there(tmp_path: Path, change: Change) -> None:
    folder = saved(tmp_path / "node", change)
    assert not may_leave(folder, ELECTION)
    with pytest.raises(ConfigError) as refused:
        leave(folder, ELECTION)
    assert refused.value.code == "other-election"
    assert (folder / "chain.db").exists()


@pytest.mark.parametrize("moved", range(4))
def test_one_that_is_killed_while_it_leaves_may_leave_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    folder = saved(tmp_path / "node", SaveTiles(((0, 0, bytes(32)),)))
    assert may_leave(folder, ELECTION)
    files = sorted(path.name for path in folder.glob("chain.db*"))
    assert {"chain.db", "chain.db-commits"} <= set(files)
    assert len(files) <= 4
    replace, calls = Path.replace, list[Path]()

    def killed(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) > moved:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        leave(folder, ELECTION)
    assert may_leave(folder, ELECTION)
    leave(folder, ELECTION)
    assert not list(folder.glob("chain.db*"))
    asides = [path.parent for path in folder.glob("left-*/chain.db")]
    assert len(asides) == 1
    SqliteBlockStore(asides[0], ELECTION).close()


def test_what_it_leaves_is_on_the_disk_before_the_database_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "node")
    done, replace, sync = list[str](), Path.replace, left_chain.sync_folder

    def moved(path: Path, target: Path) -> Path:
        done.append(path.name)
        return replace(path, target)

    def synced(path: Path) -> None:
        done.append(f"sync {path.name}")
        sync(path)

    monkeypatch.setattr(Path, "replace", moved)
    monkeypatch.setattr(left_chain, "sync_folder", synced)
    aside = leave(folder, ELECTION)
    at = done.index("chain.db")
    assert done.index("chain.db-commits") < at
    for part in (done[:at], done[at:]):
        assert {"sync node", f"sync {aside.name}"} <= set(part)


def test_a_node_that_runs_and_one_that_has_lost_its_database_stay(tmp_path: Path) -> None:
    folder = saved(tmp_path / "node", SaveTiles(((0, 0, bytes(32)),)))
    with lock_data_dir(folder), pytest.raises(Locked):
        may_leave(folder, ELECTION)
    (folder / "chain.db").unlink()
    assert not may_leave(folder, ELECTION)
    SqliteBlockStore(tmp_path, ELECTION).close()
    (tmp_path / "chain.db").replace(folder / "chain.db")
    with pytest.raises(StorageCorrupt):
        may_leave(folder, ELECTION)
