"""The format in which every bench reports its figures: lines of the table of targets.

A line is a dict in the benchmark's `extra_info["lines"]`, so it is in the JSON of pytest-benchmark, where
`table.py` and `compare.py` find it:

    target     "T3"; figures that no target asks for belong to the target that they explain
    what       which case, unique within the target
    figure     the number, in `unit`
    ratio      of the yardstick measured in the same run, or None
    goal       what ratio (without one: figure) must reach, or None
    at_least   whether more is better
    met        whether it did, or None without a goal
"""

from __future__ import annotations

from typing import Any


def add_line(
    benchmark: Any,
    target: str,
    what: str,
    figure: float,
    unit: str,
    *,
    ratio: float | None = None,
    goal: float | None = None,
    at_least: bool = True,
) -> dict[str, Any]:
    """Add a line to the benchmark and print it."""
    line = {
        "target": target,
        "what": what,
        "figure": figure,
        "unit": unit,
        "ratio": ratio,
        "goal": goal,
        "at_least": at_least,
    }
    line["met"] = None if goal is None else reached(line) >= 1
    benchmark.extra_info.setdefault("lines", []).append(line)
    print(f"\n{target} {what}: {number(figure)} {unit}, ratio {number(ratio)}, {verdict(line)}", flush=True)
    return line


def reached(line: dict[str, Any]) -> float:
    """How much of its goal a line reached; 1 and more is met."""
    found = line["figure"] if line["ratio"] is None else line["ratio"]
    if line["at_least"]:
        return float(found / line["goal"])
    return float(line["goal"] / found) if found else float("inf")


def verdict(line: dict[str, Any]) -> str:
    """`goal >= 0.6: met`, or by how much it was missed, or nothing to meet."""
    if line["goal"] is None:
        return "no goal"
    wanted = f"goal {'>=' if line['at_least'] else '<='} {number(line['goal'])}"
    if line["met"]:
        return f"{wanted}: met"
    found = line["figure"] if line["ratio"] is None else line["ratio"]
    return f"{wanted}: MISSED" + (f" by {abs(found / line['goal'] - 1):.0%}" if line["goal"] else "")


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
