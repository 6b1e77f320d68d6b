"""`votenet watch` as typed."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from typing import Any

from tests.cli.conftest import CommandResult, RunningNode

from support.elections import make_election, named_nodes
from support.lying_node import Answer, lying_node
from support.shown_log import SignedLog, leaves

Cli = Callable[..., CommandResult]


def test_a_real_node_is_looked_at_once(cli: Cli, named_node: RunningNode) -> None:
    where = ("--node", str(named_node.address))
    assert "nothing is signed yet" in cli("watch", *where, "--once").out
    cli("vote", *where, "ann", "Alice")
    shown = cli("watch", *where, "--once")
    assert shown.code == 0
    assert "records, signed by 1 of 1, root " in shown.out
    (line,) = cli("watch", *where, "--once", "--json").out.splitlines()
    told = json.loads(line)
    assert (told["node"], told["signed_by"]) == (str(named_node.address), ["Node 0"])
    assert told["size"] == told["height"] + 2


def test_changes_are_told_until_the_logs_contradict_each_other(cli: Cli) -> None:
    election = make_election(nodes=named_nodes(4))
    logs = [SignedLog(election, leaves(5)), SignedLog(election, leaves(9))]
    logs += [SignedLog(election, leaves(12, other_from=2))]
    asked = []

    def grows(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return logs[min(len(asked) // 3, 2)].checkpoint(request)

    still: dict[str, Answer] = {"get_checkpoint": logs[0].checkpoint}
    with lying_node(election, {"get_checkpoint": grows}) as one, lying_node(election, still) as two:
        done = cli("watch", "--node", str(one), "--node", str(two), "--interval", "0.1")
    assert done.code == 1
    assert "[split-view]" in done.err
    lines = done.out.splitlines()
    assert sum(str(two) in line for line in lines) == 1, "told once, while nothing changes"
    assert any("5 records" in line for line in lines)


def test_a_log_that_is_shorter_than_one_seen_before_is_named_as_not_compared(cli: Cli) -> None:
    election = make_election(nodes=named_nodes(4))
    logs = [SignedLog(election, leaves(count, other_from=3)) for count in (12, 5)]
    answers: list[Answer] = [*(log.checkpoint for log in logs), lambda _: {"type": "checkpoint"}]
    said = []
    for answer in answers:
        with lying_node(election, {"get_checkpoint": answer}) as node:
            said.append(cli("watch", "--node", str(node), "--once").out)
    assert "not compared" not in said[0]
    assert "5 records" in said[1]
    assert "nothing is signed yet" in said[2]
    for text in said[1:]:
        assert "not compared with the 12 that were signed before" in text


def test_nodes_that_do_not_answer_are_told_and_ctrl_c_ends_it(cli: Cli) -> None:
    election = make_election(nodes=named_nodes(1))

    def interrupts(request: dict[str, Any]) -> dict[str, Any]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return {"type": "checkpoint"}

    assert cli("watch", "--node", "127.0.0.1:1", "--once").code == 1
    with lying_node(election, {"get_checkpoint": interrupts}) as node:
        assert cli("watch", "--node", str(node)).code == 130
