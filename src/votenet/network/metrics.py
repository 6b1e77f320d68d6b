"""Numbers of a running program, for people (`--stats`) and for Prometheus.

The HTTP server runs in the event loop, because gauges read what only the loop may read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Final

from votenet.errors import ConfigError
from votenet.network.listener import bind_error, stop_accepting
from votenet.protocol.wire.address import Address

if TYPE_CHECKING:
    from prometheus_client.core import Metric

RATE_SECONDS: Final = 60
"""Rates are those of the last minute."""
SCRAPE_BYTES: Final = 8 * 1024
"""Longest HTTP request head read."""
SCRAPE_SECONDS: Final = 5.0
MAX_READERS: Final = 16
"""Scrapes at one time; more are closed at once."""

Gauge = Callable[[], float]


class Metrics:
    """Counters by name and label, and gauges that are read when a client asks.

    Args:
        prefix: before every name in the text format, e.g. `votenet_bootstrap`.
        clock: monotonic seconds.
    """

    def __init__(self, prefix: str, clock: Callable[[], float]) -> None:
        self._prefix, self._clock = prefix, clock
        self._help: dict[str, tuple[str, str]] = {}  # name: (label, help)
        self._counts: dict[str, Counter[str]] = {}
        self._gauges: dict[str, tuple[str, Gauge]] = {}
        self._started = clock()
        self._past: deque[tuple[float, dict[str, Counter[str]]]] = deque()

    def counter(self, name: str, help: str, label: str = "") -> Counter[str]:
        """A counter to add to: `found[value] += 1` where `value` is that of `label`, empty without one."""
        self._help[name] = (label, help)
        self._counts[name] = Counter() if label else Counter({"": 0})
        return self._counts[name]

    def gauge(self, name: str, help: str, ask: Gauge) -> None:
        self._gauges[name] = (help, ask)

    @property
    def uptime(self) -> float:
        return self._clock() - self._started

    def tick(self) -> None:
        """Remember the counts of now; called about once a second."""
        now = self._clock()
        self._past.append((now, {name: Counter(counts) for name, counts in self._counts.items()}))
        while len(self._past) > 1 and self._past[0][0] < now - RATE_SECONDS:
            self._past.popleft()

    def rates(self) -> dict[str, dict[str, float]]:
        """By counter and label value: how many a second in the last minute (or since the start)."""
        since, before = self._past[0] if self._past else (self._started, {})
        seconds = max(self._clock() - since, 1.0)
        return {
            name: {
                label: (count - before.get(name, Counter())[label]) / seconds
                for label, count in counts.items()
            }
            for name, counts in self._counts.items()
        }

    def counts(self) -> dict[str, dict[str, int]]:
        return {name: dict(counts) for name, counts in self._counts.items()}

    def gauges(self) -> dict[str, float]:
        return {name: ask() for name, (_, ask) in self._gauges.items()}

    def text(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        from prometheus_client import (  # only for programs that show numbers
            CollectorRegistry,
            generate_latest,
        )

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, (help, ask) in self._gauges.items():
            yield GaugeMetricFamily(f"{self._prefix}_{name}", help, value=ask())
        for name, counts in self._counts.items():
            label, help = self._help[name]
            family = CounterMetricFamily(f"{self._prefix}_{name}", help, labels=[label] if label else None)
            for value, count in sorted(counts.items()):
                family.add_metric([value] if label else [], count)
            yield family


@contextlib.asynccontextmanager
async def serve_metrics(address: Address, metrics: Metrics) -> AsyncIterator[Address]:
    """Answer `GET /metrics` on a loopback address until the block ends; yields where it listens.

    Raises:
        ConfigError: metrics-not-loopback: numbers about voters' machines are not for everybody.
        ConfigError, Locked: it cannot listen there.
    """
    _check_loopback(address)
    readers: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        readers.add(writer)
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                if len(readers) <= MAX_READERS:
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_response(head, metrics))
                writer.close()
                await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # its reader is gone or is no HTTP client: no answer is due
        finally:
            writer.transport.abort()
            readers.discard(writer)

    try:
        server = await asyncio.start_server(answer, address.host, address.port, limit=SCRAPE_BYTES)
    except (OSError, UnicodeError) as error:
        raise bind_error(address, error) from error
    try:
        yield Address(address.host, server.sockets[0].getsockname()[1])
    finally:
        await stop_accepting([server])
        for writer in readers:
            writer.transport.abort()
        while readers:  # noqa: ASYNC110
            await asyncio.sleep(0)  # until each has seen it


def _response(head: bytes, metrics: Metrics) -> bytes:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        status, body = b"400 Bad Request", b"send an HTTP/1.1 request\n"
    elif words[0] != b"GET":
        status, body = b"405 Method Not Allowed", b"only GET is answered here\n"
    elif words[1].split(b"?")[0] != b"/metrics":
        status, body = b"404 Not Found", b"the numbers are at /metrics\n"
    else:
        status, body = b"200 OK", metrics.text()
    kind = b"text/plain; version=0.0.4; charset=utf-8"
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        status,
        kind,
        len(body),
        body,
    )


def _check_loopback(address: Address) -> None:
    try:
        loopback = address.host == "localhost" or ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"metrics are served on loopback only, not on {address.host}",
            code="metrics-not-loopback",
            next_step="Use 127.0.0.1:PORT, and let a scraper on this machine fetch them.",
        )
