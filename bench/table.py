"""The table of all targets out of the JSON files that the benches wrote.

    python bench/table.py RESULTS.json...       every target of the project, measured or not
    python bench/table.py --merge OUT RESULTS.json...   the same, with all lines in one file

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

from lines import number, verdict

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
    """All lines of benchmark files, or of files that `--merge` wrote, in the order of the targets."""
    lines: list[dict[str, Any]] = []
    for path in paths:
        found = json.loads(path.read_text())
        lines += found.get("lines", [])
        for benchmark in found.get("benchmarks", []):
            lines += benchmark["extra_info"].get("lines", [])
    order = list(TARGETS)
    return sorted(lines, key=lambda line: order.index(line["target"]))


def show(lines: list[dict[str, Any]]) -> None:
    rows = [("", "what", "figure", "ratio", "")]
    for target, name in TARGETS.items():
        ours = [line for line in lines if line["target"] == target]
        if not ours:
            rows.append((target, name, "-", "-", "not measured"))
        for line in ours:
            figure = f"{number(line['figure'])} {line['unit']}"
            rows.append((target, f"{name}: {line['what']}", figure, number(line["ratio"]), verdict(line)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for target, what, figure, ratio, end in rows:
        left = f"{target:<{widths[0]}}  {what:<{widths[1]}}"
        print(f"{left}  {figure:>{widths[2]}}  {ratio:>{widths[3]}}  {end}".rstrip())
    goals = [line["met"] for line in lines if line["met"] is not None]
    print(f"\n{sum(goals)} of {len(goals)} goals met.")
    for line in lines:
        if line["met"] is False:
            print(f"Missed: {line['target']} {line['what']}: {verdict(line)}")


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
