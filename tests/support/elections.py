"""Builders for tests: elections, keys, votes and blocks, the same ones every time.

Import with `from support.elections import make_election`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from votenet.core.election.contest import CheckedContest
from votenet.core.election.definition import (
    Candidate,
    ChainParameters,
    Contest,
    Election,
    ElectionDefinition,
    NamedNode,
)
from votenet.core.election.definition_rules import contest_faults
from votenet.core.election.roll import Roll
from votenet.core.election.simple_definition import DEFAULT_CANDIDATES, simple_definition
from votenet.core.keys import NodeKeys, SigningKey, node_keys
from votenet.core.ledger.block import Block, Header, genesis_header, order_votes, votes_root
from votenet.core.ledger.chain import BlockIndexEntry, Chain, TipChange, unpack_location
from votenet.core.ledger.extras import (
    BlockExtras,
    BlockRecord,
    HashedRecord,
    encode_extras,
    make_extras,
    order_records,
)
from votenet.core.ledger.statement import Commit, PrecommitStatement, make_commit
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.core.limits import BLOCK_VERSION, MAX_BLOCK_VOTES
from votenet.core.records.miner import sign_block
from votenet.pow import bits_for_zero_bits, bits_to_target, search
from votenet.storage.blocks.block_store import BlockStore

EASY_BITS: Final = bits_for_zero_bits(8)
"""256 nonces on average: hard enough to be wrong, quick enough even without the C core."""
TRIVIAL_BITS: Final = bits_for_zero_bits(1)
"""2 nonces on average, for tests of hundreds of blocks."""
CREATED: Final = 1_700_000_000
"""Genesis time of the test elections, Unix seconds."""
UUID: Final = "VotenetTest111"


def make_election(
    *,
    bits: int = EASY_BITS,
    candidates: Sequence[str] = DEFAULT_CANDIDATES,
    title: str = "Test election",
    created: int = CREATED,
    max_block_votes: int = MAX_BLOCK_VOTES,
    block_seconds: int = 1,
    uuid: str = UUID,
    roll: Roll | None = None,
    results: Literal["live", "after-close"] = "live",
    **fields: Any,
) -> Election:
    """An election that is the same (same network id) for the same arguments, without its `roll` at hand."""
    if roll is not None:
        fields |= {"roll_root": roll.root_hex, "roll_size": len(roll.keys)}
    definition = simple_definition(
        candidates=candidates,
        chain=ChainParameters(bits=bits, max_block_votes=max_block_votes, block_seconds=block_seconds),
        created=created,
        title=title,
        uuid=uuid,
        **fields,
    )
    return Election(msgspec.structs.replace(definition, results=results))


def contest_of(method: str, names: Sequence[str], **fields: Any) -> CheckedContest:
    """A contest of its own, by its method and its candidates; `fields` are others of its definition."""
    candidates = tuple(Candidate(name=name) for name in names)
    contest = Contest(candidates=candidates, method=method, title=f"A {method}", **fields)
    for wrong, _ in contest_faults(contest, "roll"):
        raise ValueError(wrong)
    return CheckedContest(contest, "ab" * 32, only=True)


def key_of(name: str) -> SigningKey:
    """The key that belongs to a name in every test."""
    return SigningKey(hashlib.sha256(b"votenet test key " + name.encode()).digest())


def with_contest(definition: ElectionDefinition, **change: Any) -> ElectionDefinition:
    """The definition with another contest, not checked."""
    contest = msgspec.structs.replace(definition.contests[0], **change)
    return msgspec.structs.replace(definition, contests=(contest,))


def keys_of_node(index: int) -> NodeKeys:
    """The four keys of a node of `named_nodes`."""
    return node_keys(key_of(f"node {index}").seed)


def named_nodes(count: int) -> tuple[NamedNode, ...]:
    """The nodes of a definition, called Node 0, Node 1, …"""
    return tuple(
        NamedNode(
            cosign_key=keys.cosign.public_hex,
            log_key=keys.log.public_hex,
            name=f"Node {index}",
            node_key=keys.node.public_hex,
            statement_key=keys.statement.public_hex,
        )
        for index, keys in enumerate(map(keys_of_node, range(count)))
    )


def make_vote(
    election: Election,
    voter_id: str = "voter-1",
    *choices: str,
    time: int = CREATED + 1,
    key: SigningKey | None = None,
) -> HashedVote:
    """A signed vote; without choices, for the first candidate."""
    return sign_vote(
        key or key_of(voter_id),
        network_hex=election.network_hex,
        voter_id=voter_id,
        choices=[choices or election.names[:1]],
        time=time,
    )


def make_votes(election: Election, count: int, *, first: int = 1) -> list[HashedVote]:
    """Votes of voter-<first>, voter-<first + 1>, … for the candidates in turn."""
    names = election.names
    return [
        make_vote(election, f"voter-{n}", names[n % len(names)], time=CREATED + n)
        for n in range(first, first + count)
    ]


def mine_header(header: Header, *, start: int = 0) -> Header:
    """The header with the first nonce from `start` on that meets its own bits."""
    nonce = search(header.pack(), bits_to_target(header.bits), start)
    if nonce is None:
        raise LookupError("no nonce is good for this header")
    return header._replace(nonce=nonce)


def mine_block(
    election: Election,
    parent: Header | None = None,
    votes: Sequence[HashedVote] = (),
    *,
    time: int | None = None,
    bits: int | None = None,
    version: int = BLOCK_VERSION,
    ordered: bool = True,
    records: Sequence[HashedRecord] = (),
) -> Block:
    """A block on `parent` (default: genesis), a second after it, in block order unless told not to."""
    parent = parent or genesis_header(election)
    body = order_votes(votes) if ordered else tuple(votes)
    header = Header(
        version,
        parent.hash,
        votes_root(body, records),
        parent.time + 1 if time is None else time,
        election.bits if bits is None else bits,
        0,
    )
    return Block(mine_header(header), body)


def mine_named(
    election: Election,
    parent: Header,
    height: int,
    votes: Sequence[HashedVote] = (),
    *,
    node: int = 0,
    records: Sequence[BlockRecord] = (),
) -> Block:
    """A block at a height that named node `node` of `named_nodes` has found."""
    others = order_records(make_extras(None, records, None).records)
    block = mine_block(election, parent, votes, records=others)
    miner = sign_block(keys_of_node(node).statement, election, node, block.header.hash, height)
    return block._replace(extras=BlockExtras(miner, others))


def commit_of(election: Election, header: Header, height: int) -> Commit:
    """The commit of a quorum of `named_nodes`."""
    signatures = {
        node: PrecommitStatement(
            block=header.hash.hex(), height=height, network_id=election.network_hex, node=node, round=0
        ).sign(keys_of_node(node).statement)
        for node in range(election.quorum)
    }
    return make_commit(0, signatures)


def as_stored(block: Block) -> tuple[bytes, bytes, bytes]:
    """Header, votes and extras of a block, as they lie in a store and go into an archive."""
    records = b",".join(hashed.record for hashed in block.votes)
    return block.header.pack(), records, encode_extras(block.extras)


def heights(chain: Chain) -> dict[str, int]:
    """Voter id to the height of the block with that voter's vote."""
    return {voter: unpack_location(place)[0] for voter, place in chain.voters.items()}


