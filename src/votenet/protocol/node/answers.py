"""Answers to questions that change nothing: election, results, status, where a vote stands."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import msgspec

from votenet.core.election.contest import ContestReport
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.methods.tally import ElectionTally
from votenet.protocol.node.checkpoints import Certified, Checkpoints
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.finality import Finality
from votenet.protocol.node.mining import Mining
from votenet.protocol.node.shares import SharePool
from votenet.protocol.node.state import NO_LINK, NodeState
from votenet.protocol.wire.client_messages import (
    NOT_SYNCED,
    ElectionInfo,
    FinalityStatus,
    GetElection,
    GetResults,
    GetStatus,
    GetVoteStatus,
    NodeStatus,
    Results,
    VoteStatus,
)
from votenet.protocol.wire.fields import MAX_LABEL, as_line, work_to_hex
from votenet.protocol.wire.lines import Numbered
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import (
    MAX_BOOTSTRAPS_IN_LINE,
    MAX_PEERS_IN_LINE,
    GetPeers,
    Peers,
    Ping,
    Pong,
)

MAX_COUNTED_HERE: Final = 500
"""Steps of a count (`outcome.work`) in the core's own thread: half a millisecond."""


class _Counted(NamedTuple):
    """The votes up to a tip; no `contests` where the counts are not shown yet."""

    tip: BlockIndexEntry
    votes: int
    contests: tuple[ContestReport, ...]


