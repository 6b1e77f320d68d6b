"""Changes are saved together, again after a conflict, and answered as not saved when they are not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from support.memory_peer_store import MemoryPeerStore
from votenet.errors import StorageError
from votenet.network.bootstrap.group_commit import TRIES_AFTER_CONFLICT, GroupCommit
from votenet.protocol.bootstrap.batches import Session
from votenet.protocol.bootstrap.bootstrap_messages import Body, ListPeers, RegisterAddress, Request
from votenet.protocol.bootstrap.server_core import Answer, BootstrapCore, Call
from votenet.storage.registry.peer_store import StoreConflict

NOW = 1_700_000_000


class Failing(MemoryPeerStore):
    """Refuses to save as often as it is told; the twin in memory undoes nothing, so it fails before."""

    def __init__(self, *errors: StorageError) -> None:
        super().__init__()
        self.errors = list(errors)

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        if self.errors:
            raise self.errors.pop(0)
        yield

    def saving(self) -> contextlib.AbstractContextManager[None]:
        return self._saving()


def commit_over(store: MemoryPeerStore) -> tuple[GroupCommit, list[StorageError | None]]:
    """Of the list, None stands for changes that were saved."""
    saved: list[StorageError | None] = []
    core = BootstrapCore(store, random.Random(1))
    return GroupCommit(store, core, saved.append), saved


def call(body: Body, client: str = "127.0.0.1") -> Call:
    return Call(Request(body), client)


def test_what_changes_nothing_says_nothing_about_the_store() -> None:
    commit, saved = commit_over(MemoryPeerStore())
    again = [(Session(), call(RegisterAddress("127.0.0.1:1")))]
    commit.change(again, NOW)
    (result,) = commit.change(again, NOW)
    assert isinstance(result, Answer)
    assert saved == [None]
    assert commit.change([], NOW) == []


def test_a_conflict_is_stepped_again() -> None:
    commit, saved = commit_over(Failing(StoreConflict("x"), StoreConflict("x")))
    (result,) = commit.change([(Session(), call(RegisterAddress("127.0.0.1:1")))], NOW)
    assert isinstance(result, Answer)
    assert saved == [None]


def test_without_end_it_is_a_failure_and_so_is_a_full_disk_at_once() -> None:
    for errors in ([StoreConflict("x")] * TRIES_AFTER_CONFLICT, [StorageError("full")]):
        store = Failing(*errors)
        commit, saved = commit_over(store)
        calls = [call(RegisterAddress("127.0.0.1:1")), call(RegisterAddress("b:1"))]
        results = commit.change([(Session(), one) for one in calls], NOW)
        assert [getattr(result, "code", None) for result in results] == ["storage-failed"] * 2
        assert saved == [errors[-1]]
        assert store.errors == []
        assert store.count() == 0


def test_a_question_that_cannot_be_answered_is_an_error_of_its_own() -> None:
    class Broken(MemoryPeerStore):
        def count(self) -> int:
            raise StorageError("no")

    commit, saved = commit_over(Broken())
    assert isinstance(commit.look_up(call(ListPeers()), NOW), StorageError)
    assert len(saved) == 1
