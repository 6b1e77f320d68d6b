"""The table of all targets out of the JSON files that the benches wrote.

    python bench/table.py RESULTS.json...       every target of the project, measured or not
    python bench/table.py --merge OUT RESULTS.json...   the same, with all lines in one file

Several files are several runs: a line shows the median of its figures, and is met only if it was in every
run. Of a line within CLOSE of its goal FIRM_RUNS runs are needed.

Exit code 0 also where a target is missed: a table that says so is a good table; 1 where a target was not
measured at all.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from lines import number, reached, verdict

CLOSE = 0.10
"""So near to its goal, luck decides whether one run meets it."""
FIRM_RUNS = 5
TARGETS = {
    "T1": "nonce search",
    "T2": "event-loop lag while mining",
    "T3": "a whole election, five nodes",
    "T4": "votenet vote from a shell",
    "T5": "a fresh node catches up",
    "T6": "votenet audit",
    "T7": "bootstrap with a million peers",
    "T8": "five nodes and the page: up to ready",
    "T9": "kill -9 to ready and caught up",
    "T10": "an idle node, an idle page",
    "T11": "cost as the chain grows",
    "T12": "bytes on the wire for a vote",
    "T13": "the test suite",
    "T14": "votes and blocks until they are final",
    "T15": "500 voters within ten seconds",
    "T16": "1,000 open event streams",
    "T17": "secret ballots",
    "T18": "size of the pages",
    "T19": "one address asks what is dearest",
    "T20": "a million voters",
    "T21": "attacks on what is final",
    "T22": "the end of an election",
}


def read_lines(paths: list[Path]) -> list[dict[str, Any]]:
    """All lines of benchmark files, or of files that `--merge` wrote, in the order of the targets.

    A line that several files have is one line, with the median of its figures and `runs`, all of them.
    """
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for path in paths:
        for line in _lines_of(json.loads(path.read_text())):
            found.setdefault((line["target"], line["what"], line["unit"]), []).append(line)
    order = list(TARGETS)
    return sorted((_merged(lines) for lines in found.values()), key=lambda line: order.index(line["target"]))


def _lines_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = result.get("lines", [])
    for benchmark in result.get("benchmarks", []):
        lines += benchmark["extra_info"].get("lines", [])
    return [one for line in lines for one in line.get("runs", [line])]


def _merged(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One line for the runs of it: the median one, met only if all were."""
    if len(runs) == 1:
        return runs[0]
    middle = sorted(runs, key=_value)[len(runs) // 2]
    met = None if middle["goal"] is None else all(run["met"] for run in runs)
    return {**middle, "met": met, "runs": runs}


def _value(line: dict[str, Any]) -> float:
    return float(line["figure"] if line["ratio"] is None else line["ratio"])


def verdict_of_runs(line: dict[str, Any]) -> str:
    """`met in 3 of 3`, with what the runs found; after one run as `verdict` says it."""
    runs = line.get("runs")
    if runs is None or line["goal"] is None:
        return verdict(line)
    met, values = sum(run["met"] for run in runs), sorted(map(_value, runs))
    end = f"met in {met} of {len(runs)} ({number(values[0])} to {number(values[-1])})"
    if line["met"] and len(runs) < FIRM_RUNS and min(map(reached, runs)) < 1 + CLOSE:
        end += f": close, {FIRM_RUNS} runs decide"
    return f"goal {'>=' if line['at_least'] else '<='} {number(line['goal'])}: {end}"


def show(lines: list[dict[str, Any]]) -> None:
    rows = [("", "what", "figure", "ratio", "")]
    for target, name in TARGETS.items():
        ours = [line for line in lines if line["target"] == target]
        if not ours:
            rows.append((target, name, "-", "-", "not measured"))
        for line in ours:
            figure = f"{number(line['figure'])} {line['unit']}"
            end = verdict_of_runs(line)
            rows.append((target, f"{name}: {line['what']}", figure, number(line["ratio"]), end))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for target, what, figure, ratio, end in rows:
        left = f"{target:<{widths[0]}}  {what:<{widths[1]}}"
        print(f"{left}  {figure:>{widths[2]}}  {ratio:>{widths[3]}}  {end}".rstrip())
    goals = [line["met"] for line in lines if line["met"] is not None]
    print(f"\n{sum(goals)} of {len(goals)} goals met.")
    for line in lines:
        if line["met"] is False:
            print(f"Missed: {line['target']} {line['what']}: {verdict_of_runs(line)}")


def main() -> int:
    options = argparse.ArgumentParser(description="The table of all targets.")
    options.add_argument("results", nargs="+", type=Path)
    options.add_argument("--merge", type=Path, metavar="OUT", help="write all lines into this file, too")
    given = options.parse_args()
    for path in given.results:
        if not path.exists():
            print(f"{path} is missing: its bench did not get to its end", file=sys.stderr)
    lines = read_lines([path for path in given.results if path.exists()])
    show(lines)
    if given.merge is not None:
        machine = {"machine": platform.platform(), "python": platform.python_version()}
        given.merge.write_text(json.dumps({**machine, "ended": int(time.time()), "lines": lines}, indent=1))
        print(f"JSON: {given.merge}")
    return 0 if {line["target"] for line in lines} == set(TARGETS) else 1


if __name__ == "__main__":
    sys.exit(main())
