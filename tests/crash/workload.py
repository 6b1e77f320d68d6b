"""The steps of a node on its data folder, and the state that must hold after each step.

The expected state after each step comes from the store in memory. A folder found after a crash must
hold the state of the last acknowledged step or of the one after it, whole: nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from support.elections import (
    TRIVIAL_BITS,
    Ledger,
    keys_of_node,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    votes_in_order,
)
from support.memory_block_store import MemoryBlockStore
from support.named_history import named_history
from support.nodes import NOW, SEED
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header, votes_root
from votenet.core.ledger.chain import Chain, pack_location, unpack_location
from votenet.core.ledger.extras import NO_EXTRAS
from votenet.core.ledger.vote import HashedVote
from votenet.errors import VotenetError
from votenet.network.node.persistence import load_core
from votenet.protocol.node.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest
from votenet.protocol.node.signed_hours import SignedHours
from votenet.protocol.node.state import NodeInfo
from votenet.protocol.peers.address_manager import CachedPeer
from votenet.storage import database
from votenet.storage.blocks.block_store import BlockStore, StoredChain
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.files import lock_data_dir
from votenet.storage.key_store import load_or_make_key

ELECTION: Final = make_election(bits=TRIVIAL_BITS)
KEY_NAME: Final = "node.key"
DATA: Final = "data"
"""The node's folder, inside the folder that is watched: a first start makes it."""
CHECKPOINT_PAGES: Final = 12
"""The log is written back into the database after so many pages (1,000 in production): within a few steps."""

State = tuple[object, ...]


@dataclasses.dataclass(frozen=True)
class Step:
    """`changes` for `apply`, or `peers` to remember, or (neither) close the folder and open it again."""

    name: str
    changes: tuple[Change, ...] = ()
    peers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Workload:
    """Steps, and the states: `states[n]` after n of them."""

    name: str
    steps: tuple[Step, ...]
    states: tuple[State, ...]
    prepare: Callable[[Path], None]
    election: Election = ELECTION


def state_of(store: BlockStore, stored: StoredChain | None = None) -> State:
    """Everything that a store answers, in a form that can be compared; `stored` is what `load` gave."""
    stored = stored or store.load()
    tally = tuple(sorted(stored.tally.contests[0].ballots.items())), stored.tally.votes
    best = [header.hash for header, on_best in stored.headers if on_best]
    locations = tuple(
        _vote_id(store, best, voter, location) for voter, location in sorted(stored.voters.items())
    )
    waiting = tuple(hashed.id for hashed in stored.waiting)
    beside = {key: found for key, found in stored.beside.items() if found != (NO_EXTRAS, b"")}
    return (
        tuple(stored.headers),
        tuple(sorted(stored.voters.items())),
        locations,
        tally,
        waiting,
        tuple(sorted(beside.items())),
        (stored.finality, stored.accepted, stored.hours, stored.certificate),
        tuple(sorted(stored.evidence)),
        (tuple(stored.amendments), stored.election.amendments),
        (tuple(stored.log_sizes[1:]), stored.frontier.root if best else b""),
        tuple(store.known_peers()),
    )


def _vote_id(store: BlockStore, best: Sequence[bytes], voter: str, location: int) -> bytes:
    height, position = unpack_location(location)
    return store.vote_at(best[height - 1], position, voter).id


def take_step(store: BlockStore, step: Step) -> None:
    if step.changes:
        store.apply(step.changes)
    elif step.peers:
        store.remember_peers([CachedPeer(address) for address in step.peers])


# -- the histories --------------------------------------------------------------------------------


