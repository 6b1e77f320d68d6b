"""The explorer's view of a real chain: lists, blocks, votes with their paths, and searches."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from tests.cli.conftest import RunningNode

from support.elections import make_vote
from support.page import Page, play
from support.web_votes import cast_at_node
from votenet.core.ledger.block import header_from_hex
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.merkle import root_from_path
from votenet.core.log.tlog_proof import check_path, parse_proof
from votenet.web.api.chain import NOTHING, block_list, block_page, find, vote_page


async def get(page: Page, path: str, **parameters: str) -> Any:
    return (await page.client.get(f"/api/v1/{path}", params=parameters)).json()


def votes_of(running: RunningNode, *voters: str) -> list[HashedVote]:
    now = int(time.time())
    return [make_vote(running.election, voter, "Alice", time=now) for voter in voters]


def test_votes_are_found_by_everything_that_names_them(named_node: RunningNode) -> None:
    votes = votes_of(named_node, "chain-1", "chain-2", "1")

    async def scenario(page: Page) -> None:
        await cast_at_node(page.view, votes)
        for vote in votes[:2]:
            by_voter, by_id = (
                await find(page.view, f" {vote.voter_id} "),
                await find(page.view, vote.id.hex()),
            )
            assert (by_voter.kind, by_id.kind) == ("voter", "vote")
            assert by_voter.vote_id == by_id.vote_id == vote.id.hex()
            assert by_voter.voter_id == by_id.voter_id == vote.voter_id
            assert by_voter.height == by_id.height
            block = await find(page.view, (by_id.hash or "").upper())
            assert (block.kind, block.height) == ("block", by_id.height)
            code = "-".join(vote.id.hex()[at : at + 4].upper() for at in range(0, 16, 4))
            assert await find(page.view, code) == await find(page.view, vote.id.hex()[:17]) == by_id
            assert await find(page.view, code[:-1]) == NOTHING  # too few digits: two votes may begin so
        number = await find(page.view, "1")
        assert (number.kind, number.height, number.voter_id) == ("block", 1, "1")
        for text in ("", "  ", "nobody", "ab" * 32, "9" * 30, "a\nb", "x" * 200, "٣", "-1"):
            assert await find(page.view, text) == NOTHING
        shown = await get(page, "search", q=votes[1].voter_id)
        assert shown == msgspec.to_builtins(by_voter)

    play(scenario, named_node.address)


def test_blocks_are_listed_from_the_newest_and_shown_with_their_votes(named_node: RunningNode) -> None:
    votes = votes_of(named_node, "block-1", "block-2")

    async def scenario(page: Page) -> None:
        await cast_at_node(page.view, votes)
        rows = await block_list(page.view)
        assert [row.height for row in rows] == list(range(rows[0].height, -1, -1))
        assert all(rows[n].previous == rows[n + 1].hash for n in range(len(rows) - 1))
        assert [row.height for row in await block_list(page.view, 1, 1)] == [1]
        assert (await get(page, "blocks", count="2"))["blocks"][0]["height"] == rows[0].height
        seen = {}
        for row in rows:
            shown = await block_page(page.view, row.height)
            assert shown == await block_page(page.view, row.hash)
            assert (shown.hash, shown.votes, shown.miner_name) == (row.hash, row.votes, row.miner)
            header = header_from_hex(shown.header.raw)
            assert header.hash.hex() == row.hash
            assert (header.merkle_root.hex(), header.nonce) == (shown.header.merkle_root, shown.header.nonce)
            assert (row.miner, row.final) == (("Node 0", True) if row.height else (None, True))
            seen |= {vote.vote_id: (vote.voter_id, vote.choices) for vote in shown.rows}
        for vote in votes:
            assert seen[vote.id.hex()] == (vote.voter_id, (("Alice",),))
        last = await block_page(page.view, rows[0].height, first_vote=5000)
        assert (last.rows, last.next) == ((), None)

    play(scenario, named_node.address)


def test_there_is_no_block_where_none_is(named_node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        for which, code in (("99999", "not-found"), ("ab" * 32, "not-found"), ("x", "bad-request")):
            answer = await page.client.get(f"/api/v1/blocks/{which}")
            assert (answer.json()["error"]["code"], answer.status_code) == (
                code,
                404 if code == "not-found" else 400,
            )
        for query in ({"count": "0"}, {"count": "201"}, {"from": "x"}):
            assert (await page.client.get("/api/v1/blocks", params=query)).status_code == 400

    play(scenario, named_node.address)


def test_the_paths_of_a_vote_lead_to_its_block_and_to_the_signed_log(named_node: RunningNode) -> None:
    (vote,) = votes_of(named_node, "path-1")

    async def scenario(page: Page) -> None:
        await cast_at_node(page.view, [vote])
        shown = await vote_page(page.view, "path-1")
        assert (shown.standing.state, shown.standing.vote_id) == ("final", vote.id.hex())
        path = shown.in_block
        assert path is not None
        steps = [bytes.fromhex(step) for step in path.path]
        root = root_from_path(vote.id, path.position, path.size, steps)
        assert root is not None
        assert root.hex() == path.merkle_root
        check_path(parse_proof(shown.proof), vote.id)
        unknown = await vote_page(page.view, "nobody")
        assert (unknown.standing.state, unknown.in_block, unknown.proof) == ("unknown", None, "")

    play(scenario, named_node.address)
