"""The one watcher: nodes that come and go, nodes of other networks, and what it costs to look."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from tests.cli.conftest import RunningNode, named_node

from support.amendments import amendable, amendment
from support.elections import commit_of, key_of, keys_of_node, make_election, mine_header, named_nodes
from support.lying_node import lying_node, results_info, status_info
from support.page import PATIENT, until
from support.ports import free_port
from support.posed_nodes import PosedNode, listed, posed, posed_server
from votenet.core.election.amendment import Amendment
from votenet.core.election.roll import Roll
from votenet.core.ledger.block import Header, genesis_header
from votenet.errors import RemoteProtocolError, Stopping, Unreachable, VotenetError
from votenet.network.bootstrap.server import serve_bootstrap
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus
from votenet.storage.registry.peer_store import opened
from votenet.web import found_nodes, live_view, node_trust
from votenet.web.live_view import LiveView

__all__ = ["named_node"]

ELECTION = make_election()
T = TypeVar("T")


def results(_: object) -> dict[str, object]:
    return results_info(ELECTION, Alice=3)


def run(scenario: Callable[[], object]) -> None:
    async def main() -> None:
        async with asyncio.timeout(120):
            await scenario()  # type: ignore[misc]

    asyncio.run(main())


def test_without_a_node_it_waits_and_says_so() -> None:
    async def scenario() -> None:
        async with LiveView([Address("127.0.0.1", free_port())], **PATIENT) as view:
            assert view.latest is None
            for read in (lambda: view.snapshot, lambda: view.log, lambda: view.client):
                with pytest.raises(Unreachable):
                    read()
            with pytest.raises(Unreachable):
                await view.ask(lambda node: node.ask(GetStatus(), NodeStatus))
        async with LiveView() as view:
            with pytest.raises(Unreachable):
                await view.ask(lambda node: node.ask(GetStatus(), NodeStatus))

    run(scenario)


def test_nodes_of_another_network_are_ignored_and_named() -> None:
    other = make_election(title="Another one")

    async def scenario() -> None:
        with lying_node(ELECTION, {"get_results": results}) as good, lying_node(other, {}) as foreign:
            async with LiveView([good, foreign], **PATIENT) as view:
                await view.changed(None)
                assert view.snapshot.network_id == ELECTION.network_hex
                await until(lambda: any(node.code for node in view.nodes))
                (first, second) = view.nodes
                assert (first.up, second.up, second.code) == (True, False, "network-mismatch")
                assert view.addresses == [good, foreign]
            async with LiveView([foreign, good], network_id=ELECTION.network_hex, **PATIENT) as view:
                assert (await view.changed(None)).network_id == ELECTION.network_hex

    run(scenario)


def test_a_node_that_goes_and_comes_back_is_said_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "votenet.web")

    async def scenario() -> None:
        first, second = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
        votes = [1]
        answers = {
            "get_results": lambda _: results_info(ELECTION, Alice=votes[0]),
            "get_status": lambda _: status_info(ELECTION) | {"votes": votes[0]},
        }
        async with LiveView([first, second], **PATIENT) as view:
            view.streams = 1
            with lying_node(ELECTION, answers, first.port):
                shown = await view.changed(None)
                assert (shown.nodes_up, shown.results.votes, shown.stale) == (1, 1, 0)
                with lying_node(ELECTION, answers, second.port):
                    await until(lambda: view.snapshot.nodes_up == 2)
            await until(lambda: view.snapshot.nodes_up == 0)
            assert view.snapshot.results.votes == 1, "the last state stays, and grows old"
            await until(lambda: view.snapshot.stale > 0)
            with pytest.raises(Unreachable):
                await view.ask(lambda node: node.ask(GetStatus(), NodeStatus))
            votes[0] = 2
            with lying_node(ELECTION, answers, second.port):
                await until(lambda: view.snapshot.results.votes == 2)
                assert (view.snapshot.nodes_up, view.snapshot.stale) == (1, 0)
                assert view.addresses == [second, first]
                assert f"event=node_back node={second}" in caplog.messages

    run(scenario)
    assert f"event=election_found network={ELECTION.network_hex}" in caplog.messages


def test_a_node_without_an_answer_in_time_is_away_until_it_has_one() -> None:
    goes_on = threading.Event()

    def late(_: object) -> dict[str, Any]:
        goes_on.wait(60)
        return status_info(ELECTION)

    async def scenario() -> None:
        with lying_node(ELECTION, {"get_results": results, "get_status": late}) as node:
            async with LiveView([node], **PATIENT | {"status_timeout": 0.5}) as view:
                view.streams = 1
                await until(lambda: view.nodes[0].code)
                assert view.nodes[0].problem == f"{node} gave no answer within 0.5 s"
                assert view.latest is None
                goes_on.set()
                await until(lambda: view.nodes[0].up)

    run(scenario)


def test_found_nodes_come_after_given_ones_and_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's node can be listed, and say that its chain is the longest."""
    assert live_view.MAX_WATCHED == 64
    monkeypatch.setattr(live_view, "MAX_WATCHED", 4)
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 3600.0)
    listed = list[Address]()

    async def found(*_: object) -> list[Address]:
        return listed

    monkeypatch.setattr(found_nodes, "nodes_at_bootstrap", found)
    longest = {"get_results": results, "get_status": lambda _: status_info(ELECTION) | {"height": 9}}

    async def scenario() -> None:
        with (
            lying_node(ELECTION, {"get_results": results}) as given,
            lying_node(ELECTION, longest) as strange,
        ):
            listed.extend([strange, *(Address("127.0.0.1", port) for port in range(1, 100)), given])
            async with LiveView([given], bootstrap=[Address("127.0.0.1", 1)], **PATIENT) as view:
                await until(lambda: sum(node.up for node in view.nodes) == 2)
                assert view.addresses[:2] == [given, strange]
                assert len(view.nodes) == 4

    run(scenario)


