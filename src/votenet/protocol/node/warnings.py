"""What is wrong at a node, in sentences for its operator and its voters: observations in, warnings out.

A clock that is off is reported and never punished.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from cachetools import LRUCache

from votenet.core.election.definition import Election
from votenet.core.election.quorum import NOT_FINAL_WHILE_AWAY
from votenet.protocol.wire.client_messages import CUT_OFF, KEY_TWICE, NO_QUORUM, OTHER_KEY, NodeWarning
from votenet.protocol.wire.fields import as_line

CLOCK_SECONDS: Final = 30
"""Clocks that differ by more are reported; machines that ask a time server differ by less than one."""
MAX_CLOCKS: Final = 64
FORGET_CLOCK_SECONDS: Final = 3600.0
"""How long a clock is remembered after its node was joined: a clock that is hours off may end every link."""
TWIN_SECONDS: Final = 90.0
"""How long we believe that another process has our key, unless it is seen again."""
NOT_REGISTERED: Final = "it does not register this node"
"""How a sentence about a bootstrap server begins that answers, and refuses."""


class _Clock(NamedTuple):
    """`ahead` of our monotonic clock, so that a correction of ours shows at once."""

    address: str
    ahead: float
    at: float


class NodeWarnings:
    """`now` is monotonic seconds, `wall` Unix seconds."""

    def __init__(self) -> None:
        self._clocks: LRUCache[str, _Clock] = LRUCache(MAX_CLOCKS)
        self._twin: tuple[str, float] | None = None
        self._claimed: tuple[str, float] | None = None
        self._servers: dict[str, str] = {}
        self._refusal = self._stranger = ""
        self.unreached = ""
        """Why peers cannot reach this node, a sentence; empty if they can, or none said otherwise."""

    # -- observations --------------------------------------------------------------------------

    def clock(self, node_key: str, address: str, ahead: int, now: float, wall: float) -> None:
        """The clock of a peer that we dialled is `ahead` seconds ahead of ours."""
        self._clocks[node_key] = _Clock(address, wall + ahead - now, now)

    def twin(self, address: str, now: float) -> None:
        """Another process has proved to have our key."""
        self._twin = address, now

    def refused(self, address: str, code: str, now: float) -> None:
        """A peer that we dialled did not take us."""
        self._refusal = f"{address} refused it: {code}"
        if code == KEY_TWICE:
            self._claimed = address, now

    def foreign(self, host: str) -> None:
        """A node of another network has dialled us: it may be this one that has the wrong genesis file."""
        self._stranger = f"a node of another network is at {host}: compare the network id with the others"

    def bootstrap(self, server: str, trouble: str) -> None:
        """What went wrong with a bootstrap server of ours; empty for nothing."""
        if trouble:
            self._servers[server] = trouble
        else:
            self._servers.pop(server, None)

    def has_twin(self, now: float) -> bool:
        """Whether another process has our key now, as far as we know."""
        return self._twin is not None and now - self._twin[1] < TWIN_SECONDS

    # -- warnings ------------------------------------------------------------------------------

    def current(
        self,
        now: float,
        wall: float,
        *,
        cut_off: str,
        unproven: Collection[str],
        joined: Collection[str],
        replaced: Iterable[tuple[str, str]] = (),
    ) -> tuple[NodeWarning, ...]:
        """Everything that is wrong now, the worst first.

        Args:
            cut_off: why the node is alone, a clause; empty if it is not.
            unproven: addresses that we dialled, and that the nodes there do not know as their own.
            joined: keys of the peers.
            replaced: addresses where named nodes were and others answer now, and the names of those.
        """
        wrong: list[NodeWarning] = []
        if cut_off:
            wrong.append(NodeWarning(CUT_OFF, self._cut_off(cut_off)))
        wrong += self._twins(now)
        wrong += self._of_clocks(now, wall, joined)
        for server, trouble in sorted(self._servers.items()):
            wrong.append(NodeWarning("bootstrap-failed", as_line(f"Bootstrap server {server}: {trouble}")))
        if self.unreached:
            wrong.append(NodeWarning("not-reached", as_line(self.unreached)))
        if unproven:
            names = ", ".join(sorted(unproven)[:4])
            text = f"The nodes at {names} do not know these addresses as theirs: start them with --advertise."
            wrong.append(NodeWarning("unproven-address", as_line(text)))
        for address, name in replaced:
            text = f"The node at {address} is not {name}, which was there: it has another key."
            wrong.append(NodeWarning(OTHER_KEY, as_line(text)))
        return tuple(wrong)

    def _cut_off(self, why: str) -> str:
        known = self._refusal or self._stranger
        last = f" ({known})" if known else ""
        return as_line(f"This node is cut off: {why}{last}. It saves votes; no other node gets them.")

    def _twins(self, now: float) -> list[NodeWarning]:
        if self._twin is not None and self.has_twin(now):
            text = (
                f"Another node, at {self._twin[0]}, runs with the key of this one: a data folder was copied. "
                "Stop one of the two. A relay makes a key of its own when its node.key is gone."
            )
            return [NodeWarning(KEY_TWICE, as_line(text))]
        if self._claimed is not None and now - self._claimed[1] < TWIN_SECONDS:
            text = f"{self._claimed[0]} says that another node with the key of this one is joined to it."
            return [NodeWarning("key-claimed", as_line(text))]
        return []

    def _of_clocks(self, now: float, wall: float, joined: Collection[str]) -> list[NodeWarning]:
        for key, clock in list(self._clocks.items()):
            if key in joined:
                self._clocks[key] = clock._replace(at=now)
            elif now - clock.at > FORGET_CLOCK_SECONDS:
                del self._clocks[key]
        offsets = [(clock.ahead + now - wall, clock.address) for clock in self._clocks.values()]
        behind = [(off, where) for off, where in offsets if off < -CLOCK_SECONDS]
        ahead = [(off, where) for off, where in offsets if off > CLOCK_SECONDS]
        for side in (behind, ahead):  # peers behind us: we are ahead
            if 2 * len(side) > len(offsets):
                median = statistics.median(off for off, _ in side)
                text = (
                    f"The clock of this node is {time_difference(-median)} "
                    f"{len(side)} of {len(offsets)} peers it has met. If it is wrong, set it: else other "
                    "nodes refuse its blocks, or it refuses theirs."
                )
                return [NodeWarning("clock-off", as_line(text))]
        off, where = max(behind + ahead, key=lambda one: abs(one[0]), default=(0.0, ""))
        if not where:
            return []
        text = f"The clock of the peer at {where} is {time_difference(off)} this node's."
        return [NodeWarning("peer-clock-off", as_line(text))]


def time_difference(seconds: float) -> str:
    """`4 days ahead of`, `3 hours behind`."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    unit, name = next(one for one in units if abs(seconds) >= one[0] * 0.99 or one[0] == 1)
    count = round(abs(seconds) / unit)
    return f"{count} {name}{'' if count == 1 else 's'} {'ahead of' if seconds > 0 else 'behind'}"


def quorum_warnings(election: Election, reachable: Collection[int]) -> list[NodeWarning]:
    """Whether a named node reaches too few of the named nodes; `reachable` has their indexes, and its own."""
    missing = [node.name for index, node in enumerate(election.definition.nodes) if index not in reachable]
    if len(reachable) >= election.quorum:
        return []
    text = (
        f"Only {len(reachable)} of {election.named} named nodes can be reached "
        f"(not {', '.join(missing[:8])}), and {election.quorum} must agree: {NOT_FINAL_WHILE_AWAY}."
    )
    return [NodeWarning(NO_QUORUM, as_line(text))]
