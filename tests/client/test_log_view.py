"""What a client makes of the logs that nodes show: grown, behind, split, and plain rubbish."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.elections import make_election, named_nodes
from support.lying_node import lying_node, results_info
from support.page import until
from support.shown_log import SignedLog, leaves
from votenet.client.connection import NodeConnection
from votenet.client.log_view import LogView, fetch_final_results
from votenet.core.records.evidence import check_evidence, decode_evidence
from votenet.errors import NotProven, Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import CheckpointMessage, GetCheckpoint
from votenet.storage.known_elections import KnownElections

ELECTION = make_election(nodes=named_nodes(4))
Answer = Callable[[dict[str, Any]], dict[str, Any]]


def asked(
    view: LogView, answer: Answer, work: Callable[[NodeConnection], Awaitable[Any]] | None = None
) -> Any:
    """What the view makes of a node that answers `get_checkpoint` so."""

    async def main() -> Any:
        async with NodeConnection(node) as connection:
            return await (work or view.look)(connection)

    with lying_node(ELECTION, {"get_checkpoint": answer}) as node:
        return asyncio.run(main())


def log(count: int, **other: int) -> SignedLog:
    return SignedLog(ELECTION, leaves(count, **other))


@pytest.mark.parametrize("sizes", [(2, 3), (4, 9), (5, 8), (255, 256, 300), (7, 7)])
def test_a_log_that_grows_is_followed_and_remembered(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        view = LogView(ELECTION, KnownElections(tmp_path))
        shown = asked(view, log(size).checkpoint)
        assert (shown.certificate.size, view.behind) == (size, set())
    newest = LogView(ELECTION, KnownElections(tmp_path)).newest
    assert newest is not None
    assert newest.size == sizes[-1]


def test_a_node_that_is_behind_is_told_apart_and_takes_nothing_back(tmp_path: Path) -> None:
    view = LogView(ELECTION, KnownElections(tmp_path))
    asked(view, log(9).checkpoint)
    shown = asked(view, log(6).checkpoint)
    assert shown.certificate.size == 6
    assert len(view.behind) == 1
    assert asked(view, lambda _: {"type": "checkpoint"}) is None
    assert len(view.behind) == 2
    assert LogView(ELECTION, KnownElections(tmp_path)).newest == log(9).certificate


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (log(9), log(9, other_from=5), "two-roots"),
        (log(9), log(12, other_from=5), "bad-growth"),
        (log(8), log(12, other_from=5), "bad-growth"),
        (log(9), SignedLog(ELECTION, leaves(12, other_from=0), [1, 2, 3]), "bad-growth"),
    ],
    ids=["same size", "larger", "from a power of two", "other signers"],
)
def test_a_split_view_is_proven_against_each_node_that_signed_both(
    tmp_path: Path, old: SignedLog, new: SignedLog, kind: str
) -> None:
    view = LogView(ELECTION, KnownElections(tmp_path))
    asked(view, old.checkpoint)
    with pytest.raises(NotProven) as told:
        asked(view, new.checkpoint)
    assert told.value.code == "split-view"
    liars = sorted(set(old.certificate.signers) & set(new.certificate.signers))
    assert ", ".join(f"Node {node}" for node in liars) in told.value.message
    files = sorted((tmp_path / "evidence").iterdir())
    reports = [check_evidence(decode_evidence(file.read_bytes()), ELECTION.network_hex) for file in files]
    assert [(report.kind, report.node) for report in reports] == [(kind, node) for node in liars]
    assert f"votenet evidence verify {files[0]}" in told.value.next_step
    assert view.newest == old.certificate


class Slow:
    """A node that answers its first question when it is let."""

    def __init__(self, port: int, shown: SignedLog) -> None:
        self.address, self.shown = Address("127.0.0.1", port), shown
        self.go, self.asked = asyncio.Event(), list[int]()

    async def ask(self, request: GetCheckpoint, expected: type[CheckpointMessage]) -> CheckpointMessage:
        self.asked.append(request.size)
        await self.go.wait()
        return msgspec.convert(self.shown.checkpoint({"size": request.size}), expected)


@pytest.mark.parametrize(
    ("first", "second", "sizes", "code"),
    [
        (log(9), log(9, other_from=5), [0], "split-view"),
        (log(9), log(12, other_from=5), [0, 9], "split-view"),
        (log(9), log(9), [0], None),
        (log(9), log(12), [0, 9], None),
        (log(12), log(9), [0], None),
    ],
    ids=["same size", "larger", "the same", "grown", "behind"],
)
def test_two_looks_at_once_do_not_let_two_logs_pass(
    first: SignedLog, second: SignedLog, sizes: list[int], code: str | None
) -> None:
    async def main() -> None:
        view = LogView(ELECTION)
        one, other = Slow(1, first), Slow(2, second)

        async def look(node: Any) -> str | None:
            try:
                await view.look(node)
            except NotProven as error:
                return error.code
            return None

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            looks = [tasks.create_task(look(node)) for node in (one, other)]
            await until(lambda: one.asked == other.asked == [0])
            one.go.set()
            await looks[0]
            other.go.set()
        assert [done.result() for done in looks] == [None, code]
        assert other.asked == sizes
        assert view.behind == ({other.address} if len(second.leaves) < len(first.leaves) else set())

    asyncio.run(main())


def test_rubbish_is_a_fault_of_that_node_alone(tmp_path: Path) -> None:
    good = log(12)

    def changed(**fields: object) -> Answer:
        return lambda request: good.checkpoint(request) | fields

    too_few = SignedLog(ELECTION, leaves(12), [0, 1])
    elsewhere = SignedLog(make_election(nodes=named_nodes(4), title="Other"), leaves(12))
    for answer in (
        changed(proof=[]),
        changed(proof=["00" * 32] * 4),
        changed(note="rubbish"),
        changed(height=12),
        too_few.checkpoint,
        elsewhere.checkpoint,
    ):
        view = LogView(ELECTION, KnownElections(tmp_path))
        view.newest = log(9).certificate
        with pytest.raises(NotProven) as told:
            asked(view, answer)
        assert told.value.code == "wrong-answer"
    assert not (tmp_path / "evidence").exists()


def test_a_certificate_is_compared_with_the_log_of_a_node() -> None:
    receipt = log(9)
    for node, code in (
        (log(9), None),
        (log(300), None),
        (log(9, other_from=3), "split-view"),
        (log(12, other_from=3), "split-view"),
    ):
        view = LogView(ELECTION)
        work = lambda open_node, view=view: view.check(open_node, receipt.certificate)  # noqa: E731
        if code is None:
            asked(view, node.checkpoint, work)
            continue
        with pytest.raises(NotProven) as told:
            asked(view, node.checkpoint, work)
        assert told.value.code == code
    behind = LogView(ELECTION)
    with pytest.raises(Unreachable):
        asked(behind, log(5).checkpoint, lambda open_node: behind.check(open_node, receipt.certificate))


def test_a_remembered_checkpoint_that_does_not_hold_is_no_checkpoint(tmp_path: Path) -> None:
    known = KnownElections(tmp_path)
    known.remember_checkpoint(ELECTION.network_hex, SignedLog(ELECTION, leaves(99), [0]).note)
    assert LogView(ELECTION, known).newest is None


@pytest.mark.parametrize(("height", "code"), [(1, None), (2, "wrong-answer")])
def test_results_are_final_only_with_a_certificate_that_holds(height: int, code: str | None) -> None:
    told = results_info(ELECTION, Alice=3) | {"final_height": height, "signed_by": ["Mallory"]}

    async def main() -> Any:
        async with NodeConnection(node) as connection:
            return await fetch_final_results(connection, LogView(ELECTION))

    answers: dict[str, Answer] = {"get_results": lambda _: told, "get_checkpoint": log(5).checkpoint}
    with lying_node(ELECTION, answers) as node:
        if code is None:
            assert asyncio.run(main()).signed_by == ("Node 0", "Node 1", "Node 2")
            return
        with pytest.raises(NotProven) as refused:
            asyncio.run(main())
        assert refused.value.code == code


def test_two_writers_keep_the_larger_checkpoint(tmp_path: Path) -> None:
    one, other = (LogView(ELECTION, KnownElections(tmp_path)) for _ in range(2))
    asked(one, log(20).checkpoint)
    asked(other, log(10).checkpoint)
    kept = KnownElections(tmp_path).checkpoint_of(ELECTION.network_hex)
    assert kept == log(20).note
