"""A node's core driven by hand, for the tests of `protocol/`.

What lives here: HandNode (events in, Ready out, on a store in memory), and block messages. What must
not: assertions, sockets.
"""

from __future__ import annotations

from support import CREATED, key_of, make_election
from votenet.core.block import Block, Header
from votenet.core.election import Election
from votenet.core.mempool import short_id
from votenet.core.vote import SealedVote
from votenet.network.node_service import load_core
from votenet.pow import bits_to_target, search
from votenet.protocol.connection import Greeted
from votenet.protocol.events import Checked, Event, LinkDown, Mined, PeerUp, Ready, Received, Template, Tick
from votenet.protocol.messages import (
    SHORT_KEY,
    BlockMessage,
    CompactBlock,
    HaveVotes,
    Headers,
    Message,
    Neighbours,
    Numbered,
    SubmitVotes,
    VoteOutcome,
    VotesTaken,
    decode_message,
    line_of,
)
from votenet.protocol.state import NodeInfo
from votenet.storage.memory import MemoryStore

NOW = CREATED + 1000.0
"""What the clock of a test says, unless it is set."""
CLIENT = 1000
"""A link that is no peer's."""
SEED = 2**63 + 11
"""Of a HandNode's short ids."""
PEER_SEED = 2**62 + 5
"""Of those of its peers."""


class HandNode:
    """One core. `take` is one step of the driver; `run` goes on until no check is under way."""

    def __init__(
        self, election: Election | None = None, *, mining: bool = True, store: MemoryStore | None = None
    ) -> None:
        self.election = election or make_election()
        self.store = store or MemoryStore()
        self.now = NOW
        self.info = NodeInfo("hand", "0", key_of("us").public_hex, "us:1", "test", mining, NOW, SEED)
        self.core = load_core(self.election, self.store, self.info)

    @property
    def state(self):  # type: ignore[no-untyped-def]
        return self.core.state

    @property
    def chain(self):  # type: ignore[no-untyped-def]
        return self.core.state.chain

    def take(self, *events: Event) -> Ready:
        """All events, one Ready, saved. Its checks are for the caller to run."""
        for event in events:
            self.core.step(event, self.now)
        ready = self.core.ready(self.now)
        self.store.apply(ready.save)
        self.core.saved()
        answers = [(question.link, question.begin()().line) for question in ready.questions]
        ready.send = [
            (link, decode_message(line_of(message)) if isinstance(message, bytes | Numbered) else message)
            for link, message in ready.send + answers
        ]
        return ready

    def run(self, *events: Event) -> Ready:
        """As `take`, with every check done; what all its Readies asked for, in one."""
        total = self.take(*events)
        while total.check:
            jobs, total.check = total.check, []
            more = self.take(*(Checked(job.id, job.run()) for job in jobs))
            for name in ("save", "send", "send_blocks", "send_chapter", "refuse", "check", "hints", "log"):
                getattr(total, name).extend(getattr(more, name))
            if more.mining_changed:
                total.mining_changed, total.template = True, more.template
        return total

    def receive(self, link: int, *messages: Message) -> Ready:
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
    ) -> Ready:
        """A peer finishes its handshake on this link. It does not mine, so that we need not wait our turn.

        What all peers are told of their neighbours at the next tick is not in what is returned, nor later.
        """
        public = key_of(key or f"peer {link}").public_hex
        greeted = Greeted(public, listen or f"peer:{link}", 0, work, mines, seed)
        ready = self.run(PeerUp(link, greeted, outbound))
        self.take(Tick())
        return ready

    def lose(self, link: int) -> Ready:
        return self.run(LinkDown(link))

    def submit(self, *votes: SealedVote, link: int = CLIENT) -> tuple[VoteOutcome, ...]:
        """Votes of a client: the outcomes it was told."""
        ready = self.receive(link, SubmitVotes(votes=tuple(vote.vote for vote in votes), id=7))
        (answer,) = [m for to, m in ready.send if to == link and isinstance(m, VotesTaken)]
        return answer.outcomes

    def give(self, link: int, *blocks: Block) -> Ready:
        """Whole blocks from a peer."""
        return self.receive(link, *(block_message(block) for block in blocks))

    def mine(self, template: Template | None = None) -> Ready:
        """Find the nonce of a template, by default of the one being mined now."""
        template = template or self.core.mining._template
        assert template is not None, "nothing is being mined"
        nonce = search(template.header.pack(), bits_to_target(template.header.bits))
        return self.run(Mined(template.id, nonce))


def header_hex(header: Header) -> str:
    return header.pack().hex()


def block_message(block: Block) -> BlockMessage:
    return BlockMessage(header=header_hex(block.header), votes=tuple(sealed.vote for sealed in block.votes))


def compact_block(block: Block, seed: int = SEED) -> CompactBlock:
    """As it is sent to a node with this seed."""
    return CompactBlock(header=block.header.pack(), ids=short_ids(*block.votes, seed=seed))


def neighbours(*keys: str) -> Neighbours:
    """What a peer says that is joined to the nodes with these keys (as given to `HandNode.meet`)."""
    return Neighbours(keys=b"".join(key_of(key).public[:SHORT_KEY] for key in keys))


def short_ids(*votes: SealedVote, seed: int) -> bytes:
    return b"".join(short_id(vote.id, seed) for vote in votes)


def announcement(*votes: SealedVote, reader: int, sender: int) -> HaveVotes:
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
    """Links that are blamed, and the codes."""
    return [(link, error.code) for link, error in ready.refuse]
