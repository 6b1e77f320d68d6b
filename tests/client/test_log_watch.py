"""Several nodes are watched: their logs are one, or the lie is shown."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.elections import make_election, named_nodes
from support.lying_node import Answer, lying_node
from support.shown_log import SignedLog, leaves
from votenet.client.log_view import ShownLog
from votenet.client.log_watch import LogWatch
from votenet.errors import NotProven, Rejected, Unreachable
from votenet.protocol.wire.address import Address
from votenet.storage.known_elections import KnownElections

ELECTION = make_election(nodes=named_nodes(4))


class Nodes:
    """Two nodes that show these logs (None: nothing is signed)."""

    def __init__(self, *logs: SignedLog | None) -> None:
        self.logs = list(logs)

    def answers(self, index: int) -> dict[str, Answer]:
        def checkpoint(request: dict[str, Any]) -> dict[str, Any]:
            log = self.logs[index]
            return {"type": "checkpoint"} if log is None else log.checkpoint(request)

        return {"get_checkpoint": checkpoint}


def log(count: int, **other: int) -> SignedLog:
    return SignedLog(ELECTION, leaves(count, **other))


def rounds(nodes: Nodes, folder: Path, *more: list[SignedLog]) -> list[list[int]]:
    """The sizes that the two nodes show, round after round; `more`: their logs after the first."""
    with lying_node(ELECTION, nodes.answers(0)) as one, lying_node(ELECTION, nodes.answers(1)) as two:
        watch = LogWatch([one, two], KnownElections(folder))
        told = []
        for logs in ([*nodes.logs], *more):
            nodes.logs[:] = logs
            found = asyncio.run(watch.look())
            told.append([shown.certificate.size if isinstance(shown, ShownLog) else 0 for _, shown in found])
        return told


def test_nodes_that_grow_at_different_times_show_one_log(tmp_path: Path) -> None:
    nodes = Nodes(log(5), None)
    assert rounds(nodes, tmp_path, [log(9), log(9)], [log(9), log(12)], [log(12), log(12)]) == [
        [5, 0], [9, 9], [9, 12], [12, 12]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "logs",
    [
        [log(9), log(9, other_from=4)],
        [log(9), log(14, other_from=4)],
        [log(14), log(9, other_from=4)],
        [log(8, other_from=4), log(14)],
    ],
)
def test_nodes_that_contradict_each_other_are_found_out_at_once(
    tmp_path: Path, logs: list[SignedLog]
) -> None:
    with pytest.raises(NotProven) as told:
        rounds(Nodes(*logs), tmp_path)
    assert told.value.code == "split-view"
    assert list((tmp_path / "evidence").iterdir())


def test_a_longer_log_that_no_node_shows_any_more_is_told(tmp_path: Path) -> None:
    nodes = Nodes(log(14), log(9))
    with lying_node(ELECTION, nodes.answers(0)) as one, lying_node(ELECTION, nodes.answers(1)) as two:
        watch, told = LogWatch([one, two], KnownElections(tmp_path)), []
        for logs in (
            [log(14), log(9)],
            [log(9, other_from=4), log(9, other_from=4)],
            [None, None],
            [log(14)] * 2,
        ):
            nodes.logs[:] = logs
            asyncio.run(watch.look())
            told.append(watch.not_compared)
    assert told == [{}, {one: 14, two: 14}, {one: 14, two: 14}, {}]


def test_a_log_is_not_compared_where_the_node_with_the_longer_one_does_not_prove_anything(
    tmp_path: Path,
) -> None:
    """It shows its newest checkpoint until somebody has seen that, and none to those who would compare."""
    longer, nodes = log(14), Nodes(log(9))

    def hiding(request: dict[str, Any]) -> dict[str, Any]:
        return longer.checkpoint(request) if request.get("size", 0) < 14 else {"type": "checkpoint"}

    with (
        lying_node(ELECTION, {"get_checkpoint": hiding}) as one,
        lying_node(ELECTION, nodes.answers(0)) as two,
    ):
        watch = LogWatch([one, two], KnownElections(tmp_path))
        asyncio.run(watch.look())
        assert watch.not_compared == {two: 14}


def test_a_node_that_is_away_or_a_stranger_is_told_beside_the_others(tmp_path: Path) -> None:
    other = make_election(nodes=named_nodes(4), title="Other")
    with lying_node(ELECTION, Nodes(log(9)).answers(0)) as node, lying_node(other, {}) as stranger:
        watch = LogWatch(
            [node, Address("127.0.0.1", 1), stranger], KnownElections(tmp_path), ELECTION.network_hex
        )
        (_, shown), (_, away), (_, foreign) = asyncio.run(watch.look())
    assert isinstance(shown, ShownLog)
    assert isinstance(away, Unreachable)
    assert isinstance(foreign, Rejected)


def test_without_named_nodes_there_is_nothing_to_watch(tmp_path: Path) -> None:
    with lying_node(make_election(), {}) as node, pytest.raises(NotProven) as told:
        asyncio.run(LogWatch([node], KnownElections(tmp_path)).look())
    assert told.value.code == "not-final"
