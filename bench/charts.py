"""The charts in docs/: a network under more load, nodes and clients, with other blocks and longer chains.

make charts   PYTHONPATH=tests python bench/charts.py [--only load] [--json FILE] [--top INSTANCE]
"""

from __future__ import annotations

import argparse
import io
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench_growth import measure as measure_growth
from chart import Points, chart
from one_load import Load, Seen, measure
from votenet.cli.network.top import RATE_WINDOW_SECONDS, Watch, rendered

DOCS: Final = Path(__file__).parent.parent / "docs"
RATES: Final = (500, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000)
NODES: Final = (1, 3, 5, 9)
CLIENTS: Final = (1, 4, 16, 64)
INTERVALS: Final = (1, 2, 5)
BLOCK_VOTES: Final = (500, 2000, 5000, 20_000)
SIZES: Final = (10_000, 80_000, 160_000, 320_000)
CLOSED_VOTES: Final = 20_000
"""Some seconds of work for five nodes."""
SINGLE_VOTES: Final = 4000
"""The same, one vote in a request."""
STEADY: Final = 1000
"""Votes a second that are below the knee."""

Rows = list[tuple[float, Seen]]


def sweep(name: str, loads: Iterable[tuple[float, Load]]) -> Rows:
    rows = []
    for x, load in loads:
        seen = measure(load)
        rows.append((x, seen))
        print(
            f"{name} {x:>7,g}: accepted {seen.accepted:>6,.0f} votes/s (p50 {1000 * seen.accepted_p50:,.0f} "
            f"ms, p99 {1000 * seen.accepted_p99:,.0f} ms), counted {seen.counted:>6,.0f} votes/s, in a block "
            f"p50 {seen.in_block_p50:.1f} s, p99 {seen.in_block_p99:.1f} s; {seen.cpu_us:.0f} us and "
            f"{seen.bytes_to_peers:.0f} bytes a vote and node, {seen.memory:.0f} MB, {seen.blocks} blocks",
            flush=True,
        )
    return rows


def column(rows: Rows, what: str, factor: float = 1.0) -> Points:
    return [(x, factor * getattr(seen, what)) for x, seen in rows]


def save(name: str, drawing: str) -> None:
    (DOCS / f"{name}.svg").write_text(drawing)


# -- the sweeps ------------------------------------------------------------------------------------


def by_load(seconds: float) -> dict[str, Rows]:
    """More and more votes offered by the clock, whatever becomes of them."""
    loads = [(rate, Load(int(rate * seconds), clients=20, batch=50, rate=rate)) for rate in RATES]
    rows = sweep("offered", loads)
    offered = "votes offered a second"
    rates = {"accepted": column(rows, "accepted"), "counted": column(rows, "counted")}
    save("load_throughput", chart(f"Five nodes, load of {seconds:g} s", offered, "votes/s", rates))
    for what, title, unit, factor in (
        ("accepted", "From sending to accepted", "ms", 1000.0),
        ("in_block", "From sending to a block", "s", 1.0),
    ):
        lines = {name: column(rows, f"{what}_{name}", factor) for name in ("p50", "p99")}
        save(f"load_{what}", chart(title, offered, unit, lines))
    return {"load": rows}


def by_nodes(seconds: float) -> dict[str, Rows]:
    """The same votes, as fast as they are taken, over more nodes on the same two cores."""
    rows = sweep("nodes", [(n, Load(CLOSED_VOTES, nodes=n, clients=2 * n)) for n in NODES])
    rates = {"accepted": column(rows, "accepted"), "counted": column(rows, "counted")}
    save("nodes_throughput", chart("All nodes on the same two cores", "nodes", "votes/s", rates))
    cost = {"time, µs": column(rows, "cpu_us"), "bytes / 10": column(rows, "bytes_to_peers", 0.1)}
    save("nodes_cost", chart("One vote at one node", "nodes", "µs; bytes / 10", cost))
    return {"nodes": rows}


