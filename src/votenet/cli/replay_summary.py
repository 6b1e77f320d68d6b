"""What became of the ballots of a replay: counted, added up over senders, printed.

What lives here: Summary. What must not: sending.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from votenet.cli.latency import Latencies

MAX_EXAMPLES: Final = 5


@dataclass(slots=True)
class Summary:
    """What became of the ballots. `refused` counts by code; `examples` show a few of each."""

    read: int = 0
    accepted: int = 0
    repeated: int = 0
    """Votes that were on the chain already, the very same ones: a replay that was resumed."""
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    by_node: Counter[str] = field(default_factory=Counter)
    latency: dict[str, Latencies] = field(default_factory=dict)
    """`accepted`; for followed votes also `in_block` and `confirmed`."""

    @property
    def refusals(self) -> int:
        return self.refused.total()

    @property
    def rate(self) -> float:
        """Votes accepted a second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def refuse(self, code: str, example: str) -> None:
        self.refused[code] += 1
        shown = self.examples.setdefault(code, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(example)

    def merge(self, other: Summary) -> None:
        """Add what another sender did at the same time."""
        self.read += other.read
        self.accepted += other.accepted
        self.repeated += other.repeated
        self.refused.update(other.refused)
        self.by_node.update(other.by_node)
        self.seconds = max(self.seconds, other.seconds)
        for code, shown in other.examples.items():
            self.examples[code] = (self.examples.get(code, []) + shown)[:MAX_EXAMPLES]
        for name, latencies in other.latency.items():
            self.latency.setdefault(name, Latencies()).merge(latencies)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; latencies in milliseconds."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "repeated": self.repeated,
            "refused": dict(self.refused),
            "examples": self.examples,
            "seconds": round(self.seconds, 3),
            "votes_per_second": round(self.rate, 1),
            "by_node": dict(self.by_node),
            "latency_ms": {name: latencies.summary() for name, latencies in self.latency.items()},
        }

    def show(self) -> None:
        """As tables for people."""
        from votenet.cli import render

        made = render.table("", [("ballots", "left"), ("number", "right"), ("", "left")])
        made.add_row("read", f"{self.read:,}", "")
        made.add_row("accepted", f"{self.accepted:,}", f"{self.rate:,.0f} a second")
        if self.repeated:
            made.add_row("repeated", f"{self.repeated:,}", "these very votes were there already")
        for code, count in self.refused.most_common():
            made.add_row(f"refused: {code}", f"{count:,}", self.examples[code][0])
        render.print_table(made)
        times = {name: latencies.summary() for name, latencies in self.latency.items() if latencies.buckets}
        if not times:
            return
        columns = [(name, "right") for name in ("votes", "p50", "p90", "p99", "max")]
        made = render.table("", [("ms from sending to", "left"), *columns])
        for name, values in times.items():
            made.add_row(
                name.replace("_", " "),
                f"{values.pop('count'):,.0f}",
                *(f"{value:,.0f}" for value in values.values()),
            )
        render.print_table(made)
