"""`votenet compare` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.elections import TRIVIAL_BITS, Ledger, make_election, make_vote, named_nodes
from support.lying_node import Answer, lying_node
from support.shown_log import SignedLog, leaves
from votenet.core.election.definition import Election
from votenet.core.log.merkle import merkle_path
from votenet.core.records.receipt import encode_receipt, make_final_receipt, make_receipt

Cli = Callable[..., CommandResult]
ELECTION = make_election(nodes=named_nodes(4))
ANN, BO = make_vote(ELECTION, "ann"), make_vote(ELECTION, "bo", "Bob")
BOTH = [*leaves(1), ANN.id, BO.id]


def final(path: Path, voter: int, leaf_hashes: list[bytes], election: Election = ELECTION) -> SignedLog:
    """A receipt of ann (leaf 1) or bo (leaf 2) in this log."""
    log = SignedLog(election, leaf_hashes)
    vote = (ANN, BO)[voter - 1].vote
    path.write_bytes(encode_receipt(make_final_receipt(election, vote, log.proof_of(voter))))
    return log


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "a.json", tmp_path / "b.json"


def test_receipts_of_one_size_are_compared_offline(cli: Cli, files: tuple[Path, Path]) -> None:
    a, b = files
    final(a, 1, [*BOTH, *leaves(5)])
    final(b, 2, [*BOTH, *leaves(5)])
    done = cli("compare", str(a), str(b))
    assert (done.code, done.out) == (0, "Both receipts are of one log of 8 records.\n")
    assert json.loads(cli("compare", str(a), str(b), "--json").out)["sizes"] == [8, 8]
    final(b, 2, [*BOTH, *leaves(5, other_from=3)])
    done = cli("compare", str(a), str(b))
    assert (done.code, done.out) == (1, "")
    assert "[split-view]" in done.err
    proof = done.err.split("votenet evidence verify ")[1].split()[0]
    assert cli("evidence", "verify", proof).code == 0


def test_a_node_shows_how_the_smaller_log_grew_into_the_larger(cli: Cli, files: tuple[Path, Path]) -> None:
    a, b = files
    final(a, 1, BOTH)
    final(b, 2, [*BOTH, *leaves(5)])
    good = SignedLog(ELECTION, [*BOTH, *leaves(9)])
    split = SignedLog(ELECTION, [*leaves(1, other_from=0), *BOTH[1:], *leaves(9)])
    for log, code in ((good, 0), (split, 1)):
        answers: dict[str, Answer] = {"get_checkpoint": log.checkpoint}
        with lying_node(ELECTION, answers) as node:
            done = cli("compare", str(b), str(a), "--node", str(node))
        assert done.code == code
        if code:
            assert "[split-view]" in done.err
        else:
            assert done.out == (
                f"Both receipts are of one log: that of 8 records continues that of 3, as {node} has shown.\n"
            )
    assert cli("compare", str(a), str(b)).code == 3, "no network runs here that could show it"


def test_receipts_of_other_elections_or_of_no_log_are_refused(
    cli: Cli, files: tuple[Path, Path], named_node: RunningNode
) -> None:
    a, b = files
    final(a, 1, BOTH)
    cli("vote", "--node", str(named_node.address), "ann", "Alice", "--receipt", str(b))
    assert "[network-mismatch]" in cli("compare", str(a), str(b)).err


def branch(path: Path, ledger: Ledger, election: Election, voter: str) -> None:
    vote = make_vote(election, voter)
    block = ledger.grow(vote)
    headers = [entry.header.pack().hex() for entry in ledger.chain.best[1:]]
    where: dict[str, Any] = {"position": 0, "size": 1, "path": merkle_path([block.votes[0].id], 0)}
    path.write_bytes(encode_receipt(make_receipt(election, vote.vote, headers, **where)))


def test_without_named_nodes_two_branches_are_told_apart(cli: Cli, files: tuple[Path, Path]) -> None:
    a, b = files
    election = make_election(bits=TRIVIAL_BITS)
    ledger = Ledger(election)
    branch(a, ledger, election, "ann")
    branch(b, ledger, election, "bo")
    done = cli("compare", str(a), str(b))
    assert (done.code, done.out) == (0, "Both receipts are of one chain, up to block 1. Neither is final.\n")
    branch(b, Ledger(election), election, "bo")
    assert "[abandoned]" in cli("compare", str(a), str(b)).err
