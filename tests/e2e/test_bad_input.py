"""What a user types wrongly gets a code, a reason and a next step, and starts nothing by half."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "command",
    [("vote", "v", "Alice"), ("results",), ("status",), ("ps",), ("replay", "minneapolis-2013")],
    ids=lambda command: command[0],
)
def test_without_a_network_every_command_says_how_to_start_one(
    votenet: Votenet, command: tuple[str, ...]
) -> None:
    done = votenet(*command, exit_code=3)
    assert "votenet up" in done.stderr
    assert done.stdout == ""


def test_errors_are_json_for_programs(votenet: Votenet) -> None:
    done = votenet("results", "--json", exit_code=3)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "not-running"
    assert "votenet up" in error["next_step"]


def test_a_mistyped_command_is_guessed(votenet: Votenet) -> None:
    assert "Did you mean 'results'?" in votenet("result", exit_code=2).stderr


def test_an_unknown_candidate_lists_the_candidates(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    done = votenet("vote", "v", "Zorro", exit_code=1)
    assert "unknown-candidate" in done.stderr
    assert "Alice, Bob, Charlie" in done.stderr
    assert votenet.json("keys", "list") == []  # nothing was made for a vote that cannot be
    assert "bad-choices" in votenet("vote", "v", "Alice", "Bob", exit_code=1).stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--title", "t" * 201), "1 too many"),
        (("--candidate", "Ann", "--candidate", "c" * 300), "candidate 2"),
        (("--candidate", "Ann", "--candidate", ""), "candidate 2 is empty"),
        (("--candidate", "Ann", "--candidate", "Bo "), "candidate 2, 'Bo ', has a space at its end"),
        (("--candidate", "Ann\u202e", "--candidate", "Bo"), "candidate 1"),
        (("--candidates-from", "{csv}"), "candidate 2"),
        (("--max-choices", "3"), "--method approval"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_an_election_that_no_node_takes_is_refused_before_it_is_written(
    votenet: Votenet, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    csv = tmp_path / "ballots.csv"
    csv.write_text("choice\nAnn\n" + "n" * 201 + "\n", encoding="utf-8")
    options = tuple(option.format(csv=csv) for option in options)
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


def test_a_node_refuses_folders_and_files_it_cannot_use(votenet: Votenet, tmp_path: Path) -> None:
    missing = votenet(
        "node", "--data-dir", str(tmp_path / "d"), "--genesis", str(tmp_path / "no"), exit_code=78
    )
    assert "bad-genesis" in missing.stderr
    genesis = tmp_path / "genesis.json"
    genesis.write_text('{"title": 5}')
    assert "bad-genesis" in votenet(
        "node", "--data-dir", str(tmp_path / "d"), "--genesis", str(genesis), exit_code=78
    ).stderr  # fmt: skip
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    good = votenet.home / "default" / "genesis.json"
    (tmp_path / "file").write_text("")
    in_file = str(tmp_path / "file" / "data")
    refused = votenet("node", "--data-dir", in_file, "--genesis", str(good), exit_code=78)
    assert "bad-directory" in refused.stderr
    read_only = votenet("node", "--data-dir", "/proc/votenet", "--genesis", str(good), exit_code=78)
    assert "bad-directory" in read_only.stderr


def test_a_second_copy_of_a_node_exits_75(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    home = votenet.home / "default"
    done = votenet(
        "node", "--data-dir", str(home / "node-1"), "--genesis", str(home / "genesis.json"), "--port", "1",
        exit_code=75,
    )  # fmt: skip
    pid = votenet.programs()["node-1"]["pid"]
    assert f"in use by pid {pid}" in done.stderr


def test_an_unknown_kernel_lists_the_right_ones(votenet: Votenet) -> None:
    votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    home = votenet.home / "default"
    done = votenet(
        "node", "--data-dir", str(votenet.home / "x"), "--genesis", str(home / "genesis.json"),
        "--kernel", "abacus", exit_code=78,
    )  # fmt: skip
    assert "no-such-kernel" in done.stderr
    assert "python" in done.stderr


@pytest.mark.parametrize("address", ["nonsense", "host:0", "host:70000", "[::1:3000"])
def test_a_wrong_address_is_told(votenet: Votenet, address: str) -> None:
    assert "bad-address" in votenet("results", "--node", address, exit_code=1).stderr


def test_broken_csv_lines_are_counted_shown_and_passed_over(votenet: Votenet, tmp_path: Path) -> None:
    ballots = tmp_path / "ballots.csv"
    ballots.write_bytes(
        b"member,choice\n"
        b"m1,Alice\n"
        b"m2\n"
        b'm3,"Bob\n'
        b"m4,\xff\n"
        b",Alice\n"
        b"m5,Zorro\n"
        b"m6,\n"
        b"m1,Bob\n"
        b"m7," + b"x" * 100_000 + b"\n"
        b"m8,Charlie\n"
    )
    votenet("up", "--nodes", "2", "--detach", "--difficulty", "8")
    options = ("--voter-column", "member", "--choice", "choice")
    summary = votenet.json("replay", str(ballots), *options, exit_code=1)
    assert (summary["read"], summary["accepted"]) == (10, 2)
    assert summary["refused"] == {"bad-csv-line": 6, "unknown-candidate": 1, "already-voted": 1}
    assert summary["examples"]["bad-csv-line"][0].startswith("line 3: ")
    assert votenet.json("results")["counts"] == {"Alice": 1, "Bob": 0, "Charlie": 1}
    assert "no-such-column" in votenet("replay", str(ballots), "--choice", "nope", exit_code=78).stderr
    assert "bad-ballot-file" in votenet("replay", str(tmp_path / "none.csv"), exit_code=78).stderr
