"""Questions take turns by address, one at a time; those of closed links are dropped."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from votenet.errors import RemoteProtocolError, StorageError, VotenetError
from votenet.network.node.links import LinkTable
from votenet.network.node.serving import MAX_QUESTIONS, READERS, TURN_UNITS, Serving
from votenet.protocol.node.events import Served
from votenet.protocol.wire.limits import BLOCK_UNITS, BYTES_SENT_IN_UNIT


class FakeTable:
    """What Serving needs of the links: who is there, and of which address (`link // 100`)."""

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.peers: set[int] = set()
        self.slow: set[int] = set()
        self.sent: list[tuple[int, bytes]] = []
        self.last: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.charged: dict[int, float] = defaultdict(float)
        self.jobs: dict[int, int] = defaultdict(int)
        self.held: dict[int, int] = defaultdict(int)
        self.drained: Callable[[int], None] = lambda link: None
        self.backpressure = self

    def is_open(self, link: int) -> bool:
        return link not in self.gone

    def is_peer(self, link: int) -> bool:
        return link in self.peers

    def is_sending(self, link: int) -> bool:
        return link in self.slow

    def crowd(self, link: int) -> str:
        return f"address {link // 100}"

    def send(self, link: int, line: bytes) -> None:
        self.sent.append((link, line))

    def send_last(self, link: int, line: bytes) -> None:
        self.last.append(link)
        self.send(link, line)

    def refuse(self, link: int, error: VotenetError) -> None:
        self.refused.append((link, error.code))
        self.gone.add(link)

    def charge(self, link: int, units: float) -> None:
        self.charged[link] += units

    def job_started(self, link: int, size: int = 0) -> None:
        self.jobs[link] += 1
        self.held[link] += size

    def job_done(self, link: int, size: int = 0) -> None:
        self.jobs[link] -= 1
        self.held[link] -= size

    def reads(self, link: int) -> None:
        """The link has read its long line."""
        self.slow.discard(link)
        self.drained(link)

    def leaves(self, link: int) -> None:
        self.gone.add(link)
        self.reads(link)


class Desk:
    """Serving, with all that it was asked for and worked out."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.table = FakeTable()
        self.serving = Serving(cast(LinkTable, self.table), executor)
        self.begun: list[int] = []
        self.worked: list[int] = []

    def ask(
        self,
        link: int,
        key: Hashable = None,
        *,
        units: float = TURN_UNITS,
        last: bool = False,
        size: int = 0,
    ) -> None:
        """Ask a question whose answer takes a whole turn, or costs so many units."""

        def work() -> Served:
            self.worked.append(link)
            return Served(b"x", units)

        def begin() -> Callable[[], Served]:
            self.begun.append(link)
            return work

        self.serving.ask(link, begin, key, last=last, size=size)

    async def rest(self) -> None:
        """Until every question that has a turn is answered."""
        while self.serving.reading:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def run(test: Callable[[Desk], Awaitable[None]]) -> Desk:
    async def main() -> Desk:
        with ThreadPoolExecutor(1) as executor:
            desk = Desk(executor)
            await test(desk)
            await desk.rest()
            return desk

    return asyncio.run(main())


def test_addresses_take_turns_for_any_number_of_questions() -> None:
    async def test(desk: Desk) -> None:
        for link in (101, 101, 102, 103, 201, 301):
            desk.ask(link)

    desk = run(test)
    assert [link for link, _ in desk.table.sent] == [101, 101, 201, 301, 102, 103]
    assert set(desk.table.jobs.values()) == {0}


