"""Scenarios of docs/supervisor.md with real nodes that have no better place: late nodes, a full disk."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests.e2e import small_disk
from tests.e2e.conftest import Votenet, wait_for

pytestmark = pytest.mark.e2e


def _agree(votenet: Votenet, votes: int) -> bool:
    done = votenet("results", "--all-nodes", "--json", exit_code=None)
    return done.returncode == 0 and f'"votes": {votes}' in done.stdout


@pytest.mark.long
def test_scenario_13_with_the_bootstrap_away_for_good_nodes_find_their_peers_again(votenet: Votenet) -> None:
    votenet("up", "--nodes", "3", "--detach", "--difficulty", "8")
    votenet("vote", "before", "Alice")
    wait_for(lambda: [votenet.programs()[f"node-{n}"]["peers"] for n in (1, 2, 3)] == [2, 2, 2], "all joined")
    votenet("stop", "bootstrap", "node-3")
    votenet("vote", "without", "Alice")
    old = votenet.kill("node-2")
    wait_for(lambda: votenet.programs()["node-2"]["pid"] not in (None, old), "node-2 runs again")
    votenet("start", "node-3")  # late: it can ask only the peers that it remembers
    wait_for(
        lambda: [votenet.programs()[f"node-{n}"]["peers"] for n in (1, 2, 3)] == [2, 2, 2],
        "they are joined without a bootstrap server",
    )
    votenet("vote", "late", "Bob", "--node", votenet.programs()["node-3"]["address"])
    wait_for(lambda: _agree(votenet, 3), "all count all votes")
    votenet("start", "bootstrap")
    addresses = {votenet.programs()[f"node-{n}"]["address"] for n in (1, 2, 3)}
    wait_for(
        lambda: {peer["address"] for peer in votenet.json("peers", "list")} == addresses,
        "the registry is whole again",
        120,
    )


def test_scenario_16_a_full_and_a_read_only_disk_have_their_causes_and_lose_nothing(tmp_path: Path) -> None:
    try:
        probe = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
        subprocess.run(probe, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a mount namespace (as root it has one): {error}")
    folder = Path(tempfile.mkdtemp(prefix="votenet-small-"))  # sockets want short paths
    try:
        done = small_disk.run_on_a_small_disk(folder)
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert "none lost" in done.stdout
