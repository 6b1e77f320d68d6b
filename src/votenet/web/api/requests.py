"""What handlers of the API share: parameters of a request, JSON answers, the nodes of a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from votenet.client.failover import Work
from votenet.core.text import check_voter_id
from votenet.errors import Rejected, VotenetError
from votenet.protocol.wire.address import Address, parse_address
from votenet.web.limits import asked_by
from votenet.web.live_view import LiveView

NEVER_STORED: Final = {"Cache-Control": "no-store"}
MAX_NUMBER: Final = 2**53 - 1
"""Of a parameter: what every JSON reader keeps exact."""

T = TypeVar("T")


def view_of(request: Request) -> LiveView:
    view: LiveView = request.app.state.view
    return view


def asker_of(request: Request) -> str:
    """The client that a request comes from (`client_of`), also through a trusted proxy."""
    return asked_by(request, request.app.state.settings.trusted_proxies)


def json_answer(value: object) -> Response:
    return Response(msgspec.json.encode(value), 200, NEVER_STORED, "application/json")


def file_answer(data: bytes, name: str) -> Response:
    """A JSON file to keep, under this name."""
    headers = NEVER_STORED | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, 200, headers, "application/json")


def file_name(*parts: str) -> str:
    """A name that every system takes, out of texts of voters: other characters become underscores."""
    text = "-".join(parts)
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text)[:100]


class ViewNodes:
    """The nodes of a view, the best first, asked over its kept connections."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    @property
    def addresses(self) -> list[Address]:
        return self._view.addresses

    async def run(self, work: Work[T]) -> T:
        return await self._view.ask(work)

    async def each(
        self, addresses: Sequence[Address], work: Work[T]
    ) -> list[tuple[Address, T | VotenetError]]:
        return await self._view.pool.each(addresses, work)


# -- parameters ------------------------------------------------------------------------------------


def bad_request(what: str) -> VotenetError:
    return VotenetError(
        what, code="bad-request", next_step="Ask as docs/web-api.md says: /api/v1/openapi.json"
    )


def text_parameter(request: Request, name: str) -> str:
    """A parameter of the query that must be there once. Raises VotenetError bad-request."""
    found = request.query_params.getlist(name)
    if len(found) != 1 or not found[0]:
        raise bad_request(f"the query needs {name!r}, once")
    return found[0]


def voter_parameter(request: Request) -> str:
    """The voter id of a query. Raises VotenetError bad-request; Rejected bad-vote."""
    voter_id = text_parameter(request, "voter")
    check_voter_id(voter_id)
    return voter_id


def number_parameter(
    request: Request, name: str, default: int, *, least: int = 0, most: int = MAX_NUMBER
) -> int:
    """A whole number of the query. Raises VotenetError bad-request."""
    if name not in request.query_params:
        return default
    return whole_number(text_parameter(request, name), name, least=least, most=most)


def whole_number(text: str, name: str, *, least: int = 0, most: int = MAX_NUMBER) -> int:
    """Decimal digits as a number within these bounds. Raises VotenetError bad-request."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER))):
        raise bad_request(f"{name!r} is no whole number")
    if not least <= (number := int(text)) <= most:
        raise bad_request(f"{name!r} is a number from {least} to {most}")
    return number


def address_parameter(request: Request, name: str) -> list[Address]:
    """The node of a query, none if it is left out. Raises VotenetError bad-request."""
    if name not in request.query_params:
        return []
    try:
        return [parse_address(text_parameter(request, name))]
    except Rejected as error:
        raise bad_request(f"{name!r}: {error.message}") from None


def flag_parameter(request: Request, name: str) -> bool:
    """Whether a query has `name=1`. Raises VotenetError bad-request."""
    return number_parameter(request, name, 0, most=1) == 1
