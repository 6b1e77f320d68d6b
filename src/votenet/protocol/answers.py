"""Answers to questions that change nothing: election, results, status, where a vote stands.

What lives here: building those records from the state. What must not: anything that writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from votenet.core.chain import Entry, split_place
from votenet.core.election import Election
from votenet.core.encoding import canonical
from votenet.core.outcome import Outcome, decide, work
from votenet.core.tally import Tally
from votenet.protocol.events import Served
from votenet.protocol.lines import proof_line
from votenet.protocol.messages import (
    MAX_BOOTSTRAPS_IN_LINE,
    MAX_HEADERS,
    MAX_LABEL,
    MAX_PEERS_IN_LINE,
    NOT_SYNCED,
    ElectionInfo,
    GetElection,
    GetPeers,
    GetProof,
    GetResults,
    GetStatus,
    GetVoteStatus,
    Message,
    NodeStatus,
    NodeWarning,
    Numbered,
    Peers,
    Ping,
    Pong,
    Proof,
    Results,
    VoteStatus,
    as_line,
    encode_message,
    work_to_hex,
)
from votenet.protocol.proofs import Proofs
from votenet.protocol.state import NodeState

MAX_COUNTED_HERE: Final = 500
"""Steps of a count (`outcome.work`) in the core's own thread: half a millisecond."""
NO_LINK: Final = 0
"""Stands for a link where many links wait for one job."""


class _Counted(NamedTuple):
    """The votes up to a tip."""

    tip: Entry
    votes: int
    counts: tuple[tuple[str, int], ...]
    outcome: Outcome