def by_clients(seconds: float) -> dict[str, Rows]:
    """Connections in all, each with one request open: 200 votes in it (a replay), or one (a voter)."""
    many = sweep("clients", [(n, Load(CLOSED_VOTES, clients=n, follow=False)) for n in CLIENTS])
    one = sweep("voters", [(n, Load(SINGLE_VOTES, clients=n, batch=1, follow=False)) for n in CLIENTS])
    series = {"200 a request": column(many, "accepted"), "1 a request": column(one, "accepted")}
    save("clients_throughput", chart("Accepted, five nodes", "connections", "votes/s", series, by_place=True))
    times = {
        "200, p50": column(many, "accepted_p50", 1000),
        "200, p99": column(many, "accepted_p99", 1000),
        "1, p50": column(one, "accepted_p50", 1000),
        "1, p99": column(one, "accepted_p99", 1000),
    }
    save("clients_latency", chart("From sending to accepted", "connections", "ms", times, by_place=True))
    return {"clients": many, "voters": one}


def by_blocks(seconds: float) -> dict[str, Rows]:
    """How far apart blocks are, under a load below the knee; how large they may be, in a closed loop."""
    steady = int(STEADY * max(seconds, 10.0))
    apart = [(s, Load(steady, clients=20, batch=50, rate=STEADY, interval=s)) for s in INTERVALS]
    intervals = sweep("interval", apart)
    sizes = sweep("block votes", [(n, Load(CLOSED_VOTES, block_votes=n)) for n in BLOCK_VOTES])
    times = {name: column(intervals, f"in_block_{name}") for name in ("p50", "p99")}
    title = f"From sending to a block, {STEADY:,} votes/s"
    save("blocks_interval", chart(title, "seconds between blocks", "s", times, by_place=True))
    rates = {"accepted": column(sizes, "accepted"), "counted": column(sizes, "counted")}
    save("blocks_size", chart("As fast as they are taken", "votes in a block at most", "votes/s", rates))
    return {"intervals": intervals, "sizes": sizes}


def by_growth(seconds: float) -> dict[str, Any]:
    """T11 with more sizes."""
    with tempfile.TemporaryDirectory(prefix="votenet-growth-") as name:
        found = measure_growth(Path(name), SIZES, rounds=2)
    for size, row in found.items():
        print(f"on chain {size:>7,}: " + ", ".join(f"{what} {value:,.1f}" for what, value in row.items()))
    thousands = {size: size / 1000 for size in found}

    def line(what: str) -> Points:
        return [(thousands[size], row[what]) for size, row in found.items()]

    on_chain = "thousand votes on the chain"
    save("growth_rate", chart("Five nodes, 5,000 more votes", on_chain, "votes/s", {"known": line("rate")}))
    cost = {"µs a vote": line("cpu_us"), "memory, MB": line("memory")}
    save("growth_cost", chart("Of one node", on_chain, "µs; MB", cost))
    return {"growth": found}


SWEEPS: Final[dict[str, Callable[[float], dict[str, Any]]]] = {
    "load": by_load,
    "nodes": by_nodes,
    "clients": by_clients,
    "blocks": by_blocks,
    "growth": by_growth,
}


def draw_top(instance: str) -> None:
    """`votenet top` of a running network, as a terminal shows it."""
    watch = Watch(instance)
    watch.look()
    time.sleep(RATE_WINDOW_SECONDS)
    console = Console(
        record=True, width=104, file=io.StringIO(), markup=False, emoji=False, force_terminal=True
    )
    console.print(rendered(watch.look()))
    svg = console.export_svg(title="votenet top")
    plain = re.sub(
        r"@font-face \{.*?\}\s*|<!--.*?-->", "", svg, flags=re.S
    )  # fonts of the reader, not of a host
    (DOCS / "top.svg").write_text(plain)


def main() -> None:
    options = argparse.ArgumentParser(description="Draw the pictures in docs/.")
    options.add_argument("--only", choices=SWEEPS, action="append", help="this sweep; may be repeated")
    options.add_argument("--seconds", type=float, default=8.0, help="how long each offered load lasts")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    options.add_argument("--top", metavar="INSTANCE", help="draw only `votenet top` of this running network")
    given = options.parse_args()
    if given.top:
        draw_top(given.top)
        return
    found: dict[str, Any] = {}
    for name in given.only or SWEEPS:
        found |= SWEEPS[name](given.seconds)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1, default=asdict))


if __name__ == "__main__":
    main()
