"""Places for dear work: turns of clients, the share of one, and readers who go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from votenet.web.api.fair_places import FairPlaces


class Readers:
    """Readers that hold their places until they are told to go. `began`: in which order they got them."""

    def __init__(self, places: FairPlaces, tasks: asyncio.TaskGroup) -> None:
        self._places, self._tasks = places, tasks
        self.began: list[str] = []
        self.done: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> list[asyncio.Task[None]]:
        """A name is that of the client, a colon, and what tells its readers apart."""
        made = [self._tasks.create_task(self._read(name)) for name in names]
        await settled()
        return made

    async def go(self, *names: str) -> None:
        for name in names:
            self.done[name].set()
        await settled()

    async def _read(self, name: str) -> None:
        self.done[name] = asyncio.Event()
        async with self._places.place(name.partition(":")[0]):
            self.began.append(name)
            await self.done[name].wait()


async def settled() -> None:
    """All that can go on now has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def play(scenario: Callable[[Readers], Awaitable[None]], places: int = 4, most_of_one: int = 2) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            await scenario(Readers(FairPlaces(places, most_of_one), tasks))

    asyncio.run(main())


def test_one_client_leaves_places_to_others_however_much_it_asks_for() -> None:
    async def scenario(readers: Readers) -> None:
        await readers.come("a:1", "a:2", "a:3", "a:4", "b:1", "c:1")
        assert readers.began == ["a:1", "a:2", "b:1", "c:1"]
        await readers.go("a:1", "b:1")
        assert readers.began[4:] == ["a:3"]
        await readers.go("a:2", "a:3", "a:4", "c:1")

    play(scenario)


def test_clients_that_wait_take_turns() -> None:
    async def scenario(readers: Readers) -> None:
        await readers.come("a:1", "a:2", "a:3", "a:4", "b:1", "b:2", "c:1")
        assert readers.began == ["a:1"]
        for name in ("a:1", "a:2", "b:1", "c:1", "a:3", "b:2", "a:4"):
            await readers.go(name)
        assert readers.began == ["a:1", "a:2", "b:1", "c:1", "a:3", "b:2", "a:4"]

    play(scenario, places=1, most_of_one=1)


def test_readers_who_go_while_they_wait_or_just_when_their_turn_comes_take_no_place() -> None:
    async def scenario(readers: Readers) -> None:
        await readers.come("a:1")
        waits, next_one = await readers.come("b:1", "c:1")
        waits.cancel()
        readers.done["a:1"].set()
        await asyncio.sleep(0)  # the place is c's now, and its task has not run yet
        next_one.cancel()
        await settled()
        await readers.come("d:1")
        assert readers.began == ["a:1", "d:1"]
        await readers.go("d:1")

    play(scenario, places=1, most_of_one=1)


def test_this_machine_may_have_all_places_for_it_may_be_a_proxy() -> None:
    async def scenario(readers: Readers) -> None:
        names = [f"127.0.0.1:{number}" for number in range(4)]
        await readers.come(*names)
        assert readers.began == names
        await readers.go(*names)

    play(scenario)
