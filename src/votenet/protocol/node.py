"""The node as a pure machine: events in, Ready out. Time is an argument.

What lives here: NodeCore, the two doors of the machine and the table from message to handler.
What must not: I/O of any kind; threads and sockets belong to `network/node_service.py`, which
carries Ready out in its order: save, then send, then mine.

`step` takes one event and changes the state in memory; `ready` hands out everything that the steps
since the last call ask for, so that a shell can put many events into one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from votenet.core.chain import Chain
from votenet.core.mempool import Mempool
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.answers import Answers
from votenet.protocol.block_relay import BlockRelay
from votenet.protocol.events import (
    LEFT,
    BlockSource,
    Checked,
    Event,
    Hint,
    LinkDown,
    Mined,
    PeerUp,
    Ready,
    Received,
)
from votenet.protocol.finder import BROADCAST, GOSSIP
from votenet.protocol.messages import (
    MAX_NEIGHBOURS,
    SENDERS,
    SHORT_KEY,
    BlockchainUpdate,
    BlockMessage,
    BlockVotes,
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetElection,
    GetHeaders,
    GetPeers,
    GetProof,
    GetResults,
    GetStatus,
    GetVotes,
    GetVoteStatus,
    HaveVotes,
    Headers,
    Message,
    Neighbours,
    NewPeerJoined,
    NoBlock,
    NodeStatus,
    NotReached,
    Peers,
    Ping,
    Pong,
    RequestBlockchain,
    Role,
    ShutdownPeer,
    SubmitVotes,
    Votes,
    VoteStatus,
    decode_data,
    split_keys,
)
from votenet.protocol.mining import Mining
from votenet.protocol.state import NodeInfo, NodeState
from votenet.protocol.sync import Peer
from votenet.protocol.vote_relay import VoteRelay

_PEERS_ONLY: Final = frozenset({Role.PEER})

Handler = Callable[[int, Message, float], None]


class NodeCore:
    """Chain, pool, peers and miner of one node. `now` is Unix time in seconds, with fractions."""

    def __init__(self, chain: Chain, pool: Mempool, source: BlockSource, info: NodeInfo) -> None:
        self.state = NodeState(chain, pool, source, info)
        self.votes = VoteRelay(self.state)
        self.blocks = BlockRelay(self.state)
        self.mining = Mining(self.state, self.blocks)
        self.answers = Answers(self.state)
        self._neighbours = b""
        """As our peers were last told of them."""
        self.handlers: dict[type, Handler] = {
            RequestBlockchain: self._on_request_blockchain,
            BlockchainUpdate: self._on_blockchain_update,
            NewPeerJoined: self._on_hint,
            ShutdownPeer: self._on_hint,
            Votes: self.votes.on_votes,
            HaveVotes: self.votes.on_have_votes,
            GetVotes: self.votes.on_get_votes,
            CompactBlock: self.blocks.on_compact_block,
            Neighbours: self._on_neighbours,
            GetBlockVotes: self.blocks.on_get_block_votes,
            BlockVotes: self.blocks.on_block_votes,
            GetHeaders: self.blocks.on_get_headers,
            Headers: self.blocks.on_headers,
            GetBlocks: self.blocks.on_get_blocks,
            BlockMessage: self.blocks.on_block,
            NoBlock: self.blocks.on_no_block,
            Peers: self._on_peers,
            NotReached: self._on_not_reached,
            Ping: self.answers.on_ping,
            Pong: self._on_pong,
            GetPeers: self.answers.on_get_peers,
            GetElection: self.answers.on_get_election,
            SubmitVotes: self.votes.on_submit_votes,
            GetVoteStatus: self.answers.on_get_vote_status,
            GetProof: self.answers.on_get_proof,
            GetResults: self.answers.on_get_results,
            GetStatus: self.answers.on_get_status,
        }

    # -- the two doors -------------------------------------------------------------------------

    def step(self, event: Event, now: float) -> None:
        """Take one event. Never raises for anything that a stranger sent."""
        if isinstance(event, Received):
            if SENDERS[type(event.message)] == _PEERS_ONLY and event.link not in self.state.sync.peers:
                return  # a peer that was refused meanwhile: its last lines mean nothing
            try:
                self.handlers[type(event.message)](event.link, event.message, now)
            except (Rejected, RemoteProtocolError) as error:
                self.state.refuse(event.link, error)
        elif isinstance(event, Checked):
            self.state.finish_job(event.job, event.result, now)
        elif isinstance(event, PeerUp):
            self._on_peer_up(event, now)
        elif isinstance(event, LinkDown):
            self.state.sync.drop_peer(event.link, now)
            self.votes.drop_peer(event.link, now)
            self.blocks.drop_peer(event.link)
        elif isinstance(event, Mined):
            self.mining.on_mined(event, now)
        else:
            self.state.sync.overdue(now)
            self.votes.tick(now)
            self.blocks.tick(now)
            self._tell_neighbours()

    def ready(self, now: float) -> Ready:
        """What to do for all steps since the last call; the shell carries out all of it."""
        self.votes.flush()
        self.mining.refresh(now)
        self.answers.mining = self.mining.active
        ready, self.state.ready = self.state.ready, Ready()
        ready.send += self.state.sync.requests
        self.state.sync.requests = []
        return ready

    def saved(self) -> None:
        """Everything in the last Ready's `save` is on the disk and can be read from there."""
        self.state.unsaved.clear()

    @property
    def caught_up(self) -> bool:
        """No peer is known to have more work than we have."""
        return self.state.sync.caught_up

    def status(self, now: float) -> NodeStatus:
        """The node in one record, as `get_status` answers."""
        return self.answers.status(now)

    def vote_status(self, voter_id: str) -> VoteStatus:
        """Where the vote of a voter stands, as `get_vote_status` answers."""
        return self.answers.vote_status(voter_id)

    # -- peers ---------------------------------------------------------------------------------

    def _on_peer_up(self, event: PeerUp, now: float) -> None:
        for other in list(self.state.sync.peers.values()):
            if other.greeted.node_key == event.greeted.node_key:
                worse = self._worse_of(other, event)
                self.state.ready.refuse.append((worse, _duplicate(other, event)))
                if worse == event.link:
                    return
                self.state.sync.drop_peer(other.link, now)
        short_key = bytes.fromhex(event.greeted.node_key)[:SHORT_KEY]
        peer = Peer(event.link, event.greeted, event.outbound, short_key=short_key)
        self.state.sync.add_peer(peer, now)
        self.votes.greet(event.link)

    def _worse_of(self, old: Peer, new: PeerUp) -> int:
        """Both ends must keep the same link: one that a stranger may stand in the middle of goes; else the
        one that the smaller key dialled stays; else the older."""
        if old.greeted.proven != new.greeted.proven:
            return old.link if new.greeted.proven else new.link
        if old.outbound == new.outbound:
            return new.link
        ours_is_smaller = self.state.info.node_key < old.greeted.node_key
        return old.link if old.outbound != ours_is_smaller else new.link

    def _on_neighbours(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Neighbours)
        self.state.sync.peers[link].neighbours = split_keys(message.keys)

    def _tell_neighbours(self) -> None:
        keys = b"".join(sorted(peer.short_key for peer in self.state.sync.peers.values()))
        if keys == self._neighbours:
            return
        self._neighbours = keys
        for link in self.state.sync.peers:
            self.state.send(link, Neighbours(keys=keys[: SHORT_KEY * MAX_NEIGHBOURS]))

    def _on_hint(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, NewPeerJoined | ShutdownPeer)
        try:
            address = decode_data(message.data).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("bad-message", "the data field is not an address") from None
        kind = BROADCAST if isinstance(message, NewPeerJoined) else LEFT
        self.state.ready.hints.append(Hint(kind, address, link))

    def _on_peers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Peers)
        self.state.ready.hints += [Hint(GOSSIP, address, link) for address in message.addresses]
        self.state.ready.servers += [(link, address) for address in message.bootstraps]

    def _on_not_reached(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, NotReached)
        self.state.ready.not_reached.append((link, message.address, message.seen))

    def _on_blockchain_update(self, link: int, message: Message, now: float) -> None:
        raise RemoteProtocolError("read-only", "a chain in the chapter's form carries no signatures")

    def _on_request_blockchain(self, link: int, message: Message, now: float) -> None:
        self.state.ready.send_chapter.append(link)

    def _on_pong(self, link: int, message: Message, now: float) -> None:
        """An answer to a ping has done its work by arriving: the link is not idle."""


def _duplicate(old: Peer, new: PeerUp) -> RemoteProtocolError:
    """Every start of a node draws a seed: with another one, it is another process that has this key."""
    if old.greeted.seed != new.greeted.seed:
        return RemoteProtocolError("key-twice", "another process with this node's key is joined already")
    return RemoteProtocolError("duplicate-connection", "two links join the same nodes")
