"""The log under /log, read as another program reads it: every leaf, every tile, up to the signed root."""

from __future__ import annotations

import json
import time

from tests.cli.conftest import RunningNode

from support.elections import make_vote
from support.log_tiles import decode_bundle, tile_widths
from support.page import Page, play
from support.web_votes import cast_at_node
from votenet.core.ledger.block import genesis_header
from votenet.core.log.certificate import read_certificate
from votenet.core.log.merkle import leaf_hashes
from votenet.core.log.tiles import HASH_BYTES, TILE_WIDTH, LogFrontier, bundle_path, tile_path


async def fetch(page: Page, path: str) -> bytes:
    answer = await page.client.get(f"/log/{path}")
    assert answer.status_code == 200, path
    return answer.content


def test_the_log_is_read_to_its_signed_root(named_node: RunningNode) -> None:
    election = named_node.election
    votes = [make_vote(election, f"log-{n}", "Alice", time=int(time.time())) for n in range(300)]

    async def scenario(page: Page) -> None:
        await cast_at_node(page.view, votes)
        certificate = read_certificate((await fetch(page, "checkpoint")).decode(), election.named_keys)
        tiles: dict[tuple[int, int], bytes] = {}
        entries: list[bytes] = []
        for level, number, width in tile_widths(certificate.size):
            tiles[level, number] = await fetch(page, tile_path(level, number, width))
            assert len(tiles[level, number]) == width * HASH_BYTES
            if level == 0:
                bundle = decode_bundle(await fetch(page, bundle_path(number, width)))
                assert b"".join(leaf_hashes(bundle)) == tiles[0, number]
                entries += bundle
        frontier = LogFrontier.load(certificate.size, lambda level, number: tiles[level, number])
        assert frontier.root == certificate.root
        assert entries[0] == genesis_header(election).pack()
        assert {vote.record for vote in votes} <= set(entries)
        first = await fetch(page, bundle_path(0, 1))
        assert decode_bundle(first) == entries[:1], "an earlier size of the log"

    play(scenario, named_node.address)


NO_TILES = [
    *("tile/0/999", "tile/0/000.p/300", "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/007"),
    *("tile/0/x000/000", "tile/0/0", "tile/0/00000", "tile/9/000", "tile/10/000", "tile/entries/x001/000"),
    *("tile/entries/000.p/999", "tile/0/x999/x999/x999/x999/x999/999", "tile/", "tile/0/"),
    *("tile/entries/..", "tile/0/000/", "tile/0/%30%30%30.p/999"),
]


def test_there_is_nothing_at_other_addresses(named_node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        for path in NO_TILES:
            answer = await page.client.get(f"/log/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not-found"), path

    play(scenario, named_node.address)


def test_an_election_without_named_nodes_has_no_log(node: RunningNode) -> None:
    async def scenario(page: Page) -> None:
        for path in ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"):
            answer = await page.client.get(f"/log/{path}")
            assert (answer.status_code, json.loads(answer.content)["error"]["code"]) == (404, "not-found")
        assert TILE_WIDTH == 256

    play(scenario, node.address)
