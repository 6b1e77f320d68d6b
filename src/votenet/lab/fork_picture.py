"""A picture of a chaos run as SVG: nodes as rows, time to the right, the colour is that of the branch.

Everything in it was recorded in the run. It is light or dark as its reader's screen is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from votenet.lab.chaos_plan import StepKind
from votenet.lab.chaos_recorder import Recording, SeenBlock, Stand
from votenet.protocol.wire.client_messages import Switch

if TYPE_CHECKING:
    from votenet.lab.chaos_run import ChaosResult, StepResult

WIDTH: Final = 1160
LEFT_MARGIN: Final = 92
RIGHT_MARGIN: Final = 34
TOP: Final = 96
ROW: Final = 66
FOOT: Final = 74
DOT: Final = 10.0
TAIL_SECONDS: Final = 0.3
"""Behind the moment at which all nodes agreed: their last block is seen in the picture."""
CLOSEST: Final = 15.0
"""Pixels between two blocks of a node: those that come faster are drawn as one, the later."""
BRANCHES: Final = 4
"""Colours of branches that were given up; the next one is the first again."""
_STYLE: Final = """
svg {
  --paper: #ffffff; --ink: #1d2733; --soft: #5d6b7a; --line: #e3e8ee; --band: #f3efe4; --edge: #b9a56a;
  --b0: #1f6fb2; --b1: #d9631e; --b2: #7b4bb3; --b3: #2f8f5b; --b4: #b3395b;
}
@media (prefers-color-scheme: dark) { svg {
  --paper: #14191f; --ink: #e7edf3; --soft: #9aa8b6; --line: #2a333d; --band: #2a2719; --edge: #a08d55;
  --b0: #58a6e8; --b1: #f08c4a; --b2: #b08ae6; --b3: #5cc48b; --b4: #ea7f9c;
} }
text { font: 13px system-ui, "Segoe UI", sans-serif; fill: var(--ink); }
.paper { fill: var(--paper); }
.soft { fill: var(--soft); font-size: 12px; }
.head { font-size: 17px; font-weight: 600; }
.tag { font-size: 12px; }
.grid { stroke: var(--line); }
.kill { stroke: var(--ink); stroke-width: 2.5; }
.band { fill: var(--band); }
.edge { stroke: var(--edge); stroke-dasharray: 5 4; }
.cut { stroke: var(--edge); stroke-width: 2; stroke-dasharray: 2 5; stroke-linecap: round; }
.stand { stroke-width: 6; stroke-linecap: round; }
.dot { stroke-width: 2.5; }
.turn { fill: var(--paper); stroke-width: 2.5; }
.number { font-size: 11px; font-weight: 600; text-anchor: middle; }
.own { fill: var(--paper); }
"""


class _Plane(NamedTuple):
    """Where things are drawn: pixels a second, the row of each node, the branch of each block by number."""

    scale: float
    rows: dict[str, int]
    branches: dict[str, int]

    def x(self, at: float) -> float:
        return LEFT_MARGIN + at * self.scale

    def y(self, name: str) -> int:
        return TOP + ROW * self.rows[name] + ROW // 2


def as_svg(recording: Recording, steps: Sequence[StepResult], seconds: float, title: str) -> str:
    """The picture of a run that lasted `seconds`."""
    sides = next((done.step.groups for done in steps if done.step.kind is StepKind.PARTITION), ())
    rows = _rows(recording, sides)
    scale = (WIDTH - LEFT_MARGIN - RIGHT_MARGIN) / max(seconds, 1.0)
    plane = _Plane(scale, rows, branches_of(recording))
    height = TOP + ROW * len(rows) + FOOT
    bottom = TOP + ROW * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            f'<text class="head" x="20" y="32">{escape(title)}</text>',
            *_axis(plane, seconds, bottom),
            *_partitions(steps, plane, seconds, bottom),
            *(part for name in rows for part in _node(name, recording, plane, seconds)),
            *_marks(steps, plane),
            *_legend(plane, bottom),
            "</svg>\n",
        ]
    )


def fork_picture(outcome: ChaosResult) -> str:
    """The picture of a run that was recorded, until all nodes agreed behind the last step."""
    assert outcome.recording is not None, "the run was not recorded"
    ends = [done.at + done.ready + (done.agreed or 0.0) for done in outcome.steps]
    named = "none of them named" if "--no-named-nodes" in outcome.options else "all of them named"
    title = f"{outcome.nodes} nodes, {named}: the branch that each stands on"
    return as_svg(outcome.recording, outcome.steps, max([outcome.seconds, *ends]) + TAIL_SECONDS, title)


def branches_of(recording: Recording) -> dict[str, int]:
    """Of each block the number of its branch: 0 for the one on which most nodes stood last, 1, 2 … for others
    in the order in which they were seen first."""
    last = [stands[-1].tip or _before(stands) for stands in recording.stands.values() if stands]
    known = [tip for tip in last if tip in recording.blocks]
    if not known:
        return {}
    tip = max(known, key=lambda one: (known.count(one), recording.blocks[one].height))
    found: dict[str, int] = {}
    while tip in recording.blocks:
        found[tip] = 0
        tip = recording.blocks[tip].previous
    count = 0
    order = sorted(recording.blocks, key=lambda one: (recording.blocks[one].height, recording.blocks[one].at))
    for block_hash in order:
        if block_hash in found:
            continue
        before = found.get(recording.blocks[block_hash].previous, 0)
        if before == 0:
            count += 1
        found[block_hash] = before or count
    return found


def _before(stands: Sequence[Stand]) -> str | None:
    return next((one.tip for one in reversed(stands) if one.tip is not None), None)


def _rows(recording: Recording, sides: Sequence[Sequence[str]]) -> dict[str, int]:
    """The nodes from top to bottom: those of one side of the first partition beside each other."""
    side_of = {name: number for number, side in enumerate(sides) for name in side}
    order = sorted(recording.stands, key=lambda name: (side_of.get(name, 0), len(name), name))
    return {name: number for number, name in enumerate(order)}


# -- parts -------------------------------------------------------------------------------------------


def _axis(plane: _Plane, seconds: float, bottom: int) -> Iterator[str]:
    every = next(step for step in (1, 2, 5, 10, 20, 60, 120, 600, 3600, 86400) if seconds / step <= 16)
    for second in range(0, int(seconds) + 1, every):
        x = plane.x(second)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{second} s</text>'
    for name in plane.rows:
        yield f'<text x="20" y="{plane.y(name) + 5}">{escape(name)}</text>'


def _partitions(steps: Sequence[StepResult], plane: _Plane, seconds: float, bottom: int) -> Iterator[str]:
    for number, done in enumerate(steps):
        if done.step.kind is not StepKind.PARTITION:
            continue
        heal = next((one for one in steps[number:] if one.step.kind is StepKind.HEAL), None)
        end = seconds if heal is None else heal.at
        left, right = plane.x(done.at), plane.x(end)
        yield (
            f'<rect class="band" x="{left:.1f}" y="{TOP - 10}" width="{right - left:.1f}" '
            f'height="{bottom - TOP + 10}"><title>{escape(str(done.step))}</title></rect>'
        )
        for x, word, anchor in ((left, "partition", "start"), (right, "healed", "start")):
            yield f'<line class="edge" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 18}" y2="{bottom}"/>'
            yield f'<text class="tag" x="{x + 4:.1f}" y="{TOP - 16}" text-anchor="{anchor}">{word}</text>'
        first = {plane.rows[name] for name in done.step.groups[0] if name in plane.rows}
        if first and first == set(range(len(first))):  # the sides lie one above the other
            y = TOP + ROW * len(first)
            yield f'<line class="cut" x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'


def _node(name: str, recording: Recording, plane: _Plane, seconds: float) -> Iterator[str]:
    """The line of a node, its blocks on it, and where it changed the branch."""
    stands, y = recording.stands[name], plane.y(name)
    ends = [one.at for one in stands[1:]] + [seconds]
    for one, end in zip(stands, ends, strict=True):
        if one.tip is not None and one.at < seconds:
            colour = _colour(one.tip, plane)
            yield (
                f'<line class="stand" stroke="{colour}" x1="{plane.x(one.at):.1f}" '
                f'x2="{plane.x(min(end, seconds)):.1f}" y1="{y}" y2="{y}"/>'
            )
    turns = [(at, one) for at, one in recording.switches.get(name, []) if at <= seconds]
    dots = _apart([(plane.x(one.at), one.tip) for one in stands[1:] if one.tip and one.at <= seconds])
    for x, tip in dots:
        if not any(abs(x - plane.x(at)) < CLOSEST for at, _ in turns):
            yield from _dot(x, y, tip, recording.blocks[tip], name, plane)
    for at, turn in turns:
        yield from _turn(plane.x(at), y, name, turn, plane)


def _turn(x: float, y: int, name: str, turn: Switch, plane: _Plane) -> Iterator[str]:
    """A reorganisation, with what it did."""
    yield (
        f'<path class="turn" stroke="{_colour(turn.new, plane)}" '
        f'd="M{x:.1f} {y - 12}l12 12l-12 12l-12 -12z"><title>'
        f"{escape(name)}: {turn.removed} blocks off, {turn.added} on</title></path>"
    )
    again = "1 vote waits again" if turn.votes == 1 else f"{turn.votes} votes wait again"
    votes = f", {again}" if turn.votes else ""
    anchor, shift = ("end", 14) if x > WIDTH * 0.72 else ("start", -14)
    yield (
        f'<text class="tag" x="{x + shift:.1f}" y="{y - 18}" text-anchor="{anchor}">'
        f"−{turn.removed} +{turn.added} blocks{votes}</text>"
    )


def _apart(dots: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Those that have CLOSEST pixels to the one behind them."""
    following = [x for x, _ in dots[1:]] + [float("inf")]
    return [dot for dot, after in zip(dots, following, strict=False) if after - dot[0] >= CLOSEST]


