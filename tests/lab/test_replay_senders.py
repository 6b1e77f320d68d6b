"""Several sending processes: each ballot once, none left out, failures told."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest
from tests.cli.conftest import RunningNode

from support.ports import free_port
from votenet.ballots.check import ReadingOptions
from votenet.ballots.layout import Columns
from votenet.ballots.paper import Ballot
from votenet.errors import VotenetError
from votenet.lab.presigned import write_presigned
from votenet.lab.replay_senders import ReplayPlan, cast
from votenet.lab.replayer import SendingPace
from votenet.lab.voter_keys import DerivedKeys
from votenet.protocol.wire.address import Address

KEYS = DerivedKeys(bytes(32))


def _csv(path: Path, count: int) -> ReplayPlan:
    path.write_text("v,c\n" + "".join(f"{path.stem}-{n},{('Alice', 'Bob')[n % 2]}\n" for n in range(count)))
    return ReplayPlan(path, ReadingOptions(Columns(("c",), "v")), count)


def test_three_processes_cast_every_ballot_once(node: RunningNode, tmp_path: Path) -> None:
    plan, told = _csv(tmp_path / "three.csv", 230), list[int]()
    pace = SendingPace(batch=10, confirmations=1)
    summary = cast(plan, (node.address,), KEYS, pace, 3, told.append)
    assert (summary.read, summary.accepted, summary.repeated, summary.refusals) == (230, 230, 0, 0)
    assert summary.latency["accepted"].summary()["count"] == 230
    assert summary.latency["in_block"].summary()["count"] == 23
    again = cast(plan, (node.address,), KEYS, SendingPace(batch=7), 1, told.append)
    assert (again.accepted, again.repeated) == (0, 230)
    assert told[-1] == 230
    assert not multiprocessing.active_children()


def test_a_presigned_file_by_two(node: RunningNode, tmp_path: Path) -> None:
    path = tmp_path / "signed"
    ballots = (Ballot(n, n + 1, f"signed-{n}", (("Bob",),)) for n in range(55))
    write_presigned(path, node.election, ballots, KEYS)
    summary = cast(
        ReplayPlan(path, None, 55), (node.address,), KEYS, SendingPace(batch=10), 2, lambda _: None
    )
    assert (summary.read, summary.accepted) == (55, 55)


def test_an_open_loop_keeps_its_rate(node: RunningNode, tmp_path: Path) -> None:
    """No faster than asked for; how much slower is the machine's."""
    plan = _csv(tmp_path / "paced.csv", 50)
    began = time.monotonic()
    summary = cast(plan, (node.address,), KEYS, SendingPace(batch=5, rate=100.0), 1, lambda _: None)
    assert summary.accepted == 50
    assert time.monotonic() - began >= 0.45, "the tenth batch is due after nine twentieths of a second"


def test_without_a_node_every_sender_says_so_and_ends(tmp_path: Path) -> None:
    dead = Address("127.0.0.1", free_port())
    with pytest.raises(VotenetError) as failed:
        cast(_csv(tmp_path / "dead.csv", 9), (dead,), KEYS, SendingPace(), 2, lambda _: None)
    assert failed.value.code == "unreachable"
    assert not multiprocessing.active_children()


def test_a_file_that_ends_badly_is_told_by_its_sender(node: RunningNode, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    write_presigned(path, node.election, [Ballot(1, 2, "bad-1", (("Bob",),))], KEYS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VotenetError) as failed:
        cast(ReplayPlan(path, None, 1), (node.address,), KEYS, SendingPace(), 2, lambda _: None)
    assert (failed.value.code, failed.value.exit_code) == ("bad-presigned-file", 78)


@pytest.mark.parametrize(("wanted", "sample", "picked"), [(10, None, 10), (10, 3, 3), (5, 9, 5), (0, 3, 0)])
def test_a_plan_counts_its_votes(tmp_path: Path, wanted: int, sample: int | None, picked: int) -> None:
    plan = ReplayPlan(_csv(tmp_path / "p.csv", 10).file, ReadingOptions(Columns(("c",), "v")), wanted, sample)
    assert len(list(plan.rows())) == plan.total == picked
