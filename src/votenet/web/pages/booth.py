"""`/vote`: the frame of the booth, whose script does the rest, and what to do without JavaScript."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from votenet.web.templates import render


async def booth(request: Request) -> Response:
    state = request.app.state
    state.view.check_begun()
    node = next((node.address for node in state.view.nodes if node.up), None)
    return render(request, "vote.html", node=node)
