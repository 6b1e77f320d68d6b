"""Lists of blocks: the best branch, branches beside it, reorganisations, commits of named nodes."""

from __future__ import annotations

from tests.protocol.node.test_answers import ask

from support.elections import CREATED, TRIVIAL_BITS, make_election, make_vote, make_votes, mine_block
from support.named_network import NamedNetwork, named
from support.nodes import HandNode
from votenet.core.ledger.block import Header, header_from_hex
from votenet.protocol.node import block_lists
from votenet.protocol.wire.client_messages import MAX_LISTED_BLOCKS, BlockList, GetBlockList, Switch
from votenet.protocol.wire.messages import decode_message

ELECTION = make_election(bits=TRIVIAL_BITS)
VOTES = make_votes(ELECTION, 3)


def listed(node: HandNode, **fields: int) -> BlockList:
    answer = ask(node, GetBlockList(id=4, **fields))
    assert isinstance(answer, BlockList)
    assert answer.id == 4
    return answer


def headers(shown: BlockList) -> list[Header]:
    return [header_from_hex(block.header) for block in shown.blocks]


def test_the_last_blocks_are_listed_and_those_from_a_height_on() -> None:
    node = HandNode(ELECTION, mining=False)
    node.meet(1)
    blocks = [mine_block(ELECTION)]
    for _ in range(MAX_LISTED_BLOCKS + 1):
        blocks.append(mine_block(ELECTION, blocks[-1].header))
    node.give(1, *blocks)
    best = [node.chain.genesis.header, *(block.header for block in blocks)]
    last = listed(node)
    assert (last.height, last.first, last.time) == (len(blocks), len(best) - MAX_LISTED_BLOCKS, node.now)
    assert headers(last) == best[-MAX_LISTED_BLOCKS:]
    assert headers(listed(node, count=1)) == best[-1:]
    assert headers(listed(node, first=0, count=2)) == best[:2]
    assert headers(listed(node, first=len(best))) == []
    assert not any(block.own or block.commit for block in last.blocks)


def test_a_block_that_the_node_has_found_is_marked() -> None:
    node = HandNode()
    node.submit(*make_votes(node.election, 2))
    node.mine()
    assert [block.own for block in listed(node).blocks] == [False, True]


def test_a_fork_and_its_end_are_told() -> None:
    node = HandNode(ELECTION, mining=False)
    node.meet(1), node.meet(2)
    ours = mine_block(ELECTION, votes=[VOTES[0], VOTES[1]])
    rival = mine_block(ELECTION, votes=[VOTES[1]], time=CREATED + 7)
    node.give(1, ours)
    node.give(2, rival)
    before = listed(node)
    assert headers(before)[1:] == [ours.header]
    assert [header_from_hex(block.header) for block in before.aside] == [rival.header]
    assert before.switches == ()
    longer = mine_block(ELECTION, rival.header, [VOTES[2]])
    node.give(2, longer)
    after = listed(node)
    assert headers(after)[1:] == [rival.header, longer.header]
    assert [header_from_hex(block.header) for block in after.aside] == [ours.header]
    assert after.switches == (
        Switch(
            time=node.now, fork=0, removed=1, added=2, votes=1,
            old=ours.header.hash.hex(), new=longer.header.hash.hex(),
        ),
    )  # fmt: skip
    assert listed(node, first=2).aside == (), "that branch leaves the best one earlier"


def test_blocks_of_named_nodes_come_with_their_commits_as_many_as_fit() -> None:
    network = NamedNetwork(4)
    for number in range(3):
        network.cast([make_vote(network.election, f"voter-{number}")], named(0))
        assert network.run_until(lambda count=number + 1: network.all_count(count), 60.0)
    core = network.core(named(1))
    lists = block_lists.BlockLists(core.state)

    def shown() -> BlockList:
        core.state.ready.send.clear()
        lists.on_get_block_list(7, GetBlockList(first=0), network.now)
        ((_, line),) = core.state.ready.send
        answer = decode_message(bytes(line))  # type: ignore[arg-type]
        assert isinstance(answer, BlockList)
        return answer

    answer = shown()
    election = network.election
    assert len(answer.blocks) == answer.height + 1 >= 2
    for height, block in enumerate(answer.blocks[1:], start=1):
        assert block.commit is not None
        block_hash = header_from_hex(block.header).hash.hex()
        keys = election.statement_keys
        assert len(block.commit.check(election.network_hex, height, block_hash, keys, election.quorum)) >= 3
    assert answer.aside == answer.switches == ()


def test_a_list_ends_where_its_commits_are_long(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    node = HandNode(ELECTION, mining=False)
    node.meet(1)
    first = mine_block(ELECTION)
    node.give(1, first, mine_block(ELECTION, first.header))
    for entry in node.chain.best[1:]:
        entry.commit = b'{"round":0,"signatures":{}}'
    monkeypatch.setattr(block_lists, "MAX_COMMIT_BYTES", 30)
    assert [len(listed(node, first=number).blocks) for number in (0, 1, 2, 3)] == [2, 1, 1, 0]
