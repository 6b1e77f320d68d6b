"""The log of the election as C2SP tiles: checkpoint, hashes, entries. Other programs' readers take it."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from votenet.core.ledger.block import Block
from votenet.core.log.tiles import TILE_WIDTH, bundle_path, encode_bundle, tile_path
from votenet.errors import Rejected
from votenet.web.api.chain_reader import ChainReader, reader_of
from votenet.web.api.requests import asker_of, view_of
from votenet.web.live_view import LiveView

MAX_LEVEL: Final = 5
"""A tile of this level stands for 2**48 records."""
IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
FOR_NOW: Final = {"Cache-Control": "no-cache"}
_PATH: Final = re.compile(r"(entries|[0-9])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z")


async def get_checkpoint(request: Request) -> Response:
    view = view_of(request)
    newest = view.log.newest if view.snapshot.election.named else None
    if newest is None:
        raise _no_such("no quorum of named nodes has signed a log yet")
    return Response(str(newest.note), 200, FOR_NOW, "text/plain; charset=utf-8")


async def get_tile(request: Request) -> Response:
    path = request.path_params["path"]
    found = _PATH.match(path)
    if found is None:
        raise _no_such("this is no address of a tile")
    number = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3] or TILE_WIDTH)
    view = view_of(request)
    level = None if found[1] == "entries" else int(found[1])
    address = bundle_path(number, width) if level is None else tile_path(level, number, width)
    if address != f"tile/{path}":
        raise _no_such("this is no address of a tile")
    data = await (
        bundle(view, number, width, asker_of(request)) if level is None else tile(view, level, number, width)
    )
    if data is None:
        raise _no_such("the log has no such tile")
    return Response(data, 200, IMMUTABLE, "application/octet-stream")


async def tile(view: LiveView, level: int, number: int, width: int) -> bytes | None:
    """The first `width` hashes of a tile; None where the log has not so many."""
    reader = _log_reader(view)
    return None if level > MAX_LEVEL else (await reader.index()).tile(level, number, width)


async def bundle(view: LiveView, number: int, width: int, who: str = "") -> bytes | None:
    """The first `width` entries of a bundle; None where the log has not so many."""
    reader = _log_reader(view)
    index = await reader.index()
    start = number * TILE_WIDTH
    if start + width > index.leaves:
        return None
    first, last = index.height_of_leaf(start), index.height_of_leaf(start + width - 1)
    before = index.first_leaf(first)
    entries = [index.row(0).header.pack()] if first == 0 else []
    async for block in reader.blocks(max(first, 1), last, who):
        entries += _entries(block)
    return encode_bundle(entries[start - before : start - before + width])


def _entries(block: Block) -> list[bytes]:
    """What the leaves of a block are hashes of (`log_leaves`)."""
    records = (record.record for record in block.extras.records)
    return [*(vote.record for vote in block.votes), *records, block.header.pack()]


def _log_reader(view: LiveView) -> ChainReader:
    if not view.snapshot.election.named:
        raise _no_such("this election has no log: no nodes are named")
    return reader_of(view)


def _no_such(what: str) -> Rejected:
    return Rejected("not-found", what).advising("Begin with the checkpoint: /log/checkpoint")
