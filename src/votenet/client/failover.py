"""Asking several nodes as if they were one: the next is asked when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Protocol, TypeVar

from votenet.client.connection import NODE_ANSWER_SECONDS, NodeConnection
from votenet.errors import (
    REFUSALS,
    Kind,
    NotProven,
    NotRunning,
    Rejected,
    RemoteProtocolError,
    Unreachable,
    VotenetError,
)
from votenet.protocol.wire.address import Address

NODE_DIAL_SECONDS: Final = 3.0
"""To a node that is one of several, or named by a person who waits."""

T = TypeVar("T")
Work = Callable[[NodeConnection], Awaitable[T]]


_OF_ALL_NODES: Final = frozenset({"split-view", "other-key", "abandoned"})
"""Codes of NotProven that say something about the election or the vote, not about the node."""


def another_may_do_better(error: VotenetError) -> bool:
    """Whether to ask another node: this one is away, refuses for now, is a stranger, lies, or talks nonsense.

    Nonsense is an answer that nobody can read, a refusal with a code that is not known here, and an election
    that is not valid.
    """
    if isinstance(error, NotProven):
        return error.code not in _OF_ALL_NODES
    if isinstance(error, Rejected):
        return error.kind is Kind.TEMPORARY or error.code == "network-mismatch"
    if type(error) is VotenetError:
        return error.code not in REFUSALS
    return isinstance(error, Unreachable | RemoteProtocolError) or error.code == "bad-genesis"


class Nodes(Protocol):
    """Several nodes of one election."""

    @property
    def addresses(self) -> Sequence[Address]: ...

    async def run(self, work: Work[T]) -> T:
        """What `work` returns at the first node that does not fail it."""

    async def each(
        self, addresses: Sequence[Address], work: Work[T]
    ) -> list[tuple[Address, T | VotenetError]]:
        """What `work` returns at each of these nodes, all at once, or why it failed there."""


class Failover:
    """One connection to one of several nodes, kept open between requests; an async context manager.

    Several tasks may use it at a time: they share the connection.

    Args:
        addresses: the nodes, in the order in which they are tried.
        admit: called once on each new connection; what it raises counts as a failure of that node.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        admit: Callable[[NodeConnection], Awaitable[object]] | None = None,
        *,
        dial_timeout: float = NODE_DIAL_SECONDS,
        answer_timeout: float = NODE_ANSWER_SECONDS,
    ) -> None:
        self.addresses = list(dict.fromkeys(addresses))
        self._admit, self._dial_timeout, self._answer_timeout = admit, dial_timeout, answer_timeout
        self._index = 0
        self._connection: NodeConnection | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Failover:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._drop(self._connection)

    @property
    def address(self) -> Address:
        """The node that is asked now. Raises NotRunning if there is none."""
        if not self.addresses:
            raise NotRunning("no node to ask")
        return self.addresses[self._index]

    def add(self, addresses: Iterable[Address]) -> None:
        """More nodes, to be tried after those that are known."""
        self.addresses = list(dict.fromkeys([*self.addresses, *addresses]))

    async def run(self, work: Work[T]) -> T:
        """What `work` returns at the first node that does not fail it. Each node is tried once.

        `work` must bear to be run more than once, at the same node, too.

        Raises:
            NotRunning: there is no node to ask.
            VotenetError: the failure of the last node, or one that no other node would mend.
        """
        failure: VotenetError = NotRunning("no node to ask")
        for _ in range(len(self.addresses)):
            address = self.address
            try:
                return await self._at_this_node(work)
            except VotenetError as error:
                if not another_may_do_better(error):
                    raise
                failure = error
            if self.address == address:  # another task may have gone on already
                self._index = (self._index + 1) % len(self.addresses)
                await self._drop(self._connection)
        raise failure

    async def each(
        self, addresses: Sequence[Address], work: Work[T]
    ) -> list[tuple[Address, T | VotenetError]]:
        """`ask_each`, over connections of their own, each admitted as those of this class are."""

        async def admitted(node: NodeConnection) -> T:
            if self._admit is not None:
                await self._admit(node)
            return await work(node)

        return await ask_each(addresses, admitted)

    async def _at_this_node(self, work: Work[T]) -> T:
        kept = self._connection
        if kept is not None:
            try:
                return await work(kept)
            except (Unreachable, Rejected):
                if not kept.broken:
                    raise
            # Nodes close connections that say nothing for a while: that is no failure of this node.
            await self._drop(kept)
        return await work(await self._open())

    async def _open(self) -> NodeConnection:
        async with self._opening:
            if self._connection is not None:  # opened by another task meanwhile
                return self._connection
            fresh = await NodeConnection(
                self.address, dial_timeout=self._dial_timeout, answer_timeout=self._answer_timeout
            ).__aenter__()
            try:
                if self._admit is not None:
                    await self._admit(fresh)
            except BaseException:
                await fresh.close()
                raise
            self._connection = fresh
            return fresh

    async def _drop(self, connection: NodeConnection | None) -> None:
        if connection is None:
            return
        if self._connection is connection:
            self._connection = None
        await connection.close()


async def ask_each(addresses: Sequence[Address], work: Work[T]) -> list[tuple[Address, T | VotenetError]]:
    """What `work` returns at each node, all at once, or why it failed there."""

    async def one(address: Address) -> T | VotenetError:
        try:
            async with NodeConnection(address, dial_timeout=NODE_DIAL_SECONDS) as node:
                return await work(node)
        except VotenetError as error:
            return error

    return list(zip(addresses, await asyncio.gather(*map(one, addresses)), strict=True))
