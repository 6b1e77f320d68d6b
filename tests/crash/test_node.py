"""A real node that dies, or whose disk fails, while it takes a vote; and the way back after damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crash import small_disk
from crash.harness import build_shim, compiler
from crash.named_runs import NamedBench
from crash.node_runs import ALL, PATIENCE, NodeBench, NodeRun
from crash.workload import DATA
from votenet.storage.blocks.tables import DATABASE_NAME

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler: faults cannot be made")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> NodeBench:
    scratch = tmp_path_factory.mktemp("crash").resolve()
    (scratch / "shim").mkdir()
    return NodeBench(scratch, build_shim(scratch / "shim"))


@needs_compiler
def test_scenario_15_a_node_killed_while_accepting_or_mining_keeps_acknowledged_votes(
    bench: NodeBench,
) -> None:
    operations, opening = bench.operations()
    numbers = [n for n, name in enumerate(operations, start=1) if n > opening and name == "wal-sync"]
    assert len(numbers) >= 4, "votes and blocks are synced"
    outcomes = [bench.kill(numbers[1], "wal-sync", "after"), bench.kill(numbers[-1], "wal-sync", "before")]
    outcomes.append(bench.fail(numbers[1] - 1, "wal-write", "ENOSPC"))
    assert [outcome for outcome in outcomes if outcome.problem] == []
    assert outcomes[-1].refused, "the voter is told"


@needs_compiler
def test_a_named_node_killed_between_saving_and_saying_contradicts_nothing(tmp_path: Path) -> None:
    (tmp_path / "shim").mkdir()
    with NamedBench(tmp_path.resolve(), build_shim(tmp_path / "shim")) as bench:
        operations, opening = bench.operations()
        syncs = [n for n, name in enumerate(operations, start=1) if n > opening and name == "wal-sync"]
        assert len(syncs) >= 4, "vote, prevote, block and certificate are synced"
        outcomes = [bench.kill(number, "wal-sync", "after") for number in syncs[:: max(1, len(syncs) // 3)]]
        outcomes.append(bench.kill(syncs[1], "wal-sync", "before"))
        assert [outcome for outcome in outcomes if outcome.problem] == []


def test_a_small_disk_that_is_really_full(tmp_path: Path) -> None:
    if why := small_disk.why_not():
        pytest.skip(why)
    done = small_disk.run_on_a_small_disk(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "none lost" in done.stdout


def test_the_next_step_of_a_damaged_node_brings_every_vote_back(tmp_path: Path) -> None:
    one, two, votes = tmp_path / "one", tmp_path / "two", list(ALL)
    for folder in (one, two):
        (folder / "home").mkdir(parents=True)
    environment = dict(os.environ)
    with NodeRun(one, environment) as healthy:
        assert healthy.submit(votes) == ""
        healthy.wait_until_mined(votes)
        peer = ("--peer", f"127.0.0.1:{healthy.port}")
        with NodeRun(two, environment, *peer) as node:
            node.wait_until_mined(votes)
            assert node.stop() == 0
        database = two / "home" / DATA / DATABASE_NAME
        content = bytearray(database.read_bytes())
        content[content.index(b'"voter_id"') + 14] ^= 1  # another voter, in one of the places that say who
        database.write_bytes(content)
        with NodeRun(two, environment, *peer) as node:
            node.process.wait(PATIENCE)
            assert node.process.returncode == 78
            assert "[storage-corrupt]" in node.errors
            assert f"Move {database}* away" in node.errors
            assert "Traceback" not in node.errors
        for path in database.parent.glob(f"{DATABASE_NAME}*"):
            path.rename(two / path.name)
        with NodeRun(two, environment, *peer) as node:
            node.wait_until_mined(votes)
            assert node.stop() == 0
