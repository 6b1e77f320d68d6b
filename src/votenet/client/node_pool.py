"""A kept connection to each of several nodes: one of them is asked, or each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from votenet.client.connection import NodeConnection
from votenet.client.failover import NODE_DIAL_SECONDS, Failover, Work, another_may_do_better
from votenet.errors import NotRunning, Unreachable, VotenetError
from votenet.protocol.wire.address import Address

POOL_ANSWER_SECONDS: Final = 5.0
"""For an answer: a node that is paused or hangs is left for another."""

T = TypeVar("T")


class NodePool:
    """Connections are opened when they are first used. Many tasks may use it at a time."""

    def __init__(
        self,
        addresses: Iterable[Address],
        admit: Callable[[NodeConnection], Awaitable[object]],
        *,
        dial_timeout: float = NODE_DIAL_SECONDS,
        answer_timeout: float = POOL_ANSWER_SECONDS,
    ) -> None:
        """`admit` is called once on each new connection; what it raises counts as a failure of that node."""
        self._admit = admit
        self._dial_timeout, self._answer_timeout = dial_timeout, answer_timeout
        self._kept: dict[Address, Failover] = {}
        self.add(addresses)

    @property
    def addresses(self) -> list[Address]:
        """All nodes, in the order in which they came."""
        return list(self._kept)

    def add(self, addresses: Iterable[Address]) -> list[Address]:
        """More nodes. Returns those that are new."""
        new = [address for address in dict.fromkeys(addresses) if address not in self._kept]
        for address in new:
            self._kept[address] = Failover(
                [address], self._admit, dial_timeout=self._dial_timeout, answer_timeout=self._answer_timeout
            )
        return new

    async def remove(self, address: Address) -> None:
        """Close the connection to a node, and ask it no more."""
        kept = self._kept.pop(address, None)
        if kept is not None:
            await kept.close()

    async def close(self) -> None:
        for kept in self._kept.values():
            await kept.close()

    async def at(self, address: Address, work: Work[T]) -> T:
        """What `work` returns at one of the nodes. Raises what that raises; Unreachable."""
        kept = self._kept.get(address)
        if kept is None:
            raise Unreachable(f"{address} is not asked any more")
        try:
            return await kept.run(work)
        finally:
            if self._kept.get(address) is not kept:  # removed meanwhile: this may have opened it again
                await kept.close()

    async def first(self, addresses: Sequence[Address], work: Work[T]) -> T:
        """What `work` returns at the first of these nodes that does not fail it.

        Raises:
            NotRunning: there is no node to ask.
            VotenetError: the failure of the last node, or one that no other node would mend.
        """
        failure: VotenetError = NotRunning("no node to ask")
        for address in addresses:
            try:
                return await self.at(address, work)
            except VotenetError as error:
                if not another_may_do_better(error):
                    raise
                failure = error
        raise failure

    async def quickest(self, addresses: Sequence[Address], work: Work[T]) -> T:
        """What `work` returns at the first of these nodes that answers; all are asked at once.

        Raises:
            NotRunning: there is no node to ask.
            VotenetError: every node failed; the last failure.
        """
        failure: VotenetError = NotRunning("no node to ask")
        answers = asyncio.Queue[T | VotenetError]()

        async def one(address: Address) -> None:
            try:
                answers.put_nowait(await self.at(address, work))
            except VotenetError as error:
                answers.put_nowait(error)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one(address)) for address in addresses]
            for _ in asked:
                answer = await answers.get()
                if not isinstance(answer, VotenetError):
                    for task in asked:
                        task.cancel()
                    return answer
                failure = answer
        raise failure

    async def each(
        self, addresses: Sequence[Address], work: Work[T]
    ) -> list[tuple[Address, T | VotenetError]]:
        """What `work` returns at each of these nodes, all at once, or why it failed there."""

        async def one(address: Address) -> T | VotenetError:
            try:
                return await self.at(address, work)
            except VotenetError as error:
                return error

        return list(zip(addresses, await asyncio.gather(*map(one, addresses)), strict=True))
