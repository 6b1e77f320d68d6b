"""What misbehaviour costs a peer, and who is banned until when. Time is an argument.

What lives here: the table of points, scores that are forgiven with time, bans that end. What must
not: clocks, the disk (a store keeps the bans), sockets.

Only addresses are blamed, for lines of peers that came from there: an honest node sends nothing that it has
not checked. Keys are not: the lines after a handshake are not signed, and whoever passes a handshake on
between two honest nodes can write what he likes. Only the operator bans a key. A ban takes the right to be a
peer, and nothing else: voters behind the same address are still served, within the limits of `limits.py`.
This machine's own address is never banned, because all local nodes share it.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

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

_LIE: Final = LIMIT
"""Nothing but a lie or a broken program sends it: every node checks it before it passes it on."""
_ODD: Final = 30
"""May come of another version or a race; not four times in minutes."""

POINTS: Final[dict[str, int]] = {
    # Codes that are not here cost nothing: honest mistakes, crossing messages, links that broke, and clocks
    # that are off (`bad-time`): these are reported.
    "bad-signature": _LIE,
    "bad-vote": _LIE,
    "unknown-candidate": _LIE,
    "bad-choices": _LIE,
    "vote-too-large": _LIE,
    "not-on-roll": _LIE,
    "wrong-key": _LIE,
    "bad-work": _LIE,
    "bad-bits": _LIE,
    "bad-merkle-root": _LIE,
    "bad-order": _LIE,
    "block-too-large": _LIE,
    "voter-twice": _LIE,
    "broken-chain": _LIE,
    "invalid-block": _LIE,
    "bad-header": _ODD,
    "bad-version": _ODD,
    "bad-hello": _ODD,
    "bad-json": _ODD,
    "bad-message": _ODD,
    "unknown-type": _ODD,
    "unexpected-message": _ODD,
    "unknown-parent": _ODD,
    "line-too-long": _ODD,
}


class Ban(NamedTuple):
    """`subject` as made by `of_key` and `of_address`; `until` in Unix seconds; `times` counts its bans."""

    subject: str
    until: int
    times: int
    code: str


def of_key(node_key: str) -> str:
    """The subject that a node key is."""
    return f"key:{node_key}"


@lru_cache(maxsize=4096)
def of_address(host: str) -> str | None:
    """The subject that an IP address is; an IPv6 one stands for its /64. None for this machine's own.

    Only 127.0.0.1 and ::1 are this machine: other loopback addresses are whoever chose to use them.
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


class Blame:
    """Scores and bans of one node. `now` is Unix time in seconds."""

    def __init__(self, bans: Iterable[Ban] = ()) -> None:
        self._bans = OrderedDict((ban.subject, ban) for ban in bans)
        self._scores: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.changed = False
        """Bans were made or lifted since somebody last set this to False."""

    def note(self, subject: str, code: str, now: float) -> Ban | None:
        """Somebody's link was refused with `code`; the ban that follows, if one does."""
        points = POINTS.get(code, 0)
        if not points:
            return None
        score = points + self.score(subject, now)
        if score >= LIMIT:
            self._scores.pop(subject, None)
            return self.ban(subject, code, now)
        self._scores[subject] = (score, now)
        self._scores.move_to_end(subject)
        if len(self._scores) > MAX_SUBJECTS:
            self._scores.popitem(last=False)
        return None

    def score(self, subject: str, now: float) -> float:
        score, at = self._scores.get(subject, (0.0, now))
        return max(score - max(now - at, 0.0) * FORGIVEN_PER_SECOND, 0.0)

    def ban(self, subject: str, code: str, now: float, seconds: float | None = None) -> Ban:
        """Ban for `seconds`, or for as long as the number of earlier bans asks for."""
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
        """End a ban and forget that it was; whether there was one."""
        self.changed = True
        return self._bans.pop(subject, None) is not None

    def banned(self, subject: str | None, now: float) -> Ban | None:
        """The ban that holds for a subject now."""
        ban = None if subject is None else self._bans.get(subject)
        return ban if ban is not None and ban.until > now else None

    def remembered(self, now: float) -> list[Ban]:
        """What a store should keep: bans that hold, and those that still double the next one."""
        return [ban for ban in self._bans.values() if ban.until + REMEMBERED_SECONDS >= now]
