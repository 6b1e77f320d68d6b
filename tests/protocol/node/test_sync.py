"""Catching up: headers first, blocks from several peers, and peers that stall, lie or vanish."""

from __future__ import annotations

import pytest

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    commit_of,
    make_election,
    make_votes,
    mine_block,
    mine_named,
    named_nodes,
)
from support.nodes import HandNode, compact_block, header_hex, headers_of, refused, sent
from votenet.core.ledger.block import Block, Header, genesis_header
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.protocol.node import sync
from votenet.protocol.node.events import Ready, Tick
from votenet.protocol.node.sync import (
    MAX_WINDOW_BLOCKS,
    MAX_WINDOW_BYTES,
    MAX_WINDOW_VOTES,
    SYNC_ANSWER_SECONDS,
)
from votenet.protocol.wire.peer_messages import (
    MAX_BLOCKS_ASKED,
    MAX_HEADERS,
    GetBlocks,
    GetHeaders,
    Headers,
    NoBlock,
)

ELECTION = make_election(bits=TRIVIAL_BITS, max_block_votes=MAX_WINDOW_VOTES // MAX_WINDOW_BLOCKS)
LONG = MAX_HEADERS + 100


def grow(count: int, parent: Header | None = None, *, step: int = 1) -> list[Block]:
    """Empty blocks on a header, quick to check."""
    parent = parent or genesis_header(ELECTION)
    blocks = []
    for _ in range(count):
        blocks.append(mine_block(ELECTION, parent, time=parent.time + step))
        parent = blocks[-1].header
    return blocks


@pytest.fixture(scope="module")
def chain() -> list[Block]:
    return grow(LONG)


def node() -> HandNode:
    return HandNode(ELECTION, mining=False)


def asked_blocks(ready: Ready, link: int) -> list[str]:
    return [h for message in sent(ready, link) if isinstance(message, GetBlocks) for h in message.hashes]


def hashes(blocks: list[Block]) -> list[str]:
    return [block.header.hash.hex() for block in blocks]


def serve(us: HandNode, ready: Ready, blocks: list[Block], honest: set[int]) -> None:
    """Answer every request to an honest peer out of `blocks`, until nothing is asked any more."""
    known = {block.header.hash.hex(): block for block in blocks}
    headers = [block.header for block in blocks]
    while True:
        answers = []
        for link, message in ready.send:
            if link in honest and isinstance(message, GetBlocks):
                answers.append(us.give(link, *(known[h] for h in message.hashes)))
            elif link in honest and isinstance(message, GetHeaders):
                place = {header.hash.hex(): index + 1 for index, header in enumerate(headers)}
                start = next((place[h] for h in message.locator if h in place), 0)
                answers.append(us.receive(link, headers_of(*blocks[start : start + MAX_HEADERS])))
        if not answers:
            return
        ready = Ready()
        for answer in answers:
            ready.send += answer.send


def test_a_new_node_fetches_a_chain_of_more_than_two_thousand_blocks(chain: list[Block]) -> None:
    us = node()
    ready = us.meet(1, work=LONG * 2)
    (question,) = sent(ready, 1)
    assert question == GetHeaders(locator=(us.chain.genesis.hash.hex(),))
    assert not us.core.caught_up
    serve(us, ready, chain, {1})
    assert us.chain.tip.hash == chain[-1].header.hash
    assert us.core.caught_up


def test_after_a_full_answer_the_next_headers_are_asked_from_its_end(chain: list[Block]) -> None:
    us = node()
    us.meet(1, work=LONG * 2)
    ready = us.receive(1, headers_of(*chain[:MAX_HEADERS]))
    (question,) = [m for m in sent(ready, 1) if isinstance(m, GetHeaders)]
    assert question.locator[0] == chain[MAX_HEADERS - 1].header.hash.hex()
    assert [len(m.hashes) for m in sent(ready, 1) if isinstance(m, GetBlocks)] == [MAX_BLOCKS_ASKED] * 4
    assert not [m for m in sent(us.receive(1, Headers(headers=())), 1) if isinstance(m, GetHeaders)]


def test_a_peer_that_repeats_a_full_answer_does_not_keep_a_node_waiting(chain: list[Block]) -> None:
    """One that has the same headers as another peer is asked on; nobody is asked for the same for ever."""
    us, page = node(), headers_of(*chain[:MAX_HEADERS])
    asked = []
    for link in (1, 2):
        us.meet(link, work=LONG * 2)
        asked += [[m for m in sent(us.receive(link, page), link) if isinstance(m, GetHeaders)] for _ in "12"]
    assert [len(questions) for questions in asked] == [1, 0, 1, 0]
    assert [peer.headers_due for peer in us.state.sync.peers.values()] == [None, None]


def test_blocks_are_asked_of_all_peers_that_have_the_branch(chain: list[Block]) -> None:
    us = node()
    for link in (1, 2):
        us.meet(link, work=200)
    shorter = us.receive(1, headers_of(*chain[:20]))
    assert asked_blocks(shorter, 1) == hashes(chain[:20])
    ready = us.receive(2, headers_of(*chain[:60]))
    assert asked_blocks(ready, 2) == hashes(chain[20:60])
    us.meet(3)
    more = us.receive(3, headers_of(*chain[:200]))
    assert len(asked_blocks(more, 3)) == MAX_WINDOW_BLOCKS - 60


def test_big_blocks_are_asked_for_a_few_at_a_time() -> None:
    """The votes of a block are not known before it comes: the next blocks are taken to be like the last."""
    election = make_election(bits=TRIVIAL_BITS, max_block_votes=MAX_WINDOW_VOTES // 4)
    blocks, parent = list[Block](), genesis_header(election)
    for _ in range(40):
        blocks.append(mine_block(election, parent, time=parent.time + 1))
        parent = blocks[-1].header
    us = HandNode(election, mining=False)
    us.meet(1, work=1)
    assert asked_blocks(us.receive(1, headers_of(*blocks)), 1) == hashes(blocks[:4])
    assert asked_blocks(us.give(1, blocks[0]), 1) == hashes(blocks[4:9])  # 8 on their way
    assert len(asked_blocks(us.give(1, blocks[1]), 1)) == 9
    us.state.sync.accept_block(us.chain.entries[blocks[30].header.hash], make_votes(election, 1) * 64_000, 1)
    assert asked_blocks(us.give(1, blocks[2]), 1) == []


def test_blocks_of_long_votes_are_asked_for_by_their_bytes(chain: list[Block]) -> None:
    names = [f"{number}" * 60 for number in range(100, 150)]
    long = make_votes(make_election(candidates=names, method="approval", max_choices=50), 1)
    us = node()
    us.meet(1, work=200)
    us.receive(1, headers_of(*chain[:200]))
    sync = us.state.sync
    sync.accept_block(us.chain.entries[chain[150].header.hash], long * (8 * 2**20 // len(long[0].record)), 1)
    assert MAX_WINDOW_BYTES // sync._usual_bytes == 3
    sync._asked.clear(), sync.requests.clear()
    sync.ask_bodies(us.now)
    asked = [
        name for _, request in sync.requests if isinstance(request, GetBlocks) for name in request.hashes
    ]
    assert asked == hashes(chain[:3])


def test_blocks_may_arrive_in_any_order(chain: list[Block]) -> None:
    us = node()
    us.meet(1, work=200)
    us.receive(1, headers_of(*chain[:30]))
    us.give(1, *chain[29:0:-1])
    assert us.chain.tip.height == 0
    us.give(1, chain[0])
    assert us.chain.tip.height == 30
    assert us.state.sync._waiting == {}


def test_a_stalling_peer_is_passed_over_for_another_after_a_while(chain: list[Block]) -> None:
    """It has the longest branch, too long to be asked for at once: being late must count against it."""
    us = node()
    us.meet(1, work=400), us.meet(2, work=400)
    stalled = us.receive(1, headers_of(*chain[:200]))
    assert asked_blocks(stalled, 1) == hashes(chain[:MAX_WINDOW_BLOCKS])
    assert asked_blocks(us.receive(2, headers_of(*chain[:200])), 2) == []
    us.now += SYNC_ANSWER_SECONDS - 0.1
    assert us.run(Tick()).send == []
    us.now += 0.1
    ready = us.run(Tick())
    assert sent(ready, 1) == []
    assert asked_blocks(ready, 2) == hashes(chain[:MAX_WINDOW_BLOCKS])
    serve(us, ready, chain[:200], {2})
    assert us.chain.tip.height == 200


def test_a_peer_is_not_late_because_we_are_slow(chain: list[Block]) -> None:
    """Its blocks lie unread while earlier ones are checked; only the time before and after counts."""
    us = node()
    us.meet(1)
    us.receive(1, headers_of(*chain[:20]))
    sync, began = us.state.sync, us.now
    first, second = (us.chain.entries[block.header.hash] for block in chain[:2])
    assert sync.begin_check(first, 1, began + 5)
    assert sync.begin_check(second, 1, began + 50)
    sync.end_check(first, began + 60)
    sync.give_up_late(began + 1000)
    assert not sync.peers[1].late
    sync.end_check(second, began + 1000)
    sync.give_up_late(began + 1000 + SYNC_ANSWER_SECONDS - 5.1)
    assert not sync.peers[1].late
    sync.give_up_late(began + 1000 + SYNC_ANSWER_SECONDS - 4.9)
    assert sync.peers[1].late


def test_a_peer_that_was_late_is_asked_again_when_there_is_no_other(chain: list[Block]) -> None:
    us = node()
    us.meet(1, work=400)
    us.receive(1, headers_of(*chain[:20]))
    us.now += SYNC_ANSWER_SECONDS
    ready = us.run(Tick())
    assert asked_blocks(ready, 1) == hashes(chain[:20])
    serve(us, ready, chain[:20], {1})
    assert us.chain.tip.height == 20
    assert not us.state.sync.peers[1].late


def test_a_slow_peer_that_tells_of_block_after_block_is_not_asked_for_more_than_it_lets_wait(
    chain: list[Block],
) -> None:
    """It works through other questions first. It would refuse us, and cut us off again and again."""
    us = node()
    us.meet(1)
    asked = asked_blocks(us.receive(1, headers_of(chain[0])), 1)
    for block in chain[1:1000]:
        asked += asked_blocks(us.receive(1, compact_block(block)), 1)
    assert asked == hashes(chain[:MAX_WINDOW_BLOCKS])
    serve(us, us.give(1, *chain[:MAX_WINDOW_BLOCKS]), chain[:1000], {1})
    assert us.chain.tip.height == 1000


def test_what_a_late_peer_was_asked_for_counts_until_it_answers(chain: list[Block]) -> None:
    """Each time it is the only one left it was asked for a window more, while all before still waited."""
    us = node()
    us.meet(1, work=1000), us.meet(2)
    asked = set(asked_blocks(us.receive(1, headers_of(*chain[:1000])), 1))
    for number in range(5):
        window = chain[number * MAX_WINDOW_BLOCKS :][:MAX_WINDOW_BLOCKS]
        us.now += SYNC_ANSWER_SECONDS
        asked.update(asked_blocks(us.run(Tick()), 1))
        asked.update(asked_blocks(us.give(2, *window), 1))  # unasked
    assert us.chain.tip.height == 5 * MAX_WINDOW_BLOCKS
    assert asked == set(hashes(chain[:MAX_WINDOW_BLOCKS]))
    us.give(1, *chain[:MAX_WINDOW_BLOCKS])
    serve(us, us.run(Tick()), chain[:1000], {1})
    assert us.chain.tip.height == 1000


def test_requests_to_a_lost_peer_go_to_another_at_once(chain: list[Block]) -> None:
    us = node()
    us.meet(1), us.meet(2)
    us.receive(1, headers_of(*chain[:20]))
    us.receive(2, headers_of(*chain[:20]))
    assert asked_blocks(us.lose(1), 2) == hashes(chain[:20])


def test_a_peer_without_its_announced_block_is_not_asked_for_ever(chain: list[Block]) -> None:
    us = node()
    us.meet(1)
    us.receive(1, headers_of(*chain[:20]))
    ready = us.receive(1, NoBlock(hash=chain[0].header.hash.hex()))
    assert asked_blocks(ready, 1) == []
    us.meet(2)
    assert hashes(chain[:1]) == asked_blocks(us.receive(2, headers_of(*chain[:20])), 2)


def test_a_peer_that_does_not_answer_for_headers_is_not_waited_for() -> None:
    us = node()
    us.meet(1, work=10**6)
    assert not us.core.caught_up
    us.now += SYNC_ANSWER_SECONDS
    us.run(Tick())
    assert us.core.caught_up


def test_headers_that_are_withheld_do_not_keep_us_waiting(chain: list[Block]) -> None:
    us = node()
    us.meet(1)
    us.receive(1, headers_of(*chain[:3]))
    assert not us.core.caught_up
    us.now += SYNC_ANSWER_SECONDS
    us.run(Tick())
    us.receive(1, headers_of(*chain[:4]))
    assert us.core.caught_up


def test_a_new_tip_that_crosses_our_question_is_no_wrong_answer(chain: list[Block]) -> None:
    us = node()
    us.meet(1, work=10)
    announced = us.receive(1, headers_of(chain[4]))
    assert refused(announced) == []
    assert sent(announced, 1) == []  # the question is still out
    ready = us.receive(1, headers_of(*chain[:5]))
    serve(us, ready, chain[:5], {1})
    assert us.chain.tip.height == 5


def test_a_new_tip_of_unknown_parents_is_asked_about(chain: list[Block]) -> None:
    us = node()
    us.meet(1)
    for message in (headers_of(chain[4]), headers_of(*chain[4:7])):
        us.state.sync.peers[1].headers_due = None
        ready = us.receive(1, message)
        assert [type(m) for m in sent(ready, 1)] == [GetHeaders]
        assert refused(ready) == []


def test_an_inconsistent_answer_is_refused(chain: list[Block]) -> None:
    us = node()
    us.meet(1), us.meet(2, work=10)
    assert refused(us.receive(1, headers_of(chain[0], chain[2]))) == [(1, "broken-chain")]
    assert refused(us.receive(2, headers_of(chain[4], chain[5]))) == [(2, "unknown-parent")]


def test_bodies_that_lead_nowhere_do_not_fill_the_window(chain: list[Block]) -> None:
    """Eve holds back one block and sends what follows; the honest branch must still have room."""
    us = node()
    us.meet(1), us.meet(2)
    eves = grow(MAX_WINDOW_BLOCKS + 30, step=1)
    us.receive(1, headers_of(*eves))
    us.give(1, *eves[1:])
    assert len(us.state.sync._waiting) <= MAX_WINDOW_BLOCKS
    honest = chain[: len(eves) + 10]
    ready = us.receive(2, headers_of(*honest))
    us.now += SYNC_ANSWER_SECONDS
    ready.send += us.run(Tick()).send
    assert asked_blocks(ready, 2)
    serve(us, ready, honest, {2})
    assert us.chain.tip.hash == honest[-1].header.hash
    assert us.state.sync._waiting == {}


def test_an_unasked_block_without_its_parent_is_not_kept(chain: list[Block]) -> None:
    us = node()
    us.meet(1)
    us.give(1, *chain[:3])
    fork = grow(2, step=1)
    us.receive(1, headers_of(*fork))
    us.give(1, fork[1])  # less work than we have: not on the way to anything
    assert us.state.sync._waiting == {}


def test_a_peer_on_another_branch_of_equal_work_is_asked_for_it() -> None:
    election = make_election()
    us = HandNode(election)
    us.meet(1)
    one, other = (mine_block(election, votes=make_votes(election, 1), time=CREATED + n) for n in (1, 2))
    us.give(1, one)
    ready = us.meet(2, work=us.chain.tip.work)
    assert [type(m) for m in sent(ready, 2)] == [GetHeaders]
    us.receive(2, headers_of(other))
    assert [entry.hash for entry in us.chain.tied_tips()] == [other.header.hash]
    assert us.meet(3, work=0).send == []


def test_the_way_to_a_far_tip_is_walked_once(chain: list[Block], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else fetching n blocks costs n * n steps: at 100,000 blocks hours instead of seconds."""
    us = node()
    walks: list[int] = []
    real = us.chain.missing_bodies

    def counted(tip: BlockIndexEntry) -> list[BlockIndexEntry]:
        found: list[BlockIndexEntry] = real(tip)
        walks.append(len(found))
        return found

    monkeypatch.setattr(us.chain, "missing_bodies", counted)
    serve(us, us.meet(1, work=LONG * 2), chain, {1})
    assert us.chain.tip.height == LONG
    assert sum(walks) <= 2 * LONG


def test_side_headers_without_end_are_not_kept_and_a_better_branch_still_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync, "MAX_SIDE_HEADERS", 10)
    us, best = node(), grow(6)
    us.meet(1)
    us.give(1, *best)
    assert us.chain.tip.hash == best[-1].header.hash
    before = len(us.chain.entries)
    us.meet(2)
    for number in range(10):  # ten branches of three headers, all with less work than the tip
        assert refused(us.receive(2, headers_of(*grow(3, step=20 + number)))) == []
    side = len(us.chain.entries) - before
    assert 10 <= side < 10 + 3
    assert refused(us.give(2, grow(1, step=50)[0])) == []
    assert len(us.chain.entries) == before + side
    better = grow(7, step=2)
    ready = us.receive(2, headers_of(*better))
    assert asked_blocks(ready, 2) == hashes(better)
    us.give(2, *better)
    assert us.chain.tip.hash == better[-1].header.hash


# -- with named nodes ----------------------------------------------------------------------------------


def decided_chain(count: int) -> tuple[HandNode, list[Block]]:
    """A relay, and blocks that the named nodes decided."""
    election = make_election(bits=TRIVIAL_BITS, nodes=named_nodes(4))
    blocks: list[Block] = []
    for height in range(1, count + 1):
        parent = blocks[-1].header if blocks else genesis_header(election)
        blocks.append(mine_named(election, parent, height))
    return HandNode(election), blocks


def decided(us: HandNode, *blocks: Block, height: int) -> Headers:
    """Headers that end at a height, with its commit."""
    hexes = tuple(header_hex(block.header) for block in blocks)
    return Headers(headers=hexes, commit=commit_of(us.election, blocks[-1].header, height))


@pytest.mark.parametrize("is_known", [False, True])
def test_a_commit_decides_only_headers_that_lead_to_its_block(is_known: bool) -> None:
    us, blocks = decided_chain(2)
    own = mine_block(us.election, genesis_header(us.election), time=CREATED + 5)
    us.meet(1)
    if is_known:
        us.receive(1, decided(us, *blocks, height=2))
    us.meet(2)
    ready = us.receive(2, decided(us, own, blocks[1], height=2))
    assert refused(ready) == [(2, "broken-chain")]
    assert own.header.hash not in us.chain.entries


def test_the_commit_of_a_known_header_is_checked_before_it_is_kept() -> None:
    us, blocks = decided_chain(2)
    us.meet(1)
    us.receive(1, decided(us, *blocks, height=2))
    entry = us.chain.entries[blocks[0].header.hash]
    us.meet(2)
    false = commit_of(us.election, blocks[0].header, 7)
    ready = us.receive(2, Headers(headers=(header_hex(blocks[0].header),), commit=false))
    assert refused(ready) == [(2, "bad-commit")]
    assert not entry.commit
    us.receive(1, decided(us, blocks[0], height=1))
    assert entry.commit


def test_the_promise_of_a_stranger_holds_up_nobody_who_is_joined_to_a_named_node() -> None:
    us, _ = decided_chain(0)
    us.meet(1, work=2**200)
    assert not us.core.caught_up
    us.meet(2, key="node 1")
    assert us.core.caught_up
    us.meet(3, key="node 2", work=2**200)
    assert not us.core.caught_up
