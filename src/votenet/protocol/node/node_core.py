"""The node as a pure machine: events in, Ready out. Time is an argument; no I/O of any kind.

`step` takes one event, changes the state in memory and returns the checks that the event asks for. `ready`
returns everything else that the steps since the last call ask for, so that a shell saves many events in one
transaction. The shell carries it out (`network/node/service.py`): save, then send, then mine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from votenet.core.records.evidence import FinalChain
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.node.acceptances import Acceptances
from votenet.protocol.node.amendments import AmendmentPool
from votenet.protocol.node.answers import StateAnswers
from votenet.protocol.node.block_lists import BlockLists
from votenet.protocol.node.blocks import BlockRelay
from votenet.protocol.node.checkpoints import Checkpoints
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.events import (
    HINT_LEFT,
    Checked,
    CheckJob,
    Event,
    Hint,
    LinkDown,
    Mined,
    PeerUp,
    Ready,
    Received,
    SaveVotes,
    Witnessed,
)
from votenet.protocol.node.evidence_pool import EvidencePool
from votenet.protocol.node.finality import Finality, KeptFinality
from votenet.protocol.node.mining import Mining
from votenet.protocol.node.proof_answers import ProofAnswers
from votenet.protocol.node.shares import SharePool
from votenet.protocol.node.split_views import SplitViews
from votenet.protocol.node.state import NodeState
from votenet.protocol.node.sync import Peer
from votenet.protocol.node.votes import VoteRelay
from votenet.protocol.peers.discovery import BROADCAST, GOSSIP
from votenet.protocol.wire.fields import SHORT_KEY, Data, decode_data, split_keys
from votenet.protocol.wire.message import PEERS_ONLY, Message, NamedMessage, OpenMessage
from votenet.protocol.wire.messages import MESSAGES
from votenet.protocol.wire.peer_messages import (
    MAX_NEIGHBOURS,
    BlockchainUpdate,
    Neighbours,
    NewPeerJoined,
    NotReached,
    Peers,
    Pong,
    RequestBlockchain,
    ShutdownPeer,
)

Handler = Callable[[int, Any, float], None]
"""The method `on_<type>` of a part: takes link, message and time."""


class NodeCore:
    """Chain, pool, peers and miner of one node. `now` is Unix time in seconds, with fractions."""

    def __init__(self, state: NodeState, kept: KeptFinality | None = None) -> None:
        """`kept`: what the store kept of the log and the consensus, where the election names nodes."""
        self.state = state
        self.evidence = EvidencePool(state, kept.evidence if kept is not None else ())
        self.votes = VoteRelay(self.state)
        self.blocks = BlockRelay(self.state)
        self.finality = self.checkpoints = self.acceptances = self.closing = None
        self.amendments = AmendmentPool(state)
        self.shares: SharePool | None = None
        self.mining: Mining | Finality
        if state.election.named:
            kept = kept or KeptFinality()
            views = SplitViews(state, self.evidence)
            self.checkpoints = Checkpoints(state, views, kept.frontier, kept.certificate, kept.sizes)
            self.acceptances = self.votes.acceptances = Acceptances(state, kept.accepted)
            self.amendments = AmendmentPool(state, kept.amendments)
            self.closing = self.votes.closing = Closing(
                state, self.acceptances, self.amendments, kept.hours, self.checkpoints.sizes
            )
            closing = self.closing
            self.amendments.closed = lambda: closing.end.late is not None
            state.hours_open = lambda: closing.takes_votes
            self.mining = self.finality = Finality(state, self.blocks, self.closing, kept)
            finality = self.finality
            if state.election.secret is not None:
                self.shares = SharePool(state, self.checkpoints, self.closing, kept.shares)
            self.closing.may_sign = lambda: finality.may_list
            self.closing.leaves_lists = lambda: finality.restored.leaves_lists
            self.blocks.proposed, self.blocks.check_next = finality.proposed, self.closing.check
            self.blocks.connected = [
                self.checkpoints.grow,
                self.closing.connected,
                self.amendments.connected,
            ]
        else:
            self.mining = Mining(self.state, self.blocks)
        self.answers = StateAnswers(self.state, self.mining, self.checkpoints, self.closing, self.shares)
        self.proofs = ProofAnswers(self.state, self.checkpoints)
        self.block_lists = BlockLists(state)
        self._neighbours = b""
        """As our peers were last told of them."""
        self.status, self.vote_status = self.answers.status, self.answers.vote_status
        parts = (
            *(self, self.votes, self.blocks, self.answers, self.proofs),
            *(self.finality, self.checkpoints, self.acceptances, self.closing, self.evidence),
            *(self.amendments, self.shares, self.block_lists),
        )
        self.handlers: dict[type[Message], Handler] = {
            kind: handler
            for tag, kind in MESSAGES.items()
            for part in parts
            if (handler := getattr(part, f"on_{tag}", None))
        }

    # -- step and ready ------------------------------------------------------------------------

    def step(self, event: Event, now: float) -> Sequence[CheckJob]:
        """Take one event; returns the checks to start. Never raises for anything that a stranger sent."""
        state = self.state
        if isinstance(event, Received):
            self._receive(event, now)
        elif isinstance(event, Checked):
            state.finish_job(event.job, event.result, now)
        elif isinstance(event, PeerUp):
            self._on_peer_up(event, now)
        elif isinstance(event, LinkDown):
            state.sync.drop_peer(event.link, now)
            self.votes.drop_peer(event.link, now)
            self.blocks.drop_peer(event.link)
            if self.checkpoints is not None:
                self.checkpoints.drop_peer(event.link)
        elif isinstance(event, Mined):
            self.mining.on_mined(event, now)
        elif isinstance(event, Witnessed):
            if self.checkpoints is not None:
                self.checkpoints.witnessed(event.note)
        else:
            state.sync.give_up_late(now)
            self.votes.tick(now)
            self.blocks.tick(now)
            self._tell_neighbours()
        if not state.jobs:
            return ()
        jobs, state.jobs = state.jobs, []
        return [job._replace(size=event.size) for job in jobs] if isinstance(event, Received) else jobs

    def _receive(self, event: Received, now: float) -> None:
        message, state = event.message, self.state
        if message.senders is PEERS_ONLY and event.link not in state.sync.peers:
            return  # a peer that was refused meanwhile: its last lines mean nothing
        handler = self.handlers.get(type(message))
        if handler is None and isinstance(message, OpenMessage):
            state.refuse(event.link, Rejected("not-found", "this election has nothing of that kind"))
        if handler is None:
            return  # between named nodes, of which this election has none
        try:
            if isinstance(message, NamedMessage) and not state.is_named(event.link):
                raise RemoteProtocolError("unexpected-message", "only named nodes say this")
            handler(event.link, message, now)
        except (Rejected, RemoteProtocolError) as error:
            state.refuse(event.link, error)

    def ready(self, now: float) -> Ready:
        """What to do for all steps since the last call; the shell carries out all of it."""
        self.votes.flush()
        self.amendments.refresh(now)
        if self.closing is not None:
            self.closing.refresh(now)
        self.mining.refresh(now)
        if self.finality is not None:
            for first, second in self.finality.take_conflicts():
                self.evidence.add_pair(first, second)
        if self.closing is not None:
            for one, other in self.closing.take_conflicts():
                self.evidence.add_pair(one, other)
        if self.closing is not None and self.closing.end.counted and self.evidence.chain is None:
            assert self.closing.end.listed is not None
            self.evidence.chain = FinalChain(
                self.closing.end.listed, self.state.chain.voters, self.closing.end.election
            )
        if self.checkpoints is not None and self.acceptances is not None:
            self.checkpoints.refresh(now)
            saved = [change.votes for change in self.state.ready.save if isinstance(change, SaveVotes)]
            self.acceptances.saved([hashed.id for votes in saved for hashed in votes], now)
            self.acceptances.closed = self.closing is not None and self.closing.list_signed
            self.acceptances.closed |= not self._may_promise
            self.acceptances.refresh(now)
        if self.shares is not None:
            self.shares.refresh()
        ready, self.state.ready = self.state.ready, Ready()
        ready.send += self.state.sync.requests
        self.state.sync.requests = []
        return ready

    @property
    def is_final(self) -> bool:
        """Whether the end of the election is in a block, and signed: named nodes decide nothing any more."""
        certified = None if self.checkpoints is None else self.checkpoints.certified
        over = self.closing is not None and self.closing.end.over
        return over and certified is not None and certified.height == self.state.chain.tip.height

    @property
    def _may_promise(self) -> bool:
        """Whether we may accept votes: not with a disk from before, until we know what we promised."""
        return self.finality is None or self.finality.restored.may_promise(self.state.election.closes)

    def saved(self) -> None:
        """Everything in the last Ready's `save` is on the disk and can be read from there."""
        self.state.unsaved.clear()

    @property
    def deadline(self) -> float | None:
        """When a `Tick` is due at the latest, beside the regular ones; Unix seconds."""
        dues = [part.deadline for part in (self.finality, self.acceptances, self.closing) if part is not None]
        return min([due for due in dues if due is not None], default=None)

    @property
    def caught_up(self) -> bool:
        """No peer is known to have more work than we have."""
        return self.state.sync.caught_up

    # -- peers ---------------------------------------------------------------------------------

    def _on_peer_up(self, event: PeerUp, now: float) -> None:
        for other in list(self.state.sync.peers.values()):
            if other.peer_info.node_key == event.peer_info.node_key:
                worse = self._worse_of(other, event)
                self.state.ready.refuse.append((worse, _duplicate(other, event)))
                if worse == event.link:
                    return
                self.state.sync.drop_peer(other.link, now)
        short_key = bytes.fromhex(event.peer_info.node_key)[:SHORT_KEY]
        peer = Peer(event.link, event.peer_info, event.outbound, short_key=short_key)
        self.state.sync.add_peer(peer, now)
        if self.finality is not None and self.checkpoints is not None:
            self.finality.peer_up(event.link)
            self.checkpoints.peer_up(event.link)
            self.evidence.peer_up(event.link)
        if self.closing is not None:
            self.closing.peer_up(event.link)
            self.amendments.peer_up(event.link)
        if self.shares is not None:
            self.shares.peer_up(event.link)
        self.votes.send_initial_inventory(event.link)

    def _worse_of(self, old: Peer, new: PeerUp) -> int:
        """Both ends must keep the same link: one that a stranger may stand in the middle of goes; else the
        one that the smaller key dialled stays; else the older."""
        if old.peer_info.proven != new.peer_info.proven:
            return old.link if new.peer_info.proven else new.link
        if old.outbound == new.outbound:
            return new.link
        ours_is_smaller = self.state.info.node_key < old.peer_info.node_key
        return old.link if old.outbound != ours_is_smaller else new.link

    def on_neighbours(self, link: int, message: Neighbours, now: float) -> None:
        self.state.sync.peers[link].neighbours = split_keys(message.keys)

    def _tell_neighbours(self) -> None:
        keys = b"".join(sorted(peer.short_key for peer in self.state.sync.peers.values()))
        if keys == self._neighbours:
            return
        self._neighbours = keys
        for link in self.state.sync.peers:
            self.state.send(link, Neighbours(keys=keys[: SHORT_KEY * MAX_NEIGHBOURS]))

    # -- addresses, and the reference client's messages -----------------------------------------

    def on_new_peer_joined(self, link: int, message: NewPeerJoined, now: float) -> None:
        self._hint(BROADCAST, link, message.data)

    def on_shutdown_peer(self, link: int, message: ShutdownPeer, now: float) -> None:
        self._hint(HINT_LEFT, link, message.data)

    def _hint(self, kind: str, link: int, data: Data) -> None:
        try:
            address = decode_data(data).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("bad-message", "the data field is not an address") from None
        self.state.ready.hints.append(Hint(kind, address, link))

    def on_peers(self, link: int, message: Peers, now: float) -> None:
        self.state.ready.hints += [Hint(GOSSIP, address, link) for address in message.addresses]
        self.state.ready.servers += [(link, address) for address in message.bootstraps]

    def on_not_reached(self, link: int, message: NotReached, now: float) -> None:
        self.state.ready.not_reached.append((link, message.address, message.seen))

    def on_blockchain_update(self, link: int, message: BlockchainUpdate, now: float) -> None:
        raise RemoteProtocolError("read-only", "a chain in this form carries no signatures")

    def on_request_blockchain(self, link: int, message: RequestBlockchain, now: float) -> None:
        self.state.ready.send_reference_chain.append(link)

    def on_pong(self, link: int, message: Pong, now: float) -> None:
        """By arriving it has shown that the link is not idle."""


def _duplicate(old: Peer, new: PeerUp) -> RemoteProtocolError:
    """Every start of a node draws a seed: with another one, it is another process that has this key."""
    if old.peer_info.seed != new.peer_info.seed:
        return RemoteProtocolError("key-twice", "another process with this node's key is joined already")
    return RemoteProtocolError("duplicate-connection", "two links join the same nodes")
