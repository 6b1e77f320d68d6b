"""How long things took: a histogram of bounded size, and its percentiles.

What lives here: Latencies. What must not: clocks, what is measured.

Buckets grow by two percent each, so a percentile is at most two percent too high, however many values
there are; several processes count on their own and their histograms are added.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_LOG_STEP: Final = math.log(1.02)
_SMALLEST: Final = 1e-6
"""Seconds: everything below is in the first bucket."""
PERCENTILES: Final = (50, 90, 99)


@dataclass(slots=True)
class Latencies:
    """Counts by bucket; `longest` in seconds, exact."""

    buckets: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """`count` values of this many seconds."""
        self.buckets[math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _LOG_STEP)] += count
        self.longest = max(self.longest, seconds)

    def merge(self, other: Latencies) -> None:
        self.buckets.update(other.buckets)
        self.longest = max(self.longest, other.longest)

    def percentile(self, percent: float) -> float:
        """Seconds that so many percent of the values do not exceed. 0 without values."""
        wanted, seen = self.buckets.total() * percent / 100, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return min(_SMALLEST * math.exp(bucket * _LOG_STEP), self.longest)
        return 0.0

    def summary(self) -> dict[str, float]:
        """`count`, and p50, p90, p99 and max in milliseconds."""
        found: dict[str, float] = {"count": self.buckets.total()}
        for percent in PERCENTILES:
            found[f"p{percent}"] = round(1000 * self.percentile(percent), 2)
        return found | {"max": round(1000 * self.longest, 2)}