def test_amendments_are_in_force() -> None:
    election = amendable(closes=2**40)
    shown: list[Amendment] = []

    def amendments(question: dict[str, Any]) -> dict[str, Any]:
        found = msgspec.to_builtins(shown[question.get("first", 1) - 1 :])
        count = len(shown)
        return {"type": "amendments", "amendments": found, "height": 1, "count": count, "next": count + 1}

    def amended(_: object) -> dict[str, Any]:
        closes = shown[-1].closes if shown else 2**40
        return results_info(election) | {"amendments": len(shown), "closes": closes}

    async def scenario() -> None:
        answers = {
            "get_amendments": amendments,
            "get_results": amended,
            "get_status": lambda _: status_info(election) | {"amendments": len(shown)},
        }
        with lying_node(election, answers) as node:
            async with LiveView([node], **PATIENT) as view:
                view.streams = 1
                assert (await view.changed(None)).election.closes == 2**40
                for number, closes in enumerate((2**40 + 60, 2**40 + 120), start=1):
                    shown.append(amendment(election, "extend", number=number, closes=closes))
                    await until(lambda wanted=closes: view.snapshot.election.closes == wanted)
                assert len(view.snapshot.election.amendments) == 2

    run(scenario)


def test_when_it_was_cancelled_is_the_time_of_the_last_block() -> None:
    election = amendable()
    cancelled = election.amended([amendment(election, "cancel")])
    made = mine_header(Header(2, genesis_header(election).hash, bytes(32), 1_900_000_000, election.bits, 0))
    commit = msgspec.to_builtins(commit_of(election, made, 1))
    info = results_info(cancelled) | {
        "contests": msgspec.to_builtins([contest.cancelled_report() for contest in cancelled.contests]),
        "cancelled": True,
        "amendments": 1,
        "height": 1,
        "tip": made.hash.hex(),
    }
    listed = {"type": "amendments", "amendments": msgspec.to_builtins(cancelled.amendments)}
    answers = {
        "get_amendments": lambda _: listed | {"height": 1, "count": 1, "next": 2},
        "get_results": lambda _: info,
        "get_headers": lambda _: {"type": "headers", "headers": [made.pack().hex()], "commit": commit},
    }

    async def scenario() -> None:
        with lying_node(election, answers) as node:
            async with LiveView([node], **PATIENT) as view:
                found = await view.changed(None)
                assert (found.state, found.cancelled_at) == ("cancelled", 1_900_000_000)

    run(scenario)


def test_a_roll_belongs_to_the_election_or_its_error_is_what_pages_say() -> None:
    roll = Roll([("ann", key_of("ann").public_hex)])
    election = make_election(roll=roll)

    async def scenario() -> None:
        with lying_node(election, {"get_results": lambda _: results_info(election)}) as node:
            async with LiveView([node], roll=roll, **PATIENT) as view:
                assert (await view.changed(None)).election.is_on_roll("ann")
            async with LiveView([node], roll=Roll([("bob", key_of("bob").public_hex)]), **PATIENT) as view:
                await until(lambda: problem_of(view) == "roll-mismatch")

    run(scenario)


