"""`votenet vote` as typed."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.conftest import Outcome, RunningNode


def test_the_receipt_for_people_and_for_programs(cli: Callable[..., Outcome], node: RunningNode) -> None:
    done = cli("vote", "--node", str(node.address), "cli-1", "Alice", "Bob")
    assert done.code == 0
    for word in ("Vote counted.", "cli-1", "Alice > Bob", "vote id", "height", "confirmations"):
        assert word in done.out
    receipt = json.loads(cli("vote", "--node", str(node.address), "cli-2", "Bob", "--json").out)
    assert receipt["state"] == "in_block"
    assert len(receipt["vote_id"]) == len(receipt["block"]) == 64


def test_not_waiting_returns_once_accepted(cli: Callable[..., Outcome], node: RunningNode) -> None:
    receipt = json.loads(
        cli("vote", "--node", str(node.address), "cli-3", "Bob", "--wait", "0", "--json").out
    )
    assert receipt["state"] in ("accepted", "in_block")


def test_s10_a_second_vote_says_when_and_in_which_block(
    cli: Callable[..., Outcome], node: RunningNode
) -> None:
    cli("vote", "--node", str(node.address), "cli-4", "Bob")
    second = cli("vote", "--node", str(node.address), "cli-4", "Alice")
    assert second.code == 1
    assert second.out == ""
    assert "'cli-4' has already voted: 20" in second.err
    assert " UTC, in block " in second.err


def test_help_teaches(cli: Callable[..., Outcome]) -> None:
    shown = cli("vote", "--help")
    assert shown.code == 0
    assert "votenet vote voter123 Alice" in shown.out


def test_a_candidate_is_required(cli: Callable[..., Outcome]) -> None:
    assert cli("vote", "somebody").code == 2
