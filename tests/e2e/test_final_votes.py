"""From a vote to its final receipt with four named nodes, two of which are stopped on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Votenet

from votenet.core.log.tlog_proof import parse_proof

VERIFIER = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"


def test_a_vote_is_received_while_nodes_are_down_and_final_when_they_are_back(
    votenet: Votenet, tmp_path: Path
) -> None:
    ann, bo, again = tmp_path / "ann.json", tmp_path / "bo.json", tmp_path / "again.json"
    votenet("up", "--detach", "--nodes", "4", "--named-nodes")
    votenet("wait", "--for", "ready")
    # 1. All four are up: three signatures make it final, and nobody calls it so before.
    done = votenet("vote", "ann", "Alice", "--receipt", str(ann))
    assert done.stdout.startswith("Your vote is final, signed by ")
    assert " of 4:" in done.stderr
    assert json.loads(ann.read_text())["proof"]
    network = ("--network", votenet.json("results")["network_id"])
    # 2. Two of four are down: no quorum. The vote is received, and stays so.
    votenet("stop", "--force", "node-3", "node-4")
    late = votenet("vote", "bo", "Bob", "--wait", "6", "--receipt", str(bo), exit_code=5)
    assert "Received by 2 of 4: wait for final, or for 4 of 4. Not final yet." in late.stdout
    assert "[not-final-yet]" in late.stderr
    report = votenet.json("verify", str(bo), *network)
    assert (report["final"], len(report["received_by"])) == (False, 2)
    assert "[not-final]" in votenet("receipt", "--upgrade", str(bo), exit_code=1).stderr
    lost = votenet("receipt", "bo", "-o", str(again))
    assert "Not final yet: received by 2 of 4: wait for final, or for 4 of 4." in lost.stderr
    assert f"votenet receipt --upgrade {again}" in lost.stdout
    assert len(votenet.json("verify", str(again), *network)["received_by"]) == 2
    assert votenet.json("results")["votes"] == 1
    told = votenet("ps").stdout
    assert "FINAL" in told
    assert "Final: up to block 1; 2 of 4 named nodes are connected, 3 must agree." in told
    assert "named nodes" in votenet("doctor", exit_code=1).stdout
    early = votenet("wait", "--for", "results", "--timeout", "1", exit_code=5).stderr
    assert "votes still wait for their block after 1 s" in early
    assert "2 of 4 named nodes are connected, 3 must agree" in early
    assert "[never-final]" in votenet("wait", "--for", "final", exit_code=1).stderr
    # 3. They are back: the same receipt becomes final.
    votenet("start", "node-3", "node-4")
    votenet("wait", "--for", "results")
    for receipt in (bo, again):
        assert "proof that the vote is final" in _upgraded(votenet, receipt)
    report = votenet.json("verify", str(bo), *network)
    assert (report["final"], len(report["signed_by"]) >= 3) == (True, True)
    # 4. One log for everybody: receipts of both, all nodes, the archive, and another program's check of it.
    assert "one log" in votenet("compare", str(ann), str(bo)).stdout
    watched = [json.loads(line) for line in votenet("watch", "--once", "--json").stdout.splitlines()]
    assert len({(told["size"], told["root"]) for told in watched}) == 1
    assert votenet.json("results", "--all-nodes")["agree"] is True
    proof = tmp_path / "bo.tlog-proof"
    votenet("receipt", "bo", "--tlog-proof", "-o", str(proof))
    assert parse_proof(proof.read_text(encoding="utf-8")).path
    archive = tmp_path / "election.jsonl"
    votenet("export", "-o", str(archive))
    audit = votenet.json("audit", str(archive), *network)
    assert (audit["votes"], len(audit["signed_by"]) >= 3) == (2, True)
    for kind, file in (("archive", archive), ("receipt", bo)):
        subprocess.run(
            [sys.executable, str(VERIFIER), kind, str(file)], check=True, stdout=subprocess.DEVNULL
        )


def _upgraded(votenet: Votenet, file: Path) -> str:
    for _ in range(50):
        done = votenet("receipt", "--upgrade", str(file), exit_code=None)
        if done.returncode == 0:
            return done.stdout
        assert "[not-final]" in done.stderr
    return done.stdout + done.stderr
