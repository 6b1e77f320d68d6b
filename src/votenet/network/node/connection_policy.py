"""What addresses and keys may do at this node: connections and work in proportion, no banned peers.

Programs on this machine (127.0.0.1, ::1) share one address, so they have limits for each link and none
in common.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final

from votenet.errors import RemoteProtocolError
from votenet.protocol.peers.misbehavior import Ban, MisbehaviorScores, of_address, of_key
from votenet.protocol.wire.limits import (
    CLIENT_RATES,
    CONNECTIONS_AT_ONCE,
    CONNECTIONS_PER_SECOND,
    MAX_DEBT_SECONDS,
    PEER_RATES,
)
from votenet.protocol.wire.token_bucket import Buckets

BY_HAND: Final = "by-hand"
"""Code of a ban that the operator has made; `by-hand:HOST:PORT` where a peer was named by its address."""

log = logging.getLogger("votenet.connection_policy")


class ConnectionPolicy:
    """`clock` gives monotonic seconds, `wall` Unix seconds. `named`: the keys of the named nodes."""

    def __init__(
        self,
        clock: Callable[[], float],
        wall: Callable[[], float],
        bans: Iterable[Ban] = (),
        named: Collection[str] = (),
    ) -> None:
        self._clock, self._wall, self._named = clock, wall, frozenset(named)
        # Earlier versions banned keys for what came over a link.
        kept = (ban for ban in bans if ban.code.startswith(BY_HAND) or not ban.subject.startswith(of_key("")))
        self.scores = MisbehaviorScores(kept)
        self._connections = Buckets(CONNECTIONS_PER_SECOND, CONNECTIONS_AT_ONCE)
        self._work = Buckets(CLIENT_RATES.units_per_second, CLIENT_RATES.units_at_once)
        self._bytes = Buckets(CLIENT_RATES.bytes_per_second, CLIENT_RATES.bytes_at_once)
        # The peers of an address together may do as much as one: a key costs nothing.
        self._peers_work = Buckets(PEER_RATES.units_per_second, PEER_RATES.units_at_once)
        self._peers_bytes = Buckets(PEER_RATES.bytes_per_second, PEER_RATES.bytes_at_once)

    # -- addresses -----------------------------------------------------------------------------

    def connect(self, host: str) -> RemoteProtocolError | None:
        """A stranger has connected: why it must go again, or None.

        One of an address that is too far in debt goes before anything of it is read.
        """
        subject = of_address(host)
        if subject is None:
            return None
        now = self._clock()
        owed = max(buckets.of(subject).wait(now, 0.0) for buckets in (self._work, self._bytes))
        if owed > MAX_DEBT_SECONDS:
            return _rate_limited("too many requests or bytes from this address", owed)
        bucket = self._connections.of(subject)
        if bucket.take(now):
            return None
        return _rate_limited("too many connections from this address", bucket.wait(now))

    def spend(self, host: str, cost: float, *, peer: bool = False) -> float:
        """Charge an address for work; seconds that the link should not be read for.

        Raises:
            RemoteProtocolError: rate-limited, when the strangers of an address are too far in debt.
                Nothing is charged: the work is not to be done. (Peers wait: what they send is needed.)
        """
        return self._charge(self._peers_work if peer else self._work, host, cost, "requests", peer=peer)

    def charge(self, host: str, cost: float) -> float:
        """As `spend`, for work that is done already: it is charged whatever the address owes."""
        subject = of_address(host)
        return 0.0 if subject is None else self._work.of(subject).reserve(self._clock(), cost)

    def take_bytes(self, host: str, size: int, *, peer: bool = False) -> float:
        """Like `spend`, for bytes received from an address."""
        return self._charge(self._peers_bytes if peer else self._bytes, host, size, "bytes", peer=peer)

    def _charge(self, buckets: Buckets, host: str, cost: float, what: str, *, peer: bool) -> float:
        subject = of_address(host)
        if subject is None:
            return 0.0
        bucket = buckets.of(subject)
        now = self._clock()
        owed = bucket.wait(now, 0.0)
        if owed > MAX_DEBT_SECONDS and not peer:
            raise _rate_limited(f"too many {what} from this address", owed)
        return bucket.reserve(now, cost)

    # -- peers ---------------------------------------------------------------------------------

    def refusal(self, host: str, node_key: str) -> RemoteProtocolError | None:
        """Why this peer may not be one now, or None. A named node is banned by the operator only."""
        now = self._wall()
        for subject in (of_key(node_key), of_address(host)):
            ban = self.scores.banned(subject, now)
            if ban is not None and (ban.code.startswith(BY_HAND) or not self.is_named(node_key)):
                return RemoteProtocolError(
                    "banned",
                    f"{ban.subject} is banned for another {ban.until - int(now)} s, because of {ban.code}",
                )
        return None

    def is_named(self, node_key: str) -> bool:
        return node_key in self._named

    def ban(self, subject: str, seconds: int, address: str | None = None) -> Ban:
        """The operator bans a subject (`of_key`, `of_address`), whatever it did.

        Args:
            address: by which the operator named it, where that is no subject: kept with the ban, because
                the link tells whose key it was only while it is open.
        """
        code = BY_HAND if address is None else f"{BY_HAND}:{address}"
        return self.scores.ban(subject, code, self._wall(), seconds)

    def banned_as(self, address: str) -> list[str]:
        """The subjects that the operator has banned by this address."""
        return [ban.subject for ban in self.bans() if ban.code == f"{BY_HAND}:{address}"]

    def bans(self) -> list[Ban]:
        """Those that hold now."""
        now = self._wall()
        return [ban for ban in self.scores.remembered(now) if ban.until > now]

    def misbehaved(self, host: str, code: str) -> None:
        """A peer's link from this address was refused with `code`. Only the operator bans keys."""
        subject = of_address(host)
        ban = None if subject is None else self.scores.note(subject, code, self._wall())
        if ban is not None:
            log.warning("banned %s until %d, because of %s", ban.subject, ban.until, ban.code)


def _rate_limited(why: str, seconds: float) -> RemoteProtocolError:
    return RemoteProtocolError("rate-limited", f"{why}: try again in {max(round(seconds), 1)} s")
