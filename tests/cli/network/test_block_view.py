"""Blocks in words: reorganisations, amendments, who found and signed what."""

from __future__ import annotations

import json

import pytest

from support.amendments import amendable, amendment
from support.elections import CREATED, make_election, named_nodes
from votenet.cli.network.block_view import (
    ChainView,
    amendments_in_words,
    block_events,
    switch_lines,
    what_words,
)
from votenet.client.block_list import BlockBody, ShownBlock, ShownChain
from votenet.core.election.amendment import amend
from votenet.core.ledger.block import Header
from votenet.errors import Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import Switch

NO_HEADER = Header(2, bytes(32), bytes(32), 0, 0, 0)
PLAIN = make_election()
SWITCH = Switch(time=CREATED + 0.7, fork=0, removed=1, added=2, old="a" * 64, new="c" * 64, votes=3)
FIVE = BlockBody(5, None, closing=False, late=0, amendments=())


def block(name: str, parent: str, height: int, *, best: bool = True, own: bool = False) -> ShownBlock:
    return ShownBlock(height, NO_HEADER, name * 64, parent * 64, CREATED + height, 256, best, own, None, ())


def chain(
    name: str, *blocks: ShownBlock, work: int = 1, switches: tuple[Switch, ...] = (), final: int | None = None
) -> ShownChain:
    tip = max((one for one in blocks if one.best), key=lambda one: one.height)
    signed_by = () if final is None else ("Node 0", "Node 1")
    return ShownChain(
        Address("127.0.0.1", 3000), name, tip.hash, tip.height, work, final, signed_by, blocks, switches
    )


ROOT = block("0", "-", 0)
LEFT = chain("west", ROOT, block("a", "0", 1, own=True))
RIGHT = chain("east", ROOT, block("b", "0", 1), block("c", "b", 2, own=True), work=2)


def fork() -> ChainView:
    bodies = {name * 64: FIVE for name in "abc"}
    return ChainView(PLAIN, 20, bodies, [LEFT, RIGHT], {})


def test_where_nodes_differ_the_tree_says_who_stands_where(capsys: pytest.CaptureFixture[str]) -> None:
    fork().show()
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "block time hash votes found by work tip of what"
    assert lines[1].startswith("● 0 ")
    assert lines[2] == "├─╮"
    assert lines[3].startswith("│ ○ 1 ")
    assert lines[3].endswith(" aaaaaaaaaaaa 5 west 256 west")
    assert lines[4].endswith(" bbbbbbbbbbbb 5 ? 256"), "nobody says that it found this one"
    assert lines[5].endswith(" cccccccccccc 5 east 256 east")
    assert lines[6] == "The nodes stand on 2 different blocks."
    assert lines[7].startswith("Final: never final")


def test_a_node_that_is_lost_is_told_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    view = fork()
    view.lost["127.0.0.1:9"] = Unreachable("it sleeps")
    view.show()
    assert capsys.readouterr().err == "Warning: 127.0.0.1:9 is left out: it sleeps\n"
    assert [one["node"] for one in view.as_json()["unreachable"]] == ["127.0.0.1:9"]


def test_the_same_in_json() -> None:
    shown = json.loads(json.dumps(fork().as_json()))
    assert [node["name"] for node in shown["nodes"]] == ["west", "east"]
    blocks = {one["hash"][0]: one for one in shown["blocks"]}
    assert {name: one["best"] for name, one in blocks.items()} == {
        "0": True,
        "a": False,
        "b": True,
        "c": True,
    }
    assert (blocks["a"]["found_by"], blocks["a"]["tip_of"], blocks["a"]["votes"]) == (["west"], ["west"], 5)
    assert (blocks["0"]["votes"], blocks["0"]["final"], blocks["b"]["found_by"]) == (None, False, [])


def test_only_the_last_blocks_are_shown() -> None:
    view = ChainView(PLAIN, 1, {}, [LEFT, RIGHT], {})
    assert [one.hash[0] for one in view.blocks] == ["c"]


def test_a_reorganisation_is_told_once_for_all_nodes_that_made_it() -> None:
    other = SWITCH.__class__(
        **{name: getattr(SWITCH, name) for name in SWITCH.__struct_fields__} | {"time": 5.0}
    )
    two = [chain("west", ROOT, switches=(SWITCH,)), chain("north", ROOT, switches=(other,))]
    (line,) = switch_lines(two, 0)
    assert "west, north: reorganisation behind block 0: 1 block off (tip aaaaaaaaaaaa)," in line
    assert line.endswith("2 blocks on (tip cccccccccccc), 3 votes wait again")
    (alone,) = switch_lines(two[:1], 1)
    assert "west" not in alone
    assert list(switch_lines(two, 2)) == [], "it took off nothing that is shown"


def test_what_a_block_has_beside_votes() -> None:
    assert what_words(None) == what_words(FIVE) == ""
    one = amendment(amendable(), "cancel")
    body = BlockBody(0, "Node 0", closing=True, late=2, amendments=(one,))
    assert what_words(body) == "closing block, 1 amendment, 2 late votes not counted"


def test_amendments_are_worded_with_the_closing_time_before_each() -> None:
    election = amendable()
    closes = election.definition.closes
    assert closes is not None
    first = amendment(election, "extend", closes=closes + 600, reason="late")
    election = amend(election, [first])
    second = amendment(election, "extend", closes=closes + 1200)
    election = amend(election, [second])
    bodies = [(3, BlockBody(0, None, False, 0, (first,))), (5, BlockBody(0, None, False, 0, (second,)))]
    lines = list(amendments_in_words(bodies, election))
    assert lines[0].startswith("Block 3, amendment 1: extend: voting closes ")
    assert lines[0].endswith(" (late)")
    until = lines[0].split(" closes ")[1].split(",")[0]
    assert lines[1].endswith(f", not {until}")


def test_news_are_told_once_in_their_order() -> None:
    named = make_election(nodes=named_nodes(2))
    body = BlockBody(1, "Node 1", closing=False, late=0, amendments=())
    bodies = {"a" * 64: body, "b" * 64: FIVE, "c" * 64: FIVE}
    first = chain("n", ROOT, block("a", "0", 1))
    final = first._replace(final_height=1, signed_by=("Node 0", "Node 1"))
    told = [line for _, line in block_events(None, first, bodies, named)]
    assert [line.split(" block ")[1] for line in told] == [
        "0 000000000000 genesis", "1 aaaaaaaaaaaa 1 vote, found by Node 1",
    ]  # fmt: skip
    assert [line for _, line in block_events(first, final, bodies, named)] == [
        "final up to block 1, signed by 2 of 2"
    ]
    assert list(block_events(final, final, bodies, named)) == []
    switched = RIGHT._replace(switches=(SWITCH,))
    news = list(block_events(LEFT, switched, bodies, PLAIN))
    assert [event["event"] for event, _ in news] == ["reorganisation", "block", "block"]
    assert [event["hash"][0] for event, _ in news[1:]] == ["b", "c"]
