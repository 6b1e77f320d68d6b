"""The timeline of a chaos run: one HTML file with an SVG in it, which needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final

from votenet.lab.chaos_plan import BOOTSTRAP, ENDS, StepKind
from votenet.processes.logs import SUPERVISOR

if TYPE_CHECKING:
    from votenet.lab.chaos_run import ChaosResult, StepResult

ROW: Final = 26
LEFT_MARGIN: Final = 110
WIDTH: Final = 1100
RIGHT_MARGIN: Final = 30
"""Room for half of the last label."""
SHORTEST: Final = 3.0
"""Pixels of a bar at least: milliseconds can be seen, too."""
_COLOURS: Final = {
    StepKind.KILL: "#c0392b",
    StepKind.KILL_BOOTSTRAP: "#c0392b",
    StepKind.KILL_SUPERVISOR: "#7d3c98",
    StepKind.PAUSE: "#b7950b",
    StepKind.PARTITION: "#2471a3",
    StepKind.SLOW: "#5dade2",
    StepKind.SCALE: "#1e8449",
    StepKind.ROLLING: "#117a65",
}
_AGREEING: Final = "#d5d8dc"
_STYLE: Final = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #17202a; }
table { border-collapse: collapse; } td, th { padding: 2px 12px 2px 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.broken { background: #fadbd8; padding: 1em; } .held { background: #d5f5e3; padding: 1em; }
svg text { font: 12px system-ui, sans-serif; }
.key { white-space: nowrap; margin-right: 1.2em; } .key i { display: inline-block; width: 1em; height: 1em;
margin-right: 0.4em; vertical-align: -0.15em; }
"""


def as_html(outcome: ChaosResult) -> str:
    held = outcome.broken is None
    verdict = "Every invariant held." if outcome.broken is None else outcome.broken.message
    stop = "" if outcome.stop_seconds is None else f" Stopping everything took {outcome.stop_seconds:.1f} s."
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>votenet chaos, seed {outcome.seed}</title>
<style>{_STYLE}</style></head><body>
<h1>votenet chaos, seed {outcome.seed}</h1>
<p class="{"held" if held else "broken"}">{escape(verdict)}</p>
<p>{outcome.faults} faults in {outcome.seconds:.0f} s, {outcome.votes:,} votes counted,
{outcome.nodes} nodes at the start.{stop}
Again: <code>{escape(str(outcome.again))}</code></p>
{as_svg(outcome)}
<p>{"".join(_legend())}</p>
<p>Coloured: from the fault until all programs were ready again; a fault that lasts, until it was ended.
Grey: from there until all nodes agreed, with every acknowledged vote.</p>
<table><tr><th class="n">at, s</th><th>what</th>
<th class="n">ready after, s</th><th class="n">agreed after, s</th></tr>
{"".join(_table_row(done) for done in outcome.steps)}</table>
</body></html>
"""


def _legend() -> Iterator[str]:
    """A label for each colour: one where several kinds share a colour."""
    words: dict[str, str] = {}
    for kind, colour in _COLOURS.items():
        words.setdefault(colour, kind.value)
    for colour, word in {**words, _AGREEING: "until all agreed"}.items():
        yield f'<span class="key"><i style="background:{colour}"></i>{word}</span> '


def as_svg(outcome: ChaosResult) -> str:
    """The timeline: a row for each program, time from left to right."""
    rows = _rows(outcome)
    end = max([outcome.seconds, *(done.at + done.ready + (done.agreed or 0.0) for done in outcome.steps)])
    scale = (WIDTH - LEFT_MARGIN - RIGHT_MARGIN) / max(end, 1.0)
    height = ROW * (len(rows) + 1)
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">',
            *_axis(rows, end, scale),
            *_bars(outcome.steps, rows, scale),
            "</svg>",
        ]
    )


def _rows(outcome: ChaosResult) -> dict[str, int]:
    nodes = {name for done in outcome.steps for name in _targets(done) if name.startswith("node-")}
    nodes |= {f"node-{number}" for number in range(1, outcome.nodes + 1)}
    names = [SUPERVISOR, BOOTSTRAP, *sorted(nodes, key=lambda name: (len(name), name))]
    return {name: index for index, name in enumerate(names)}


def _targets(done: StepResult) -> tuple[str, ...]:
    """The rows that show a step."""
    step = done.step
    if step.kind is StepKind.PARTITION:
        return step.groups[0]  # the smaller side: those that were taken away
    if step.kind in (StepKind.KILL_SUPERVISOR, StepKind.SCALE, StepKind.ROLLING):
        return (SUPERVISOR,)
    return step.names


def _axis(rows: dict[str, int], end: float, scale: float) -> Iterator[str]:
    bottom = ROW * len(rows)
    every = next(step for step in (1, 2, 5, 10, 20, 60, 120, 600, 3600, 86400) if end / step <= 15)
    for second in range(0, int(end) + 1, every):
        x = LEFT_MARGIN + second * scale
        yield f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{bottom}" stroke="#eaeded"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{second} s</text>'
    for name, index in rows.items():
        yield f'<text x="0" y="{ROW * index + 17}">{escape(name)}</text>'


def _bars(steps: list[StepResult], rows: dict[str, int], scale: float) -> Iterator[str]:
    for index, done in enumerate(steps):
        if not done.step.is_fault:
            continue
        last = _ended_by(steps, index)
        until = last.at + last.ready
        words = f"{done.step} at {done.at:.1f} s: ready after {done.ready:.2f} s"
        for name in _targets(done):
            y = ROW * rows[name] + 4
            yield _bar(done.at, until, y, _COLOURS[done.step.kind], words, scale)
            if last.agreed is not None:
                agreed = f"agreed after {last.agreed:.2f} s"
                yield _bar(until, until + last.agreed, y, _AGREEING, agreed, scale)


def _ended_by(steps: list[StepResult], index: int) -> StepResult:
    """The step that ended a fault which lasts; for others the step itself."""
    end = ENDS.get(steps[index].step.kind)
    return next((done for done in steps[index:] if done.step.kind is end), steps[index])


def _bar(begin: float, end: float, y: int, colour: str, words: str, scale: float) -> str:
    width = max((end - begin) * scale, SHORTEST)
    place = f'x="{LEFT_MARGIN + begin * scale:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 8}"'
    return f'<rect {place} fill="{colour}"><title>{escape(words)}</title></rect>'


def _table_row(done: StepResult) -> str:
    agreed = "" if done.agreed is None else f"{done.agreed:.2f}"
    cells = f'<td class="n">{done.at:.1f}</td><td>{escape(str(done.step))}</td>'
    return f'<tr>{cells}<td class="n">{done.ready:.2f}</td><td class="n">{agreed}</td></tr>\n'