class StateAnswers:
    """The read-only messages of one node."""

    def __init__(
        self,
        state: NodeState,
        mining: Mining | Finality,
        checkpoints: Checkpoints | None = None,
        closing: Closing | None = None,
        shares: SharePool | None = None,
    ) -> None:
        """Checkpoints and closing: where the election names nodes; shares: where ballots are secret."""
        self.state, self._mining, self._checkpoints, self._closing = state, mining, checkpoints, closing
        self._shares = shares
        definition = msgspec.Raw(canonical(state.election.definition))
        self._election = encode_message(
            ElectionInfo(definition=definition, network_id=state.election.network_hex)
        )
        self._counted: _Counted | None = None
        self._results_line: tuple[tuple[object, ...], bytes] = (), b""
        """The latest answer, without an id, behind the tip, the number of waiting votes and the certificate
        in it."""
        self._running: tuple[BlockIndexEntry, list[tuple[int, int | None]]] | None = None
        """The tip that is being counted, and who has asked for it."""
        self._asking: list[tuple[int, int | None]] = []
        """Links and request ids that wait for the next count."""

    def on_ping(self, link: int, message: Ping, now: float) -> None:
        self.state.send(link, Pong(id=message.id))

    def on_get_peers(self, link: int, message: GetPeers, now: float) -> None:
        listens = [peer.peer_info.listen for peer in self.state.sync.peers.values()]
        own = [self.state.info.listen] if self.state.info.listen else []
        known = own + [address for address in listens if address and self.state.facts.is_met(address)]
        servers = tuple(self.state.facts.bootstraps()[:MAX_BOOTSTRAPS_IN_LINE])
        peers = Peers(addresses=tuple(known[:MAX_PEERS_IN_LINE]), bootstraps=servers, id=message.id)
        self.state.answer(link, encode_message(peers))

    def on_get_election(self, link: int, message: GetElection, now: float) -> None:
        self.state.answer(link, Numbered(self._election, message.id))

    def on_get_vote_status(self, link: int, message: GetVoteStatus, now: float) -> None:
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
        location = self.state.vote_location(voter_id)
        entry = location.entry
        certified = None if self._checkpoints is None else self._checkpoints.provable
        return VoteStatus(
            voter_id=voter_id,
            state="final" if certified is not None and entry.height <= certified.height else "in_block",
            vote_id=location.vote_id.hex(),
            time=location.time,
            block=entry.hash.hex(),
            height=entry.height,
            position=location.position,
            block_time=entry.header.time,
            confirmations=len(self.state.chain.best) - entry.height,
            id=request_id,
        )

    def on_get_results(self, link: int, message: GetResults, now: float) -> None:
        """From the count at this tip; where that takes long it is a job, and one count runs at a time.

        Before the closing of an election that shows its counts only then, the number of votes alone is told.
        """
        tip, over = self.state.chain.tip, self._closing is not None and self._closing.end.over
        if not self.state.election.counts_shown(int(now), over):
            opened = () if self._shares is None else self._shares.contests
            self._tell_results(link, _Counted(tip, self.state.chain.tally.votes, opened), message.id)
        elif self._counted is not None and self._counted.tip is tip:
            self._tell_results(link, self._counted, message.id)
        elif self._running is not None and self._running[0] is tip:
            self._running[1].append((link, message.id))
        else:
            self._asking.append((link, message.id))
            if self._running is None:
                self._count()

    def _count(self) -> None:
        """Count the votes at the tip for all who wait: they know of no later one."""
        tip, tally, election = self.state.chain.tip, self.state.chain.tally, self.state.election
        asked, self._asking = self._asking, []
        self._running = tip, asked

        def done(result: object, later: float) -> None:
            assert isinstance(result, _Counted)
            self._running, self._counted = None, result
            for link, request_id in asked:
                self._tell_results(link, result, request_id)
            if self._asking:
                self._count()

        if election.counting_steps(tally) <= MAX_COUNTED_HERE:
            done(_count(tip, tally, election), 0.0)
        else:
            self.state.start_job(NO_LINK, partial(_count, tip, tally.copy(), election), done)

    def _tell_results(self, link: int, counted: _Counted, request_id: int | None) -> None:
        """The line is encoded once for a tip and a number of waiting votes."""
        certified = None if self._checkpoints is None else self._checkpoints.provable
        signers = () if certified is None else tuple(certified.certificate.signers)
        shown, height = bool(counted.contests), certified and certified.height
        decrypted = () if self._shares is None else self._shares.places
        key = counted.tip.hash, shown, len(self.state.pool), height, signers, decrypted
        if self._results_line[0] != key:
            self._results_line = key, encode_message(self._results(counted, certified))
        self.state.answer(link, Numbered(self._results_line[1], request_id))

    def _results(self, counted: _Counted, certified: Certified | None) -> Results:
        election = self.state.election
        definition = election.definition
        return Results(
            title=definition.title,
            contests=counted.contests,
            votes=counted.votes,
            waiting=len(self.state.pool),
            height=counted.tip.height,
            tip=counted.tip.hash.hex(),
            network_id=self.state.election.network_hex,
            opens=definition.opens,
            closes=election.closes,
            registered=None if election.registered is None else election.roll_size,
            amendments=len(election.amendments),
            cancelled=election.cancelled,
            over=self._closing is not None and self._closing.end.over,
            decrypted_by=() if self._shares is None else self._shares.places,
            final_height=None if certified is None else certified.height,
            signed_by=()
            if certified is None
            else self.state.election.node_names(certified.certificate.signers),
        )

    def on_get_status(self, link: int, message: GetStatus, now: float) -> None:
        self.state.send(link, self.status(now, message.id))

    def status(self, now: float, request_id: int | None = None) -> NodeStatus:
        """The node in one record."""
        tip, facts = self.state.chain.tip, self.state.facts
        sent, received = facts.traffic()
        warnings = facts.warnings()
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
            known_peers=facts.known_peers(),
            synced=self.state.sync.caught_up and not alone,
            mining=self._mining.template is not None,
            kernel=self.state.info.kernel,
            uptime=int(now - self.state.info.started),
            peer_bytes_sent=sent,
            peer_bytes_received=received,
            opens=self.state.election.definition.opens,
            closes=self.state.election.closes,
            warnings=warnings,
            lies=self.state.lies,
            finality=self._finality(),
            amendments=len(self.state.election.amendments),
            cancelled=self.state.election.cancelled,
            clock=int(now),
            disk_free=facts.disk_free(),
            id=request_id,
        )

    def _finality(self) -> FinalityStatus | None:
        finality, checkpoints, state = self._mining, self._checkpoints, self.state
        if not isinstance(finality, Finality) or checkpoints is None:
            return None
        certified = checkpoints.certified
        return FinalityStatus(
            named=state.election.named,
            quorum=state.election.quorum,
            index=state.index,
            reachable=tuple(state.reachable_named()),
            decided=state.chain.tip.height,
            round=None if state.index is None else finality.machine.round,
            certificate=0 if certified is None else certified.height,
            signers=tuple(sorted(checkpoints.signers)),
            leaves_lists=finality.restored.speaks_and_leaves_lists and self._awaits_lists,
        )

    @property
    def _awaits_lists(self) -> bool:
        """Whether closing lists are still to be signed in this election."""
        over = self._closing is not None and self._closing.end.over
        return self.state.election.closes is not None and not over


def _count(tip: BlockIndexEntry, tally: ElectionTally, election: Election) -> _Counted:
    return _Counted(tip, tally.votes, election.reports(tally))
