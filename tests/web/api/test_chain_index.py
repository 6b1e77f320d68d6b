"""The index of a chain: blocks, records and tiles are found as they are in the blocks."""

from __future__ import annotations

import random

import pytest

from support.elections import TRIVIAL_BITS, make_election, make_votes, mine_block, mine_named, named_nodes
from support.log_tiles import tile_widths
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, genesis_header
from votenet.core.log.merkle import root_from_path
from votenet.core.log.tiles import log_files, tile_path
from votenet.errors import VotenetError
from votenet.web.api import chain_index
from votenet.web.api.chain_index import ChainIndex, RecordPlace

OPEN = make_election(bits=TRIVIAL_BITS)
NAMED = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))


def chain_of(election: Election, sizes: list[int]) -> list[Block]:
    blocks: list[Block] = []
    parent, first = genesis_header(election), 1
    for height, size in enumerate(sizes, start=1):
        votes = make_votes(election, size, first=first)
        if election.named:
            blocks.append(mine_named(election, parent, height, votes, node=height % 4))
        else:
            blocks.append(mine_block(election, parent, votes))
        parent, first = blocks[-1].header, first + size
    return blocks


def indexed(election: Election, blocks: list[Block]) -> ChainIndex:
    index = ChainIndex(election)
    for block in blocks:
        index.append(block)
    return index


def test_every_block_and_every_record_is_found_where_it_is() -> None:
    blocks = chain_of(NAMED, [3, 0, 1, 7])
    index = indexed(NAMED, blocks)
    assert index.height == 4
    assert index.tip == blocks[-1].header.hash
    for height, block in enumerate(blocks, start=1):
        row = index.row(height)
        assert (row.header, row.votes, row.records, row.miner) == (
            block.header, len(block.votes), 0, height % 4
        )  # fmt: skip
        assert index.find_block(block.header.hash) == height
        for position, vote in enumerate(block.votes):
            place = index.find_record(vote.id)
            assert place == RecordPlace(height, position) == index.find_record(vote.id[:8])
            root = root_from_path(vote.id, position, len(block.votes), index.path(place))
            assert root == block.header.merkle_root
    genesis = index.row(0)
    assert (genesis.header, genesis.votes, genesis.miner) == (genesis_header(NAMED), 0, None)
    for unknown in (bytes(32), blocks[0].header.merkle_root[::-1]):
        assert index.find_block(unknown) is None
        assert index.find_record(unknown) is None
    with pytest.raises(IndexError):
        index.row(5)


def test_the_hash_of_a_header_leaf_is_no_record() -> None:
    index = indexed(NAMED, chain_of(NAMED, [2]))
    for leaf in (0, 3):
        header_leaf = bytes(index.tile(0, 0, 4) or b"")[32 * leaf : 32 * leaf + 32]
        assert index.find_record(header_leaf) is None


def test_a_hash_that_lies_across_two_others_is_not_found() -> None:
    index = indexed(NAMED, chain_of(NAMED, [4]))
    hashes = index.tile(0, 0, 6) or b""
    assert index.find_record(hashes[40:72]) is None


def test_another_branch_takes_the_place_of_the_last_blocks() -> None:
    blocks = chain_of(OPEN, [2, 2, 2])
    index = indexed(OPEN, blocks)
    other = mine_block(OPEN, blocks[0].header, make_votes(OPEN, 1, first=90))
    index.cut(1)
    index.append(other)
    assert (index.height, index.tip) == (2, other.header.hash)
    assert index.find_record(blocks[2].votes[0].id) is None
    assert index.find_record(other.votes[0].id) == RecordPlace(2, 0)
    with pytest.raises(ValueError, match="does not follow"):
        index.append(blocks[2])


def test_the_locator_goes_back_to_genesis_in_growing_steps() -> None:
    index = indexed(OPEN, chain_of(OPEN, [0] * 60))
    locator = index.locator()
    assert locator[0] == index.tip
    assert locator[-1] == index.hash_at(0)
    assert len(locator) < 25
    assert len(set(locator)) == len(locator)


def test_its_tiles_are_those_of_the_log() -> None:
    sizes = [random.Random(4).choice([0, 1, 5, 30]) for _ in range(30)] + [300]
    blocks = chain_of(NAMED, sizes)
    index = indexed(NAMED, blocks)
    entries = [genesis_header(NAMED).pack()]
    for block in blocks:
        entries += [*(vote.record for vote in block.votes), block.header.pack()]
    written = {path: data for path, data in log_files(entries) if "entries" not in path}
    assert index.leaves == len(entries)
    widths = list(tile_widths(len(entries)))
    assert {level for level, _, _ in widths} == {0, 1}
    assert written == {tile_path(*tile): index.tile(*tile) for tile in widths}
    level, number, width = widths[-1]
    assert index.tile(level, number, width + 1) is None
    assert index.tile(9, 0, 1) is None


def test_a_chain_without_end_is_not_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_index, "MAX_INDEXED_RECORDS", 5)
    blocks = chain_of(OPEN, [2, 2])
    index = indexed(OPEN, blocks[:1])
    with pytest.raises(VotenetError) as refused:
        index.append(blocks[1])
    assert refused.value.code == "chain-too-long"
    assert index.height == 1
