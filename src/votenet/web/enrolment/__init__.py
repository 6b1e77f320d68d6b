"""Members who make their own keys, with an invitation."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from votenet.web.enrolment.desk import EnrolmentDesk
from votenet.web.frame import FOOTER, NAVIGATION


def routes() -> list[BaseRoute]:
    """The page and its API. They answer `no-enrolment` where the server has no folder for it."""
    return _routes(EnrolmentDesk())


def setup_routes() -> list[BaseRoute]:
    """The same before there is an election: other pages say that voting begins later."""
    desk = EnrolmentDesk()
    later = [Route(path, desk.not_begun) for path, _ in (*NAVIGATION, *FOOTER) if path != "/"]
    return [*_routes(desk), Route("/", _to_the_page), *later]


def _routes(desk: EnrolmentDesk) -> list[BaseRoute]:
    return [Route("/enrol", desk.page), Route("/api/v1/enrolments", desk.enrol, methods=["POST"])]


async def _to_the_page(request: Request) -> Response:
    return RedirectResponse("/enrol", headers={"Cache-Control": "no-store"})
