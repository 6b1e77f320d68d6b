"""What a running node tells its supervisor and its log: ready, alive, catching up, in trouble."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from votenet.network.beat import until_beat
from votenet.network.link_faults import Faults, encode
from votenet.network.node.discovery_io import DiscoveryIO
from votenet.network.node.milestones import Milestones
from votenet.network.node.persistence import Persistence
from votenet.network.notify import HEARTBEAT_SECONDS, notify
from votenet.protocol.node.node_core import NodeCore
from votenet.protocol.node.state import NodeState
from votenet.protocol.node.warnings import quorum_warnings
from votenet.protocol.wire.client_messages import (
    CANNOT_SAVE,
    KEY_TWICE,
    RESTORED,
    FinalityStatus,
    NodeStatus,
    NodeWarning,
)

FIRST_LOOK_SECONDS: Final = 0.02
"""Between two looks whether the node is ready, and whether its first peer has joined."""
ALONE_SECONDS: Final = 3.0
"""How long a node that was ready without peers looks out for the first one as often as that. A node with no
peer so soon after its start is not in trouble yet."""
PROGRESS_SECONDS: Final = 1.0
"""Between two lines about catching up."""
BEHIND: Final = 2
"""Blocks behind that are worth a line: one block is on its way all the time."""

SIGNED_ELSEWHERE: Final = (
    "Another process has signed for the consensus with the key of this node: a data folder was copied. Stop "
    "one of the two. Two that sign are a lie by this node, and others can prove it."
)

SAYS_NOTHING_YET: Final = (
    "This node was restored from a backup. It takes votes and passes them on, but decides nothing and "
    "signs for no vote until the others have decided two more blocks: it may have signed for those before."
)

log = logging.getLogger("votenet.node")


class SyncProgress:
    """Words for a node that catches up, at most one line in PROGRESS_SECONDS."""

    def __init__(self) -> None:
        self._next = 0.0

    def look(self, state: NodeState, now: float) -> str | None:
        """The line to tell at `now` (seconds of any steady clock), None without news."""
        tip, goal = state.chain.tip, state.sync.target
        if now < self._next or goal is None or goal.height < tip.height + BEHIND:
            return None
        self._next = now + PROGRESS_SECONDS
        share = tip.height / goal.height
        votes = state.chain.tally.votes
        return f"catching up: block {tip.height:,} of {goal.height:,} ({share:.0%}), {votes:,} votes checked"


class Health:
    """Readiness, heartbeat, warnings and progress of one node. `core` gives the core of today."""

    def __init__(
        self, core: Callable[[], NodeCore], discovery: DiscoveryIO, persistence: Persistence, faults: Faults
    ) -> None:
        self._core, self._discovery = core, discovery
        self._persistence, self._faults = persistence, faults
        self._said_unready = False
        self._warned: set[str] = set()
        self._warn_at = time.monotonic() + ALONE_SECONDS
        self._progress = SyncProgress()
        self._milestones = Milestones()

    async def report(self) -> None:
        """READY once the node can save, knows its peers and has caught up; then a heartbeat, for ever."""
        ready_at: float | None = None
        await self._persistence.probe()
        while True:
            if behind := self._progress.look(self._core().state, time.monotonic()):
                log.info("%s", behind)
                notify(STATUS=behind, **self._facts(self._status()))
            for reached in self._milestones.look(self._core()):
                log.info("%s", reached)
            if ready_at is None and not self._is_ready():
                self._log_warnings()
                await asyncio.sleep(FIRST_LOOK_SECONDS)
                continue
            status = self._status()
            self._log_warnings(status.warnings)
            words, facts = self._words(status), self._facts(status)
            if ready_at is None:
                ready_at = time.monotonic()
                log.info("ready: %s", words)
                notify(READY=1, STATUS=words, **facts)
            else:
                notify(WATCHDOG=1, STATUS=words, **facts, **self._readiness())
            await self._until_next_beat(ready_at)

    def tell_facts(self) -> None:
        """Height, peers and waiting votes to the supervisor, between two heartbeats."""
        notify(**self._facts(self._status()))

    def warnings(self) -> tuple[NodeWarning, ...]:
        """The node's troubles, the worst first."""
        found = (*self._discovery.wrong(), *self._of_named_nodes())
        failure = self._persistence.failure
        if failure is None:
            return found
        text = f"it can save nothing and refuses votes: {failure.message}. {failure.next_step}"
        return (NodeWarning(code=CANNOT_SAVE, message=text.rstrip()), *found)

    def _of_named_nodes(self) -> list[NodeWarning]:
        core = self._core()
        if core.finality is None or core.state.index is None:
            return []
        twin = [NodeWarning(KEY_TWICE, SIGNED_ELSEWHERE)] if core.finality.key_elsewhere else []
        if core.finality.restored.is_silent:
            twin.append(NodeWarning(RESTORED, SAYS_NOTHING_YET))
        if core.is_final:
            return twin  # nothing is left to agree on
        return twin + quorum_warnings(core.state.election, core.state.reachable_named())

    def _log_warnings(self, found: Iterable[NodeWarning] | None = None) -> None:
        """Log a trouble when it begins and when it is over. `found`: as `warnings`, where it is known."""
        if time.monotonic() < self._warn_at:
            return
        self._warn_at = time.monotonic() + HEARTBEAT_SECONDS / 2
        now = {warning.code: warning.message for warning in (self.warnings() if found is None else found)}
        for code in now.keys() - self._warned:
            log.warning("%s [%s]", now[code], code)
        for code in self._warned - now.keys():
            log.info("over: %s", code)
        self._warned = set(now)

    async def _until_next_beat(self, ready_at: float) -> None:
        """Wait for the next beat; less when a node that was ready alone gets its first peer."""
        peers, until = self._core().state.sync.peers, time.monotonic() + until_beat(HEARTBEAT_SECONDS)
        alone = not peers and until < ready_at + ALONE_SECONDS
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(FIRST_LOOK_SECONDS if alone else left)
            if alone and peers:
                return

    def _is_ready(self) -> bool:
        return self._persistence.failure is None and self._discovery.settled and self._core().caught_up

    def _readiness(self) -> dict[str, object]:
        """READY=0 while nothing can be saved or the node is cut off, READY=1 once when that is over."""
        before = self._said_unready
        self._said_unready = self._persistence.failure is not None or bool(self._discovery.alone)
        return {"READY": int(not self._said_unready)} if before or self._said_unready else {}

    def _status(self) -> NodeStatus:
        return self._core().status(time.time())

    def _facts(self, status: NodeStatus) -> dict[str, object]:
        facts: dict[str, object] = {
            "X_HEIGHT": status.height,
            "X_PEERS": status.peers,
            "X_TIP": status.tip,
            "X_WAITING": status.waiting,
            "X_LINKS": encode(self._faults.now).decode(),
        }
        if status.finality is not None:
            facts["X_FINALITY"] = finality_report(status.finality)
        return facts

    def _words(self, status: NodeStatus) -> str:
        if self._persistence.failure is not None:
            return f"can save nothing: {self._persistence.failure.message}"
        if alone := self._discovery.alone:
            return f"cut off: {alone}"
        peers = f"{status.peers} {'peer' if status.peers == 1 else 'peers'}"
        return f"height {status.height}, {status.votes} votes, {status.waiting} waiting, {peers}"


def finality_report(finality: FinalityStatus) -> str:
    """What a supervisor hears of what is final (`FinalityReport` in processes/heartbeat.py), as JSON."""
    fields = {
        "height": finality.certificate,
        "index": finality.index,
        "named": finality.named,
        "quorum": finality.quorum,
        "reachable": finality.reachable,
    }
    return msgspec.json.encode(fields).decode()