def test_cheap_questions_of_an_address_share_a_turn_and_dear_ones_do_not() -> None:
    """A node that catches up got one small block for each chain that another address asked for."""

    async def test(desk: Desk) -> None:
        for _ in range(3):
            desk.ask(101, units=5 * TURN_UNITS)
        for _ in range(60):
            desk.ask(201, units=0.1)
        desk.ask(301, units=TURN_UNITS / 2)

    cheap = [201] * int(TURN_UNITS // BLOCK_UNITS)
    rest = [201] * (60 - 2 * len(cheap))
    assert run(test).worked == [101, 101, *cheap, 301, 101, *cheap, *rest]


def test_nothing_is_begun_for_a_link_that_is_gone() -> None:
    async def test(desk: Desk) -> None:
        for link in (101, 101, 101, 201):
            desk.ask(link)
        desk.table.leaves(101)
        desk.ask(101)

    desk = run(test)
    assert desk.begun == [101, 201]
    assert [link for link, _ in desk.table.sent] == [101, 201], "a link that is gone drops its answer itself"
    assert set(desk.table.jobs.values()) == {0}
    assert desk.serving.idle


def test_nothing_begins_for_a_link_that_is_found_gone_when_another_question_comes_first() -> None:
    async def test(desk: Desk) -> None:
        def sent_to_a_link_that_was_reset(link: int, line: bytes) -> None:
            if link == 101:  # the loop says so in its next round; another link's question is there already
                asyncio.get_running_loop().call_soon(desk.table.leaves, 101)
                desk.ask(201)

        desk.table.send = sent_to_a_link_that_was_reset  # type: ignore[method-assign]
        for _ in range(3):
            desk.ask(101)

    assert run(test).begun == [101, 201]


def test_the_same_question_that_still_waits_is_answered_once() -> None:
    async def test(desk: Desk) -> None:
        desk.ask(900)
        for _ in range(64):
            for block in range(16):
                desk.ask(101, key=block)
        desk.ask(102, key=0)

    desk = run(test)
    assert desk.worked.count(101) == 16
    assert desk.worked.count(102) == 1
    assert desk.serving.idle

    async def again(desk: Desk) -> None:
        for _ in range(2):
            desk.ask(101, key=0)
            await desk.rest()

    assert run(again).worked == [101, 101], "it may be asked again when it was answered"


def test_a_link_with_too_many_questions_is_refused() -> None:
    async def test(desk: Desk) -> None:
        for _ in range(MAX_QUESTIONS):
            desk.ask(101)
        assert desk.table.refused == []
        desk.ask(101)

    desk = run(test)
    assert desk.table.refused == [(101, "rate-limited")]
    assert desk.begun == [101]


def test_a_link_reads_its_long_line_before_it_gets_another() -> None:
    async def test(desk: Desk) -> None:
        desk.table.slow.add(101)
        desk.ask(101), desk.ask(101), desk.ask(102)
        await desk.rest()
        assert desk.begun == [101, 102]
        desk.table.reads(101)

    assert run(test).begun == [101, 102, 101]


def test_an_address_has_so_many_long_lines_under_way_and_others_are_served_meanwhile() -> None:
    async def test(desk: Desk) -> None:
        links = [100 + number for number in range(READERS + 2)]
        desk.table.slow.update(links)
        for link in links:
            desk.ask(link)
        desk.ask(201)
        await desk.rest()
        assert sorted(desk.begun) == sorted([*links[:READERS], 201])
        desk.table.leaves(links[0])
        await desk.rest()
        assert desk.begun[-1] == links[READERS]

    run(test)


def test_a_peer_is_read_on_while_it_waits() -> None:
    """Two nodes that fetch blocks from each other would wait for each other."""

    async def test(desk: Desk) -> None:
        desk.table.peers.add(101)
        for _ in range(9):
            desk.ask(101)
        assert desk.table.jobs[101] == 0
        desk.ask(201), desk.ask(201)
        assert desk.table.jobs[201] == 2

    run(test)


def test_votes_that_are_kept_for_an_answer_count_as_memory_of_their_link() -> None:
    """Sixty links that sent votes which are on the chain already: the node kept 500 MB of them, uncounted."""

    async def test(desk: Desk) -> None:
        desk.table.peers.add(301)
        for link in (101, 101, 301):
            desk.ask(link, size=450_000)
        assert (desk.table.held[101], desk.table.held[301]) == (900_000, 450_000)
        assert (desk.table.jobs[101], desk.table.jobs[301]) == (2, 1)
        desk.table.leaves(101)

    desk = run(test)
    assert set(desk.table.held.values()) == {0}
    assert set(desk.table.jobs.values()) == {0}


def test_the_cost_of_an_answer_is_charged() -> None:
    async def test(desk: Desk) -> None:
        desk.serving.ask(101, lambda: lambda: Served(b"x" * 3 * BYTES_SENT_IN_UNIT, 7.0))
        desk.ask(201, units=0.0, last=True)

    desk = run(test)
    assert desk.table.charged == {101: 9.0, 201: 0.0}
    assert desk.table.last == [201]


def test_a_failed_answer_ends_the_link_with_its_code() -> None:
    def refuse() -> Callable[[], Served]:
        raise RemoteProtocolError("response-too-large", "too many votes")

    def fail() -> Served:
        raise StorageError("the disk is gone")

    async def test(desk: Desk) -> None:
        desk.serving.ask(101, refuse)
        desk.serving.ask(201, lambda: fail)
        desk.ask(301)

    desk = run(test)
    assert desk.table.refused == [(101, "response-too-large"), (201, "storage-failed")]
    assert [link for link, _ in desk.table.sent] == [301]


def test_after_a_new_start_of_the_core_nothing_old_is_answered() -> None:
    async def test(desk: Desk) -> None:
        desk.ask(101), desk.ask(101), desk.ask(201)
        desk.serving.clear()
        desk.ask(301)

    desk = run(test)
    assert [link for link, _ in desk.table.sent] == [301]
