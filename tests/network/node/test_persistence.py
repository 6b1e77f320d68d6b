"""The store of a running node: failures are remembered, and tried again."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import pytest

from support.elections import keys_of_node, make_election, make_votes
from support.memory_block_store import MemoryBlockStore
from support.named_history import named_history
from support.nodes import NOW, SEED
from votenet.core.ledger.block import log_leaves, log_start
from votenet.core.ledger.chain import Chain
from votenet.errors import StorageCorrupt, StorageError
from votenet.network.node.persistence import Persistence, load_core
from votenet.protocol.node.events import (
    Change,
    SaveBlock,
    SaveCertificate,
    SaveFinality,
    SaveHours,
    SaveVotes,
)
from votenet.protocol.node.node_core import NodeCore
from votenet.protocol.node.signed_hours import SignedHours
from votenet.protocol.node.state import NodeInfo
from votenet.protocol.peers.address_manager import AddressManager
from votenet.protocol.peers.misbehavior import MisbehaviorScores

ELECTION = make_election()
INFO = NodeInfo("node", "0", "ab" * 32, "us:1", "test", False, NOW, SEED)


class Disk(MemoryBlockStore):
    """A store that takes nothing while `full`."""

    full = False

    def _check(self) -> None:
        if self.full:
            raise StorageError("the disk is full")

    def apply(self, changes: Sequence[Any]) -> None:
        self._check()
        super().apply(changes)

    def try_writing(self) -> None:
        self._check()

    def remember_bans(self, bans: Sequence[Any]) -> None:
        self._check()
        super().remember_bans(bans)

    def remember_peers(self, peers: Sequence[Any]) -> None:
        self._check()
        super().remember_peers(peers)


def test_a_failure_is_kept_until_a_save_or_a_probe_works() -> None:
    disk = Disk(ELECTION)
    persistence, votes = Persistence(disk), make_votes(ELECTION, 1)

    async def test() -> None:
        disk.full = True
        with pytest.raises(StorageError):
            await persistence.apply([SaveVotes(votes)])
        assert persistence.failure is not None
        await persistence.probe()
        assert persistence.failure is not None
        disk.full = False
        await persistence.probe()
        assert persistence.failure is None
        await persistence.apply([SaveVotes(votes)])

    with persistence.started():
        asyncio.run(test())
    assert disk.load().waiting == votes


def test_bans_and_peers_that_could_not_be_saved_are_saved_the_next_time() -> None:
    disk = Disk(ELECTION)
    persistence = Persistence(disk)
    scores, addresses = MisbehaviorScores(), AddressManager("us:1", bytes(64))
    scores.ban("address:192.0.2.7", "bad-work", time.time())
    addresses.add_configured("192.0.2.9:4000")

    async def save() -> None:
        await persistence.save_bans(scores)
        await persistence.save_peers(addresses, ["192.0.2.9:4000"])

    async def test() -> None:
        disk.full = True
        await save()
        assert persistence.failure is not None
        assert disk.known_bans() == disk.known_peers() == []
        disk.full = False
        await save()

    with persistence.started():
        asyncio.run(test())
    assert [ban.subject for ban in disk.known_bans()] == ["address:192.0.2.7"]
    assert [peer.address for peer in disk.known_peers()] == ["192.0.2.9:4000"]


def test_a_core_goes_on_with_the_votes_that_wait() -> None:
    disk, votes = Disk(ELECTION), make_votes(ELECTION, 3)
    disk.apply([SaveVotes(votes)])
    core = load_core(ELECTION, disk, INFO)
    assert len(core.state.pool) == 3
    assert core.state.chain.tip.height == 0


def test_a_stored_chain_that_contradicts_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from votenet.errors import Rejected

    def restore(*args: object) -> None:
        raise Rejected("unknown-parent", "a header without its parent")

    monkeypatch.setattr(Chain, "restore", restore)
    with pytest.raises(StorageCorrupt, match="a header without its parent"):
        load_core(ELECTION, Disk(ELECTION), INFO)


# -- what a named node kept ------------------------------------------------------------------------

KEYS = keys_of_node(0)
NAMED_INFO = NodeInfo("node", "0", KEYS.node.public_hex, "us:1", "test", True, NOW, SEED, KEYS)


def test_a_named_node_starts_after_each_of_its_steps_with_its_log_and_certificate() -> None:
    named, batches = named_history()
    disk = MemoryBlockStore(named)
    for batch in batches:
        disk.apply(batch)
        core = load_core(named, disk, NAMED_INFO)
        stored = disk.load()
        assert core.checkpoints is not None
        assert core.checkpoints.frontier.root == _root_of_records(core)
        certified = core.checkpoints.certified
        assert (certified.height if certified else 0) == stored.certificate[0]
        assert core.state.chain.tip.height == sum(best for _, best in stored.headers)
        assert core.closing is not None
        if stored.hours:
            saved = SignedHours(stored.hours).of(stored.election.closes)
            assert core.closing.lists.get(0) == saved.list
            assert core.closing.list_signed == (saved.list is not None)


def _root_of_records(core: NodeCore) -> bytes:
    frontier = log_start(named_history()[0])
    for entry in core.state.chain.best[1:]:
        votes = core.state.votes_of(entry.hash)
        frontier, _ = frontier.append(log_leaves(entry.header, votes, entry.extras.records))
    return frontier.root


def test_a_proposed_block_that_was_prevoted_is_there_after_a_restart() -> None:
    named, batches = named_history()
    disk, seen = MemoryBlockStore(named), 0
    for batch in batches:
        disk.apply(batch)
        if not (isinstance(batch[0], SaveBlock) and isinstance(batch[-1], SaveFinality)):
            continue
        core = load_core(named, disk, NAMED_INFO)
        assert core.finality is not None
        block = core.finality.proposed.block_of(batch[0].entry.hash)
        assert block is not None
        assert block.votes == tuple(batch[0].votes)
        assert block.extras == batch[0].entry.extras
        seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    "change",
    [
        SaveFinality(b"rubbish"),
        SaveFinality(b'[3,0,[],[["prevote",0,"zz",-1]]]'),
        SaveHours(b'[true,null,"?"]x'),
        SaveCertificate(1, "no note"),
        SaveCertificate(99, "no note"),
    ],
)
def test_kept_values_that_mean_nothing_are_damage(change: Change) -> None:
    named, batches = named_history()
    disk = MemoryBlockStore(named)
    for batch in batches[:10]:
        disk.apply(batch)
    disk.apply([change])
    with pytest.raises(StorageCorrupt) as caught:
        load_core(named, disk, NAMED_INFO)
    assert caught.value.next_step


def test_a_kept_proposal_that_does_not_fit_the_tip_is_damage() -> None:
    named, batches = named_history()
    disk = MemoryBlockStore(named)
    for batch in batches:
        if isinstance(batch[0], SaveBlock):
            break
        disk.apply(batch)
    assert isinstance(batch[0], SaveBlock)
    entry = batch[0].entry
    header = entry.header._replace(version=entry.header.version + 1)
    disk.apply([SaveBlock(dataclasses.replace(entry, hash=header.hash, header=header), batch[0].votes)])
    with pytest.raises(StorageCorrupt, match="block version"):
        load_core(named, disk, NAMED_INFO)
