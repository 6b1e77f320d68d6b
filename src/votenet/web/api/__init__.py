"""JSON under /api/v1: what the page shows and does, for programs; the log as tiles under /log."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from votenet.web.api.casting import post_vote
from votenet.web.api.chain import get_block, get_blocks, get_search
from votenet.web.api.log_tiles import get_checkpoint, get_tile
from votenet.web.api.lookups import get_receipt, get_vote, get_voter
from votenet.web.api.openapi import get_openapi
from votenet.web.api.results import (
    ElectionFiles,
    get_amendments,
    get_election,
    get_genesis,
    get_join,
    get_nodes,
    get_results,
    get_state,
)


def routes() -> list[BaseRoute]:
    files = ElectionFiles()
    api = "/api/v1"
    return [
        Route(f"{api}/state", get_state),
        Route(f"{api}/election", get_election),
        Route(f"{api}/amendments", get_amendments),
        Route(f"{api}/nodes", get_nodes),
        Route(f"{api}/voter", get_voter),
        Route(f"{api}/votes", post_vote, methods=["POST"]),
        Route(f"{api}/vote", get_vote),
        Route(f"{api}/receipt", get_receipt),
        Route(f"{api}/results", get_results),
        Route(f"{api}/final-result", files.get_final_result),
        Route(f"{api}/archive", files.get_archive),
        Route(f"{api}/blocks", get_blocks),
        Route(f"{api}/blocks/{{which}}", get_block),
        Route(f"{api}/search", get_search),
        Route(f"{api}/openapi.json", get_openapi),
        Route("/genesis.json", get_genesis),
        Route("/join.json", get_join),
        Route("/log/checkpoint", get_checkpoint),
        Route("/log/tile/{path:path}", get_tile),
    ]
