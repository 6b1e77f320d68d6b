"""`votenet results --final` and `votenet verify` of the file that it writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.elections import CREATED, make_election, named_nodes
from support.named_files import good_archives, whole_story
from votenet.cli.election.final_result import when_final

Cli = Callable[..., CommandResult]


@pytest.fixture
def result(cli: Cli, tmp_path: Path) -> Path:
    archive, path = tmp_path / "named.jsonl", tmp_path / "result.json"
    archive.write_bytes(good_archives()["whole"])
    assert cli("audit", str(archive), "--result", str(path)).code == 0
    return path


def test_verify_says_who_signed_a_final_result_and_what_is_not_counted(cli: Cli, result: Path) -> None:
    network = whole_story().file.network_hex
    done = cli("verify", str(result), "--network", network)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("The final result holds.\n")
    assert "final, signed by 4 of 5: node 0, node 1, node 2, node 3\n" in done.out
    left_out = json.loads(result.read_bytes())["not_counted"]
    assert "Accepted and not counted: " in done.out
    assert all(one["id"] in done.out for one in left_out)
    assert "The counts are the file's own word." in done.out
    alone = cli("verify", str(result)).out
    assert "(nodes that the file itself names: compare its network id)" in alone
    told = json.loads(cli("verify", str(result), "--json").out)
    assert (told["network_id"], told["not_counted"], told["compared_with"]) == (network, left_out, {})
    assert told["signed_by"] == ["node 0", "node 1", "node 2", "node 3"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"height":', b'"height":1', "wrong-totals"),
        (b'"version":1', b'"version":2', "wrong-version"),
        (b"votenet-result", b"votenet-resulx", "wrong-format"),
        (b"\n", b"", "not-canonical"),
    ],
)
def test_a_changed_final_result_is_refused(cli: Cli, result: Path, old: bytes, new: bytes, code: str) -> None:
    data = result.read_bytes()
    result.write_bytes(data.replace(old, new, 1) if code != "not-canonical" else data.replace(b":", b": ", 1))
    done = cli("verify", str(result), "--json")
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == code


def test_a_final_result_of_another_network_is_refused(cli: Cli, result: Path) -> None:
    done = cli("verify", str(result), "--network", "ab" * 32, "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (1, "network-mismatch")


def test_options_that_mean_nothing_for_a_final_result_are_said(cli: Cli, result: Path) -> None:
    assert "are for receipts" in cli("verify", str(result), "--node", "127.0.0.1:1").err
    for options in (["-o", "x"], ["--final", "--follow"], ["--final", "--json"], ["--final", "--all-nodes"]):
        assert cli("results", *options).code == 2


def test_an_election_without_named_nodes_has_no_final_result(
    cli: Cli, node: RunningNode, tmp_path: Path
) -> None:
    done = cli("results", "--final", "--node", str(node.address), "-o", str(tmp_path / "none"))
    assert done.code == 1
    assert "[not-final]" in done.err
    assert not (tmp_path / "none").exists()


def test_a_result_that_is_not_final_says_when_it_will_be() -> None:
    now = int(time.time())
    assert when_final(make_election(closes=CREATED + 3600), here=True).startswith(
        "This election is never final"
    )
    assert "no closing time" in when_final(make_election(nodes=named_nodes(4)), here=True)
    soon = make_election(created=now, nodes=named_nodes(4), closes=now + 3600)
    early = when_final(soon, here=True)
    assert early.startswith("Voting closes 2")
    assert early.endswith("Wait with: votenet wait --for final --timeout 600")
    late = when_final(make_election(created=now - 9, nodes=named_nodes(4), closes=now - 5), here=False)
    assert late.startswith("Voting closed 2")
    for told in (late, when_final(soon, here=False)):
        assert "Repeat this command" in told
        assert "votenet wait" not in told, "no supervisor is here to wait for"
