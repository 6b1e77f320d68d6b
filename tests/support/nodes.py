"""A node's core driven by hand, for the tests of `protocol/`."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.elections import CREATED, key_of, keys_of_node, make_election
from support.memory_block_store import MemoryBlockStore
from votenet.core.election.definition import Election
from votenet.core.ledger.block import Block, Header
from votenet.core.ledger.mempool import MAX_POOL_BYTES, short_id
from votenet.core.ledger.vote import HashedVote
from votenet.network.node.persistence import load_core
from votenet.pow import bits_to_target, search
from votenet.protocol.node.events import (
    Checked,
    CheckJob,
    Event,
    LinkDown,
    Mined,
    PeerUp,
    Ready,
    Received,
    Template,
    Tick,
)
from votenet.protocol.node.state import NO_FACTS, NodeFacts, NodeInfo
from votenet.protocol.wire.client_messages import SubmitVotes, VoteOutcome, VotesTaken
from votenet.protocol.wire.connection import PeerInfo
from votenet.protocol.wire.fields import SHORT_KEY
from votenet.protocol.wire.lines import Numbered, line_of
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.messages import decode_message
from votenet.protocol.wire.peer_messages import BlockMessage, CompactBlock, HaveVotes, Headers, Neighbours

NOW = CREATED + 1000.0
"""What the clock of a test says, unless it is set."""
CLIENT = 1000
"""A link that is no peer's."""
SEED = 2**63 + 11
"""Of a HandNode's short ids."""
PEER_SEED = 2**62 + 5
"""Of those of its peers."""


@dataclass
class Taken(Ready):
    """A Ready, and the checks that the steps before it asked for."""

    check: list[CheckJob] = field(default_factory=list)


class HandNode:
    """One core. `take` is one step of the driver; `run` goes on until no check is under way."""

    def __init__(
        self,
        election: Election | None = None,
        *,
        mining: bool = True,
        store: MemoryBlockStore | None = None,
        facts: NodeFacts = NO_FACTS,
        pool_bytes: int = MAX_POOL_BYTES,
        index: int | None = None,
    ) -> None:
        """`index`: it is this one of the `named_nodes` of its election."""
        self.election = election or make_election()
        self.store = store or MemoryBlockStore(self.election)
        self.now = NOW
        keys = None if index is None else keys_of_node(index)
        key = key_of("us") if keys is None else keys.node
        self.info = NodeInfo("hand", "0", key.public_hex, "us:1", "test", mining, NOW, SEED, keys)
        self.core = load_core(self.election, self.store, self.info, facts, pool_bytes)

    @property
    def state(self):  # type: ignore[no-untyped-def]
        return self.core.state

    @property
    def chain(self):  # type: ignore[no-untyped-def]
        return self.core.state.chain

    @property
    def template(self) -> Template | None:
        """What is being mined now."""
        return self.core.mining.template

    def take(self, *events: Event) -> Taken:
        """All events, one Ready, saved. Its checks are for the caller to run."""
        jobs = [job for event in events for job in self.core.step(event, self.now)]
        ready = self.core.ready(self.now)
        self.store.apply(ready.save)
        self.core.saved()
        answers = [(question.link, question.begin()().line) for question in ready.questions]
        ready.send = [
            (link, decode_message(line_of(message)) if isinstance(message, bytes | Numbered) else message)
            for link, message in ready.send + answers
        ]
        return Taken(**{name: getattr(ready, name) for name in Ready.__dataclass_fields__}, check=jobs)

    def finish(self, *jobs: CheckJob) -> Taken:
        """The results of these checks are back."""
        return self.take(*(Checked(job, job.run()) for job in jobs))

    def run(self, *events: Event) -> Taken:
        """As `take`, with every check done; what all its Readies asked for, in one."""
        total = self.take(*events)
        while total.check:
            jobs, total.check = total.check, []
            more = self.finish(*jobs)
            for name in ("save", "send", "send_blocks", "send_reference_chain", "refuse", "check", "hints"):
                getattr(total, name).extend(getattr(more, name))
            total.log += more.log
            if more.mining_changed:
                total.mining_changed, total.template = True, more.template
        return total

    def receive(self, link: int, *messages: Message) -> Taken:
        return self.run(*(Received(link, message) for message in messages))

    def meet(
        self,
        link: int,
        *,
        key: str = "",
        work: int = 0,
        outbound: bool = False,
        listen: str = "",
        mines: bool = False,
        seed: int = PEER_SEED,
    ) -> Taken:
        """A peer finishes its handshake on this link. It does not mine, so that we need not wait our turn.

        What all peers are told of their neighbours at the next tick is not in what is returned, nor later.
        """
        public = key_of(key or f"peer {link}").public_hex
        peer_info = PeerInfo(public, listen or f"peer:{link}", 0, work, mines, seed)
        ready = self.run(PeerUp(link, peer_info, outbound))
        self.take(Tick())
        return ready

    def lose(self, link: int) -> Taken:
        return self.run(LinkDown(link))

    def submit(self, *votes: HashedVote, link: int = CLIENT) -> tuple[VoteOutcome, ...]:
        """Votes of a client: the outcomes it was told."""
        ready = self.receive(link, SubmitVotes(votes=tuple(vote.vote for vote in votes), id=7))
        (answer,) = [m for to, m in ready.send if to == link and isinstance(m, VotesTaken)]
        return answer.outcomes

    def give(self, link: int, *blocks: Block) -> Taken:
        """Whole blocks from a peer."""
        return self.receive(link, *(block_message(block) for block in blocks))

    def mine(self, template: Template | None = None) -> Taken:
        """Find the nonce of a template, by default of the one being mined now."""
        template = template or self.template
        assert template is not None, "nothing is being mined"
        nonce = search(template.header.pack(), bits_to_target(template.header.bits))
        return self.run(Mined(template.id, nonce))


def header_hex(header: Header) -> str:
    return header.pack().hex()


def block_message(block: Block) -> BlockMessage:
    return BlockMessage(
        header=header_hex(block.header),
        votes=tuple(hashed.vote for hashed in block.votes),
        miner=block.extras.miner,
    )


def compact_block(block: Block, seed: int = SEED) -> CompactBlock:
    """As it is sent to a node with this seed."""
    return CompactBlock(header=block.header.pack(), ids=short_ids(*block.votes, seed=seed))


def neighbours(*keys: str) -> Neighbours:
    """What a peer says that is joined to the nodes with these keys (as given to `HandNode.meet`)."""
    return Neighbours(keys=b"".join(key_of(key).public[:SHORT_KEY] for key in keys))


def short_ids(*votes: HashedVote, seed: int) -> bytes:
    return b"".join(short_id(vote.id, seed) for vote in votes)


def announcement(*votes: HashedVote, reader: int, sender: int) -> HaveVotes:
    """What a node with the one seed is told by a node with the other."""
    return HaveVotes(ids=b"".join(short_id(v.id, reader) + short_id(v.id, sender) for v in votes))


def headers_of(*blocks: Block) -> Headers:
    return Headers(headers=tuple(header_hex(block.header) for block in blocks))


def sent(ready: Ready, link: int) -> list[Message]:
    """What goes to one link."""
    return [message for to, message in ready.send if to == link]


def sends(ready: Ready, kind: type) -> list[tuple[int, Message]]:
    """Messages of one kind, each with its link."""
    return [(link, message) for link, message in ready.send if isinstance(message, kind)]


def refused(ready: Ready) -> list[tuple[int, str]]:
    """Links that are refused, with the codes."""
    return [(link, error.code) for link, error in ready.refuse]