def problem_of(view: LiveView) -> str:
    try:
        _ = view.snapshot
    except VotenetError as error:
        return error.code
    return ""


def test_nodes_are_found_at_a_bootstrap_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        told = {"get_results": results}
        with opened(f"sqlite:{tmp_path}/peers") as registry, lying_node(ELECTION, told) as node:
            async with (
                serve_bootstrap(Address("127.0.0.1", 0), registry) as server,
                LiveView(bootstrap=[server.address], network_id=ELECTION.network_hex, **PATIENT) as view,
            ):
                await until(lambda: problem_of(view) == "unreachable")
                server.import_addresses([str(node)])
                assert (await view.changed(None)).nodes_up == 1

    run(scenario)


def test_named_nodes_that_are_found_come_before_strangers_whatever_these_say(
    named_node: RunningNode, tmp_path: Path
) -> None:
    election = named_node.election
    told = {
        "get_results": lambda _: results_info(election, Bob=1_000),
        "get_status": lambda _: status_info(election) | {"height": 1_000_000, "lies": ["north has lied"]},
    }

    async def scenario() -> None:
        with opened(f"sqlite:{tmp_path}/peers") as registry, lying_node(election, told) as stranger:
            async with (
                serve_bootstrap(Address("127.0.0.1", 0), registry) as server,
                LiveView(bootstrap=[server.address], network_id=election.network_hex, **PATIENT) as view,
            ):
                view.streams = 1
                server.import_addresses([str(stranger), str(named_node.address)])
                await until(lambda: view.latest is not None and view.snapshot.nodes_up == 2)
                assert view.addresses == [named_node.address, stranger]
                assert view.snapshot.results.votes == 0
                assert [node.lies for node in view.nodes] == [(), ()]

    run(scenario)


def test_the_counts_of_a_stranger_are_never_shown_where_nodes_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 0.01)
    election = make_election(nodes=named_nodes(4))
    asked: list[object] = []

    def false_count(question: object) -> dict[str, object]:
        asked.append(question)
        return results_info(election, Bob=1_000)

    async def scenario() -> None:
        named = PosedNode(election, 0, results=results_info(election, Alice=3))
        with lying_node(election, {"get_results": false_count}) as stranger:
            found = [stranger]
            monkeypatch.setattr(found_nodes, "nodes_at_bootstrap", lambda *_: _async(found))
            async with LiveView(bootstrap=[Address("127.0.0.1", 1)], genesis=election, **PATIENT) as view:
                view.streams = 1
                await until(lambda: any(node.up for node in view.nodes))
                with pytest.raises(Unreachable, match="none of the nodes that are named") as waiting:
                    view.check_begun()
                assert waiting.value.code == live_view.WAITING
                with pytest.raises(Unreachable, match="none of the nodes that are named"):
                    await view.ask_trusted(lambda node: node.ask(GetStatus(), NodeStatus))
                found.append(named.address)
                with posed(named):
                    assert (await view.changed(None)).results.votes == 3
                    named.answer = lambda _: {"error": {"code": "busy", "message": "not now"}}  # type: ignore[method-assign]
                    await until(lambda: [node.up for node in view.nodes] == [True, False])
                    await until(lambda: view.snapshot.stale > 0)
                    assert view.snapshot.results.votes == 3
        assert asked == []

    run(scenario)


