"""`votenet receipt` and `votenet verify` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Outcome, RunningNode

from archive_support import tampered_receipts

Cli = Callable[..., Outcome]


def test_a_receipt_of_a_counted_vote_holds_offline(cli: Cli, node: RunningNode, tmp_path: Path) -> None:
    where = ("--node", str(node.address))
    voted = json.loads(cli("vote", *where, "p1", "Alice", "Bob", "--json").out)
    path = tmp_path / "receipt.json"
    done = cli("receipt", *where, "p1", "-o", str(path))
    assert (done.code, done.err) == (0, "")
    assert f"votenet verify {path}" in done.out
    report = json.loads(cli("verify", str(path), "--network", voted["network_id"], "--json").out)
    for name in ("voter_id", "choices", "vote_id", "network_id", "time", "block", "height", "position"):
        assert report[name] == voted[name]
    shown = cli("verify", str(path)).out
    assert shown.startswith("The receipt holds.")
    assert "Alice > Bob" in shown
    assert cli("receipt", *where, "p1").out == path.read_text(encoding="utf-8")


def test_a_vote_that_is_nowhere_has_no_receipt(cli: Cli, node: RunningNode) -> None:
    done = cli("receipt", "--node", str(node.address), "nobody")
    assert (done.code, done.out) == (1, "")
    assert "[not-found]" in done.err


def test_a_tampered_receipt_is_refused_with_the_reason(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(tampered_receipts()["path-cut"][1])
    done = cli("verify", str(path), "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "bad-merkle-path"
    assert "[bad-merkle-path]" in done.err
    assert cli("verify", str(tmp_path / "none")).code == 78
