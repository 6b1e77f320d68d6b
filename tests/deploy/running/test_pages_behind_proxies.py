"""A page behind each proxy of deploy/, as its readers find it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.web.browser import chromium, visit, watch
from tests.web.network import PageNetwork

from support.elections import key_of
from support.page import Page, play
from support.tls import certificate
from support.tls_proxies import KINDS, tls_proxy, trusting
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.web.serving import gate

if TYPE_CHECKING:
    import playwright.sync_api

__all__ = ["chromium", "visit", "watch"]

pytestmark = pytest.mark.e2e

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageNetwork]:
    folder = tmp_path_factory.mktemp("behind")
    made = PageNetwork(folder)
    try:
        made.start_all("--trusted-proxy", "127.0.0.1", "--public-url", "https://127.0.0.1")
        yield made
    finally:
        made.end()


def reader(cert: Path, url: str) -> httpx.Client:
    return httpx.Client(base_url=url, verify=trusting(cert), timeout=60, trust_env=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_behind_the_proxy_votes_and_sees_it_at_once(
    kind: str, network: PageNetwork, tmp_path: Path
) -> None:
    """The page comes over TLS, browsers are told to stay there; events pass while their answer goes on."""
    pair = certificate(tmp_path)
    with tls_proxy(kind, tmp_path, network.page, pair) as proxy, reader(pair[0], proxy.url) as client:
        front = client.get("/")
        assert front.status_code == 200
        assert "strict-transport-security" in front.headers
        vote = _vote(network, f"behind-{kind}")
        with client.stream("GET", "/api/v1/events") as stream:
            states = _states(stream)
            before = next(states)["votes"]
            with reader(pair[0], proxy.url) as another:
                taken = another.post("/api/v1/votes", content=vote.record, headers=JSON)
            assert taken.status_code == 200, taken.text
            assert any(state["votes"] > before for state in states)


def _vote(network: PageNetwork, voter: str) -> HashedVote:
    choices = [["Alice"], ["Lake"]]
    network_hex, now = network.election.network_hex, int(time.time())
    return sign_vote(key_of(voter), network_hex=network_hex, voter_id=voter, choices=choices, time=now)


def _states(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in stream.iter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_too_large_goes_no_further(kind: str, network: PageNetwork, tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    with tls_proxy(kind, tmp_path, network.page, pair) as proxy, reader(pair[0], proxy.url) as client:
        assert client.post("/api/v1/votes", content=bytes(64 * 1024 + 1), headers=JSON).status_code == 413
        assert client.post("/api/v1/votes", content=b"{}", headers=JSON).status_code == 400


def test_plain_http_leads_to_the_page_with_tls(network: PageNetwork, tmp_path: Path) -> None:
    with tls_proxy("nginx", tmp_path, network.page, certificate(tmp_path)) as proxy:
        answer = httpx.get(f"http://127.0.0.1:{proxy.plain}/results?lang=id", trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (301, f"{proxy.url}/results?lang=id")


@pytest.mark.parametrize("kind", KINDS)
def test_each_reader_behind_the_proxy_is_one_of_its_own(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each address has an allowance, also where it claims to be many others."""
    monkeypatch.setattr(gate, "POSTS_AT_ONCE", 2.0)
    monkeypatch.setattr(gate, "POSTS_PER_SECOND", 0.001)
    cert, key = certificate(tmp_path)

    async def scenario(page: Page) -> None:
        async with contextlib.AsyncExitStack() as opened:
            opening = tls_proxy(kind, tmp_path, page.address, (cert, key))
            proxy = await asyncio.to_thread(opening.__enter__)
            opened.push_async_callback(asyncio.to_thread, opening.__exit__, None, None, None)

            async def status(source: str, claimed: str) -> int:
                carrier = httpx.AsyncHTTPTransport(verify=trusting(cert), local_address=source)
                client = await opened.enter_async_context(httpx.AsyncClient(transport=carrier, timeout=60))
                headers = {"X-Forwarded-For": claimed} | JSON
                return (await client.post(f"{proxy.url}/nothing", content=b"{}", headers=headers)).status_code

            assert [await status("127.0.0.2", f"198.51.100.{n}") for n in range(3)] == [404, 404, 429]
            assert [await status("127.0.0.3", "127.0.0.2") for _ in range(3)] == [404, 404, 429]

    play(scenario, trusted_proxies=(ip_network("127.0.0.1"),))


@pytest.mark.parametrize("kind", KINDS)
def test_a_browser_shows_nothing_of_a_page_whose_certificate_has_expired(
    kind: str,
    network: PageNetwork,
    tmp_path: Path,
    visit: Callable[..., playwright.sync_api.Page],
) -> None:
    with tls_proxy(kind, tmp_path, network.page, certificate(tmp_path, days=-1)) as proxy:
        seen = visit()
        with pytest.raises(Exception, match="ERR_CERT_"):
            seen.goto(f"{proxy.url}/vote")


@pytest.mark.parametrize("kind", KINDS)
def test_commands_that_ask_the_page_say_that_its_certificate_has_expired(
    kind: str, network: PageNetwork, tmp_path: Path
) -> None:
    """Nodes among themselves use no certificate: the election goes on."""
    pair = certificate(tmp_path, days=-1)
    env = {**os.environ, "VOTENET_HOME": str(tmp_path / "home"), "SSL_CERT_FILE": str(pair[0])}
    with tls_proxy(kind, tmp_path, network.page, pair) as proxy:
        for command in ("status --network", "doctor --network", "node join --name x --yes"):
            done = subprocess.run(
                [sys.executable, "-m", "votenet", *command.split(), proxy.url],
                capture_output=True, text=True, timeout=120, env=env,
            )  # fmt: skip
            said = done.stdout + done.stderr
            assert done.returncode == 1, said
            assert "has expired" in said, said
            assert ("[bad-certificate]" in done.stderr) == ("doctor" not in command), said
    network.vote(f"meanwhile-{kind}", ["Alice"], ["Lake"])