class Answers:
    """The read-only messages of one node."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self.known_peers = 0
        """Addresses in the shell's book; told to whoever asks for the status."""
        self.traffic: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Bytes that the shell has sent to peers and received from them."""
        self.is_met: Callable[[str], bool] = lambda address: True
        """Whether the shell has met a node at an address: only then it is passed on."""
        self.bootstraps: Callable[[], list[str]] = list
        """Bootstrap servers that answer the shell."""
        self.warnings: Callable[[], tuple[NodeWarning, ...]] = tuple
        """What the shell knows to be wrong."""
        self.mining = False
        self._proofs = Proofs(state.source)
        definition = msgspec.Raw(canonical(state.election.definition))
        self._election = encode_message(
            ElectionInfo(definition=definition, network_id=state.election.network_hex)
        )
        self._counted: _Counted | None = None
        """The latest count."""
        self._results_line: tuple[tuple[bytes, int], bytes] = (b"", 0), b""
        """The latest answer, without an id; before it the tip and the waiting votes that it speaks of."""
        self._running: tuple[Entry, list[tuple[int, int | None]]] | None = None
        """The tip that is being counted, and who has asked for it."""
        self._asking: list[tuple[int, int | None]] = []
        """Links and request ids that wait for the next count."""

    def on_ping(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, Ping)
        self.state.send(link, Pong(id=message.id))

    def on_get_peers(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetPeers)
        listens = [peer.greeted.listen for peer in self.state.sync.peers.values()]
        own = [self.state.info.listen] if self.state.info.listen else []
        known = own + [address for address in listens if address and self.is_met(address)]
        servers = tuple(self.bootstraps()[:MAX_BOOTSTRAPS_IN_LINE])
        addresses = tuple(known[:MAX_PEERS_IN_LINE])
        found = Peers(addresses=addresses, bootstraps=servers, id=message.id)
        self.state.answer(link, encode_message(found))

    def on_get_election(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetElection)
        self.state.answer(link, Numbered(self._election, message.id))

    def on_get_vote_status(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetVoteStatus)
        self.state.send(link, self.vote_status(message.voter_id, message.id))

    def vote_status(self, voter_id: str, request_id: int | None = None) -> VoteStatus:
        """Where the vote of a voter stands."""
        waiting = self.state.pool.of_voter(voter_id)
        if waiting is not None:
            return VoteStatus(
                voter_id=voter_id,
                state="accepted",
                vote_id=waiting.id.hex(),
                time=waiting.vote.time,
                id=request_id,
            )
        if voter_id not in self.state.chain.voters:
            return VoteStatus(voter_id=voter_id, state="unknown", id=request_id)
        place = self.state.place_of(voter_id)
        entry = self.state.chain.best[place.height]
        return VoteStatus(
            voter_id=voter_id,
            state="in_block",
            vote_id=place.vote_id.hex(),
            time=place.time,
            block=entry.hash.hex(),
            height=place.height,
            position=place.position,
            block_time=entry.header.time,
            confirmations=len(self.state.chain.best) - place.height,
            id=request_id,
        )

    def on_get_proof(self, link: int, message: Message, now: float) -> None:
        """The vote and its path are read when it is this link's turn, from the chain as it is then."""
        assert isinstance(message, GetProof)
        self.state.ask(link, lambda: self._begin_proof(message))

    def _begin_proof(self, question: GetProof) -> Callable[[], Served]:
        chain, request_id = self.state.chain, question.id
        place = chain.voters.get(question.voter_id)
        height, position = split_place(place or 0)
        entry = chain.best[height]
        if (
            place is None or entry.hash in self.state.unsaved
        ):  # a block that is not on the disk proves nothing
            nothing = Served(encode_message(Proof(id=request_id)))
            return lambda: nothing
        headers = chain.packed_headers(1, min(height, MAX_HEADERS))

        def prove() -> Served:
            record, size, path, units = self._proofs.prove(entry.hash, entry.header.merkle_root, position)
            line = proof_line(
                record, entry.header.pack(), headers, request_id,
                height=height, position=position, size=size, path=path,
            )  # fmt: skip
            return Served(line, units)

        return prove

    def on_get_results(self, link: int, message: Message, now: float) -> None:
        """From the count at this tip; where that takes long it is a job, and one count runs at a time."""
        assert isinstance(message, GetResults)
        if self._counted is not None and self._counted.tip is self.state.chain.tip:
            self._tell_results(link, self._counted, message.id)
            return
        if self._running is not None and self._running[0] is self.state.chain.tip:
            self._running[1].append((link, message.id))
            return
        self._asking.append((link, message.id))
        if self._running is None:
            self._count()

    def _count(self) -> None:
        """Count the votes at the tip for all who wait: they know of no later one."""
        tip, tally, election = self.state.chain.tip, self.state.chain.tally, self.state.election
        asked, self._asking = self._asking, []
        if work(tally, election) <= MAX_COUNTED_HERE:
            self._answer(asked, _count(tip, tally, election))
            return
        self._running = tip, asked
        frozen = tally.copy()

        def done(result: object, later: float) -> None:
            assert isinstance(result, _Counted)
            self._running = None
            self._answer(asked, result)
            if self._asking:
                self._count()

        self.state.start_job(NO_LINK, lambda: _count(tip, frozen, election), done)

    def _answer(self, asked: list[tuple[int, int | None]], counted: _Counted) -> None:
        self._counted = counted
        for link, request_id in asked:
            self._tell_results(link, counted, request_id)

    def _tell_results(self, link: int, counted: _Counted, request_id: int | None) -> None:
        """The line is encoded once for a tip and a number of waiting votes."""
        key = counted.tip.hash, len(self.state.pool)
        if self._results_line[0] != key:
            self._results_line = key, encode_message(self._results(counted))
        self.state.answer(link, Numbered(self._results_line[1], request_id))

    def _results(self, counted: _Counted) -> Results:
        definition, registered = self.state.election.definition, self.state.election.registered
        return Results(
            title=definition.title,
            method=definition.method,
            counts=counted.counts,
            votes=counted.votes,
            waiting=len(self.state.pool),
            height=counted.tip.height,
            tip=counted.tip.hash.hex(),
            network_id=self.state.election.network_hex,
            outcome=counted.outcome,
            opens=definition.opens,
            closes=definition.closes,
            registered=None if registered is None else len(registered),
        )

    def on_get_status(self, link: int, message: Message, now: float) -> None:
        assert isinstance(message, GetStatus)
        self.state.send(link, self.status(now, message.id))

    def status(self, now: float, request_id: int | None = None) -> NodeStatus:
        """The node in one record."""
        tip = self.state.chain.tip
        sent, received = self.traffic()
        warnings = self.warnings()
        alone = any(warning.code in NOT_SYNCED for warning in warnings)
        return NodeStatus(
            name=as_line(self.state.info.name, MAX_LABEL),
            version=self.state.info.version,
            node_key=self.state.info.node_key,
            network_id=self.state.election.network_hex,
            listen=self.state.info.listen,
            height=tip.height,
            tip=tip.hash.hex(),
            work=work_to_hex(tip.work),
            bits=self.state.chain.next_bits(tip),
            votes=self.state.chain.tally.votes,
            waiting=len(self.state.pool),
            peers=len(self.state.sync.peers),
            known_peers=self.known_peers,
            synced=self.state.sync.caught_up and not alone,
            mining=self.mining,
            kernel=self.state.info.kernel,
            uptime=int(now - self.state.info.started),
            peer_bytes_sent=sent,
            peer_bytes_received=received,
            opens=self.state.election.definition.opens,
            closes=self.state.election.definition.closes,
            warnings=warnings,
            id=request_id,
        )


def _count(tip: Entry, tally: Tally, election: Election) -> _Counted:
    counts = tuple((line.candidate, line.votes) for line in tally.count(election))
    return _Counted(tip, tally.votes, counts, decide(tally, election))
