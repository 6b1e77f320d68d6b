"""`votenet blocks` as typed."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable

from tests.cli.conftest import CommandResult, RunningNode

from votenet.cli.network import blocks as module
from votenet.client.block_list import ShownChain

Cli = Callable[..., CommandResult]


def test_a_node_that_mines_alone_has_found_every_block(cli: Cli, node: RunningNode) -> None:
    where = ("--node", str(node.address))
    cli("vote", *where, "ann", "Alice")
    shown = cli("blocks", *where)
    assert shown.code == 0
    heading, genesis, first, *rest = [line.split() for line in shown.out.splitlines()]
    assert heading == ["block", "time", "hash", "votes", "found", "by", "work", "what"]
    assert genesis[-1] == "genesis"
    assert first[0] == "1"
    assert " ".join(rest[-1]).startswith("Final: never final")
    told = json.loads(cli("blocks", *where, "--json", "--last", "1").out)
    (block,) = told["blocks"]
    assert block["tip_of"] == block["found_by"] == [told["nodes"][0]["name"]]
    assert (block["best"], block["final"], block["signed_by"]) == (True, False, [])


def test_a_named_node_signs_what_it_decides(cli: Cli, named_node: RunningNode) -> None:
    where = ("--node", str(named_node.address))
    cli("vote", *where, "bo", "Alice")
    shown = cli("blocks", *where, "--all-nodes")
    assert shown.code == 0
    assert shown.out.splitlines()[-1] == "Final up to block 1, signed by 1 of 1: Node 0."
    block = json.loads(cli("blocks", *where, "--json").out)["blocks"][1]
    assert (block["found_by"], block["signed_by"], block["round"]) == (["Node 0"], ["Node 0"], 0)
    assert (block["votes"], block["final"]) == (1, True)


def test_it_is_followed_until_ctrl_c(cli: Cli, node: RunningNode, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    looks: list[ShownChain] = []
    real = module.block_events

    def events(before, chain, bodies, election):  # type: ignore[no-untyped-def]
        looks.append(chain)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        yield from real(before, chain, bodies, election)

    monkeypatch.setattr(module, "block_events", events)
    where = ("--node", str(node.address))
    done = cli("blocks", *where, "--follow", "--json")
    assert done.code == 130
    told = [json.loads(line) for line in done.out.splitlines()]
    assert {one["event"] for one in told} <= {"block"}
    assert len(looks) == 1


def test_what_cannot_be_is_refused(cli: Cli, node: RunningNode) -> None:
    assert cli("blocks", "--follow", "--all-nodes", "--node", str(node.address)).code == 2
    gone = cli("blocks", "--node", "127.0.0.1:1")
    assert gone.code == 1
    assert gone.out == ""
    assert "[unreachable]" in gone.err
