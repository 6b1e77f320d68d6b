"""The chain for an explorer: lists of blocks, a block, a vote with its paths, and what a text means."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from votenet.client.answers import fetch_vote_status
from votenet.client.connection import NodeConnection
from votenet.core.ledger.block import Block
from votenet.core.ledger.extras import BlockRecord, Miner
from votenet.core.ledger.vote import HashedVote
from votenet.core.text import is_plain
from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.client_messages import GetProof, Proof
from votenet.web.api.chain_index import BlockRow, ChainIndex, RecordPlace
from votenet.web.api.chain_reader import reader_of
from votenet.web.api.lookups import WhereVoteIs, where_is
from votenet.web.api.requests import (
    asker_of,
    json_answer,
    number_parameter,
    text_parameter,
    view_of,
    whole_number,
)
from votenet.web.live_view import LiveView

MAX_ROWS: Final = 200
"""Blocks in one answer, or votes of a block."""
ROWS: Final = 50
MAX_SEARCH: Final = 128
"""Characters of a search: a voter id has no more."""
HASH_DIGITS: Final = 64
RECEIPT_CODE_DIGITS: Final = 16
"""A receipt code is the first digits of a vote id, which a voter can write down."""


class BlockSummary(msgspec.Struct, frozen=True):
    """A block in a list. `records` are those that are no votes; `miner` is the name of a named node.

    `final`: a quorum of named nodes has signed the log with it.
    """

    height: int
    hash: str
    previous: str
    time: int
    votes: int
    records: int
    miner: str | None
    final: bool


class VoteRow(msgspec.Struct, frozen=True):
    """A vote of a block. `choices` is null while the election does not show its counts."""

    position: int
    vote_id: str
    voter_id: str
    time: int
    choices: tuple[tuple[str, ...], ...] | None


class HeaderFields(msgspec.Struct, frozen=True):
    """The 80 bytes that are hashed twice; hashes in the order in which SHA-256 gives them."""

    version: int
    previous: str
    merkle_root: str
    time: int
    bits: int
    nonce: int
    raw: str


class BlockPage(msgspec.Struct, frozen=True):
    """A block with some of its votes, those from `first_vote` on."""

    height: int
    hash: str
    header: HeaderFields
    next: str | None
    final: bool
    miner: Miner | None
    miner_name: str | None
    votes: int
    first_vote: int
    rows: tuple[VoteRow, ...]
    records: tuple[BlockRecord, ...]


class BlockPath(msgspec.Struct, frozen=True):
    """The way from a vote to the Merkle root of its block: leaf `position` of `size`.

    `header`: the 80 bytes of the block's header in hexadecimal, in which the root stands.
    """

    position: int
    size: int
    path: tuple[str, ...]
    merkle_root: str
    header: str


class VotePage(msgspec.Struct, frozen=True):
    """Where a vote stands, the way to the root of its block, and the proof (C2SP tlog-proof) that it is in
    the log that named nodes have signed; empty while there is none."""

    standing: WhereVoteIs
    in_block: BlockPath | None
    proof: str


class Found(msgspec.Struct, frozen=True):
    """What a search means. A block and a voter may have the same number: then `voter_id` is there, too."""

    kind: Literal["vote", "voter", "block", "none"]
    height: int | None = None
    hash: str | None = None
    vote_id: str | None = None
    voter_id: str | None = None


NOTHING: Final = Found("none")


# -- what pages show -------------------------------------------------------------------------------


async def block_list(view: LiveView, first: int | None = None, count: int = ROWS) -> list[BlockSummary]:
    """Blocks downwards from height `first`; without it from the last one. Raises Unreachable."""
    index = await reader_of(view).index()
    top = index.height if first is None else min(first, index.height)
    return [_summary(view, index, index.row(height)) for height in range(top, max(top - count, -1), -1)]


async def block_page(
    view: LiveView, which: int | str, first_vote: int = 0, count: int = MAX_ROWS, *, who: str = ""
) -> BlockPage:
    """The block at a height, or with a hash (64 hexadecimal digits), for a client (`client_of`).

    Raises:
        Rejected: not-found.
        Unreachable: no node has it.
    """
    reader = reader_of(view)
    index = await reader.index()
    height = which if isinstance(which, int) else index.find_block(bytes.fromhex(which))
    if height is None or not 0 <= height <= index.height:
        raise Rejected("not-found", f"there is no block {which}").advising("The last block: /chain")
    row = index.row(height)
    block = await reader.block(height, who) if height else Block(row.header, ())
    return _page(view, index, row, block, range(first_vote, min(first_vote + count, row.votes)))


async def vote_page(view: LiveView, voter_id: str) -> VotePage:
    """Where the vote of a voter stands, and what proves it. Raises Unreachable; Rejected: bad-vote."""
    standing = await where_is(view, voter_id, with_record=True)
    proof = await view.ask(lambda node: _proof(node, voter_id)) if standing.state == "final" else ""
    index = await reader_of(view).index()
    place = index.find_record(bytes.fromhex(standing.vote_id)) if standing.vote_id else None
    return VotePage(standing, None if place is None else _block_path(index, place), proof)


async def find(view: LiveView, text: str, who: str = "") -> Found:
    """What a text means: a vote id or a receipt code, a block's hash, a voter's key, a voter id, a height."""
    text = text.strip()
    if not text or len(text) > MAX_SEARCH or not is_plain(text):
        return NOTHING
    index = await reader_of(view).index()
    digits = "".join(text.lower().replace("-", " ").split())
    if RECEIPT_CODE_DIGITS <= len(digits) <= HASH_DIGITS and set(digits) <= set("0123456789abcdef"):
        found = await _find_hash(view, index, digits, who)
        if found is not NOTHING:
            return found
    voter = await _find_voter(view, text)
    if text.isascii() and text.isdigit() and int(text) <= index.height:
        row = index.row(int(text))
        return Found("block", row.height, row.hash.hex(), voter.vote_id, voter.voter_id)
    return voter


async def _find_hash(view: LiveView, index: ChainIndex, digits: str, who: str) -> Found:
    """What a hash, or the first digits of a vote id, is of."""
    wanted = bytes.fromhex(digits[: len(digits) // 2 * 2])
    if len(digits) == HASH_DIGITS and (height := index.find_block(wanted)) is not None:
        return Found("block", height, digits)
    place = index.find_record(wanted)
    if place is not None:
        block = await reader_of(view).block(place.height, who)
        block_hash = block.header.hash.hex()
        if place.position >= len(block.votes):
            return Found("block", place.height, block_hash)  # a record that is no vote
        vote = block.votes[place.position]
        vote_id = vote.id.hex()
        if vote_id.startswith(digits):
            return Found("vote", place.height, block_hash, vote_id, vote.voter_id)
    election = view.snapshot.election
    voter_id = None if election.registered is None else election.voter_of_key(digits)
    return NOTHING if voter_id is None else await _find_voter(view, voter_id, on_roll=True)


async def _find_voter(view: LiveView, voter_id: str, *, on_roll: bool = False) -> Found:
    """A voter who has voted, or who is on the roll."""
    status = await view.ask(lambda node: fetch_vote_status(node, voter_id))
    if status.state == "unknown" and not (on_roll or view.snapshot.election.is_on_roll(voter_id)):
        return NOTHING
    return Found("voter", status.height, status.block, status.vote_id, voter_id)


async def _proof(node: NodeConnection, voter_id: str) -> str:
    return (await node.ask(GetProof(voter_id=voter_id), Proof)).proof


# -- made of the index -----------------------------------------------------------------------------


def _is_final(view: LiveView, index: ChainIndex, height: int) -> bool:
    """Whether the page calls the chain final so far, and a certificate that it checked covers the block."""
    final, newest = view.snapshot.final_height, view.log.newest
    if final is None or newest is None:
        return False
    return height <= final and index.first_leaf(height + 1) <= newest.size


def _miner_name(view: LiveView, miner: int | None) -> str | None:
    nodes = view.snapshot.election.definition.nodes
    return None if miner is None or miner >= len(nodes) else nodes[miner].name


def _summary(view: LiveView, index: ChainIndex, row: BlockRow) -> BlockSummary:
    return BlockSummary(
        height=row.height,
        hash=row.hash.hex(),
        previous=row.header.previous.hex(),
        time=row.header.time,
        votes=row.votes,
        records=row.records,
        miner=_miner_name(view, row.miner),
        final=_is_final(view, index, row.height),
    )


def _page(view: LiveView, index: ChainIndex, row: BlockRow, block: Block, shown: range) -> BlockPage:
    header = row.header
    return BlockPage(
        height=row.height,
        hash=row.hash.hex(),
        header=HeaderFields(
            version=header.version,
            previous=header.previous.hex(),
            merkle_root=header.merkle_root.hex(),
            time=header.time,
            bits=header.bits,
            nonce=header.nonce,
            raw=header.pack().hex(),
        ),
        next=index.hash_at(row.height + 1).hex() if row.height < index.height else None,
        final=_is_final(view, index, row.height),
        miner=block.extras.miner,
        miner_name=_miner_name(view, row.miner),
        votes=row.votes,
        first_vote=shown.start,
        rows=tuple(_vote_row(view, position, block.votes[position]) for position in shown),
        records=tuple(one.value for one in block.extras.records[:MAX_ROWS]),
    )


def _vote_row(view: LiveView, position: int, hashed: HashedVote) -> VoteRow:
    shown = bool(view.snapshot.results.contests)
    return VoteRow(
        position=position,
        vote_id=hashed.id.hex(),
        voter_id=hashed.voter_id,
        time=hashed.vote.time,
        choices=hashed.vote.choices if shown else None,
    )


def _block_path(index: ChainIndex, place: RecordPlace) -> BlockPath:
    row = index.row(place.height)
    return BlockPath(
        position=place.position,
        size=row.votes + row.records,
        path=tuple(step.hex() for step in index.path(place)),
        merkle_root=row.header.merkle_root.hex(),
        header=row.header.pack().hex(),
    )


# -- handlers --------------------------------------------------------------------------------------


async def get_blocks(request: Request) -> Response:
    view = view_of(request)
    count = number_parameter(request, "count", ROWS, least=1, most=MAX_ROWS)
    first = number_parameter(request, "from", -1)
    rows = await block_list(view, None if first < 0 else first, count)
    return json_answer({"blocks": rows, "height": (await reader_of(view).index()).height})


async def get_block(request: Request) -> Response:
    text = request.path_params["which"]
    which: Any = text.lower()
    if len(text) != HASH_DIGITS or set(which) - set("0123456789abcdef"):
        which = whole_number(text, "block")
    first = number_parameter(request, "first_vote", 0)
    count = number_parameter(request, "count", MAX_ROWS, least=1, most=MAX_ROWS)
    return json_answer(await block_page(view_of(request), which, first, count, who=asker_of(request)))


async def get_search(request: Request) -> Response:
    text = text_parameter(request, "q")
    if len(text) > MAX_SEARCH:
        raise VotenetError(f"a search has at most {MAX_SEARCH} characters", code="bad-request")
    return json_answer(await find(view_of(request), text, asker_of(request)))
