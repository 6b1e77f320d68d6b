"""What a recorder makes of the answers of nodes, and of nodes that do not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from support.elections import CREATED, TRIVIAL_BITS, make_election, mine_block
from support.lying_node import lying_node
from support.ports import free_port
from votenet.core.ledger.block import Header, genesis_header
from votenet.lab.chaos_recorder import Recorder, Recording, SeenBlock, Stand
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import BlockList, ListedBlock, Switch

ELECTION = make_election(bits=TRIVIAL_BITS)
GENESIS = genesis_header(ELECTION)
ONE = mine_block(ELECTION).header
RIVAL = mine_block(ELECTION, time=CREATED + 9).header
TWO = mine_block(ELECTION, RIVAL).header
SWITCH = Switch(
    time=CREATED + 5.25, fork=0, removed=1, added=2, old=ONE.hash.hex(), new=TWO.hash.hex(), votes=3
)


def told(
    *headers: Header, own: Header | None = None, aside: tuple[Header, ...] = (), **more: Any
) -> BlockList:
    def listed(header: Header) -> ListedBlock:
        return ListedBlock(header.pack().hex(), None, header == own)

    blocks = tuple(map(listed, headers))
    return BlockList(0, len(headers) - 1, blocks, time=0.0, aside=tuple(map(listed, aside)), **more)


def test_a_node_stands_on_a_tip_until_it_is_seen_on_another_or_does_not_answer() -> None:
    recording = Recording()
    for at, answer in enumerate(
        [told(GENESIS), told(GENESIS), told(GENESIS, ONE), None, None, told(GENESIS, ONE)]
    ):
        recording.note("n", float(at), answer)
    tips = [GENESIS.hash.hex(), ONE.hash.hex(), None, ONE.hash.hex()]
    assert recording.stands["n"] == [
        Stand(at, tip) for at, tip in zip((0.0, 2.0, 3.0, 5.0), tips, strict=True)
    ]


def test_blocks_are_kept_with_their_heights_and_who_says_that_it_found_them() -> None:
    recording = Recording()
    recording.note("a", 1.0, told(GENESIS, ONE, aside=(RIVAL, TWO)))
    recording.note("b", 2.0, told(GENESIS, RIVAL, TWO, own=TWO))
    recording.note("a", 3.0, told(GENESIS, RIVAL, TWO))
    assert recording.blocks[TWO.hash.hex()] == SeenBlock(1.0, 2, RIVAL.hash.hex(), "b")
    assert recording.blocks[ONE.hash.hex()] == SeenBlock(1.0, 1, GENESIS.hash.hex(), "")


def test_reorganisations_of_the_run_are_kept_once_by_its_clock() -> None:
    recording, early = Recording(), Switch(CREATED - 1.0, 0, 1, 1, "00" * 32, "11" * 32, 0)
    for at in (6.0, 7.0):
        recording.note("n", at, told(GENESIS, RIVAL, TWO, switches=(early, SWITCH)), clock=float(CREATED))
    assert recording.switches["n"] == [(5.25, SWITCH)]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_thread_looks_at_all_nodes_also_at_one_that_comes_back_elsewhere() -> None:
    answered = threading.Event()

    def answer(headers: tuple[Header, ...]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        blocks = [{"header": header.pack().hex()} for header in headers]
        shown = {"type": "block_list", "first": 0, "height": len(blocks) - 1, "blocks": blocks, "time": 0.0}

        def say(_: dict[str, Any]) -> dict[str, Any]:
            answered.set()
            return shown

        return say

    gone = Address("127.0.0.1", free_port())
    with (
        lying_node(ELECTION, {"get_block_list": answer((GENESIS, ONE))}) as node,
        Recorder({"here": node, "gone": gone}, time.monotonic()) as recorder,
    ):
        stands = recorder.recording.stands
        wait_until(lambda: "gone" in stands and any(one.tip for one in stands.get("here", ())))
        recorder.aim({"here": node, "gone": node, "new": node})
        wait_until(lambda: "new" in stands and stands["gone"][-1].tip is not None)
    assert answered.is_set()
    tips = {name: [one.tip for one in seen] for name, seen in stands.items()}
    assert ONE.hash.hex() in tips["here"]
    assert tips["gone"][:2] == [None, ONE.hash.hex()]
