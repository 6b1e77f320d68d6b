"""What a user types wrongly gets a code, a reason and a next step, and starts nothing by half."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e


def test_without_a_network_every_command_says_how_to_start_one(votenet: Votenet) -> None:
    for command in ("vote v Alice", "results", "status", "ps", "replay minneapolis-2013"):
        done = votenet(*command.split(), exit_code=3)
        assert "votenet up" in done.stderr
        assert done.stdout == ""
    error = json.loads(votenet("results", "--json", exit_code=3).stdout)["error"]
    assert error["code"] == "not-running"
    assert "votenet up" in error["next_step"]
    assert "Did you mean 'results'?" in votenet("result", exit_code=2).stderr


def test_one_network_refuses_whatever_it_cannot_use(votenet: Votenet, tmp_path: Path) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    home = votenet.home / "default"
    good = str(home / "genesis.json")

    # 1. Votes for candidates that it does not have.
    done = votenet("vote", "v", "Zorro", exit_code=1)
    assert "unknown-candidate" in done.stderr
    assert "Alice, Bob, Charlie" in done.stderr
    assert votenet.json("keys", "list") == []  # nothing was made for a vote that cannot be
    assert "bad-choices" in votenet("vote", "v", "Alice", "Bob", exit_code=1).stderr

    # 2. Nodes in folders that cannot be theirs.
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "data", Path("/proc/votenet")):
        refused = votenet("node", "--data-dir", str(folder), "--genesis", good, exit_code=78)
        assert "bad-directory" in refused.stderr

    # 3. A second copy of a node, and one with a kernel that there is not.
    again = votenet(
        "node", "--data-dir", str(home / "node-1"), "--genesis", good, "--port", "1", exit_code=75
    )
    assert f"in use by pid {votenet.programs()['node-1']['pid']}" in again.stderr
    abacus = votenet(
        "node", "--data-dir", str(votenet.home / "x"), "--genesis", good, "--kernel", "abacus", exit_code=78
    )
    assert "no-such-kernel" in abacus.stderr
    assert "python" in abacus.stderr


def test_an_election_that_no_node_takes_is_refused_before_it_is_written(
    votenet: Votenet, tmp_path: Path
) -> None:
    csv = tmp_path / "ballots.csv"
    csv.write_text("choice\nAnn\n" + "n" * 201 + "\n", encoding="utf-8")
    for options, says in (
        (("--title", "t" * 201), "1 too many"),
        (("--candidate", "Ann", "--candidate", "c" * 300), "candidate 2"),
        (("--candidate", "Ann", "--candidate", ""), "candidate 2 is empty"),
        (("--candidate", "Ann", "--candidate", "Bo "), "candidate 2, 'Bo ', has a space at its end"),
        (("--candidate", "Ann\u202e", "--candidate", "Bo"), "candidate 1"),
        (("--candidates-from", str(csv)), "candidate 2"),
        (("--max-choices", "3"), "--method block or approval"),
    ):
        done = votenet("up", "--detach", "--nodes", "1", *options, exit_code=78)
        assert "[bad-genesis]" in done.stderr
        assert says in done.stderr
        assert list(votenet.home.rglob("genesis.json*")) == []
    assert votenet("up", "--nodes", "1", "--dry-run").returncode == 0, "nothing has to be purged first"


def test_a_taken_port_names_its_holder(votenet: Votenet, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = votenet("bootstrap", "--port", port, "--data-dir", str(tmp_path / "b"), exit_code=75)
    assert f"port {port} is taken by pid" in done.stderr
    assert "port-taken" in done.stderr


def test_a_node_refuses_a_genesis_file_that_is_none(votenet: Votenet, tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text('{"title": 5}')
    for path in (tmp_path / "no", genesis):
        done = votenet("node", "--data-dir", str(tmp_path / "d"), "--genesis", str(path), exit_code=78)
        assert "bad-genesis" in done.stderr


def test_a_wrong_address_is_told(votenet: Votenet) -> None:
    for address in ("nonsense", "host:0", "host:70000", "[::1:3000"):
        assert "bad-address" in votenet("results", "--node", address, exit_code=1).stderr


def test_a_file_with_a_bad_ballot_is_cast_in_part_only_on_demand(votenet: Votenet, tmp_path: Path) -> None:
    ballots = tmp_path / "ballots.csv"
    ballots.write_bytes(
        b"member,choice\nm1,Alice\nm2\nm5,Zorro\nm6,\nm1,Bob\nm7," + b"x" * 10_000 + b"\nm8,Charlie\n"
    )
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    options = ("--voter-column", "member", "--choice", "choice")
    refused = votenet("replay", str(ballots), *options, exit_code=1)
    assert "nothing is cast: line 4, column 2: 'Zorro' is no candidate (and 2 more faults)" in refused.stderr
    assert votenet.counts() == {"Alice": 0, "Bob": 0, "Charlie": 0}
    summary = votenet.json("replay", str(ballots), *options, "--partial", exit_code=1)
    assert (summary["read"], summary["accepted"]) == (5, 2)
    assert summary["refused"] == {"bad-ballot": 3}
    assert summary["examples"]["bad-ballot"][0].startswith("line 4: column 2: ")
    assert votenet.counts() == {"Alice": 1, "Bob": 0, "Charlie": 1}
    assert "no-such-column" in votenet("replay", str(ballots), "--choice", "nope", exit_code=78).stderr
    assert "bad-ballot-file" in votenet("replay", str(tmp_path / "none.csv"), exit_code=78).stderr
