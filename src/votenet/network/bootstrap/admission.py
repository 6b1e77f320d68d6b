"""The connections of a bootstrap server: how often a client may ask, and which connection makes room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from votenet.errors import RemoteProtocolError
from votenet.network.transport import Link
from votenet.protocol.bootstrap.batches import Session
from votenet.protocol.bootstrap.server_core import AdmissionPolicy, Trusts
from votenet.protocol.wire.address import network_group
from votenet.protocol.wire.token_bucket import Buckets


@dataclass(slots=True, eq=False, kw_only=True)
class ClientSession(Session):
    """One connection. `heard`: monotonic seconds of its last line."""

    link: Link
    heard: float = 0.0
    last_taken: bool = False
    """Its last request was read: the reference client sends one line, and later lines do not count."""


class RateCheck:
    """Counts requests by address and by network."""

    def __init__(self, policy: AdmissionPolicy) -> None:
        self._trusts = policy.trusts
        self._hosts, self._groups = Buckets(*policy.host_rate), Buckets(*policy.group_rate)

    def spend(self, host: str, now: float) -> None:
        """Count one request of an address at `now`, in monotonic seconds.

        Raises:
            RemoteProtocolError: rate-limited, when this address or its network asks too often.
        """
        if self._trusts(host):
            return
        if not self._hosts.of(host).take(now) or not self._groups.of(network_group(host)).take(now):
            raise RemoteProtocolError("rate-limited", "too many requests from this address or network")


def link_to_evict(sessions: Iterable[ClientSession], trusts: Trusts) -> Link | None:
    """The connection that makes room for a new one when all are taken; None when no other is worse.

    It belongs to the network with the most connections, is owed no answer if possible, and was silent for
    longest. So connections held open from a few addresses keep no other client out.
    """
    strangers = [session for session in sessions if not trusts(session.link.host)]
    crowds = Counter(network_group(session.link.host) for session in strangers)

    def badness(session: ClientSession) -> tuple[int, bool, float]:
        return crowds[network_group(session.link.host)], not session.link.owes, -session.heard

    worst = max(strangers, key=badness, default=None)
    if worst is None or (worst.link.owes and crowds[network_group(worst.link.host)] == 1):
        return None
    return worst.link