class _Author:
    """Writes histories: what `NodeCore` would save for these votes and blocks."""

    def __init__(self) -> None:
        self.ledger = Ledger(ELECTION)
        self.waiting: dict[bytes, HashedVote] = {}
        self.steps: list[Step] = []

    def votes(self, *votes: HashedVote) -> None:
        self.waiting.update((hashed.id, hashed) for hashed in votes)
        self.steps.append(Step(f"save {len(votes)} votes", (SaveVotes(votes),)))

    def block(self, *votes: HashedVote, on: Header | None = None) -> Block:
        block = mine_block(ELECTION, on or self.ledger.chain.tip.header, votes)
        entry, move = self.ledger.add(block)
        changes: list[Change] = [SaveBlock(entry, block.votes)]
        name = f"block {entry.height} with {len(votes)} votes"
        if move is None:
            self.steps.append(Step(f"{name}, on another branch", tuple(changes)))
            return block
        bodies = [(new, self.ledger.votes_of(new.hash)) for new in move.connected]
        changes.append(SetBest(move.connected[0].height - 1, bodies))
        dropped = [hashed.id for _, body in bodies for hashed in body if hashed.id in self.waiting]
        changes.append(DropVotes(dropped))
        for vote_id in dropped:
            del self.waiting[vote_id]
        returned = [
            hashed
            for old in move.disconnected
            for hashed in self.ledger.votes_of(old.hash)
            if hashed.voter_id not in self.ledger.chain.voters
        ]
        if returned:
            self.waiting.update((hashed.id, hashed) for hashed in returned)
            changes.append(SaveVotes(returned))
            name += f", {len(move.disconnected)} blocks off, {len(returned)} votes back"
        self.steps.append(Step(name, tuple(changes)))
        return block

    def peers(self, *addresses: str) -> None:
        self.steps.append(Step("remember peers", peers=addresses))

    def restart(self) -> None:
        self.steps.append(Step("restart"))

    def done(self, name: str, before: Sequence[Step] = ()) -> Workload:
        """`before` are steps that `prepare` has carried out already."""
        store, states = MemoryBlockStore(ELECTION), []
        for step in before:
            take_step(store, step)
        states.append(state_of(store))
        for step in self.steps:
            take_step(store, step)
            states.append(state_of(store))
        prepare = (lambda folder: _write_before(folder, before)) if before else _nothing
        return Workload(name, tuple(self.steps), tuple(states), prepare)


def _nothing(folder: Path) -> None:
    """A first start: the folder is empty."""


def first_start() -> Workload:
    """Key and database are made; votes wait, are taken by blocks, come back from a lost branch."""
    author, votes = _Author(), make_votes(ELECTION, 60)
    author.votes(*votes[:3])
    one = author.block(*votes[:2])
    author.votes(*votes[3:5])
    author.block(votes[3])
    side = author.block(votes[4], on=one.header)
    author.block(votes[2], on=side.header)  # the other branch wins; the vote of the first waits again
    author.peers("a.example:3000", "b.example:3001")
    author.restart()
    author.votes(*votes[5:45])
    author.block(*votes[5:45], votes[3])
    author.block()
    return author.done("first start")


def later_start() -> Workload:
    """A folder that an earlier run has filled is opened and written."""
    author, votes = _Author(), make_votes(ELECTION, 40)
    author.votes(*votes[:12])
    author.block(*votes[:10])
    before, author.steps = author.steps, []
    author.votes(*votes[20:22])
    author.block(votes[10])
    return author.done("later start", before)


