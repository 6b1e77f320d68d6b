"""Who found a block: a named node that signed it, and nobody else where nodes are named."""

from __future__ import annotations

import msgspec
import pytest

from support.elections import keys_of_node, make_election, make_votes, mine_block, named_nodes
from votenet.core.ledger.block import Block
from votenet.core.ledger.extras import BlockExtras, ClosingIds, Miner
from votenet.core.records.miner import check_miner, sign_block
from votenet.errors import Rejected

NAMED = make_election(nodes=named_nodes(4))
PLAIN = make_election()


def block_of(node: int, *, key: int | None = None, height: int = 1) -> Block:
    block = mine_block(NAMED, votes=make_votes(NAMED, 2))
    keys = keys_of_node(node if key is None else key)
    miner = sign_block(keys.statement, NAMED, node, block.header.hash, height)
    return block._replace(extras=BlockExtras(miner))


def refusal(block: Block, height: int = 1) -> str:
    with pytest.raises(Rejected) as caught:
        check_miner(block, height, NAMED)
    return caught.value.code


@pytest.mark.parametrize("node", range(4))
def test_a_block_is_signed_by_the_named_node_that_it_names(node: int) -> None:
    check_miner(block_of(node), 1, NAMED)


def test_another_key_another_height_another_block_or_no_signature_is_refused() -> None:
    good = block_of(1)
    assert good.extras.miner is not None
    other = mine_block(NAMED, votes=make_votes(NAMED, 3))
    assert refusal(block_of(1, key=2)) == "bad-miner"
    assert refusal(block_of(1, height=2)) == "bad-miner"
    assert refusal(other._replace(extras=good.extras)) == "bad-miner"
    assert refusal(good._replace(extras=BlockExtras())) == "bad-miner"


def test_a_node_beyond_the_named_ones_is_refused() -> None:
    good = block_of(3).extras.miner
    assert good is not None
    beyond = BlockExtras(msgspec.structs.replace(good, node=4))
    assert refusal(block_of(3)._replace(extras=beyond)) == "bad-miner"


def test_without_named_nodes_a_block_has_no_extras() -> None:
    block = mine_block(PLAIN)
    check_miner(block, 1, PLAIN)
    signed = block._replace(extras=BlockExtras(Miner(node=0, signature="00" * 64)))
    closing = block._replace(extras=BlockExtras(closing=ClosingIds(bits="", ids="")))
    for wrong, code in ((signed, "bad-miner"), (closing, "bad-closing")):
        with pytest.raises(Rejected) as caught:
            check_miner(wrong, 1, PLAIN)
        assert caught.value.code == code