def test_a_node_that_is_listed_with_the_key_of_a_named_one_is_watched_however_many_others_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The random sample of a long list may never hold it."""
    monkeypatch.setattr(live_view, "MAX_WATCHED", 4)
    election = make_election(nodes=named_nodes(4))
    named = PosedNode(election, 2, results=results_info(election, Alice=3))
    strangers = [Address("127.0.0.1", port) for port in range(1, 200)]

    async def scenario() -> None:
        peers = [*({"address": str(one)} for one in strangers), listed(named)]
        with posed(named), posed_server(lambda: peers) as server:
            async with LiveView(bootstrap=[server], genesis=election, **PATIENT) as view:
                assert (await view.changed(None)).results.votes == 3
                assert view.trusted == [named.address]
                assert len(view.nodes) == 4

    monkeypatch.setattr(found_nodes, "nodes_at_bootstrap", lambda *_: _async(strangers))
    run(scenario)


@pytest.mark.parametrize("answer", [True, False])
def test_strangers_that_prove_nothing_make_room_until_a_named_node_is_found(
    monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    """Its entry may tell no key, and the election may not be known, so that no key would tell anything."""
    monkeypatch.setattr(live_view, "MAX_WATCHED", 2)
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 0.01)
    election = make_election(nodes=named_nodes(4))
    named = PosedNode(election, 2, results=results_info(election, Alice=3))
    strangers = [PosedNode(election) for _ in range(6)]
    peers = [{"address": str(node.address)} for node in (*strangers, named)]

    async def scenario() -> None:
        with posed(named, *(strangers if answer else ())), posed_server(lambda: peers) as server:
            async with LiveView(bootstrap=[server], network_id=election.network_hex, **PATIENT) as view:
                view.streams = 1
                assert (await view.changed(None)).results.votes == 3
                assert view.trusted == [named.address]
                await until(lambda: view.nodes == list(view.snapshot.nodes))
                assert len(view.nodes) == len(view.pool.addresses) == 2

    run(scenario)


def test_a_named_node_takes_the_place_of_a_stranger_also_when_another_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a server that lists one named node and many strangers could keep all others out."""
    monkeypatch.setattr(live_view, "MAX_WATCHED", 4)
    monkeypatch.setattr(live_view, "DISCOVERY_SECONDS", 0.01)
    monkeypatch.setattr(found_nodes, "WHOLE_LIST_SECONDS", 0.0)
    election = make_election(nodes=named_nodes(4))
    first, second = PosedNode(election, 0), PosedNode(election, 1)
    strangers = [PosedNode(election) for _ in range(3)]
    peers = [listed(node) for node in (first, *strangers)]

    async def scenario() -> None:
        with posed(first, second, *strangers), posed_server(lambda: peers) as server:
            async with LiveView(bootstrap=[server], network_id=election.network_hex, **PATIENT) as view:
                view.streams = 1
                await until(lambda: view.trusted == [first.address] and len(view.pool.addresses) == 4)
                peers.append(listed(second))
                await until(lambda: set(view.trusted) == {first.address, second.address})
                assert len(view.pool.addresses) == 4

    run(scenario)


async def _async(value: T) -> T:
    return value


def test_only_the_proof_of_its_key_makes_a_node_a_named_one() -> None:
    election = make_election(nodes=named_nodes(4))
    by_key = PosedNode(election, changes={"node_key": keys_of_node(0).node.public_hex})
    by_name = PosedNode(election, name="Node 2", greets=False)
    nodes = [by_key, by_name, PosedNode(election, 1, name="Node 0"), PosedNode(election)]

    async def scenario() -> None:
        with posed(*nodes):
            async with LiveView([node.address for node in nodes], **PATIENT) as view:
                await until(lambda: all(node.up for node in view.nodes))
                assert [(node.name, node.signs, node.unproven) for node in view.nodes] == [
                    ("relay", False, True),
                    ("Node 2", False, True),
                    ("Node 1", True, False),
                    ("relay", False, False),
                ]

    run(scenario)


def test_a_name_that_leads_to_a_named_node_for_its_proof_alone_is_that_of_a_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    election = make_election(nodes=named_nodes(4))
    named = PosedNode(election, 0)
    liar = PosedNode(election, address=Address("127.0.0.2", named.address.port))
    name = Address("alternating.example", named.address.port)
    leads_to = iter([liar.address.host])
    real = socket.getaddrinfo

    def look_up(host: str, *details: Any, **more: Any) -> Any:
        there = next(leads_to, named.address.host) if host == name.host else host
        return real(there, *details, **more)

    async def scenario() -> None:
        with posed(named, liar):
            async with LiveView(bootstrap=[Address("127.0.0.1", 1)], genesis=election, **PATIENT) as view:
                await until(lambda: any(node.up for node in view.nodes))
                assert next(leads_to, None) is None
                assert (view.addresses, view.trusted) == ([name], [])

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(found_nodes, "nodes_at_bootstrap", lambda *_: _async([name]))
    run(scenario)


def test_a_node_that_could_not_prove_its_key_is_asked_for_it_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert node_trust.KEY_AGAIN_SECONDS < node_trust.KEY_SECONDS
    monkeypatch.setattr(node_trust, "KEY_SECONDS", 3600.0)
    monkeypatch.setattr(node_trust, "KEY_AGAIN_SECONDS", 0.0)
    election = make_election(nodes=named_nodes(4))
    node = PosedNode(election, 0, greets=False)

    async def scenario() -> None:
        with posed(node):
            async with LiveView([node.address], **PATIENT) as view:
                view.streams = 1
                await until(lambda: view.nodes[0].unproven)
                node.greets = True
                await until(lambda: view.nodes[0].signs)

    run(scenario)


