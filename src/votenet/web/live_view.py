"""One watcher of an election for all readers of the page, which keeps the newest snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Collection, Iterable
from typing import Final, TypeVar

import msgspec

from votenet.client.answers import can_be_amended, fetch_amendments, fetch_cancelled_at, fetch_election
from votenet.client.connection import NodeConnection
from votenet.client.election_client import AsyncElectionClient
from votenet.client.failover import NODE_DIAL_SECONDS, Work, another_may_do_better
from votenet.client.log_view import LogView, fetch_final_results
from votenet.client.node_pool import POOL_ANSWER_SECONDS, NodePool
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll
from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.beat import until_beat
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, Results
from votenet.web.found_nodes import MAX_WATCHED, BootstrapList, leave_first
from votenet.web.newest_snapshot import NewestSnapshot
from votenet.web.node_trust import NodeTrust, Trust
from votenet.web.snapshot import NodeView, Snapshot, best_first, state_of

LOOK_SECONDS: Final = 1.0
"""Between two looks while a stream is open, or a page was asked for lately."""
IDLE_LOOK_SECONDS: Final = 5.0
LATELY_SECONDS: Final = 10.0
"""So long after a request the view looks as often as for a stream."""
STATUS_SECONDS: Final = 3.0
"""A node has its status at hand: without an answer in this time it is away."""
DISCOVERY_SECONDS: Final = 30.0
"""Between two questions to the bootstrap server."""
RESULTS_SECONDS: Final = 10.0
"""Results are asked again after this time though no node shows a change."""

WAITING: Final = "waiting-for-nodes"
"""Code of the answers of a page that knows its election, and no node of it yet."""

T = TypeVar("T")
log = logging.getLogger("votenet.web")


class LiveView:
    """The election as its nodes show it; an async context manager that watches until the block ends.

    It starts without any node, and finds them when they come. Every node must be of one network: that which
    was given, else that of the first node that answers.

    Args:
        nodes: addresses that are asked, beside those that the bootstrap servers know.
        genesis: the election, where it is known before any node runs.
        network_id: 64 hexadecimal digits.
        roll: of an election with a roll; without it voters cannot be found by their keys.
        dial_timeout: seconds for a connection to a node.
        status_timeout: seconds for the status of a node: without it the node is away.
        answer_timeout: seconds for any other answer: without it the next node is asked.
    """

    def __init__(
        self,
        nodes: Iterable[Address] = (),
        *,
        bootstrap: Iterable[Address] = (),
        genesis: Election | None = None,
        network_id: str | None = None,
        roll: Roll | None = None,
        dial_timeout: float = NODE_DIAL_SECONDS,
        status_timeout: float = STATUS_SECONDS,
        answer_timeout: float = POOL_ANSWER_SECONDS,
    ) -> None:
        self.roll = roll
        nodes = tuple(nodes)
        self._trust = NodeTrust(map(str, nodes), proof_timeout=status_timeout)
        self._dial_timeout, self._status_timeout = dial_timeout, status_timeout
        self.pool = NodePool(nodes, self._admit, dial_timeout=dial_timeout, answer_timeout=answer_timeout)
        """A kept connection to each node."""
        self._lists, self._genesis = [BootstrapList(server) for server in bootstrap], genesis
        self._network_id = network_id if genesis is None else genesis.network_hex
        self._seen: dict[Address, NodeView] = {}
        self._statuses: dict[Address, NodeStatus] = {}
        self._log: LogView | None = None
        self._client: AsyncElectionClient | None = None
        self._newest = NewestSnapshot()
        self._looked_for: tuple[object, ...] = ()
        self._problem: VotenetError | None = None
        self._alarm = ""
        self._cancelled_at: int | None = None
        self._warned: tuple[object, ...] = ()
        self._fetched_at = self._answered_at = self._asked_at = float("-inf")
        self._news, self._woken = asyncio.Event(), asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._watchers: dict[Address, asyncio.Task[None]] = {}
        self._others: list[asyncio.Task[None]] = []
        self._tried: set[Address] = set()
        """Nodes that were asked for the election in vain."""
        self.streams = 0
        """Open event streams: while there is one, the view looks every second."""

    async def __aenter__(self) -> LiveView:
        await self._tasks.__aenter__()
        for work in (self._follow(), *map(self._discover, self._lists)):
            self._others.append(self._tasks.create_task(work))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._others, *self._watchers.values()):
            task.cancel()
        await self._tasks.__aexit__(None, None, None)
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        await self.pool.close()

    # -- what readers use --------------------------------------------------------------------------

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot; None while no node has answered yet."""
        return self._newest.value

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot. Raises Unreachable while no node has answered yet."""
        if self.latest is None:
            raise self._no_answer()
        return self.latest

    @property
    def election(self) -> Election:
        """The election in force; that of the genesis file while no node has answered. Raises Unreachable."""
        if self.latest is not None or self._genesis is None:
            return self.snapshot.election
        return self._genesis

    @property
    def known_election(self) -> Election | None:
        """The same; None while it is not known."""
        return self._genesis if self.latest is None else self.latest.election

    def check_begun(self) -> None:
        """Raises Unreachable, code waiting-for-nodes, while the election is known and no node of it."""
        if self.latest is None and self._genesis is not None:
            raise self._no_answer()

    @property
    def nodes(self) -> list[NodeView]:
        """All nodes that are known, those too that do not answer, in the order in which they came."""
        return [self._seen.get(address, self._unseen(address)) for address in self.pool.addresses]

    @property
    def addresses(self) -> list[Address]:
        """Nodes to ask, the best first; those that are away come last.

        Given nodes come before found ones, and of these the named ones that have proved their keys before all
        others: a stranger's program may be listed, and say what it likes.
        """
        known = {str(address): address for address in self.pool.addresses}
        ranked = sorted(best_first(self.nodes), key=lambda node: self._trust.rank(node.address))
        best = [known.pop(node.address) for node in ranked]
        return [*best, *known.values()]

    @property
    def trusted(self) -> list[Address]:
        """Nodes whose counts are shown, the best first.

        A certificate proves how many votes are final, and not how they fall on the candidates. So where the
        election names nodes, they are the given ones, and those that have proved the key of a named node.
        """
        return [address for address in self.addresses if self._is_trusted(str(address))]

    @property
    def log(self) -> LogView:
        """The election's log as it was seen. Raises Unreachable while no node has answered yet."""
        if self._log is None:
            raise self._no_answer()
        return self._log

    @property
    def client(self) -> AsyncElectionClient:
        """A client of the same nodes. Raises Unreachable while no node has answered yet."""
        if self._client is None:
            raise self._no_answer()
        return self._client

    def asked(self) -> None:
        """A page was asked for: look more often for a while, and now if the last look is old."""
        idle = not self._busy
        self._asked_at = time.monotonic()
        if idle:
            self._woken.set()
            self._woken = asyncio.Event()

    async def changed(self, after: Snapshot | None) -> Snapshot:
        """The newest snapshot, as soon as it says more than `after`. Raises Stopping after `end`."""
        return await self._newest.changed(after)

    def end(self) -> None:
        """Let all that wait for a change go: the server stops."""
        self._newest.end()

    async def ask(self, work: Work[T], *, other_than: Collection[Address] = ()) -> T:
        """What `work` returns at the best node that does not fail it; each is tried once.

        `work` must bear to be run more than once.

        Args:
            other_than: nodes that are asked last.

        Raises:
            Unreachable: no node answers.
            VotenetError: the failure of the last node, or one that no other node would mend.
        """
        order = sorted(self.addresses, key=lambda address: address in other_than)
        if not order:
            raise self._no_answer()
        return await self.pool.first(order, work)

    async def ask_trusted(self, work: Work[T]) -> T:
        """As `ask`, at the nodes in `trusted` alone."""
        if not (order := self.trusted):
            raise self._no_answer()
        return await self.pool.first(order, work)

    def _no_answer(self) -> VotenetError:
        """Why nothing is known: no node answers, or all are of another network, or the roll is another.

        Or no node that answers has proved the key of a named node.
        """
        if self._problem is None and self._statuses and not self.trusted:
            return Unreachable(
                "none of the nodes that are named in this election has been found yet",
                code="unreachable" if self._genesis is None or self.latest is not None else WAITING,
                next_step="Wait: this page looks for them. What other nodes count is not shown.",
            )
        if self._problem is None and self.latest is None and self._genesis is not None:
            return Unreachable(
                "the nodes of this election have not been found yet",
                code=WAITING,
                next_step="Wait: this page looks for them, and becomes the page of the election.",
            )
        return self._problem or Unreachable(
            "no node of this election answers",
            next_step="Try again in a moment. If it stays so, tell the organisers.",
        )

    # -- watching ----------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self.streams > 0 or time.monotonic() - self._asked_at < LATELY_SECONDS

    async def _pause(self, *, news: bool = False) -> None:
        """Until the next look is due, or (with `news`) a node says something new."""
        event = self._news if news else self._woken
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until_beat(LOOK_SECONDS if self._busy else IDLE_LOOK_SECONDS)):
                await event.wait()

    def _watch(self, address: Address) -> None:
        self._watchers[address] = self._tasks.create_task(self._watch_node(address))

    async def _leave(self, address: Address) -> None:
        """Watch a node no more, and forget what it was."""
        if (watcher := self._watchers.pop(address, None)) is not None:
            watcher.cancel()
        self._tried.discard(address)
        for by_address in (self._statuses, self._seen):
            by_address.pop(address, None)
        self._trust.forget(str(address))
        await self.pool.remove(address)

    async def _follow(self) -> None:
        """Find the election, then watch each of its nodes, and keep the snapshot."""
        while self._log is None:
            try:
                election = await self._find_election()
                base = election if self.roll is None else with_roll(election, self.roll)
            except VotenetError as error:
                foreign = self._genesis is not None and error.code == "network-mismatch"
                self._problem = None if foreign or isinstance(error, Unreachable) else error
                self._warn_once("event=no_election code=%s error=%s", error.code, error.message)
                await asyncio.sleep(LOOK_SECONDS)
            else:
                self._network_id, self._log = election.network_hex, LogView(base)
                log.info("event=election_found network=%s", election.network_hex)
        for address in self.pool.addresses:
            self._watch(address)
        await self._keep_snapshot()

    async def _find_election(self) -> Election:
        """The election of the first given node that shows it, else of the quickest of the found ones.

        Those are asked all at once: many that are listed may be silent, and one is enough.

        Raises:
            Unreachable: no node answers.
            VotenetError: the failure of the last node, or one that no other node would mend.
        """

        async def shown(node: NodeConnection) -> Election:
            return await fetch_election(node, self._network_id)

        order = self.addresses
        given = [address for address in order if self._trust.rank(str(address)) is Trust.GIVEN]
        found = [address for address in order if address not in given]
        if not order:
            raise self._no_answer()
        try:
            if given:
                return await self.pool.first(given, shown)
        except VotenetError as error:
            if not found or not another_may_do_better(error):
                raise
        try:
            return await self.pool.quickest(found, shown)
        except VotenetError:
            self._tried.update(address for address in found if address in self.pool.addresses)
            raise

    async def _watch_node(self, address: Address) -> None:
        """Ask one node for its status again and again: a slow one keeps no other waiting."""
        while True:
            try:
                async with asyncio.timeout(self._status_timeout):
                    status = await self.pool.at(address, lambda node: node.ask(GetStatus(), NodeStatus))
            except TimeoutError:
                late = f"{address} gave no answer within {self._status_timeout:g} s"
                self._away(address, Unreachable(late))
            except VotenetError as error:
                self._away(address, error)
            else:
                await self._trust.ask_key(str(address), self.log.election)
                if self._is_trusted(str(address)):
                    self._answered_at = time.monotonic()
                    if self._client is not None:
                        self._client.add_nodes(address)
                before = self._statuses.get(address), self._seen.get(address)
                node = self._trust.view_of(str(address), status, self.log.election)
                self._statuses[address], self._seen[address] = status, node
                if before[1] is not None and before[1].code:
                    log.info("event=node_back node=%s", address)
                if before[1] != node or before[0] is None or _counts(before[0]) != _counts(status):
                    self._news.set()
            await self._pause()

    def _unseen(self, address: Address) -> NodeView:
        """A node that has not answered yet."""
        return NodeView(str(address), given=self._trust.rank(str(address)) is Trust.GIVEN)

    def _away(self, address: Address, error: VotenetError) -> None:
        before = self._seen.get(address, self._unseen(address))
        if before.code != error.code:
            # Of the strangers that are listed, many may never have been there.
            matters = address in self._statuses or self._trust.rank(str(address)) is Trust.GIVEN
            level = logging.WARNING if matters else logging.DEBUG
            log.log(level, "event=node_away node=%s code=%s error=%s", address, error.code, error.message)
            self._news.set()
        self._statuses.pop(address, None)
        self._trust.away(str(address))
        self._seen[address] = before.away(error)

    def _is_trusted(self, address: str) -> bool:
        return self._trust.is_trusted(address, None if self._log is None else self._log.election)

    async def _admit(self, node: NodeConnection) -> None:
        """On each new connection: the node must be of the network."""
        await fetch_election(node, self._network_id)

    def _warn_once(self, line: str, *values: object) -> None:
        """A line in the log, unless the last such line said the same."""
        if self._warned != (line, *values):
            self._warned = (line, *values)
            log.warning(line, *values)

    @property
    def _has_trusted(self) -> bool:
        """Whether a node answers whose counts may be shown."""
        return any(address in self._statuses for address in self.trusted)

    async def _discover(self, server: BootstrapList) -> None:
        while True:
            election = self._genesis if self._log is None else self._log.election
            if election is not None and self._trust.named_found < election.named:
                await self._watch_found(await server.find_named(election), as_named=True)
            await self._watch_found(await server.find_some(self._network_id))
            await asyncio.sleep(DISCOVERY_SECONDS if self._has_trusted else LOOK_SECONDS)

    async def _watch_found(self, found: Iterable[Address], *, as_named: bool = False) -> None:
        """Watch more nodes as far as there is room.

        Strangers make room for what may be named nodes; while no trusted node answers, also for others.

        Args:
            as_named: a server lists these with the keys of named nodes.
        """
        known = self.pool.addresses
        new = [address for address in dict.fromkeys(found) if address not in known]
        room = MAX_WATCHED - len(known)
        if len(new) > room and (as_named or not self._has_trusted):
            spare = leave_first(
                [address for address in known if self._trust.rank(str(address)) is Trust.UNPROVEN],
                tried=self._tried | self._seen.keys(),
                answering=self._statuses,
                listed_as_named={one for server in self._lists for one in server.places_of_named},
                for_named=as_named,
            )
            if spare and not as_named:  # a server may list the same ones first each time
                random.SystemRandom().shuffle(new)
            for address in spare[: len(new) - room]:
                if self._trust.rank(str(address)) is Trust.UNPROVEN:  # it may have proved its key just now
                    await self._leave(address)
            room = MAX_WATCHED - len(self.pool.addresses)
        for address in self.pool.add(new[: max(room, 0)]):
            if self._log is not None:
                self._watch(address)

    # -- the snapshot ------------------------------------------------------------------------------

    async def _keep_snapshot(self) -> None:
        while True:
            self._news.clear()
            if self._statuses:
                await self._look()
            elif self.latest is not None:
                self._publish(self.latest.election, self.latest.results)
            await self._pause(news=True)

    async def _look(self) -> None:
        """Fetch results from the best trusted node if anything has changed there, and publish."""
        now, latest = time.time(), self.latest
        best = next((self._statuses.get(address) for address in self.trusted), None)
        if best is None:
            if latest is not None:
                self._publish(latest.election, latest.results)
            return
        state = None if latest is None else state_of(latest.election, latest.results, now)
        shown = (*_counts(best), state)
        fresh = time.monotonic() - self._fetched_at < RESULTS_SECONDS
        if latest is not None and shown == self._looked_for and fresh:
            self._publish(latest.election, latest.results)
            return
        try:
            results, election = await self.ask_trusted(self._fetch)
        except VotenetError as error:
            self._alarm = error.message if error.code == "split-view" else self._alarm
            self._warn_once("event=no_results code=%s error=%s", error.code, error.message)
            if latest is not None:
                self._publish(latest.election, latest.results)
            return
        self._looked_for, self._fetched_at = shown, time.monotonic()
        if self._client is None:
            await self._open_client()
        self._publish(election, results)

    async def _fetch(self, node: NodeConnection) -> tuple[Results, Election]:
        """Results and the election in force, as this node has them. Raises as `fetch_final_results`."""
        results = msgspec.structs.replace(await fetch_final_results(node, self.log), id=None)
        if results.cancelled and self._cancelled_at is None:
            self._cancelled_at = await fetch_cancelled_at(node, self.log.election, results)
        election = self.log.election
        if len(election.amendments) != results.amendments and can_be_amended(election):
            election = (await fetch_amendments(node, election, last=results.amendments)).election
            self.log.election = election
        return results, election

    async def _open_client(self) -> None:
        client = AsyncElectionClient(
            self.addresses, network_id=self._network_id, remember=False, dial_timeout=self._dial_timeout
        )
        with contextlib.suppress(Unreachable, Rejected):
            self._client = await client.__aenter__()

    def _publish(self, election: Election, results: Results) -> None:
        now = time.time()
        up = any(node.up and self._is_trusted(node.address) for node in self.nodes)
        made = Snapshot(
            election=election,
            state=state_of(election, results, now),
            results=results,
            nodes=tuple(self.nodes),
            at=int(now),
            alarm=self._alarm,
            stale=0 if up else int(time.monotonic() - self._answered_at),
            cancelled_at=self._cancelled_at,
        )
        self._newest.publish(made)


def _counts(status: NodeStatus) -> tuple[object, ...]:
    """What must be another for a node to have another result."""
    finality, amended = status.finality, (status.amendments, status.cancelled)
    return (status.tip, status.votes, status.waiting, finality, *amended)
