"""A program that watches an election through the death of the node that it asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

import votenet as package
from votenet.client import VoteMoved

pytestmark = pytest.mark.e2e


def test_a_watch_and_a_vote_go_on_when_the_node_they_use_is_gone(
    votenet: Votenet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(votenet.home))  # where the network is remembered
    votenet("up", "--nodes", "3", "--detach")
    programs = votenet.programs()
    first = programs["node-1"]["address"]
    with package.connect(first, discover=True, keys=tmp_path / "keys") as election:
        assert str(election.node) == first
        events = election.watch("voter123", interval=0.05)
        assert {type(next(events)).__name__ for _ in range(2)} == {"BlockAdded", "VoteMoved"}
        votenet("stop", "node-1", "--timeout", "1")
        cast = election.cast("voter123", "Alice")
        assert cast.state == "final"
        assert cast.node in {programs[name]["address"] for name in ("node-2", "node-3")}
        moved = next(one for one in events if isinstance(one, VoteMoved) and one.state == "final")
        assert (moved.block, moved.vote_id) == (cast.block, cast.vote_id)
        assert election.receipt("voter123").vote.voter_id == "voter123"