def named_node() -> Workload:
    """A named node from the first vote to the final result, with what it signs and what others propose."""
    election, batches = named_history()
    author = _Author()
    for batch in batches:
        kinds = dict.fromkeys(type(change).__name__ for change in batch)
        author.steps.append(Step(", ".join(kinds), batch))
    author.steps.insert(len(batches) // 2, Step("restart"))
    return dataclasses.replace(author.done("named node"), election=election)


def _write_before(folder: Path, steps: Sequence[Step]) -> None:
    with opened(folder) as (store, _):
        for step in steps:
            take_step(store, step)


def workloads() -> dict[str, Workload]:
    return {made.name: made for made in (first_start(), later_start(), named_node())}


# -- carrying it out ------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(home: Path, election: Election = ELECTION) -> Iterator[tuple[SqliteBlockStore, str]]:
    """Lock, key and store of a node as `votenet node` opens them; the store and the node's public key."""
    with lock_data_dir(home / DATA) as folder:
        key = load_or_make_key(folder / KEY_NAME, "node")
        with patch.dict(database.WRITER_SETTINGS, wal_autocheckpoint=CHECKPOINT_PAGES):
            store = SqliteBlockStore(folder, election)
        with contextlib.closing(store):
            yield store, key.public_hex


class Session:
    """Carries out a workload. `tell` gets one line for each acknowledgement and each refusal.

    After a refusal `heal` is called, nothing of the step may be there (or all of it), and the step is
    taken again. Anything but a votenet error goes through: it is a defect.
    """

    def __init__(self, home: Path, tell: Callable[[str], None], heal: Callable[[], None]) -> None:
        self._home, self._tell, self._heal = home, tell, heal
        self._key = ""

    def run(self, workload: Workload) -> None:
        steps = [Step("start"), *workload.steps]
        done = 0
        while done < len(steps):
            done = self._run_until_closed(workload, steps, done)

    def _run_until_closed(self, workload: Workload, steps: Sequence[Step], done: int) -> int:
        with contextlib.ExitStack() as stack:
            store, self._key = self._insist(
                lambda: stack.enter_context(opened(self._home, workload.election))
            )
            self._tell(f"ack {done} {self._key}")
            done += 1
            while done < len(steps) and (steps[done].changes or steps[done].peers):
                self.take(store, workload, steps[done], done)
                self._tell(f"ack {done} {self._key}")
                done += 1
        return done

    def take(self, store: BlockStore, workload: Workload, step: Step, number: int) -> None:
        def check() -> None:
            if state_of(store) not in (workload.states[number - 1], workload.states[number]):
                raise AssertionError(f"half of step {number} is there after it was refused")

        self._insist(lambda: take_step(store, step), check)

    def _insist(self, act: Callable[[], Any], after: Callable[[], None] = lambda: None) -> Any:
        try:
            return act()
        except VotenetError as error:
            self._tell(f"refused {error.code}|{error.message}|{error.next_step}")
            self._heal()
            after()
            return act()


# -- judging what is found ------------------------------------------------------------------------


def judge(home: Path, workload: Workload, acknowledged: int, key: str | None, *, hints: bool = True) -> None:
    """Open a folder as a starting node does, twice; nothing acknowledged may be missing.

    Args:
        acknowledged: number of the last acknowledged step, 0 being the first opening; -1 for none.
        key: the node's public key, if an opening was acknowledged.
        hints: whether the addresses of peers must be right, too. A node believes none before it has
            dialled it, so nothing guards them against a changed bit.

    Raises:
        AssertionError: something is lost, doubled or half there.
        VotenetError: it is refused.
    """
    allowed = workload.states[max(acknowledged, 0) : acknowledged + 2]
    with opened(home, workload.election) as (store, found_key):
        assert key in (None, found_key), "the node's key is another one"
        stored = store.load()
        found = state_of(store, stored)
        if not hints:
            found, allowed = found[:-1], tuple(state[:-1] for state in allowed)
        assert found in allowed, f"the state after step {acknowledged} or the next is not there"
        if workload.election.named:
            _go_on_named(store, workload, max(acknowledged, 0) + allowed.index(found))
            return
        chain = _check_counts(store, stored)
        new = make_vote(ELECTION, "a fresh voter")
        block = mine_block(ELECTION, chain.tip.header, [new])
        entry = chain.add_header(block.header, block.header.time)
        store.apply([SaveVotes([new])])
        body = [(entry, block.votes)]
        store.apply([SaveBlock(entry, block.votes), SetBest(entry.height - 1, body), DropVotes([new.id])])
    with opened(home) as (store, _):
        again = store.load()
        assert _check_counts(store, again).voters["a fresh voter"] == pack_location(entry.height, 0)
        assert again.waiting == stored.waiting


def _go_on_named(store: BlockStore, workload: Workload, done: int) -> None:
    """A core starts from what is there, which checks all of it; the other steps lead to the same end."""
    keys = keys_of_node(0)
    info = NodeInfo("node", "0", keys.node.public_hex, "us:1", "test", True, NOW, SEED, keys)
    core = load_core(workload.election, store, info)
    assert core.finality is not None
    assert core.closing is not None
    stored = store.load()
    for header, on_best in stored.headers:
        assert on_best or core.finality.proposed.block_of(header.hash) is not None, (
            "it could not be proposed again"
        )
    if stored.hours:
        assert core.closing.lists.get(0) == SignedHours(stored.hours).of(core.state.election.closes).list
    for step in workload.steps[done:]:
        take_step(store, step)
    assert state_of(store) == workload.states[-1], "the rest of the steps leads to another state"


def _check_counts(store: BlockStore, stored: StoredChain) -> Chain:
    """Every view of the chain agrees with its headers, and every vote is in one place; the chain."""
    for header, _ in stored.headers:
        assert votes_root(store.votes_of(header.hash)) == header.merkle_root
    on_chain = list(votes_in_order(store))
    assert Counter(hashed.vote.choices[0] for _, hashed in on_chain) == stored.tally.contests[0].ballots
    found = {voter: unpack_location(location)[0] for voter, location in stored.voters.items()}
    assert {hashed.voter_id: height for height, hashed in on_chain} == found
    everywhere = [hashed.voter_id for _, hashed in on_chain] + [s.voter_id for s in stored.waiting]
    assert len(everywhere) == len(set(everywhere)), "a voter is there twice"
    chain = Chain(ELECTION)
    chain.restore(stored.headers, stored.voters, stored.tally)
    return chain
