"""The store of a running node: a core is loaded from it, and one thread writes to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from votenet.core.election.definition import Election
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.extras import NO_EXTRAS
from votenet.core.ledger.mempool import MAX_POOL_BYTES, Mempool
from votenet.errors import NotProven, Rejected, StorageError
from votenet.network.threads import start_threads
from votenet.protocol.node.events import Change
from votenet.protocol.node.finality import KeptFinality
from votenet.protocol.node.node_core import NodeCore
from votenet.protocol.node.state import NO_FACTS, NodeFacts, NodeInfo, NodeState
from votenet.protocol.peers.address_manager import AddressManager
from votenet.protocol.peers.misbehavior import MisbehaviorScores
from votenet.storage.blocks.block_store import BlockStore, StoredChain

log = logging.getLogger("votenet.node")


class Persistence:
    """Saves chain, votes, bans and peers. Called in the event loop."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "storage")
        self._anchors: list[str] = []
        self.failure: StorageError | None = None
        """Why the last attempt to save failed; None while saving works."""

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Runs the thread until the block ends. Raises VotenetError: no-threads."""
        start_threads(self._thread, 1)
        with self._thread:
            yield

    async def apply(self, changes: Sequence[Change]) -> None:
        """Save the changes of one batch, all or none. Raises StorageError."""
        try:
            await self._run(lambda: self._store.apply(changes))
        except StorageError as error:
            log.error("cannot save: %s", error.message)
            self.failure = error
            raise
        self.failure = None

    async def probe(self) -> None:
        """Try to write, and note in `failure` whether that works."""
        before = self.failure
        try:
            await self._run(self._store.try_writing)
        except StorageError as error:
            self.failure = error
            if before is None:
                log.error("cannot save: %s", error.message)
        else:
            self.failure = None
            if before is not None:
                log.info("votes can be saved again")

    async def save_bans(self, scores: MisbehaviorScores) -> None:
        """Save the bans if they have changed. A failure is kept in `failure` and tried again later."""
        if not scores.changed:
            return
        scores.changed = False
        bans = scores.remembered(time.time())
        try:
            await self._run(lambda: self._store.remember_bans(bans))
        except StorageError as error:
            scores.changed, self.failure = True, error
            log.error("cannot save the bans: %s", error.message)

    async def save_peers(self, addresses: AddressManager, anchors: list[str]) -> None:
        """Save the cache of peers if it has changed. `anchors`: peers to dial first after a restart."""
        if not addresses.changed and anchors == self._anchors:
            return
        addresses.changed, self._anchors = False, anchors
        rows = addresses.cached(anchors)
        try:
            await self._run(lambda: self._store.remember_peers(rows))
        except StorageError as error:
            addresses.changed = True
            log.error("cannot save the addresses of peers: %s", error.message)

    async def _run(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)


def load_core(
    election: Election,
    store: BlockStore,
    info: NodeInfo,
    facts: NodeFacts = NO_FACTS,
    pool_bytes: int = MAX_POOL_BYTES,
) -> NodeCore:
    """A core with the stored chain and pool.

    Raises:
        StorageError: the store cannot be read, or (StorageCorrupt) contradicts itself.
    """
    stored = store.load()
    chain, pool = Chain(stored.election), Mempool(info.seed, pool_bytes)
    with _found_damage(store):
        chain.restore(stored.headers, stored.voters, stored.tally, stored.beside)
    for vote in stored.waiting:
        pool.add(vote)
    log.info("chain at height %d, %d votes, %d waiting", chain.tip.height, chain.tally.votes, len(pool))
    state = NodeState(chain, pool, store, info, facts)
    with _found_damage(store):
        return NodeCore(state, _kept(chain, stored) if election.named else None)


@contextlib.contextmanager
def _found_damage(store: BlockStore) -> Iterator[None]:
    """Around the use of stored values: a rule that they break shows that they are not what was saved."""
    try:
        yield
    except (Rejected, NotProven) as error:
        raise store.damaged(error.message) from error
    except ValueError as error:
        raise store.damaged(error) from error


def _kept(chain: Chain, stored: StoredChain) -> KeptFinality:
    proposed = []
    for header, best in stored.headers:
        if not best and header.previous == chain.tip.hash:
            entry = chain.candidate(header)
            entry.extras = stored.beside.get(entry.hash, (NO_EXTRAS, b""))[0]
            proposed.append(entry)
    return KeptFinality(
        stored.frontier,
        stored.certificate,
        stored.finality,
        stored.accepted,
        stored.hours,
        tuple(proposed),
        stored.log_sizes,
        tuple(stored.evidence),
        tuple(stored.amendments),
        tuple(stored.shares),
        stored.restored,
    )
