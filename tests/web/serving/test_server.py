"""The application: its routes, and where it listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from support.page import Page, play, serving
from votenet.errors import ConfigError, Locked
from votenet.web.live_view import LiveView
from votenet.web.serving.server import make_app
from votenet.web.settings import WebSettings


def test_the_routes_of_all_rooms_are_there_once() -> None:
    app = make_app(LiveView(), WebSettings())
    paths = [route.path for route in app.routes]  # type: ignore[attr-defined]
    assert {"/", "/api/v1/events", "/static/{name}", "/verify.html"} <= set(paths)
    assert app.state.settings == WebSettings()


def test_an_address_where_it_cannot_listen() -> None:
    async def main(**settings: object) -> None:
        async with serving(**settings):  # type: ignore[arg-type]
            pytest.fail("it listens")

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Locked):
        asyncio.run(main(port=taken.getsockname()[1]))
    with pytest.raises(ConfigError) as refused:
        asyncio.run(main(host="203.0.113.1"))
    assert refused.value.code == "cannot-listen"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_all_of_ipv6_is_all_of_ipv4_too() -> None:
    async def scenario(page: Page) -> None:
        for host in ("127.0.0.1", "[::1]"):
            url = f"http://{host}:{page.address.port}/static/style.css"
            assert (await page.client.get(url)).status_code == 200

    play(scenario, host="::")
