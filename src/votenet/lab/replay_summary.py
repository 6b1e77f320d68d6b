"""The result of a replay: ballots by what became of them, and latencies as percentiles."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

MAX_EXAMPLES: Final = 5
_LOG_STEP: Final = math.log(1.02)
_SMALLEST: Final = 1e-6
"""Seconds: everything below is in the first bucket."""
PERCENTILES: Final = (50, 90, 99)


@dataclass(slots=True)
class Latencies:
    """A histogram of durations, of bounded size; histograms of several processes can be added.

    Buckets grow by two percent each, so a percentile is at most two percent too high. `longest` is exact.
    """

    buckets: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        self.buckets[math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _LOG_STEP)] += count
        self.longest = max(self.longest, seconds)

    def merge(self, other: Latencies) -> None:
        self.buckets.update(other.buckets)
        self.longest = max(self.longest, other.longest)

    def percentile(self, percent: float) -> float:
        """Seconds that this share of the values (0 to 100) does not exceed; 0 without values."""
        wanted, seen = self.buckets.total() * percent / 100, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return min(_SMALLEST * math.exp(bucket * _LOG_STEP), self.longest)
        return 0.0

    def summary(self) -> dict[str, float]:
        """`count`, and p50, p90, p99 and max in milliseconds."""
        values: dict[str, float] = {"count": self.buckets.total()}
        for percent in PERCENTILES:
            values[f"p{percent}"] = round(1000 * self.percentile(percent), 2)
        return values | {"max": round(1000 * self.longest, 2)}


@dataclass(slots=True)
class Summary:
    """`refused` counts ballots by code, with a few `examples` of each; `by_node` counts accepted ones."""

    read: int = 0
    accepted: int = 0
    repeated: int = 0
    """Votes that the node had already: this replay was run before."""
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
