"""Scores for misbehaviour, and bans. Time is an argument.

Only addresses get scores, for lines of peers that came from there: an honest node sends nothing that it has
not checked. Keys do not: the lines after a handshake are not signed, so a relay between two honest nodes can
write any line in their names. Only the operator bans a key. A ban takes the right to be a peer, and nothing
else: voters behind the same address are still served, within the limits of `limits.py`. This machine's own
address is never banned, because all local nodes share it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from cachetools import LRUCache

LIMIT: Final = 100
"""Points at which a subject is banned."""
FORGIVEN_PER_SECOND: Final = LIMIT / 3600
"""A score that nothing is added to is gone after an hour."""
BAN_SECONDS: Final = 3600
"""The first ban; each later one lasts twice as long as the one before."""
MAX_BAN_SECONDS: Final = 24 * 3600
REMEMBERED_SECONDS: Final = 24 * 3600
"""How long after its end a ban still doubles the next one."""
MAX_SUBJECTS: Final = 4096
"""Scores, and bans, kept at one time: about 1 MB."""

# Other codes cost nothing: honest mistakes, crossing messages, links that broke, and clocks that are off
# (`bad-time`): these are reported.
_LIES: Final = (
    *("bad-signature", "bad-vote", "unknown-candidate", "bad-choices", "vote-too-large", "not-on-roll"),
    *("wrong-key", "bad-work", "bad-bits", "bad-merkle-root", "bad-order", "block-too-large", "voter-twice"),
    *("broken-chain", "invalid-block", "bad-evidence"),
    *("bad-ballot-signature", "bad-choice-proof", "bad-total-proof", "bad-blank-proof", "bad-answers"),
    *("bad-point", "bad-scalar"),
)
"""Every node checks this before it passes it on: its sender lies, or runs a broken program."""
_ODD: Final = (
    *("bad-header", "bad-version", "bad-hello", "bad-json", "bad-message", "unknown-type"),
    *("unexpected-message", "unknown-parent", "line-too-long"),
)
"""May come of another version or a race; not four times in minutes."""
POINTS: Final[dict[str, int]] = {**dict.fromkeys(_LIES, LIMIT), **dict.fromkeys(_ODD, 30)}


class Ban(NamedTuple):
    """`subject` as made by `of_key` and `of_address`; `until` in Unix seconds; `times` counts its bans."""

    subject: str
    until: int
    times: int
    code: str


def of_key(node_key: str) -> str:
    return f"key:{node_key}"


@lru_cache(maxsize=4096)
def of_address(host: str) -> str | None:
    """The subject of an IP address: for IPv6 its /64 network. None for 127.0.0.1 and ::1.

    Other loopback addresses are not shared: a program has to choose to use them.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None  # no socket has such a peer name: simulated ones do
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            if address.is_loopback:
                return None
            return f"address:{ipaddress.ip_network((address, 64), strict=False)}"
        address = address.ipv4_mapped
    return None if str(address) == "127.0.0.1" else f"address:{address}"


class MisbehaviorScores:
    """Scores and bans of one node. `now` is Unix time in seconds."""

    def __init__(self, bans: Iterable[Ban] = ()) -> None:
        self._bans = {ban.subject: ban for ban in bans}
        self._scores: LRUCache[str, tuple[float, float]] = LRUCache(MAX_SUBJECTS)
        self.changed = False
        """Whether bans were made or lifted since this was last set to False."""

    def note(self, subject: str, code: str, now: float) -> Ban | None:
        """Add the points of a `code` with which a link was refused; the ban that follows, if one does."""
        points = POINTS.get(code, 0)
        if not points:
            return None
        score = points + self.score(subject, now)
        if score >= LIMIT:
            self._scores.pop(subject, None)
            return self.ban(subject, code, now)
        self._scores[subject] = (score, now)
        return None

    def score(self, subject: str, now: float) -> float:
        score, at = self._scores.get(subject, (0.0, now))
        return max(score - max(now - at, 0.0) * FORGIVEN_PER_SECOND, 0.0)

    def ban(self, subject: str, code: str, now: float, seconds: float | None = None) -> Ban:
        """Ban for `seconds`; without them, longer with each earlier ban."""
        earlier = self._bans.pop(subject, None)
        if earlier is not None and earlier.until + REMEMBERED_SECONDS < now:
            earlier = None
        times = 1 if earlier is None else earlier.times + 1
        if seconds is None:
            seconds = min(BAN_SECONDS * 2 ** min(times - 1, 10), MAX_BAN_SECONDS)
        made = Ban(subject, int(now + seconds), times, code)
        self._bans[subject] = made
        if len(self._bans) > MAX_SUBJECTS:
            del self._bans[min(self._bans.values(), key=lambda ban: ban.until).subject]
        self.changed = True
        return made

    def lift(self, subject: str) -> bool:
        """End and forget a ban; whether there was one."""
        self.changed = True
        return self._bans.pop(subject, None) is not None

    def banned(self, subject: str | None, now: float) -> Ban | None:
        """The ban that holds for a subject now."""
        ban = None if subject is None else self._bans.get(subject)
        return ban if ban is not None and ban.until > now else None

    def remembered(self, now: float) -> list[Ban]:
        """Bans to store: those that hold, and those that still double the next one."""
        return [ban for ban in self._bans.values() if ban.until + REMEMBERED_SECONDS >= now]
