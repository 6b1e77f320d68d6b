"""Charts as SVG, drawn by hand: lines with points on axes from zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 64, 110, 40, 44
COLOURS: Final = ("#2a78b5", "#c44e1d", "#3b8a3e", "#7a4fa3", "#8a6d1d")
GRID: Final = 4


def chart(
    title: str,
    x_name: str,
    y_name: str,
    series: Mapping[str, Points],
    *,
    by_place: bool = False,
    level: tuple[str, float] | None = None,
) -> str:
    """The SVG.

    Args:
        by_place: the x values are names of places at equal distances (1, 2, 4, 8, …), not distances.
        level: a horizontal line to compare with, and its name.
    """
    xs = sorted({x for points in series.values() for x, _ in points})
    highest = max([y for points in series.values() for _, y in points] + [level[1] if level else 0.0])
    right, top = (len(xs) - 1 or 1) if by_place else max(xs), _nice(highest * 1.05)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - TOP

    def at(x: float, y: float) -> tuple[float, float]:
        across = xs.index(x) if by_place else x
        return round(LEFT + across / right * wide, 1), round(HEIGHT - BOTTOM - y / top * high, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_name}</text>',
        f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">'
        f"{y_name}</text>",
    ]
    for step in range(GRID + 1):
        _, y = at(xs[0], top * step / GRID)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{_text(top * step / GRID)}</text>')
    for value in xs if by_place else [right * step / GRID for step in range(GRID + 1)]:
        x = at(value, 0)[0] if by_place else round(LEFT + value / right * wide, 1)
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_text(value)}</text>')
    if level is not None:
        _, y = at(xs[0], level[1])
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y}" y2="{y}" stroke="#555" stroke-dasharray="5 4"/>'
        )
        parts.append(f'<text x="{LEFT + wide + 6}" y="{y + 4}" fill="#555">{level[0]}</text>')
    for number, points in enumerate(series.values()):
        colour, places = COLOURS[number % len(COLOURS)], [at(x, y) for x, y in points]
        line = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    return "\n".join([*parts, *_names(series, at), "</svg>"]) + "\n"


def _names(series: Mapping[str, Points], at: object) -> list[str]:
    """The name of each line beside its last point, moved apart where they would cover each other."""
    assert callable(at)
    ends = sorted((at(*points[-1])[1], number, name) for number, (name, points) in enumerate(series.items()))
    parts, last = [], float("-inf")
    for y, number, name in ends:
        last = max(y + 4, last + 14)
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<text x="{WIDTH - RIGHT + 6}" y="{last}" fill="{colour}">{name}</text>')
    return parts


def _nice(value: float) -> float:
    """The next number that four equal steps lead to without odd digits."""
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    return next(size * factor for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if size * factor >= value)


def _text(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"
