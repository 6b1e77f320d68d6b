"""Numbers for people and for Prometheus, over a real socket."""

from __future__ import annotations

import asyncio

import pytest

from support.peers import run
from votenet.errors import ConfigError
from votenet.network.metrics import SCRAPE_BYTES, Metrics, serve_metrics
from votenet.protocol.wire.address import Address


def made(now: list[float]) -> Metrics:
    metrics = Metrics("votenet_test", lambda: now[0])
    metrics.gauge("peers", "Entries.", lambda: 3)
    answers = metrics.counter("answers", "Answers.", "request")
    answers["Register"] += 4
    answers['odd"one\n'] += 1
    metrics.counter("plain", "Without a label.")[""] += 2
    return metrics


TEXT = """\
# HELP votenet_test_peers Entries.
# TYPE votenet_test_peers gauge
votenet_test_peers 3.0
# HELP votenet_test_answers_total Answers.
# TYPE votenet_test_answers_total counter
votenet_test_answers_total{request="Register"} 4.0
votenet_test_answers_total{request="odd\\"one\\n"} 1.0
# HELP votenet_test_plain_total Without a label.
# TYPE votenet_test_plain_total counter
votenet_test_plain_total 2.0
"""


def test_the_text_is_prometheus_format() -> None:
    assert made([0.0]).text().decode() == TEXT


def test_rates_are_those_of_the_last_minute() -> None:
    now = [100.0]
    metrics = made(now)
    counter = metrics.counter("hits", "Hits.")
    for _ in range(200):  # one hit a second
        metrics.tick()
        counter[""] += 1
        now[0] += 1.0
    assert metrics.rates()["hits"][""] == pytest.approx(1.0)
    for _ in range(59):
        metrics.tick()
        now[0] += 1.0
    assert metrics.rates()["hits"][""] < 0.1
    assert metrics.uptime == 259.0


async def fetch(address: Address, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_a_scraper_gets_the_text_and_others_a_status() -> None:
    async def test() -> None:
        async with serve_metrics(Address("127.0.0.1", 0), made([0.0])) as address:
            head, _, body = (await fetch(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).partition(
                b"\r\n\r\n"
            )
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
            assert body.decode() == TEXT
            for request, status in (
                (b"GET / HTTP/1.1\r\n\r\n", b"404"),
                (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
                (b"nonsense\r\n\r\n", b"400"),
            ):
                assert (await fetch(address, request)).split()[1] == status
            assert await fetch(address, b"x" * (2 * SCRAPE_BYTES)) == b""

    run(test)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org", "::"])
def test_only_this_machine_may_look(host: str) -> None:
    async def test() -> None:
        with pytest.raises(ConfigError) as caught:
            async with serve_metrics(Address(host, 0), made([0.0])):
                pass
        assert caught.value.code == "metrics-not-loopback"

    run(test)
