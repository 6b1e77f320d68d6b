"""`/check`: what a receipt is, how to check it here, and how to check it without trusting this server."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from votenet.web.templates import render


async def check(request: Request) -> Response:
    return render(request, "check.html")
