"""`votenet doctor --network`: one sentence for each problem of a network, with what to do about it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult

from support.elections import make_election, named_nodes
from support.page import serving
from support.posed_nodes import GIB, PosedNode, final_results, listed, posed, posed_server
from support.tls import certificate
from votenet.cli.network.finding import LEAVES_LISTS, Finding
from votenet.cli.network.network_doctor import network_findings, own_clock
from votenet.client.network_view import NetworkView, SeenServer, WayIn, look_at_network
from votenet.errors import StorageError
from votenet.protocol.wire.address import Address

ELECTION = make_election(nodes=named_nodes(4))
DAY, HOUR = 86_400, 3_600
MIB = 2**20


def named() -> list[PosedNode]:
    return [PosedNode(ELECTION, index, seed=index + 1) for index in range(4)]


def examine(nodes: list[PosedNode], *down: int, others: tuple[PosedNode, ...] = ()) -> list[Finding]:
    """What is found of these nodes through a bootstrap server; those that are `down` are only listed."""
    up = [node for place, node in enumerate(nodes) if place not in down]
    with posed(*up, *others), posed_server(lambda: [listed(one) for one in (*nodes, *others)]) as server:
        view = asyncio.run(look_at_network(WayIn(ELECTION, (), (server,))))
    return network_findings(view, "")


def problems(found: list[Finding]) -> dict[str, str]:
    """Sentences of problems, by what they are about; each has a next step."""
    assert all(one.next_step for one in found if one.state == "problem"), found
    wrong = [one for one in found if one.state == "problem"]
    assert len({one.what for one in wrong}) == len(wrong), "one sentence for each problem"
    return {one.what: one.found for one in wrong}


def test_a_network_that_is_well_has_no_problem() -> None:
    found = examine(named())
    assert problems(found) == {}
    last = {one.what: one.found for one in found}
    told = r"up at .*, version 0.2.0, block 7, final up to 7, clock .*s, 50.0 GiB free"
    assert re.fullmatch(told, last["Node 0"])
    assert last["named nodes"] == (
        "4 of 4 named nodes answer, 3 must agree: 1 more named node may fail; final up to block 7"
    )
    assert last["versions"] == "all nodes that answer run 0.2.0"
    assert ELECTION.network_hex in last["network"]


def test_a_node_that_is_down_and_how_many_more_may_fail() -> None:
    nodes = named()
    wrong = problems(examine(nodes, 2))
    assert wrong.keys() == {"Node 2"}
    assert str(nodes[2].address) in wrong["Node 2"]
    assert wrong["Node 2"].endswith("No other named node may fail")


def test_too_few_named_nodes_make_nothing_final() -> None:
    wrong = problems(examine(named(), 1, 2))
    assert wrong.keys() == {"Node 1", "Node 2", "named nodes"}
    assert "2 of 4 named nodes answer, 3 must agree. Too few: " in wrong["named nodes"]
    assert wrong["named nodes"].endswith("1 more named node must take part before anything becomes final")
    assert "must take part" not in wrong["Node 1"]


def test_before_the_first_start_each_node_is_told_in_a_few_words() -> None:
    with posed_server(list) as server:
        found = network_findings(asyncio.run(look_at_network(WayIn(ELECTION, (), (server,)))), "")
    wrong = problems(found)
    assert wrong["Node 1"] == "not started yet, or gone: no bootstrap server lists it"
    assert wrong["named nodes"] == (
        "0 of 4 named nodes answer, 3 must agree. What is final is not known. "
        "3 more named nodes must take part before anything becomes final"
    )


def test_behind_the_final_result_what_is_off_is_no_problem() -> None:
    nodes = named()
    restored = {"code": "restored", "message": "It decides nothing yet."}
    alone = {"code": "cut-off", "message": "This node is cut off."}
    nodes[0].changes = {"warnings": [restored, alone]}
    nodes[0].peers = [one.address for one in nodes]
    with posed(nodes[0]):
        way = WayIn(ELECTION, (nodes[0].address,), (Address("127.0.0.1", 1),))
        view = asyncio.run(look_at_network(way))
    wrong = {one.what for one in network_findings(view, "") if one.state == "problem"}
    assert wrong >= {"bootstrap 127.0.0.1:1", "Node 0", "Node 1", "named nodes"}
    found = network_findings(dataclasses.replace(view, results=final_results()), "")
    assert problems(found) == {}
    (told,) = (one.found for one in found if one.what == "named nodes")
    assert told.endswith("the result is final; once it is exported, nodes may be stopped")


def test_a_restored_node_that_leaves_closing_lists_to_the_others_is_noted_and_no_problem() -> None:
    nodes = named()
    nodes[1].changes = {"finality": nodes[1].status()["finality"] | {"leaves_lists": True}}
    found = examine(nodes)
    assert problems(found) == {}
    up, noted = (one for one in found if one.what == "Node 1")
    assert (up.state, noted.state) == ("ok", "note")
    assert noted.found == LEAVES_LISTS


def test_a_node_that_answers_and_decides_nothing_counts_as_down() -> None:
    nodes = named()
    restored = [{"code": "restored", "message": "This node was restored from a backup."}]
    nodes[1].changes = {"warnings": restored}
    found = examine(nodes)
    assert problems(found) == {"Node 1": "This node was restored from a backup."}
    assert next(one.next_step for one in found if one.what == "Node 1").startswith("Nothing has to be done")
    told = next(one for one in found if one.what == "named nodes")
    assert told.state == "ok"
    assert told.found.startswith(
        "4 of 4 named nodes answer, 3 take part, 3 must agree: no other named node may fail; "
    )
    nodes[2].changes = {"warnings": [{"code": "cannot-save", "message": "The disk is full."}]}
    wrong = problems(examine(nodes))
    assert "4 of 4 named nodes answer, 2 take part, 3 must agree. Too few: " in wrong["named nodes"]


def test_two_processes_with_one_key_count_as_none() -> None:
    twin = PosedNode(ELECTION, 2, seed=99)
    found = examine(named(), others=(twin,))
    (told,) = (one.found for one in found if one.what == "named nodes")
    assert told.startswith("4 of 4 named nodes answer, 3 take part, ")


def test_named_nodes_that_answer_and_do_not_reach_each_other() -> None:
    nodes = named()
    for index, node in enumerate(nodes):
        node.changes = {"finality": node.status()["finality"] | {"reachable": [index]}}
    wrong = problems(examine(nodes))
    assert wrong.keys() == {"named nodes"}
    assert "4 of 4 named nodes answer" in wrong["named nodes"]
    assert "1 of 4 named nodes are connected" in wrong["named nodes"]


@pytest.mark.parametrize(("ahead", "says"), [(DAY, "1 day ahead of"), (-3 * HOUR, "3 hours behind")])
def test_a_clock_that_is_off(ahead: int, says: str) -> None:
    nodes = named()
    nodes[1].ahead = ahead
    wrong = problems(examine(nodes))
    assert wrong == {"Node 1": f"its clock is {says} that of this machine"}


def test_the_clock_of_this_machine_is_off_where_most_nodes_agree() -> None:
    nodes = named()
    for node in nodes[:3]:
        node.ahead = DAY
    wrong = problems(examine(nodes))
    assert wrong["clock of this machine"] == "it is 1 day behind those of 3 of 4 nodes"
    assert wrong["Node 3"] == "its clock is 1 day behind those of most nodes"
    assert len(wrong) == 2


def test_strangers_do_not_say_whose_clock_is_wrong() -> None:
    strangers = tuple(PosedNode(ELECTION, name=f"relay {n}", ahead=DAY) for n in range(6))
    wrong = problems(examine(named(), others=strangers))
    assert not {"clock of this machine", "Node 0"} & wrong.keys()


def test_two_nodes_cannot_say_whose_clock_is_wrong() -> None:
    nodes = named()
    nodes[0].ahead = nodes[1].ahead = DAY
    with posed(*nodes[:2]), posed_server(lambda: [listed(one) for one in nodes]) as server:
        view = asyncio.run(look_at_network(WayIn(ELECTION, (), (server,))))
    assert own_clock(view) == (None, 0.0)


def test_a_disk_with_little_space_and_one_that_is_full() -> None:
    nodes = named()
    nodes[0].changes = {"disk_free": 100 * MIB}
    full = [{"code": "cannot-save", "message": "it can save nothing and refuses votes: the disk is full"}]
    nodes[1].changes = {"disk_free": 0, "warnings": full}
    wrong = problems(examine(nodes))
    assert wrong == {
        "Node 0": "its disk is nearly full: 100 MiB free. A full disk stops a node",
        "Node 1": "it can save nothing and refuses votes: the disk is full",
    }


def test_a_node_that_is_behind_or_cut_off() -> None:
    nodes = named()
    nodes[0].changes = {"height": 3, "synced": False}
    nodes[1].changes = {"height": 6}  # one block is on its way all the time
    cut_off = "This node is cut off: joined to none of 3 known nodes."
    nodes[2].changes = {"height": 1, "warnings": [{"code": "cut-off", "message": cut_off}]}
    assert problems(examine(nodes)) == {"Node 0": "behind: it has 3 of 7 blocks", "Node 2": cut_off}


def test_a_genesis_file_that_differs_by_a_byte() -> None:
    nodes = named()
    other = nodes[3].network = make_election(nodes=named_nodes(4), title="Test electiom")
    found = examine(nodes)
    wrong = {(one.what, one.found) for one in found if one.state == "problem"}
    assert wrong == {
        ("Node 3", f"it runs with another genesis file, of network {other.network_hex[:16]}…, "
                   f"at {nodes[3].address}. No other named node may fail"),
    }  # fmt: skip


def test_two_processes_with_one_key() -> None:
    nodes = named()
    twin = PosedNode(ELECTION, 2, seed=99)
    twice = [{"code": "key-twice", "message": "Another node runs with the key of this one."}]
    nodes[2].changes = {"warnings": twice}
    wrong = problems(examine(nodes, others=(twin,)))
    assert wrong == {"Node 2": f"two processes have its key: at {nodes[2].address} and at {twin.address}"}


def test_a_node_that_claims_to_be_a_named_one_without_its_key() -> None:
    liar = PosedNode(ELECTION, name="Node 3")
    wrong = problems(examine(named(), 3, others=(liar,)))
    assert wrong.keys() == {"Node 3", str(liar.address)}
    assert wrong[str(liar.address)] == "claims to be Node 3, and has another key: it is not believed"


def test_a_node_that_passes_on_what_a_named_one_proves() -> None:
    nodes = named()
    nodes[3].knows_itself = False
    wrong = problems(examine(nodes))
    assert wrong.keys() == {"Node 3"}
    assert "does not know this address as its own" in wrong["Node 3"]


def test_mixed_versions_are_a_note_and_old_nodes_are_understood() -> None:
    nodes = named()
    nodes[0].ahead = None
    nodes[0].changes = {"version": "0.1.0"}
    found = examine(nodes)
    assert problems(found) == {}
    (note,) = [one for one in found if one.what == "versions"]
    assert (note.state, note.found) == (
        "note", "several run together, which is allowed: 0.1.0: Node 0; 0.2.0: Node 1, Node 2, Node 3",
    )  # fmt: skip


def test_a_proven_lie_is_a_problem() -> None:
    nodes = named()
    for node in nodes:
        node.changes = {"lies": ["Node 1 signed two blocks."]}
    assert problems(examine(nodes)) == {"proven lie": "Node 1 signed two blocks."}


def test_a_bootstrap_server_that_is_down() -> None:
    nodes = named()
    nodes[0].peers = [one.address for one in nodes]
    with posed(*nodes):
        way = WayIn(ELECTION, (nodes[0].address,), (Address("127.0.0.1", 1),))
        found = network_findings(asyncio.run(look_at_network(way)), "")
    wrong = problems(found)
    assert wrong.keys() == {"bootstrap 127.0.0.1:1"}
    assert "no other one is known here" in wrong["bootstrap 127.0.0.1:1"]


def test_a_bootstrap_server_that_nodes_miss_is_one_finding() -> None:
    nodes = named()
    with posed_server(lambda: [listed(one) for one in nodes]) as up:
        down = Address("127.0.0.1", 1)
        for node in nodes[:2]:
            missed = [(up, "it cannot be reached"), (down, "it cannot be reached"), ("c:1", "it is silent")]
            node.changes = {"warnings": [_missed(*one) for one in missed]}
        nodes[2].changes = {"warnings": [_missed(up, "it does not register this node: no [not-reached]")]}
        with posed(*nodes):
            view = asyncio.run(look_at_network(WayIn(ELECTION, (), (up, down))))
    found = network_findings(view, "")
    servers = [(one.what, one.state, one.found) for one in found if one.what.startswith("bootstrap ")]
    ok, gone, other, refuses = sorted(servers, key=lambda one: (one[1], one[2].startswith("it refuses")))[:4]
    assert ok == (f"bootstrap {up}", "ok", "lists its nodes; it failed Node 0, Node 1 when they asked last")
    assert gone[:2] == (f"bootstrap {down}", "problem")
    assert gone[2].endswith("1 more answer; it fails Node 0, Node 1, too")
    assert other == ("bootstrap c:1", "problem", "it fails Node 0, Node 1: it is silent")
    assert refuses[0] == f"bootstrap {up}"
    assert refuses[2].startswith("it refuses Node 2: it does not register this node")
    assert len(servers) == 4
    assert {one.state for one in found if one.what in ("Node 0", "Node 2")} == {"ok"}


def _missed(server: Address | str, why: str) -> dict[str, str]:
    return {"code": "bootstrap-failed", "message": f"Bootstrap server {server}: {why}"}


def test_a_bootstrap_server_whose_registry_is_gone_is_not_started_again() -> None:
    gone = StorageError("Redis: Error 111 connecting to 127.0.0.1:1. Connection refused.")
    server = SeenServer(Address("127.0.0.1", 1), gone)
    (found,) = (
        one
        for one in network_findings(NetworkView(ELECTION, (), (server,)), "")
        if one.what.startswith("bootstrap")
    )
    assert "Connection refused. Nodes that" in found.found
    assert "Redis server that keeps it" in found.next_step
    assert "starts it again" not in found.next_step


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("not-reached", "--advertise"),
        ("key-twice", "stops one of the two"),
        ("of-a-later-version", "the log"),
    ],
)
def test_what_else_a_node_warns_of_is_told(code: str, step: str) -> None:
    nodes = named()
    nodes[1].changes = {"warnings": [{"code": code, "message": "Peers cannot dial it."}]}
    found = examine(nodes)
    assert problems(found) == {"Node 1": "Peers cannot dial it."}
    assert step in next(one.next_step for one in found if one.what == "Node 1")


# -- as typed --------------------------------------------------------------------------------------


def test_the_command_ends_with_1_where_something_is_wrong(
    cli: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    nodes = named()
    nodes[0].changes = {"disk_free": 60 * GIB}
    with posed(*nodes), posed_server(lambda: [listed(one) for one in nodes]) as server:
        where = ("--network", str(tmp_path / "genesis.json"), "--bootstrap", str(server))
        assert cli("doctor", *where).code == 0
    # The server is gone, and all nodes: where they were is remembered.
    done = cli("doctor", *where, "--json")
    assert (done.code, "6 problems found" in done.err) == (1, True)
    found: list[dict[str, Any]] = json.loads(done.out)
    assert {one["what"] for one in found if one["state"] == "problem"} == {
        f"bootstrap {server}", "Node 0", "Node 1", "Node 2", "Node 3", "named nodes",
    }  # fmt: skip
    assert str(nodes[0].address) in next(one["found"] for one in found if one["what"] == "Node 0")


def test_a_page_whose_certificate_has_expired_is_a_problem(
    cli: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, days=-1)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))

    async def run() -> CommandResult:
        async with serving(tls_cert=cert, tls_key=key) as page:
            return await asyncio.to_thread(cli, "doctor", "--network", f"https://{page.address}")

    done = asyncio.run(run())
    assert done.code == 1
    assert "problem  page  the certificate of https://127.0.0.1:" in done.out
    assert "has expired" in done.out
    assert "-> Tell those who run that server to renew it." in done.out