def votes_in_order(store: BlockStore) -> Iterator[tuple[int, HashedVote]]:
    """(height, vote) of the stored best branch, in chain order."""
    for height, (_, votes) in enumerate(store.blocks_in_order(), start=1):
        for hashed in votes:
            yield height, hashed


class Ledger:
    """A chain with the votes of its blocks beside it: what a node keeps, without a node."""

    def __init__(self, election: Election) -> None:
        self.election = election
        self.chain = Chain(election)
        self.bodies: dict[bytes, tuple[HashedVote, ...]] = {}

    @property
    def now(self) -> int:
        """A clock that agrees with the tip."""
        return self.chain.tip.header.time

    def votes_of(self, block_hash: bytes) -> tuple[HashedVote, ...]:
        return self.bodies[block_hash]

    def add(self, block: Block, now: int | None = None) -> tuple[BlockIndexEntry, TipChange | None]:
        """Header, then body, as a node adds them. Raises Rejected as the chain does."""
        entry = self.chain.add_header(block.header, block.header.time if now is None else now)
        self.bodies[entry.hash] = block.votes
        return entry, self.chain.add_body(entry, self.votes_of)

    def grow(self, *votes: HashedVote, on: Header | None = None, time: int | None = None) -> Block:
        """Mine a block on the tip (or on another header) and add it."""
        parent = on or self.chain.tip.header
        bits = self.chain.next_bits(self.chain.entries[parent.hash])
        block = mine_block(self.election, parent, votes, time=time, bits=bits)
        self.add(block)
        return block
