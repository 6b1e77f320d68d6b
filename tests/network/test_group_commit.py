"""Changes are saved together, again after a conflict, and answered as not saved when they are not."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from votenet.errors import Rejected, StorageError
from votenet.network.group_commit import TRIES_AFTER_CONFLICT, GroupCommit
from votenet.protocol.bootstrap import Answer, BootstrapCore, Call, NeedsOwner
from votenet.protocol.bootstrap_messages import Body, GetPeers, Register, Request
from votenet.storage.memory_peer_store import MemoryPeerStore
from votenet.storage.peer_store import StoreConflict

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


def commit_over(store: MemoryPeerStore) -> tuple[GroupCommit, list[StorageError]]:
    failed: list[StorageError] = []
    core = BootstrapCore(store, random.Random(1))
    return GroupCommit(store, core, failed.append), failed


def call(body: Body, client: str = "127.0.0.1") -> Call:
    return Call(Request(body), client)


def test_what_follows_a_call_that_waits_on_the_same_link_waits_too() -> None:
    commit, _ = commit_over(MemoryPeerStore())
    results = commit.change(
        [
            (1, call(Register("a.example:1"), "10.0.0.1")),
            (1, call(Register("127.0.0.2:2"))),
            (2, call(Register("127.0.0.3:3"))),
            (2, call(Register("nonsense"))),
        ],
        NOW,
    )
    assert results[:2] == [NeedsOwner("a.example"), None]
    assert isinstance(results[2], Answer)
    assert isinstance(results[3], Rejected)
    assert commit.change([], NOW) == []


def test_a_conflict_is_stepped_again() -> None:
    commit, failed = commit_over(Failing(StoreConflict("x"), StoreConflict("x")))
    (result,) = commit.change([(1, call(Register("127.0.0.1:1")))], NOW)
    assert isinstance(result, Answer)
    assert failed == []


def test_without_end_it_is_a_failure_and_so_is_a_full_disk_at_once() -> None:
    for errors in ([StoreConflict("x")] * TRIES_AFTER_CONFLICT, [StorageError("full")]):
        store = Failing(*errors)
        commit, failed = commit_over(store)
        results = commit.change([(1, call(Register("127.0.0.1:1"))), (2, call(Register("b:1")))], NOW)
        assert [getattr(result, "code", None) for result in results] == ["storage-failed"] * 2
        assert failed == [errors[-1]]
        assert store.errors == []
        assert store.count() == 0


def test_a_question_that_cannot_be_answered_is_an_error_of_its_own() -> None:
    class Broken(MemoryPeerStore):
        def count(self) -> int:
            raise StorageError("no")

    commit, failed = commit_over(Broken())
    assert isinstance(commit.look_up(call(GetPeers()), NOW), StorageError)
    assert len(failed) == 1
