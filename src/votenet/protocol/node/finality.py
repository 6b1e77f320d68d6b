"""Named nodes decide the block after the tip: the consensus of one node, and its own proposals.

`protocol/consensus/` decides on block hashes. This module gives it signed statements, searches the nonce of
our own proposals, and connects the block that was decided. A statement is sent with the `Ready` that saves
what a restart needs, so that no later one contradicts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from votenet.core.election.amendment import Amendment
from votenet.core.encoding import canonical
from votenet.core.ledger.block import Block, unpack_header
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.extras import BlockExtras
from votenet.core.ledger.mempool import short_ids
from votenet.core.ledger.statement import Signed, Statement, make_commit
from votenet.core.log.tiles import LogFrontier
from votenet.core.records.miner import sign_block
from votenet.errors import Rejected, RemoteProtocolError
from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    PRECOMMIT,
    PROPOSAL,
    BuildBlock,
    CheckValue,
    Conflict,
    Decided,
    Forward,
    Output,
    OwnKeyElsewhere,
    Refresh,
    RoundStatement,
    Save,
    Send,
)
from votenet.protocol.consensus.tendermint import Tendermint
from votenet.protocol.consensus.votes import is_possible
from votenet.protocol.node.blocks import OURSELVES, BlockRelay
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.events import Mined, SaveEvidence, SaveFinality, SaveRestored, Template
from votenet.protocol.node.heard_statements import HeardStatements
from votenet.protocol.node.proposal_search import FIRST_SEARCH, ProposalSearch
from votenet.protocol.node.proposed_blocks import ProposedBlock, ProposedBlocks
from votenet.protocol.node.restored import Restored
from votenet.protocol.node.round_statements import (
    decode_state,
    encode_state,
    read_proposal,
    read_vote,
    statement_of,
    write_proposal,
    write_vote,
)
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.fields import split_ids
from votenet.protocol.wire.message import Message
from votenet.protocol.wire.named_messages import (
    ConsensusState,
    ConsensusVote,
    ConsensusVotes,
    GetConsensus,
    Proposal,
    QuorumMessage,
)

REPAIR_SECONDS: Final = 3.0
"""A height that is not decided for so long: named nodes are asked again for the statements they know."""


@dataclass(frozen=True, slots=True)
class KeptFinality:
    """What a store kept: the log behind the tip, its certificate, our statements, blocks that were proposed.

    `certificate`: the height of its block, and the signed note. `accepted`: when we last accepted votes.
    `hours`: what we have signed about the end of the election. `sizes`: of the log behind each block.
    `evidence`: against named nodes. `amendments`: that wait for a block. `shares`: of trustees.
    `restored`: of a restore from a backup.
    """

    frontier: LogFrontier = field(default_factory=LogFrontier)
    certificate: tuple[int, str] = (0, "")
    statements: bytes = b""
    accepted: int = 0
    hours: bytes = b""
    proposed: tuple[BlockIndexEntry, ...] = ()
    sizes: Sequence[int] = ()
    evidence: tuple[SaveEvidence, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    shares: tuple[str, ...] = ()
    restored: bytes = b""


class Finality:
    """The consensus of one node. A relay (`index` None) only hears of what was decided."""

    def __init__(self, state: NodeState, blocks: BlockRelay, closing: Closing, kept: KeptFinality) -> None:
        self.state, self._blocks, self._closing = state, blocks, closing
        self.index = state.index
        self.search = ProposalSearch(state, closing)
        self.machine = Tendermint(
            state.election.named, -1 if self.index is None else self.index, FIRST_SEARCH
        )
        self._saved = decode_state(kept.statements, self.machine.index)
        self.restored = Restored(state.election, kept.restored)
        self._started = False
        self._tip = state.chain.tip
        self.proposed = ProposedBlocks(state, closing, kept.proposed, self._judged)
        self._early: dict[int, tuple[int, Proposal]] = {}
        """The latest proposal of each named node for the next height, and its link."""
        self._heard = HeardStatements(state)
        self._have_commit: set[int] = set()
        """Links that have sent us precommits of a quorum: they need not hear ours."""
        self._signed: dict[RoundStatement, RoundStatement] = {}
        """Our own statements of this height, with their signatures."""
        self._ask_at = 0.0
        self._conflicts: list[tuple[Signed[Statement], Signed[Statement]]] = []
        """Proofs that named nodes lie, until they are taken."""
        self.key_elsewhere = False
        """Another process has signed with our key."""

    # -- at the end of each batch --------------------------------------------------------------------

    def refresh(self, now: float) -> None:
        """Follow the tip, the pool and the clock; start or stop a search."""
        if self.index is None or not (self._started or self.state.facts.can_save()):
            return  # else a node with a full disk would start over for each statement that it hears
        machine = self.machine
        # 1. A block that was decided elsewhere may be here already. A new tip begins the next height.
        self._connect_known(now)
        if self.state.chain.tip is not self._tip or not self._started:
            self._begin_height(now)
        # 2. What the machine wants to know.
        self._run(machine.set_reachable(self.state.reachable_named(), now), now)
        self._run(machine.set_wanted(self._records_wait(), now), now)
        self._run(machine.tick(now), now)
        if self.restored.is_silent and machine.silence is None:
            self.state.ready.save.append(self._speak(now))
        # 3. A search in vain is over. Blocks and statements that did not come are asked for again.
        if not machine.building:
            self.search.stop()
        elif machine.round != self.search.round:
            self.search.begin(machine.round, now)
        else:
            self.search.renew(now)
        self.proposed.ask_missing(now)
        waiting = machine.recovering or machine.deadline is not None
        if waiting and machine.decided is None and now >= self._ask_at:
            self._ask_at = now + (1.0 if machine.recovering else REPAIR_SECONDS)
            self.state.tell_named(GetConsensus(height=machine.height))
        # 4. A decision leads to a new tip, and that to the next height.
        if self.state.chain.tip is not self._tip:
            self.refresh(now)

    @property
    def template(self) -> Template | None:
        """What is being searched now."""
        return self.search.template

    @property
    def deadline(self) -> float | None:
        """When `refresh` is due."""
        return None if self.index is None else self.machine.deadline

    @property
    def knows_itself(self) -> bool:
        """Whether others have told what we signed before this start, so that we may sign again."""
        return self._started and not self.machine.recovering

    @property
    def may_list(self) -> bool:
        """Whether we may sign a closing list: we know what we signed, and which votes we accepted."""
        return self.knows_itself and self.restored.may_promise(self.state.election.closes)

    def _speak(self, now: float) -> SaveRestored:
        closes = self.state.election.closes
        self.state.ready.log.append("this node was restored from a backup; from now on it takes part again")
        hour_over = closes is not None and (now >= closes or not self._closing.takes_votes)
        saved = self.restored.speak(self.machine.height, closes, hour_over)
        if self.restored.leaves_lists:
            self.state.ready.log.append(
                "it may have forgotten votes that it took, so it leaves the closing lists to the others"
            )
        return saved

    def _begin_height(self, now: float) -> None:
        machine, tip = self.machine, self.state.chain.tip
        # Else the machine would propose an empty block, because records waited for the block before.
        self._run(machine.set_wanted(self._records_wait(), now), now)
        self.proposed.begin_height()
        self._heard.begin_height(tip.height + 1)
        self._have_commit, self._signed = set(), {}
        self.search.stop()
        self._tip, self._ask_at = tip, now + REPAIR_SECONDS
        if self._started:
            outputs = machine.start_height(tip.height + 1, now)
        else:
            self._started, self._ask_at = True, now
            outputs = machine.start(tip.height + 1, now, self._saved, self.restored.silence())
        early, self._early = self._early, {}
        for link, message in early.values():
            if message.proposal.height == machine.height:
                self.proposed.take_proposal(link, message, now)
        self._run(outputs, now)
        self.state.tell_named(GetConsensus(height=machine.height))

    def _records_wait(self) -> bool:
        return self.state.info.mining and self._closing.records_wait()

    def _run(self, outputs: Sequence[Output], now: float) -> None:
        """Carry out what the machine asks for, in its order."""
        for output in outputs:
            match output:
                case Save(state):
                    valid = tuple(made if made.signature else self._sign(made) for made in state.valid)
                    self.state.ready.save.append(SaveFinality(encode_state(state._replace(valid=valid))))
                case Send(statement):
                    self._send(statement)
                case Forward(prevotes):
                    self._send_quorum(prevotes)
                case Refresh():
                    self._exchange_all()
                case BuildBlock(_, round_number):
                    self.search.begin(round_number, now)
                case CheckValue():
                    self.proposed.judge(output, now)
                case Decided():
                    self._decide(output, now)
                case Conflict():
                    self._conflicts.append(
                        (self._heard.shown(output.first), self._heard.shown(output.second))
                    )
                case OwnKeyElsewhere():
                    self.key_elsewhere = True
                    self.state.ready.log.append("another process signs with the key of this node")

    def _judged(self, check: CheckValue, good: bool, now: float) -> None:
        self._run(self.machine.judged(check, good, now), now)

    def take_conflicts(self) -> list[tuple[Signed[Statement], Signed[Statement]]]:
        """Proofs that named nodes lie, seen since the last call."""
        found, self._conflicts = self._conflicts, []
        return found

    def peer_up(self, link: int) -> None:
        """A peer has joined: a named node tells us what it knows of this height."""
        if self.index is not None and self._started and link in self.state.named_links().values():
            self.state.send(link, GetConsensus(height=self.machine.height))

    # -- statements ----------------------------------------------------------------------------------

    def on_consensus_votes(self, link: int, message: ConsensusVotes, now: float) -> None:
        for vote in message.votes:
            self._hear(link, read_vote(vote), now)

    def on_consensus_quorum(self, link: int, message: QuorumMessage, now: float) -> None:
        self._hear_quorum(link, message.votes, now)

    def _hear_quorum(self, link: int, written: Sequence[ConsensusVote], now: float) -> None:
        if self.index is None or not self._started:
            return
        votes = [read_vote(vote) for vote in written]
        if votes[0].height > self.machine.height:
            self.state.sync.ask_peer(link, now)
        elif votes[0].height == self.machine.height and self.machine.decided is None:
            for vote in votes:
                if vote not in self._heard:
                    self._heard.check(vote)
            if votes[0].kind == PRECOMMIT:
                self._have_commit.add(link)
            if votes[0].value != NO_BLOCK:
                self.proposed.add_source(votes[0].value, link)
            self._run(self.machine.receive_quorum(votes, now), now)

    def on_proposal(self, link: int, message: Proposal, now: float) -> None:
        header = unpack_header(message.header)
        split_ids(message.ids)  # refused here, not when the block's turn comes
        if header.hash.hex() != message.proposal.block:
            raise RemoteProtocolError("bad-message", "the proposal is of another block")
        statement, machine = read_proposal(message.proposal), self.machine
        if not is_possible(statement, machine.nodes):
            raise Rejected("bad-statement", f"named node {statement.node} does not propose in this round")
        # A block is worked on once for each proposer and round, and not long before its round: should a
        # quorum be for another one, it is asked for.
        is_next = statement.round < machine.round + machine.nodes and self._place_of(statement) is None
        if not self._hear_first(link, statement, now):
            return
        if statement.height > machine.height:
            self._early[statement.node] = link, message
        elif is_next:
            self.proposed.take_proposal(link, message, now)
        self._take_in(statement, now)

    def on_get_consensus(self, link: int, message: GetConsensus, now: float) -> None:
        peer = self.state.sync.peers.get(link)
        asker = None if peer is None else self.state.election.node_index(peer.peer_info.node_key)
        machine = self.machine
        if self.index is None or asker is None or not self._started or machine.silence is not None:
            return  # of a restored node no answer counts: it has forgotten what it held
        if message.height < machine.height:
            self.state.send(link, ConsensusState(height=machine.height))
            return
        self._tell_state(link, asker, message.height)
        # Not while this height was just decided here: the next one begins at the end of the batch.
        if message.height > self.state.chain.tip.height + 1:
            self.state.sync.ask_peer(link, now)

    def _tell_state(self, link: int, node: int, height: int) -> None:
        """Tell another named node what we know of a height, and which of its own statements we hold."""
        machine = self.machine
        same = height == machine.height
        held = machine.statements() if same else []
        theirs = machine.statements_of(node, height) or []
        quorums = machine.quorums() if same else []
        self.state.send(link, self._state_message(height, dict.fromkeys([*held, *theirs]), quorums))

    def _exchange_all(self) -> None:
        """Votes are missing for long: all named nodes tell each other what they know."""
        self.state.tell_named(GetConsensus(height=self.machine.height))
        for node, link in self.state.named_links().items():
            self._tell_state(link, node, self.machine.height)

    def on_consensus_state(self, link: int, message: ConsensusState, now: float) -> None:
        machine = self.machine
        peer = self.state.sync.peers.get(link)
        teller = None if peer is None else self.state.election.node_index(peer.peer_info.node_key)
        if message.height > machine.height:
            self.state.sync.ask_peer(link, now)
        if self.index is None or not self._started:
            return
        if teller is not None and peer is not None and peer.peer_info.proven:
            # This line is not signed: somebody who passes on the lines of an unproven link could change it.
            self._run(machine.height_told(teller, message.height, now), now)
        if message.height != machine.height:
            return
        statements = [*map(read_proposal, message.proposals), *map(read_vote, message.votes)]
        own = [statement for statement in statements if statement.node == self.index]
        for statement in own:
            self._heard.check(statement)
        for statement in statements:
            if statement.node != self.index:
                self._hear(link, statement, now)
        for votes in message.quorums:
            self._hear_quorum(link, votes, now)
        if teller is not None:
            self._run(machine.own_statements_from(teller, message.height, own, now), now)

    def _hear(self, link: int, statement: RoundStatement, now: float) -> None:
        if self._hear_first(link, statement, now):
            self._take_in(statement, now)

    def _hear_first(self, link: int, statement: RoundStatement, now: float) -> bool:
        """Check a statement that is new here. Returns whether the machine must hear it.

        Raises:
            Rejected: bad-statement.
        """
        if self.index is None or not self._started:
            return False
        ahead = statement.height - self.machine.height
        if ahead > 0:
            self.state.sync.ask_peer(link, now)
        elif ahead < 0 and (found := self._heard.contradiction(statement)) is not None:
            self._conflicts.append(found)
        if not 0 <= ahead <= 1:
            return False
        known = statement in self._heard
        if not known and not self._heard.take(statement, 0 if ahead else self.machine.round):
            return False
        if statement.value != NO_BLOCK:
            self.proposed.add_source(statement.value, link)
        if known:
            # Checked before; the machine may have had no room for it then.
            return not ahead and self._place_of(statement) is None
        self._pass_on(link, statement)
        return True

    def _place_of(self, statement: RoundStatement) -> RoundStatement | None:
        """What the machine has in the place of a statement of its height."""
        return self.machine.log.find(statement.kind, statement.round, statement.node)

    def _take_in(self, statement: RoundStatement, now: float) -> None:
        self._run(self.machine.receive(statement, now), now)

    def _pass_on(self, source: int, statement: RoundStatement) -> None:
        """To named nodes that its sender is not joined to."""
        if statement.kind == PROPOSAL:
            return  # it goes with its block
        covered = self.state.covered(source) | {source}
        message = ConsensusVotes(votes=(write_vote(statement),))
        for link in self.state.named_links().values():
            if link not in covered:
                self.state.send(link, message)

    def _send(self, statement: RoundStatement) -> None:
        signed = self._sign(statement)
        if statement.kind == PROPOSAL:
            self._send_proposal(signed)
        else:
            self.state.tell_named(ConsensusVotes(votes=(write_vote(signed),)))

    def _sign(self, statement: RoundStatement) -> RoundStatement:
        signed = self._signed.get(statement)
        if signed is None:
            keys = self.state.info.keys
            assert keys is not None
            signature = statement_of(statement, self.state.election).sign(keys.statement)
            signed = self._signed[statement] = statement._replace(signature=signature)
        return signed

    def _send_proposal(self, signed: RoundStatement) -> None:
        proposed = self.proposed.by_hash[signed.value]
        for link in self.state.named_links().values():
            self.state.send(link, self._proposal_for(link, signed, proposed))

    def _proposal_for(self, link: int, signed: RoundStatement, proposed: ProposedBlock) -> Message:
        block = proposed.block
        assert block is not None
        assert block.extras.miner is not None
        seed = self.state.sync.peers[link].peer_info.seed
        return Proposal(
            proposal=write_proposal(signed),
            header=block.header.pack(),
            ids=b"".join(short_ids([hashed.id for hashed in block.votes], seed)),
            miner=block.extras.miner,
            records=tuple(record.value for record in block.extras.records),
            closing=block.extras.closing,
        )

    def _state_message(
        self, height: int, statements: Iterable[RoundStatement], quorums: Iterable[Sequence[RoundStatement]]
    ) -> ConsensusState:
        signed = [made if made.signature else self._sign(made) for made in statements]
        return ConsensusState(
            height=height,
            votes=tuple(write_vote(made) for made in signed if made.kind != PROPOSAL),
            proposals=tuple(write_proposal(made) for made in signed if made.kind == PROPOSAL),
            quorums=tuple(self._written_quorum(votes) for votes in quorums),
        )

    def _written_quorum(self, votes: Sequence[RoundStatement]) -> tuple[ConsensusVote, ...]:
        return tuple([write_vote(made if made.signature else self._sign(made)) for made in votes])

    def _send_quorum(self, votes: Sequence[RoundStatement]) -> None:
        message = QuorumMessage(votes=self._written_quorum(votes))
        for link in self.state.named_links().values():
            if votes[0].kind != PRECOMMIT or link not in self._have_commit:
                self.state.send(link, message)

    # -- our own proposal ----------------------------------------------------------------------------

    def on_mined(self, event: Mined, now: float) -> None:
        """Propose our block: its nonce is found."""
        found = self.search.take(event, now)
        if found is None:
            return
        self.machine.search_seconds = self.search.mean_seconds
        keys = self.state.info.keys
        assert keys is not None
        assert self.index is not None
        entry = self.state.chain.candidate(found.header)
        miner = sign_block(keys.statement, self.state.election, self.index, entry.hash, entry.height)
        extras = BlockExtras(miner, found.content.records, found.content.closing)
        try:
            self.proposed.add_own(entry, Block(found.header, found.content.votes, extras))
        except Rejected as error:
            self.state.ready.log.append(f"our own block was refused: {error.message}")
            return
        self._run(self.machine.built(found.round, entry.hash, now), now)

    def _connect_known(self, now: float) -> None:
        """Connect a proposed block whose header has come with its commit."""
        for block_hash, proposed in list(self.proposed.by_hash.items()):
            entry = self.state.chain.entries.get(block_hash)
            if entry is not None and not entry.available and proposed.block is not None:
                entry.extras = proposed.block.extras
                self._blocks.connect_decided(OURSELVES, entry, proposed.block.votes, now)

    # -- it is decided -------------------------------------------------------------------------------

    def _decide(self, decided: Decided, now: float) -> None:
        """Connect the block; where its header or votes are missing here, get them from those that have it."""
        state = self.state
        self._send_quorum(decided.precommits)
        signatures = {
            made.node: (made if made.signature else self._sign(made)).signature for made in decided.precommits
        }
        commit = make_commit(decided.round, signatures)
        proposed = self.proposed.by_hash.get(decided.value)
        links = [
            link
            for index, link in state.named_links().items()
            if index in signatures and link in state.sync.peers
        ]
        if proposed is None:
            for link in links:
                state.sync.ask_peer(link, now)
            return
        entry = state.chain.attach(proposed.entry)
        entry.commit = canonical(commit)
        for link in links:
            state.sync.peers[link].best = entry
        if proposed.block is None:
            if proposed.refusal is not None:
                state.ready.log.append(
                    f"the named nodes decided a block that is refused here: {proposed.refusal}"
                )
            state.sync.ask_bodies(now)
            return
        entry.extras = proposed.block.extras
        miner = entry.extras.miner
        source = state.named_links().get(-1 if miner is None else miner.node, OURSELVES)
        self._blocks.connect_decided(source, entry, proposed.block.votes, now)
