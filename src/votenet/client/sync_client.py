"""The client of an election for programs without an event loop: each method waits for its answer."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from votenet.client.connection import NODE_ANSWER_SECONDS
from votenet.client.election_client import AsyncElectionClient
from votenet.client.failover import NODE_DIAL_SECONDS, Work
from votenet.client.log_view import LogView
from votenet.client.nodes import AddressLike
from votenet.core.election.definition import Election
from votenet.protocol.wire.address import Address

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def _documented(method: F) -> F:
    method.__doc__ = getattr(AsyncElectionClient, method.__name__).__doc__
    return method


def _waiting(
    method: Callable[Concatenate[AsyncElectionClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ElectionClient, P], T]:
    """A method that waits for what the asynchronous one returns."""

    @functools.wraps(method)
    def wait(self: ElectionClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(method(self._client, *args, **kwargs))

    return wait


def _streaming(
    method: Callable[Concatenate[AsyncElectionClient, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[ElectionClient, P], Iterator[T]]:
    """A method that yields what the asynchronous one yields."""

    @functools.wraps(method)
    def stream(self: ElectionClient, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._each(method(self._client, *args, **kwargs))

    return stream


class ElectionClient:
    """One election, asked at whichever of its nodes answers; a context manager.

    Arguments, methods and errors are those of AsyncElectionClient. It has an event loop of its own, which
    runs while a method waits: for one thread at a time, and not for code that runs in a loop already.
    """

    def __init__(
        self,
        addresses: AddressLike | Sequence[AddressLike] = (),
        *,
        bootstrap: AddressLike | None = None,
        network_id: str | None = None,
        discover: bool = False,
        keys: Path | None = None,
        known: Path | None = None,
        remember: bool = True,
        dial_timeout: float = NODE_DIAL_SECONDS,
        answer_timeout: float = NODE_ANSWER_SECONDS,
    ) -> None:
        self._client = AsyncElectionClient(
            addresses,
            bootstrap=bootstrap,
            network_id=network_id,
            discover=discover,
            keys=keys,
            known=known,
            remember=remember,
            dial_timeout=dial_timeout,
            answer_timeout=answer_timeout,
        )
        self._runner: asyncio.Runner | None = None

    __init__.__doc__ = AsyncElectionClient.__init__.__doc__

    def __enter__(self) -> ElectionClient:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._runner = asyncio.Runner()
        else:
            raise RuntimeError("an event loop runs here already: use votenet.connect_async")
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._client.__aexit__(kind, value, trace))
        finally:
            self._close()

    @property
    @_documented
    def election(self) -> Election:
        return self._client.election

    @property
    @_documented
    def network_id(self) -> str:
        return self._client.network_id

    @property
    @_documented
    def candidates(self) -> tuple[str, ...]:
        return self._client.candidates

    @property
    @_documented
    def log(self) -> LogView:
        return self._client.log

    @property
    @_documented
    def anchor(self) -> str:
        return self._client.anchor

    @property
    @_documented
    def node(self) -> Address:
        return self._client.node

    @_documented
    def add_nodes(self, addresses: AddressLike | Sequence[AddressLike]) -> None:
        self._client.add_nodes(addresses)

    cast = _waiting(AsyncElectionClient.cast)
    vote_status = _waiting(AsyncElectionClient.vote_status)
    results = _waiting(AsyncElectionClient.results)
    receipt = _waiting(AsyncElectionClient.receipt)
    proof = _waiting(AsyncElectionClient.proof)
    confirmations = _waiting(AsyncElectionClient.confirmations)
    amend = _waiting(AsyncElectionClient.amend)
    amended = _waiting(AsyncElectionClient.amended)
    status = _waiting(AsyncElectionClient.status)
    evidence = _waiting(AsyncElectionClient.evidence)
    watch = _streaming(AsyncElectionClient.watch)
    archive = _streaming(AsyncElectionClient.archive)

    @_documented
    def at_one_node(self, work: Work[T]) -> T:
        return self._run(self._client.at_one_node(work))

    # -- inside ------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._runner is None:
            work.close()
            raise RuntimeError("use it in a `with` block: it is not connected")
        return self._runner.run(work)

    def _each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        try:
            while True:
                try:
                    yield self._run(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            if self._runner is not None:  # else the loop has closed it at its end
                self._run(items.aclose())

    def _close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None
