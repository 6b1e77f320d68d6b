"""The state, the election, its count and its files, as a real node shows them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import RunningNode, node_of

from support.elections import make_election, make_vote
from support.lying_node import lying_node, results_info
from support.page import Page, play
from votenet.client.archive_file import check_archive
from votenet.core.encoding import canonical
from votenet.protocol.wire.address import Address
from votenet.web.api import archive_answer


async def get(page: Page, path: str) -> Any:
    answer = await page.client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def test_the_count_is_what_the_command_prints(named_node: RunningNode, cli: Any) -> None:
    address = str(named_node.address)
    assert cli("vote", "--node", address, "count-1", "Bob").code == 0
    printed = json.loads(cli("results", "--node", address, "--json").out)

    async def scenario(page: Page) -> None:
        assert await get(page, "results") == printed
        assert printed["votes"] >= 1
        state = await get(page, "state")
        assert (state["network_id"], state["state"]) == (named_node.election.network_hex, "open")

    play(scenario, named_node.address)


def test_the_election_is_its_definition_and_what_is_in_force(named_node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        shown = await get(page, "election")
        assert canonical(shown["definition"]) == canonical(named_node.election.definition)
        assert (shown["registration"], shown["roll_size"], shown["amendments"]) == ("open", None, [])
        assert (shown["state"], shown["closes"]) == ("open", None)
        assert await get(page, "amendments") == {"amendments": []}
        genesis = await page.client.get("/genesis.json")
        assert genesis.content == named_node.genesis.read_bytes()
        nodes = await get(page, "nodes")
        assert [(node["address"], node["name"], node["up"]) for node in nodes["nodes"]] == [
            (str(named_node.address), nodes["nodes"][0]["name"], True)
        ]
        assert nodes["named"] == 1

    play(scenario, named_node.address)


def test_the_archive_is_whole_and_the_result_waits_for_the_end(
    named_node: RunningNode, tmp_path: Path
) -> None:
    async def scenario(page: Page) -> None:
        answer = await page.client.get("/api/v1/archive")
        assert (answer.status_code, "content-encoding" in answer.headers) == (200, False)
        assert answer.headers["content-disposition"].endswith('.jsonl"')
        (tmp_path / "archive.jsonl").write_bytes(answer.content)
        early = await page.client.get("/api/v1/final-result")
        assert (early.status_code, early.json()["error"]["code"]) == (404, "not-final")

    play(scenario, named_node.address)
    report = check_archive(tmp_path / "archive.jsonl", named_node.election.network_hex)
    assert report.signed_by == (("Node 0",) if report.height else ())


def test_counts_are_not_shown_before_the_closing_where_the_election_says_so(tmp_path: Path) -> None:
    election = make_election(created=int(time.time()), results="after-close", closes=2**33)
    vote = make_vote(election, "ann", "Alice", time=int(time.time()))

    async def scenario(page: Page) -> None:
        assert (await page.client.post("/api/v1/votes", json=json.loads(vote.record))).status_code == 200
        while not (shown := await get(page, "results"))["votes"]:  # noqa: ASYNC110  the node tells nobody
            await asyncio.sleep(0.2)
        assert (shown["contests"], shown["counts_shown"]) == ([], False)
        block = await get(page, "blocks/1")
        assert [(row["voter_id"], row["choices"]) for row in block["rows"]] == [("ann", None)]
        search = await get(page, "search?q=ann")
        assert "choices" not in search

    with node_of(election, tmp_path) as running:
        play(scenario, running.address)


def test_a_node_that_shows_them_all_the_same_changes_nothing() -> None:
    election = make_election(created=int(time.time()), results="after-close", closes=2**33)

    async def scenario(page: Page) -> None:
        assert (await get(page, "results"))["contests"] == []

    with lying_node(election, {"get_results": lambda _: results_info(election, Alice=5)}) as node:
        play(scenario, node)


def test_only_so_many_archives_are_written_at_one_time(
    named_node: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(page: Page) -> None:
        answer = await page.client.get("/api/v1/archive")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "20"

    async def one_by_one(page: Page) -> None:
        for _ in range(3):  # each ends before the next begins
            assert (await page.client.get("/api/v1/archive")).status_code == 200

    for places, scenario in ((0, busy), (1, one_by_one)):
        monkeypatch.setattr(archive_answer, "MAX_ARCHIVES", places)
        play(scenario, named_node.address)


def test_before_its_nodes_run_a_page_serves_what_operators_need(tmp_path: Path) -> None:
    election = make_election(title="Board")
    (tmp_path / "genesis.json").write_bytes(election.to_file())
    servers = (Address("127.0.0.1", 1), Address("::1", 2))

    async def scenario(page: Page) -> None:
        assert (await page.client.get("/genesis.json")).content == election.to_file()
        told = await page.client.get("/join.json")
        assert told.json() == {"network_id": election.network_hex, "bootstrap": ["127.0.0.1:1", "[::1]:2"]}
        for path in ("/", "/vote", "/results", "/screen"):
            waiting = await page.client.get(path)
            assert (waiting.status_code, "waiting.js" in waiting.text) == (503, True)
            assert election.network_hex in waiting.text
        state = await page.client.get("/api/v1/state")
        assert (state.status_code, state.json()["error"]["code"]) == (503, "waiting-for-nodes")
        assert (await page.client.get("/help")).status_code == 200

    play(scenario, genesis=tmp_path / "genesis.json", bootstrap=servers)


def test_a_page_without_an_election_has_nothing_to_join() -> None:
    async def scenario(page: Page) -> None:
        for path in ("/join.json", "/genesis.json"):
            assert (await page.client.get(path)).status_code == 503

    play(scenario)