def test_a_node_whose_answer_proves_nothing_is_seldom_asked_for_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_trust, "KEY_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(live_view, "LOOK_SECONDS", 0.01)
    election = make_election(nodes=named_nodes(4))
    asked: list[str] = []

    async def scenario() -> None:
        told = {
            "get_status": lambda _: asked.append("status") or status_info(election),
            "get_results": lambda _: results_info(election),
        }
        with lying_node(election, told) as node:
            async with LiveView([node], **PATIENT) as view:
                view.streams = 1
                await until(lambda: asked.count("status") >= 5)
        assert asked.count("key") == 1

    async def nonsense(*_: object) -> None:
        asked.append("key")
        raise RemoteProtocolError("bad-hello", "no proof")

    monkeypatch.setattr(node_trust, "prove_key", nonsense)
    run(scenario)


def test_a_vote_is_seen_and_becomes_final_at_a_real_node(named_node: RunningNode, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with LiveView([named_node.address], **PATIENT) as view:
            view.streams = 1
            assert (await view.changed(None)).results.votes == 0
            cast = await view.client.cast("ann", "Alice", key=key_of("ann"))
            await until(lambda: view.snapshot.final_height == view.snapshot.results.height == cast.height)
            assert view.snapshot.signed_by == ("Node 0",)
            assert view.snapshot.state == "open"
            assert view.snapshot.results.votes == 1

    run(scenario)


def test_without_readers_it_looks_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle view asks for results no more often than for news; a request wakes it."""
    monkeypatch.setattr(live_view, "IDLE_LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(live_view, "RESULTS_SECONDS", 3600.0)
    asked: list[str] = []

    def counting(kind: str, answer: dict[str, Any]) -> Callable[[object], dict[str, Any]]:
        def told(_: object) -> dict[str, Any]:
            asked.append(kind)
            return answer

        return told

    async def scenario() -> None:
        answers = {
            "get_status": counting("status", status_info(ELECTION)),
            "get_results": counting("results", results_info(ELECTION)),
        }
        with lying_node(ELECTION, answers) as node:
            async with LiveView([node], **PATIENT) as view:
                await view.changed(None)
                assert asked == ["status", "results"]
                view.asked()
                await until(lambda: asked.count("status") == 2)
                assert asked.count("results") == 1, "nothing has changed"

    run(scenario)


def test_those_who_wait_for_a_change_are_let_go_at_the_end() -> None:
    async def scenario() -> None:
        async with LiveView() as view, asyncio.TaskGroup() as tasks:

            async def waits() -> None:
                with pytest.raises(Stopping):
                    await view.changed(None)

            for _ in range(3):
                tasks.create_task(waits())
            await asyncio.sleep(0)
            view.end()
        with pytest.raises(Stopping):
            await view.changed(None)

    run(scenario)


def test_a_question_goes_to_another_node_than_the_one_that_was_asked_before() -> None:
    def named(name: str) -> Callable[[object], dict[str, object]]:
        return lambda _: status_info(ELECTION) | {"name": name}

    async def name_of(view: LiveView, *other_than: Address) -> str:
        status = await view.ask(lambda node: node.ask(GetStatus(), NodeStatus), other_than=other_than)
        return status.name

    async def scenario() -> None:
        one = {"get_results": results, "get_status": named("one")}
        two = {"get_results": results, "get_status": named("two")}
        with lying_node(ELECTION, one) as first, lying_node(ELECTION, two) as second:
            async with LiveView([first, second], **PATIENT) as view:
                await until(lambda: [node.up for node in view.nodes] == [True, True])
                assert await name_of(view) == "one"
                assert await name_of(view, first) == "two"
                assert await name_of(view, first, second) in ("one", "two")

    run(scenario)


def test_a_known_election_waits_for_its_nodes_and_takes_no_other() -> None:
    other = make_election(title="Another one")

    async def scenario() -> None:
        with lying_node(other, {}) as foreign:
            here = Address("127.0.0.1", free_port())
            async with LiveView([foreign, here], genesis=ELECTION, **PATIENT) as view:
                await until(lambda: any(node.code for node in view.nodes) or view._warned)
                assert view.known_election is view.election is ELECTION
                with pytest.raises(Unreachable) as waiting:
                    view.check_begun()
                assert waiting.value.code == live_view.WAITING
                with lying_node(ELECTION, {"get_results": results}, here.port):
                    assert (await view.changed(None)).network_id == ELECTION.network_hex
                    view.check_begun()

    run(scenario)
