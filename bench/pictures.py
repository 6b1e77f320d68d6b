"""The pictures in docs/: what five nodes do under more and more load, and `votenet top` in a run.

    make pictures        python bench/pictures.py [--seconds 8] [--top INSTANCE]   (PYTHONPATH=tests)

What lives here: the sweep over offered load (open loop), and drawing it as SVG by hand. What must not: goals.
Every point is a network of its own, so that none inherits the waiting votes of the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from real_network import clients, network, until_counted
from support import make_election
from votenet.cli.ballots import Ballot
from votenet.cli.presigned import write_presigned
from votenet.cli.replay_senders import ReplayPlan, cast
from votenet.cli.replay_summary import Summary
from votenet.cli.replayer import Pace
from votenet.cli.top_view import Watch, drawn
from votenet.core.election import Election
from votenet.pow import bits_for_zero_bits
from votenet.protocol.address import Address

DOCS = Path(__file__).parent.parent / "docs"
RATES = (250, 500, 1000, 1500, 2000, 2500, 3000, 4000)
SECRET = bytes(range(32))
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 64, 40
COLOURS = {"p50": "#2a78b5", "p99": "#c44e1d"}

Points = Sequence[tuple[float, float]]


def _election() -> Election:
    return make_election(bits=bits_for_zero_bits(24), title="Board 2027", created=int(time.time()))


def _sign(path: Path, election: Election, votes: int) -> None:
    names = election.definition.candidates
    write_presigned(
        path, election, (Ballot(n, n, f"v{n}", (names[n * n % len(names)],)) for n in range(votes)), SECRET
    )


async def _settled(addresses: Sequence[Address], votes: int) -> None:
    async with clients(addresses) as links:
        await until_counted(links, votes)


def point(rate: int, seconds: float) -> tuple[Summary, float]:
    """One offered load for so long: what the sender saw, and votes a second into the chain of all nodes."""
    with tempfile.TemporaryDirectory(prefix="votenet-pictures-") as name:
        folder, election, votes = Path(name), _election(), int(rate * seconds)
        _sign(folder / "signed", election, votes)
        with network(folder, election) as nodes:
            addresses = tuple(node.address for node in nodes)
            asyncio.run(_settled(addresses, 0))
            pace = Pace(batch=50, clients=4, rate=rate, confirmations=1)
            began = time.monotonic()
            summary = cast(
                ReplayPlan(folder / "signed", None, votes), addresses, SECRET, pace, 1, lambda _: None
            )
            asyncio.run(_settled(addresses, votes))
            return summary, votes / (time.monotonic() - began)


def chart(title: str, x_name: str, y_name: str, series: dict[str, Points]) -> str:
    """Lines with points on linear axes from zero, as SVG."""
    right = max(x for points in series.values() for x, _ in points)
    top = max(y for points in series.values() for _, y in points) * 1.08
    wide, high = WIDTH - LEFT - 90, HEIGHT - BOTTOM - 40

    def at(x: float, y: float) -> tuple[float, float]:
        return round(LEFT + x / right * wide, 1), round(HEIGHT - BOTTOM - y / top * high, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 6}" text-anchor="middle">{x_name}</text>',
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">'
        f"{y_name}</text>",
    ]
    for step in range(5):
        (x, base), (_, y) = at(right * step / 4, 0), at(0, top * step / 4)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{top * step / 4:,.0f}</text>')
        parts.append(f'<text x="{x}" y="{base + 16}" text-anchor="middle">{right * step / 4:,.0f}</text>')
    for name, points in series.items():
        colour, places = COLOURS.get(name, "#3b8a3e"), [at(x, y) for x, y in points]
        line = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        x, y = places[-1]
        parts.append(f'<text x="{x + 6}" y="{y + 4}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_load(seconds: float) -> None:
    throughput, accepted, in_block = [], {"p50": [], "p99": []}, {"p50": [], "p99": []}
    for rate in RATES:
        summary, counted = point(rate, seconds)
        throughput.append((float(rate), counted))
        for name, percent in (("p50", 50), ("p99", 99)):
            accepted[name].append((float(rate), 1000 * summary.latency["accepted"].percentile(percent)))
            in_block[name].append((float(rate), summary.latency["in_block"].percentile(percent)))
        print(
            f"{rate:,} votes/s offered for {seconds:g} s: {counted:,.0f} votes/s counted; accepted p50 "
            f"{accepted['p50'][-1][1]:,.0f} p99 {accepted['p99'][-1][1]:,.0f} ms; in a block p50 "
            f"{in_block['p50'][-1][1]:.1f} p99 {in_block['p99'][-1][1]:.1f} s",
            flush=True,
        )
    offered = "votes offered a second"
    for name, title, unit, series in (
        (
            "throughput",
            f"Counted at all five nodes, load of {seconds:g} s",
            "votes/s",
            {"counted": throughput},
        ),
        ("accepted", "From sending to accepted", "ms", accepted),
        ("in_block", "From sending to a block", "s", in_block),
    ):
        (DOCS / f"load_{name}.svg").write_text(chart(title, offered, unit, series))


def draw_top(instance: str) -> None:
    """`votenet top` of a running network, as a terminal shows it."""
    watch = Watch(instance)
    watch.look()
    time.sleep(1.0)
    console = Console(
        record=True, width=104, file=io.StringIO(), markup=False, emoji=False, force_terminal=True
    )
    console.print(drawn(watch.look()))
    svg = console.export_svg(title="votenet top")
    plain = re.sub(
        r"@font-face \{.*?\}\s*|<!--.*?-->", "", svg, flags=re.S
    )  # fonts of the reader, not of a host
    (DOCS / "top.svg").write_text(plain)


def main() -> None:
    options = argparse.ArgumentParser(description="Draw the pictures in docs/.")
    options.add_argument("--seconds", type=float, default=8.0, help="how long each load lasts")
    options.add_argument("--top", metavar="INSTANCE", help="draw only `votenet top` of this running network")
    given = options.parse_args()
    if given.top:
        draw_top(given.top)
    else:
        draw_load(given.seconds)


if __name__ == "__main__":
    main()
