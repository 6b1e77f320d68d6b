"""The page's application, and the server that runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from votenet.errors import VotenetError
from votenet.network.listener import bind_error
from votenet.network.metrics import Metrics, serve_metrics
from votenet.protocol.wire.address import Address
from votenet.web import api, enrolment, events, files, pages
from votenet.web.limits import PROOFS_AT_ONCE, PROOFS_PER_SECOND, TokenBuckets
from votenet.web.live_view import LiveView
from votenet.web.refusals import on_defect, on_http_error, on_votenet_error
from votenet.web.serving.compression import Compressed
from votenet.web.serving.gate import Gate
from votenet.web.serving.http_protocol import BACKLOG, PageServer, server_config
from votenet.web.settings import WebSettings

log = logging.getLogger("votenet.web")


def make_app(view: LiveView, settings: WebSettings) -> Starlette:
    """The routes of all rooms; `request.app.state` has `view`, `settings`, `feeder` and `proofs`."""
    if settings.setup is not None:
        routes = [*files.routes(), *enrolment.setup_routes()]
    else:
        shown = (events, files, api, enrolment, pages)
        routes = [route for room in shown for route in room.routes()]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Compressed, streams=(events.PATH,))],
        exception_handlers={
            HTTPException: on_http_error,
            VotenetError: on_votenet_error,
            Exception: on_defect,
        },
    )
    app.router.redirect_slashes = False  # a redirect would repeat the Host that the client has made up
    app.state.view, app.state.settings, app.state.feeder = view, settings, events.Feeder(view)
    app.state.proofs = TokenBuckets(PROOFS_AT_ONCE, PROOFS_PER_SECOND)
    return app


@contextlib.asynccontextmanager
async def serve_page(view: LiveView, settings: WebSettings) -> AsyncIterator[Address]:
    """Answer until the block ends; yields where it listens. Raises Locked, ConfigError: it cannot listen."""
    metrics = page_metrics(view)
    app = make_app(view, settings)
    config = server_config(Gate(app, view, settings, metrics), settings)
    listening = _listen(Address(settings.host, settings.port))
    server = PageServer(config)
    async with contextlib.AsyncExitStack() as opened:
        opened.callback(listening.close)
        if settings.metrics is not None:
            shown = await opened.enter_async_context(serve_metrics(settings.metrics, metrics))
            log.info("event=metrics address=%s", shown)
        tasks = await opened.enter_async_context(asyncio.TaskGroup())
        tasks.create_task(server.serve(sockets=[listening]))
        tasks.create_task(app.state.feeder.run())
        try:
            yield Address(settings.host, listening.getsockname()[1])
        finally:
            view.end()
            server.stop()


def page_metrics(view: LiveView) -> Metrics:
    """The numbers of a page: what it knows of the nodes, and how many read it."""
    metrics = Metrics("votenet_web", time.monotonic)
    metrics.gauge("streams", "Event streams that are open.", lambda: view.streams)
    metrics.gauge("nodes_known", "Nodes that the page asks.", lambda: len(view.nodes))
    metrics.gauge("nodes_up", "Nodes that answer.", lambda: sum(node.up for node in view.nodes))
    metrics.gauge("height", "Height of the newest block that is shown.", lambda: _results(view, "height"))
    metrics.gauge("votes", "Votes in blocks.", lambda: _results(view, "votes"))
    metrics.gauge("stale_seconds", "Since a node answered.", lambda: view.latest.stale if view.latest else 0)
    return metrics


def _results(view: LiveView, name: str) -> int:
    return getattr(view.latest.results, name) if view.latest else 0


def _listen(address: Address) -> socket.socket:
    """A listening socket; `::` takes IPv4, too."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    dual = address.host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (address.host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=dual
        )
    except (OSError, UnicodeError) as error:
        raise bind_error(address, error) from error
