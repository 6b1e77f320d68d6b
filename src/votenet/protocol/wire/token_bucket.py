"""Token buckets: so much at once, so much a second. Time is an argument."""

from __future__ import annotations

from typing import Final

from cachetools import LRUCache

MAX_NAMES: Final = 4096
"""Names with a bucket of their own at one time; the one unused for longest starts anew."""


class TokenBucket:
    """At most `burst` at once and `rate` a second on average. Times are monotonic seconds."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = burst, float("-inf")

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Whether `cost` more are allowed now; they are spent if so."""
        self._refill(now)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def reserve(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` in any case; seconds to wait before they may be used."""
        self._refill(now)
        self._tokens -= cost
        return max(-self._tokens / self.rate, 0.0)

    def wait(self, now: float, cost: float = 1.0) -> float:
        """Seconds until `take` would allow `cost`; nothing is spent."""
        self._refill(now)
        return max((cost - self._tokens) / self.rate, 0.0)

    def _refill(self, now: float) -> None:
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now


class Buckets:
    """A bucket for each name, made when it is first asked for; the `limit` used last are kept."""

    def __init__(self, rate: float, burst: float, *, limit: int = MAX_NAMES) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: LRUCache[str, TokenBucket] = LRUCache(limit)

    def of(self, name: str) -> TokenBucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self._rate, self._burst)
        return bucket

    def ready(self, name: str, now: float) -> bool:
        """Whether the bucket of a name would allow 1 now; nothing is spent, and no bucket is made."""
        bucket = self._buckets.get(name)
        return self._burst >= 1.0 if bucket is None else bucket.wait(now) == 0.0
