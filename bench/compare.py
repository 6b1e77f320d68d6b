"""Two results of `make bench`, line by line: changes of more than ten percent.

    python bench/compare.py OLD.json NEW.json       make bench-compare OLD=… NEW=…

Ratios are compared where there are any, since the machine's own drift is in them only by chance. Exit code
1 where something got worse by more than that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lines import number
from table import read_lines

TOLERANCE = 0.10


def changes(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[str, str, float]]:
    """(line, old -> new, how much better: -0.2 is a fifth worse) of every line in either."""
    before, after = (
        {(line["target"], line["what"], line["unit"]): line for line in lines} for lines in (old, new)
    )
    found = []
    for key in [*after, *(key for key in before if key not in after)]:
        name = f"{key[0]} {key[1]}"
        if key not in before:
            found.append((name, f"new: {number(_value(after[key]))}", 0.0))
        elif key not in after:
            found.append((name, "not measured any more", -1.0))
        else:
            was, now = _value(before[key]), _value(after[key])
            better = _grown(was, now) if after[key]["at_least"] else -_grown(was, now)
            found.append((name, f"{number(was)} -> {number(now)}", better))
    return found


def _value(line: dict[str, Any]) -> float:
    return float(line["figure"] if line["ratio"] is None else line["ratio"])


def _grown(was: float, now: float) -> float:
    return now / was - 1 if was else float(now != was)


def main() -> int:
    options = argparse.ArgumentParser(description="What changed between two benches.")
    options.add_argument("old", type=Path)
    options.add_argument("new", type=Path)
    given = options.parse_args()
    worse = 0
    for name, text, better in changes(read_lines([given.old]), read_lines([given.new])):
        flag = ""
        if better < -TOLERANCE:
            worse, flag = worse + 1, f"WORSE by {-better:.0%}"
        elif better > TOLERANCE:
            flag = f"better by {better:.0%}"
        print(f"{flag:<16}  {name}: {text}")
    print(f"\n{worse} worse by more than {TOLERANCE:.0%}.")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