def _dot(x: float, y: int, tip: str, block: SeenBlock, name: str, plane: _Plane) -> Iterator[str]:
    colour, own = _colour(tip, plane), block.found_by == name
    found = f", found by {block.found_by}" if block.found_by else ""
    yield (
        f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="{DOT:g}" stroke="{colour}" '
        f'fill="{colour if own else "var(--paper)"}"><title>block {block.height}, {tip[:12]}{escape(found)}'
        "</title></circle>"
    )
    yield f'<text class="number{" own" if own else ""}" x="{x:.1f}" y="{y + 4}">{block.height}</text>'


def _marks(steps: Sequence[StepResult], plane: _Plane) -> Iterator[str]:
    """A cross where a node was killed."""
    for done in steps:
        for name in done.step.names if done.step.kind is StepKind.KILL else ():
            if name in plane.rows:
                x, y = plane.x(done.at), plane.y(name)
                yield f'<path class="kill" d="M{x - 6:.1f} {y - 6}l12 12m0 -12l-12 12">'
                yield f"<title>{escape(name)} was killed</title></path>"


def _legend(plane: _Plane, bottom: int) -> Iterator[str]:
    """What colours and signs mean, below the axis."""
    x, y = 20.0, bottom + 50
    for number in sorted({min(one, BRANCHES) for one in plane.branches.values()}):
        words = "the branch that stayed" if number == 0 else "a branch that was given up"
        if number > 1:
            words = "another"
        place = f'x1="{x + 3:.0f}" x2="{x + 25:.0f}" y1="{y}" y2="{y}"'
        yield f'<line class="stand" stroke="var(--b{number})" {place}/>'
        yield f'<text class="soft" x="{x + 36:.0f}" y="{y + 4}">{words}</text>'
        x += 48 + 6.6 * len(words)
    for fill, words in (
        ("var(--b0)", "a block that the node found itself"),
        ("var(--paper)", "one that another found"),
    ):
        yield f'<circle class="dot" cx="{x + 8:.0f}" cy="{y}" r="8" stroke="var(--b0)" fill="{fill}"/>'
        yield f'<text class="soft" x="{x + 24:.0f}" y="{y + 4}">{words}</text>'
        x += 38 + 6.6 * len(words)
    yield f'<path class="turn" stroke="var(--b0)" d="M{x + 9:.0f} {y - 9}l9 9l-9 9l-9 -9z"/>'
    yield f'<text class="soft" x="{x + 26:.0f}" y="{y + 4}">a reorganisation</text>'


def _colour(tip: str, plane: _Plane) -> str:
    number = plane.branches.get(tip, 0)
    return f"var(--b{number if number <= BRANCHES else (number - 1) % BRANCHES + 1})"
