"""The election, its state, its count, its nodes, and the files that prove the result."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from votenet.client.archive_file import final_result_of
from votenet.client.counting import count_as_json, fetch_count
from votenet.core.faults import fault
from votenet.core.records.final_result import encode_result
from votenet.errors import Rejected
from votenet.web.api.archive_answer import ArchiveAnswer, ArchivePlaces
from votenet.web.api.requests import NEVER_STORED, file_answer, file_name, json_answer, view_of
from votenet.web.limits import asked_by
from votenet.web.live_view import LiveView
from votenet.web.refusals import refusal
from votenet.web.snapshot import small_state

ARCHIVE_AGAIN_SECONDS: Final = 20
"""After so long a reader who finds no place for an archive may ask again."""


async def get_state(request: Request) -> Response:
    return json_answer(small_state(view_of(request).snapshot))


async def get_election(request: Request) -> Response:
    snapshot = view_of(request).snapshot
    election = snapshot.election
    definition = election.definition
    return json_answer(
        {
            "network_id": election.network_hex,
            "definition": definition,
            "amendments": election.amendments,
            "opens": definition.opens,
            "closes": election.closes,
            "state": snapshot.state,
            "registration": definition.registration,
            "roll_size": election.roll_size,
        }
    )


async def get_genesis(request: Request) -> Response:
    return file_answer(view_of(request).election.to_file(), "genesis.json")


async def get_join(request: Request) -> Response:
    """What a node needs beside the genesis file: `votenet node join` reads it."""
    servers = [str(server) for server in request.app.state.settings.bootstrap]
    return json_answer({"network_id": view_of(request).election.network_hex, "bootstrap": servers})


async def get_amendments(request: Request) -> Response:
    return json_answer({"amendments": view_of(request).snapshot.election.amendments})


async def get_nodes(request: Request) -> Response:
    view = view_of(request)
    return json_answer({"nodes": view.nodes, "named": view.snapshot.named})


async def get_results(request: Request) -> Response:
    view = view_of(request)
    return json_answer(count_as_json(await view.ask_trusted(lambda node: fetch_count(view.log, node))))


class ElectionFiles:
    """The archive and the final result: each is made from a whole chain, so few are made at one time."""

    def __init__(self) -> None:
        self._places = ArchivePlaces()
        self._final: tuple[str, bytes] | None = None
        """Tip and file of the final result that was made."""
        self._making = asyncio.Lock()

    async def get_archive(self, request: Request) -> Response:
        view = view_of(request)
        lines = view.client.archive()
        who = asked_by(request, request.app.state.settings.trusted_proxies)
        place = self._places.take(who, time.monotonic())
        if place is None:
            error = Rejected(
                "busy", "as many archives are being written as this server or your network may have"
            )
            return refusal(request, error, headers={"Retry-After": str(ARCHIVE_AGAIN_SECONDS)})
        try:
            first = await anext(lines)  # a node that cannot be asked is an error, not half a file
        except BaseException:
            self._places.give_back(place)
            raise
        name = file_name("election", view.snapshot.network_id[:16]) + ".jsonl"
        headers = NEVER_STORED | {"Content-Disposition": f'attachment; filename="{name}"'}
        return ArchiveAnswer(first, lines, self._places, place, headers)

    async def get_final_result(self, request: Request) -> Response:
        view = view_of(request)
        if view.snapshot.state != "final":
            error = fault("not-final", "this election has no final result yet")
            return refusal(request, error.advising("Ask again once voting is over."), status=404)
        async with self._making:
            tip = view.snapshot.results.tip
            if self._final is None or self._final[0] != tip:
                self._final = tip, await make_final_result(view)
        return file_answer(self._final[1], file_name("result", view.snapshot.network_id[:16]) + ".json")


async def make_final_result(view: LiveView) -> bytes:
    """The file that `votenet results --final` writes, after a check of the whole chain of a node.

    Raises:
        NotProven: with the first fault.
        ConfigError: roll-missing, where votes have weights.
    """
    async with contextlib.aclosing(view.client.archive()) as lines:
        made = await asyncio.to_thread(
            final_result_of, _in_thread(lines), view.snapshot.network_id, view.roll
        )
    return encode_result(made)


def _in_thread(lines: AsyncGenerator[bytes, None]) -> Iterator[bytes]:
    """The lines, for a thread beside the loop of the caller."""
    loop = asyncio.get_running_loop()

    async def following() -> bytes | None:
        return await anext(lines, None)

    def read() -> Iterator[bytes]:
        while (line := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield line

    return read()
