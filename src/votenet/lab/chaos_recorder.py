"""What each node of a chaos run stands on, from moment to moment: what a picture of its forks is made of."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from votenet.client.connection import NodeConnection
from votenet.core.ledger.block import header_from_hex
from votenet.errors import VotenetError
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import BlockList, GetBlockList, ListedBlock, Switch

LOOK_SECONDS: Final = 0.05
"""Between two looks at a node."""
LOOK_BLOCKS: Final = 12
"""Of the best branch, in a look: no node moves further between two."""
LOOK_ANSWER_SECONDS: Final = 0.5
"""A node that is paused does not answer: it stands nowhere for so long."""
AGAIN_SECONDS: Final = 0.2
"""Until a node that did not answer is dialled again."""


class Stand(NamedTuple):
    """From `at` on (seconds into the run) a node has stood on the block `tip`; None: it does not answer."""

    at: float
    tip: str | None


class SeenBlock(NamedTuple):
    """A block, first seen at `at`. `found_by`: the node that says so; empty where none has said it."""

    at: float
    height: int
    previous: str
    found_by: str


@dataclass(slots=True)
class Recording:
    """What was seen, in the order of time. Nodes by name, blocks by hash (hexadecimal).

    `switches`: reorganisations as each node told them, with seconds into the run.
    """

    stands: dict[str, list[Stand]] = field(default_factory=dict)
    blocks: dict[str, SeenBlock] = field(default_factory=dict)
    switches: dict[str, list[tuple[float, Switch]]] = field(default_factory=dict)

    def note(self, name: str, at: float, answer: BlockList | None, clock: float = 0.0) -> None:
        """Add what a node has answered (None: nothing) `at` seconds into the run.

        Args:
            clock: what must be taken from a node's Unix time to get seconds into the run.
        """
        stands = self.stands.setdefault(name, [])
        tip = None
        if answer is not None and answer.blocks:
            tip = header_from_hex(answer.blocks[-1].header).hash.hex()
            self._note_blocks(name, at, answer)
            known = self.switches.setdefault(name, [])
            told = [(round(one.time - clock, 3), one) for one in answer.switches]
            known += [one for one in told if one not in known and one[0] >= 0.0]
        if not stands or stands[-1].tip != tip:
            stands.append(Stand(at, tip))

    def _note_blocks(self, name: str, at: float, answer: BlockList) -> None:
        heights: dict[str, int] = {}
        rows: Sequence[ListedBlock] = (*answer.blocks, *answer.aside)
        for number, block in enumerate(rows):
            header = header_from_hex(block.header)
            block_hash, previous = header.hash.hex(), header.previous.hex()
            best = number < len(answer.blocks)
            height = answer.first + number if best else heights.get(previous, answer.first - 1) + 1
            heights[block_hash] = height
            seen = self.blocks.get(block_hash, SeenBlock(at, height, previous, ""))
            self.blocks[block_hash] = seen._replace(found_by=name) if block.own else seen


class Recorder:
    """A thread that looks at all nodes, as a context manager. `recording` is complete behind the block."""

    def __init__(self, nodes: Mapping[str, Address], began: float) -> None:
        """`nodes`: addresses by name; `began`: the monotonic time from which seconds are counted."""
        self.recording = Recording()
        self._began, self._clock = began, time.time() - (time.monotonic() - began)
        self._nodes = dict(nodes)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="recorder")

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def aim(self, nodes: Mapping[str, Address]) -> None:
        """The nodes that there are now."""
        self._nodes = dict(nodes)

    # -- in the thread -------------------------------------------------------------------------------

    async def _run(self) -> None:
        watched: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while not self._stop.is_set():
                for name in self._nodes.keys() - watched:
                    tasks.create_task(self._watch(name))
                    watched.add(name)
                await asyncio.sleep(LOOK_SECONDS)

    async def _watch(self, name: str) -> None:
        while not self._stop.is_set():
            address = self._nodes.get(name)
            try:
                if address is not None:
                    async with NodeConnection(address, dial_timeout=LOOK_ANSWER_SECONDS) as node:
                        await self._look(name, node)
            except VotenetError:
                pass
            if not self._stop.is_set():
                self.recording.note(name, self._now(), None)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _look(self, name: str, node: NodeConnection) -> None:
        """Look at a node until it is gone, or this is over."""
        while not self._stop.is_set() and self._nodes.get(name) == node.address:
            answer = await node.ask(GetBlockList(count=LOOK_BLOCKS), BlockList, timeout=LOOK_ANSWER_SECONDS)
            self.recording.note(name, self._now(), answer, self._clock)
            await asyncio.sleep(LOOK_SECONDS)

    def _now(self) -> float:
        return time.monotonic() - self._began
