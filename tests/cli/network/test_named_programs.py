"""Which programs of an instance are named nodes, and when stopping some is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.elections import named_nodes
from votenet.cli.election.election_setup import prepare_genesis
from votenet.cli.network.named_programs import (
    NEVER_FINAL,
    check_quorum,
    keys_held_here,
    named_programs,
    refuse_below_quorum,
    who_decides,
)
from votenet.config import InstanceDirs
from votenet.core.election.definition import Election
from votenet.errors import Command, VotenetError
from votenet.storage.genesis_file import read_genesis

AGAIN = Command("stop", "node-1", "--force")


def instance(tmp_path: Path, nodes: int = 5, **options: Any) -> tuple[InstanceDirs, Election]:
    dirs = InstanceDirs("test", tmp_path / "state", tmp_path / "run", tmp_path / "keys")
    asked = dict.fromkeys(("title", "candidates_from", "choice_column", "max_choices", "genesis"))
    made = prepare_genesis(
        dirs,
        **{"candidates": (), "difficulty": 8, "nodes": nodes, "named_nodes": True, **asked, **options},
        say=lambda text: None,
    )
    return dirs, read_genesis(made)


def status(dirs: InstanceDirs, *states: str) -> dict[str, Any]:
    programs = [{"name": f"node-{n}", "state": state} for n, state in enumerate(states, start=1)]
    return {"genesis": str(dirs.genesis), "programs": [{"name": "bootstrap", "state": "ready"}, *programs]}


def test_the_programs_whose_keys_are_in_the_definition_are_named(tmp_path: Path) -> None:
    dirs, election = instance(tmp_path)
    assert named_programs(dirs, election) == {f"node-{n}" for n in range(1, 6)}
    other, _ = instance(tmp_path / "b")
    assert named_programs(other, election) == set()
    (dirs.data_dir("node-2") / "node.key").write_text("damaged")
    assert named_programs(dirs, election) == {"node-1", "node-3", "node-4", "node-5"}


def test_stopping_is_refused_where_too_few_would_go_on(tmp_path: Path) -> None:
    dirs, _ = instance(tmp_path)
    up = status(dirs, *["ready"] * 5)
    check_quorum(dirs, up, ["node-1"], AGAIN)
    check_quorum(dirs, up, ["bootstrap", "nothing-*"], AGAIN)
    for names in (["node-1", "node-2"], ["node-*"]):
        with pytest.raises(VotenetError) as refused:
            check_quorum(dirs, up, names, AGAIN)
        assert refused.value.code == "no-quorum"
        assert "fewer than 4 of 5 named nodes: votes are received and saved, none becomes final" in str(
            refused.value.message
        )
        assert "votenet stop node-1 --force" in str(refused.value.next_step)
    check_quorum(dirs, status(dirs, "stopped", *["ready"] * 4), ["node-1"], AGAIN)
    check_quorum(dirs, status(dirs, "stopped", "stopped", *["ready"] * 3), ["node-2"], AGAIN)
    with pytest.raises(VotenetError):
        check_quorum(dirs, status(dirs, "stopped", *["ready"] * 4), ["node-2"], AGAIN)


def test_relays_may_stop_and_named_nodes_elsewhere_are_thought_to_be_up(tmp_path: Path) -> None:
    dirs, election = instance(tmp_path)
    check_quorum(dirs, status(dirs, *["ready"] * 8), ["node-6", "node-7", "node-8"], AGAIN)
    here = {"node-1", "node-2"}
    refuse_below_quorum(election, here, here, {"node-1"}, AGAIN)
    with pytest.raises(VotenetError):
        refuse_below_quorum(election, here, here, set(), AGAIN)


def test_without_named_nodes_nothing_is_refused(tmp_path: Path) -> None:
    dirs, election = instance(tmp_path, named_nodes=False)
    check_quorum(dirs, status(dirs, *["ready"] * 5), ["node-*"], AGAIN)
    assert who_decides(dirs, election, ["node-1"]) == NEVER_FINAL


def test_an_organiser_is_told_who_decides(tmp_path: Path) -> None:
    dirs, election = instance(tmp_path)
    names = [f"node-{n}" for n in range(1, 6)]
    assert who_decides(dirs, election, names) == "5 named nodes: 4 must agree, 1 may be down or lie"
    assert who_decides(dirs, election, [*names, "node-6"]).endswith("; 1 more relay")
    elsewhere = InstanceDirs("b", tmp_path / "b", tmp_path / "run", tmp_path / "keys")
    assert who_decides(elsewhere, election, ["node-1", "node-2"]).endswith(
        "; none of them run here; 2 more relays"
    )
    assert election.named == len(named_nodes(5))


def test_an_organiser_is_told_where_the_keys_are(tmp_path: Path) -> None:
    dirs, election = instance(tmp_path, nodes=2)
    path = dirs.state / "authority.key"
    assert keys_held_here(dirs, election) == (
        f"all in one hand: those of the nodes, and that of the authority, {path}"
    )
    (dirs.data_dir("node-2") / "node.key").unlink()
    assert keys_held_here(dirs, election) == f"that of the authority is here: {path}"
    other, another = instance(tmp_path / "b", nodes=2)
    assert keys_held_here(dirs, another) == "", "the key of another election"
    (other.state / "authority.key").unlink()
    assert keys_held_here(other, another) == ""
    courses, open_to_all = instance(tmp_path / "c", named_nodes=False)
    assert keys_held_here(courses, open_to_all) == "", "amendments need named nodes"
