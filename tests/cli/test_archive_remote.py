"""`votenet export --node`: the same archive as from the node's own folder, over the wire."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Outcome, RunningNode

from support import make_election

Cli = Callable[..., Outcome]


def test_a_chain_fetched_from_a_node_is_the_chain_in_its_folder(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    where = ("--node", str(node.address))
    for voter, choice in (("a1", "Alice"), ("a2", "Bob"), ("a3", "Bob")):
        cli("vote", *where, voter, choice)
    path = tmp_path / "election.jsonl"
    done = cli("export", *where, "--genesis", str(node.genesis), "-o", str(path))
    assert done.code == 0, done.err
    assert f"{node.address}: 100%" in done.err
    own = ("--data-dir", str(node.genesis.parent / "data"), "--genesis", str(node.genesis))
    assert path.read_text(encoding="utf-8") == cli("export", *own).out
    assert cli("audit", str(path)).code == 0


def test_what_cannot_be_fetched_leaves_no_file(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    path, other = tmp_path / "election.jsonl", tmp_path / "other.json"
    other.write_bytes(make_election(title="Another").to_file())
    where = ("--node", str(node.address), "-o", str(path))
    assert "[network-mismatch]" in cli("export", *where, "--genesis", str(other)).err
    assert cli("export", *where, "--data-dir", str(tmp_path)).code == 2
    assert "[bad-address]" in cli("export", "--node", "nonsense", "-o", str(path)).err
    assert not path.exists()
