"""What strangers may do at a bootstrap server: how many peers, how many requests, and who is none.

What lives here: Policy, RateCheck, victim_of. What must not: what a request may change
(`protocol/bootstrap.py`), the limits of one connection (`bootstrap_server.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from votenet.errors import RemoteProtocolError
from votenet.network.transport import Link
from votenet.network.turns import Session
from votenet.protocol.address import network_group
from votenet.protocol.bootstrap import MAX_PER_GROUP, MAX_PER_HOST, Trusts, is_loopback
from votenet.protocol.registry import MAX_PEERS
from votenet.protocol.token_bucket import Buckets


@dataclass(frozen=True, slots=True)
class RequestRate:
    """Requests a second, and at once. (S17 names 100 a minute; many nodes may share a router.)"""

    host: tuple[float, float] = (5.0, 300.0)
    group: tuple[float, float] = (20.0, 1200.0)


@dataclass(frozen=True, slots=True)
class Policy:
    """What strangers may do. `trusts` says which clients operate this machine, and have no limits.

    `network` is the id of the only network whose records are taken, None for all.
    """

    max_peers: int = MAX_PEERS
    max_per_host: int = MAX_PER_HOST
    max_per_group: int = MAX_PER_GROUP
    rate: RequestRate = RequestRate()
    trusts: Trusts = is_loopback
    network: str | None = None


class RateCheck:
    """Counts requests by address and by network."""

    def __init__(self, policy: Policy) -> None:
        self._trusts = policy.trusts
        self._hosts, self._groups = Buckets(*policy.rate.host), Buckets(*policy.rate.group)

    def spend(self, host: str, now: float) -> None:
        """One request of an address at `now`, in monotonic seconds.

        Raises:
            RemoteProtocolError: rate-limited, when this address or its network asks too often.
        """
        if self._trusts(host):
            return
        if not self._hosts.of(host).take(now) or not self._groups.of(network_group(host)).take(now):
            raise RemoteProtocolError("rate-limited", "too many requests from this address or network")


def victim_of(sessions: Iterable[Session], trusts: Trusts) -> Link | None:
    """Which connection makes room for a new one, when all are taken; None when all are as good.

    The network with the most connections gives one up: one that is owed no answer, and was silent for
    longest. So whoever holds them open from a few addresses keeps nobody else out.
    """
    strangers = [session for session in sessions if not trusts(session.link.host)]
    crowds = Counter(network_group(session.link.host) for session in strangers)

    def useless(session: Session) -> tuple[int, bool, float]:
        return crowds[network_group(session.link.host)], not session.link.owes, -session.heard

    worst = max(strangers, key=useless, default=None)
    if worst is None or (worst.link.owes and crowds[network_group(worst.link.host)] == 1):
        return None
    return worst.link
