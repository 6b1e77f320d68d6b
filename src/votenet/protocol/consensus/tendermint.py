"""Tendermint among named nodes as a pure machine: one height at a time, on node indexes and block hashes.

The algorithm is that of arXiv 1807.04938, Algorithm 1; comments give its line numbers. Every input takes the
time, in seconds of any clock that never goes back, and returns outputs. The caller carries them out in their
order: `Save` comes first, so that nothing is sent before it is on the disk.

    machine = Tendermint(nodes=5, index=2, search_seconds=1.0)
    outputs = machine.start(height, now, saved)  # once for each process; `start_height` from then on
    while machine.decided is None:
        for output in outputs:
            carry_out(output)  # save, sign and send, search, check
        outputs = wait_for_input(until=machine.deadline)  # receive, built, judged, set_wanted, tick, ...

docs/consensus.md says what a caller does, and where this differs from the paper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import inf

from votenet.core.election.quorum import faults_of, quorum_of
from votenet.protocol.consensus.outputs import (
    NO_BLOCK,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
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
    RoundStep,
    Save,
    SavedState,
    Send,
)
from votenet.protocol.consensus.silence import Silence
from votenet.protocol.consensus.timeouts import (
    MAX_REFRESH,
    MISSING_VOTES_SECONDS,
    RECOVERY_SECONDS,
    UNREACHABLE_SECONDS,
    propose_seconds,
    votes_seconds,
)
from votenet.protocol.consensus.votes import StatementLog, is_possible, is_quorum


class Tendermint:
    """The consensus of one node. f liars among `nodes` cannot make two nodes decide differently."""

    def __init__(self, nodes: int, index: int, search_seconds: float) -> None:
        self.nodes, self.index = nodes, index
        self.search_seconds = search_seconds
        """Mean time of a nonce search; may be set at any time."""
        self.quorum, self.faults = quorum_of(nodes), faults_of(nodes)
        self.height = 0
        self.recovering = False
        """We say nothing before others have told which of our own statements they hold."""
        self.silence: Silence | None = None
        """Our disk is an old one: so long we say nothing at all."""
        self._saved: SavedState | None = None
        self._wanted = False
        self._reachable: Collection[int] = range(nodes)
        self._outputs: list[Output] = []
        self._early = StatementLog()
        """Statements of the next height."""
        self._clear()

    def _clear(self) -> None:
        """Lines 1 to 9, and 53."""
        self.decided: Decided | None = None
        self.log = StatementLog()
        self.round, self.step = 0, RoundStep.PROPOSE
        self.locked_value: bytes | None = None
        self.locked_round = NO_ROUND
        self.valid: tuple[RoundStatement, ...] = ()
        """The quorum of prevotes that makes valid value and valid round."""
        self.stopped = False
        """Another process speaks with our key, or our state is from a later height: nothing is said."""
        self.building = False
        """`built` is waited for; otherwise a search is in vain."""
        self._good: set[bytes] = set()
        self._checks: dict[CheckValue, bool | None] = {}
        """Values that were sent out to be judged, and the answers."""
        self._conflicts: dict[tuple[int, str], Conflict] = {}
        self._skip_to = 0
        self._answers: set[int] = set()
        self._doubtful = False
        """Others hold own statements that we did not know of: all must answer."""
        self._propose_since: float | None = None
        self._prevote_due = inf
        self._precommit_due = inf
        self._recovery_due: float | None = None
        self._refresh_seconds = MISSING_VOTES_SECONDS
        self._refresh_due = inf

    # -- inputs ----------------------------------------------------------------------------------

    def start(
        self, height: int, now: float, saved: SavedState | None = None, silence: Silence | None = None
    ) -> list[Output]:
        """Begin after the start of the process, with what was saved last; `silence`: of a restored disk."""
        self._saved, self.silence = saved, silence if self.nodes > 1 else None
        self.recovering = self.nodes > 1
        return self.start_height(height, now)

    def start_height(self, height: int, now: float) -> list[Output]:
        """Begin the next height, or a later one after blocks were caught up."""
        early = self._early if height == self.height + 1 else StatementLog()
        self.height, self._early = height, StatementLog()
        self._clear()
        if (saved := self._saved) is not None and saved.height == height:
            self.round, self.valid = saved.round, saved.valid
            for statement in saved.own:
                self.log.add(statement, statement.round)
                self._count(statement)
            self._good = {made.value for made in saved.own + saved.valid} - {NO_BLOCK}
        self.stopped = saved is not None and saved.height > height
        self._resume()
        for number in sorted(early.rounds):
            for statement in early.of_round(number):
                self._hear(statement)
        return self._advance(now)

    def receive(self, statement: RoundStatement, now: float) -> list[Output]:
        """Take a statement whose signature is that of named node `statement.node`."""
        if is_possible(statement, self.nodes):
            if statement.height == self.height:
                known = self.log.find(statement.kind, statement.round, statement.node)
                if known is None or known.value != statement.value:
                    self._hear(statement)
                    return self._advance(now)
            elif statement.height == self.height + 1:
                self._early.add(statement, 0)
        return []

    def receive_quorum(self, votes: Sequence[RoundStatement], now: float) -> list[Output]:
        """Take a quorum of prevotes or precommits for one value in one round, each signature checked."""
        if is_quorum(votes, self.nodes, self.quorum) and votes[0].height == self.height:
            for vote in votes:
                self._hear(vote)
            if votes[0].kind == PRECOMMIT:
                self._decide(tuple(votes))
            else:
                self.log.quorums.setdefault(votes[0].round, tuple(votes))
        return self._advance(now)

    def own_statements_from(
        self, node: int, height: int, statements: Iterable[RoundStatement], now: float
    ) -> list[Output]:
        """Another named node has told which of our own statements of a height it holds (`statements_of`)."""
        if height == self.height and node != self.index and node in range(self.nodes):
            for made in statements:
                if made.node == self.index and made.height == height and is_possible(made, self.nodes):
                    self._hear(made)
            self._answers.add(node)
        return self._advance(now)

    def height_told(self, node: int, height: int, now: float) -> list[Output]:
        """Another named node has answered, and is at most at this height."""
        if self.silence is not None and node != self.index and node in range(self.nodes):
            self.silence.tell(node, height)
        return self._advance(now)

    def built(self, round_number: int, value: bytes, now: float) -> list[Output]:
        """The answer to `BuildBlock`. Too late, it changes nothing."""
        if self.building and round_number == self.round:
            self.building = False
            self._good.add(value)
            self._say(PROPOSAL, value)  # line 19
        return self._advance(now)

    def judged(self, check: CheckValue, ok: bool, now: float) -> list[Output]:
        """The answer to `CheckValue`. What was good once stays good at this height."""
        if check in self._checks:
            self._checks[check] = ok
            if ok:
                self._good.add(check.value)
        return self._advance(now)

    def set_wanted(self, wanted: bool, now: float) -> list[Output]:
        """Whether records wait for a block."""
        self._wanted = wanted
        return self._advance(now)

    def set_reachable(self, nodes: Collection[int], now: float) -> list[Output]:
        """The named nodes to which a link is up. Until this is called: all."""
        self._reachable = nodes
        return self._advance(now)

    def tick(self, now: float) -> list[Output]:
        """Time has passed; due at `deadline`."""
        return self._advance(now)

    @property
    def deadline(self) -> float | None:
        """When `tick` is due; None while nothing is waited for."""
        if self.decided is not None or self.stopped:
            return None
        if self.recovering:
            return self._recovery_due
        own = self._propose_due if self.step is RoundStep.PROPOSE else self._prevote_due
        due = min(self._precommit_due, self._refresh_due, own)
        return due if due < inf else None

    # -- what others ask for ---------------------------------------------------------------------

    def statements(self) -> list[RoundStatement]:
        """What another node of this height needs to get as far as we are. Send it when a link comes up."""
        recent = sorted(number for number in self.log.rounds if number >= self.round - 1)
        return [statement for number in recent for statement in self.log.of_round(number)]

    def quorums(self) -> list[tuple[RoundStatement, ...]]:
        """As `statements`: each is sent in one piece, and taken by `receive_quorum`."""
        if self.decided is not None:
            return [self.decided.precommits]
        proposals = (made for made in self.statements() if made.kind == PROPOSAL)
        proofs = [self._prevotes_for(made.value, made.valid_round) for made in proposals]
        return list(dict.fromkeys(proof for proof in (self.valid, *proofs) if proof))

    def statements_of(self, node: int, height: int) -> list[RoundStatement] | None:
        """All that we hold of one node at a height; None if that height was decided before ours."""
        if height < self.height:
            return None
        if height > self.height:
            return self._early.by(node) if height == self.height + 1 else []
        twice = [conflict.second for conflict in self._conflicts.values() if conflict.second.node == node]
        return self.log.by(node) + twice

    def saved_state(self) -> SavedState:
        return SavedState(self.height, self.round, self.valid, tuple(self.log.by(self.index)))

    @property
    def valid_value(self) -> bytes | None:
        return self.valid[0].value if self.valid else None

    @property
    def valid_round(self) -> int:
        return self.valid[0].round if self.valid else NO_ROUND

    def proposer(self, round_number: int) -> int:
        return (self.height + round_number) % self.nodes

    # -- hearing ---------------------------------------------------------------------------------

    def _hear(self, statement: RoundStatement) -> None:
        if statement.node == self.index:
            self._hear_own(statement)
            return
        kept = self.log.add(statement, self.round)
        if kept is statement:
            self._count(statement)
        elif kept is not None and kept.value != statement.value:
            key = (statement.node, statement.kind)
            if key not in self._conflicts:
                self._conflicts[key] = Conflict(kept, statement)
                self._outputs.append(self._conflicts[key])

    def _count(self, statement: RoundStatement) -> None:
        """Rules on messages of any round: 49 and the number of nodes that 55 needs."""
        if statement.kind == PRECOMMIT and statement.value != NO_BLOCK:
            precommits = self.log.of_round(statement.round).precommits
            if precommits.counts[statement.value] >= self.quorum:
                self._decide(precommits.for_value(statement.value))
        if statement.round > self.round:
            # Line 55. A node that has gone beyond the round counts, too: what it said in it may be dropped.
            tops = sorted((top for node, top in self.log.highest.items() if node != self.index), reverse=True)
            self._skip_to = tops[self.faults] if len(tops) > self.faults else 0

    def _decide(self, precommits: tuple[RoundStatement, ...]) -> None:
        """Lines 49 to 51. A quorum of precommits holds an honest one, so the value is valid."""
        if self.decided is None:
            first = precommits[0]
            self.decided = Decided(self.height, first.round, first.value, precommits)
            self.building = False
            self._outputs.append(self.decided)

    def _hear_own(self, statement: RoundStatement) -> None:
        """An own statement comes back: known, forgotten (a restored backup), or made by another process."""
        known = self.log.find(statement.kind, statement.round, self.index)
        if (known is not None and known.value == statement.value) or self.stopped:
            return
        twin = self.silence is not None and self.silence.is_twins(self.height)
        if self.silence is not None and twin:
            self.silence.twin = True
        if self.recovering and known is None and not twin:
            self._doubtful = True
            own = statement._replace(signature="")
            self.log.add(own, own.round)
            self._count(own)
        else:
            self.stopped, self.building = True, False
            self._outputs.append(OwnKeyElsewhere(statement))

    # -- coming back -----------------------------------------------------------------------------

    def _recover(self, now: float) -> None:
        """Speak again once enough others have told which of our statements they hold."""
        others = set(range(self.nodes)) - {self.index}
        if self.silence is not None and not self.silence.may_end(self.height, self._answers, others):
            self._recovery_due = None
            return
        if not others <= self._answers:
            if self._doubtful or len(self._answers) < self.quorum - 1:
                self._recovery_due = None
                return
            if not others.intersection(self._reachable) <= self._answers:
                if self._recovery_due is None:
                    self._recovery_due = now + RECOVERY_SECONDS
                if now < self._recovery_due:
                    return
        self.recovering, self.silence = False, None
        self._resume()

    def _resume(self) -> None:
        """Put round, step and lock where our own statements left them."""
        own = self.log.by(self.index)
        self.round = max([self.round, *(statement.round for statement in own)])
        last = {statement.kind for statement in own if statement.round == self.round}
        voted = RoundStep.PREVOTE if PREVOTE in last else RoundStep.PROPOSE
        self.step = RoundStep.PRECOMMIT if PRECOMMIT in last else voted
        for statement in own:
            if statement.kind == PRECOMMIT and statement.value != NO_BLOCK:
                self.locked_value, self.locked_round = statement.value, statement.round

    # -- the rules of the paper ------------------------------------------------------------------

    def _advance(self, now: float) -> list[Output]:
        """Apply rules until none fits; returns the outputs since the last input."""
        if self.recovering and self.decided is None:
            self._recover(now)
        before = (self.round, self.step)
        while self._may_speak and self._apply_rule(now):
            pass
        if self._may_speak:
            self._refresh(now, moved=before != (self.round, self.step))
        outputs, self._outputs = self._outputs, []
        if any(isinstance(output, Send) for output in outputs):
            outputs.insert(0, Save(self.saved_state()))
        return outputs

    def _refresh(self, now: float, moved: bool) -> None:
        """Ask for votes that are long missing: else a liar could hold up nodes in different rounds."""
        if self.step is RoundStep.PROPOSE:
            self._refresh_due = inf
        elif moved or self._refresh_due == inf:
            self._refresh_seconds = MISSING_VOTES_SECONDS
            self._refresh_due = now + MISSING_VOTES_SECONDS
        elif now >= self._refresh_due:
            self._outputs.append(Refresh())
            self._refresh_seconds = min(2 * self._refresh_seconds, MAX_REFRESH)
            self._refresh_due = now + self._refresh_seconds

    @property
    def _may_speak(self) -> bool:
        return self.decided is None and not self.recovering and not self.stopped

    def _apply_rule(self, now: float) -> bool:
        """Returns whether round or step have changed, so that other rules may fit now."""
        if self._skip_to > self.round:  # lines 55, 56
            self._start_round(self._skip_to)
            return True
        if self.step is RoundStep.PROPOSE:
            moved = self._in_propose(now)
        elif self.step is RoundStep.PREVOTE:
            moved = self._in_prevote(now)
        else:
            self._note_valid_value()
            moved = False
        return moved or self._end_round(now)

    def _start_round(self, round_number: int) -> None:
        """Lines 11 to 13."""
        self.round, self.step = round_number, RoundStep.PROPOSE
        self.building = False
        self._propose_since = None
        self._prevote_due = self._precommit_due = inf

    def _in_propose(self, now: float) -> bool:
        proposer = self.proposer(self.round)
        if proposer == self.index:
            self._propose()
        proposal = self.log.find(PROPOSAL, self.round, proposer)
        if proposal is not None and (value := self._prevote_for(proposal)) is not None:
            return self._prevote(value)  # lines 24 to 27, 30 to 33
        if self._propose_since is None and self._is_active():
            self._propose_since = now  # line 21, for the proposer as well: its search may take too long
        if now >= self._propose_due:
            return self._prevote(NO_BLOCK)  # lines 57 to 60
        return False

    def _propose(self) -> None:
        """Lines 14 to 19. A new block is searched only while records wait."""
        if self.building or self.log.find(PROPOSAL, self.round, self.index) is not None:
            return
        if self.valid_value is not None:
            self._outputs.append(Forward(self.valid))  # others need it for line 28
            self._say(PROPOSAL, self.valid_value, self.valid_round)
        elif self._wanted:
            self.building = True
            self._outputs.append(BuildBlock(self.height, self.round))

    def _prevote_for(self, proposal: RoundStatement) -> bytes | None:
        """What to prevote after this proposal; None while votes or the caller's judgement are missing."""
        value, valid_round = proposal.value, proposal.valid_round
        if valid_round != NO_ROUND and not self._prevotes_for(value, valid_round):  # line 28
            return None
        if not self._lock_allows(value, valid_round):
            return NO_BLOCK  # lines 26, 32
        good = self._judge(value, proven=valid_round != NO_ROUND)
        if good is None:
            return None
        return value if good else NO_BLOCK

    def _lock_allows(self, value: bytes, valid_round: int) -> bool:
        """Lines 23 and 29. Without a valid round, -1, a lock of any round is in the way."""
        return self.locked_round <= valid_round or self.locked_value == value

    def _prevote(self, value: bytes) -> bool:
        self._say(PREVOTE, value)
        self.step = RoundStep.PREVOTE
        self.building = False
        return True

    def _in_prevote(self, now: float) -> bool:
        prevotes = self.log.of_round(self.round).prevotes
        if self._note_valid_value():  # lines 36 to 43
            self.locked_value, self.locked_round = self.valid_value, self.valid_round
            return self._precommit(self.valid[0].value)
        if prevotes.counts[NO_BLOCK] >= self.quorum:
            return self._precommit(NO_BLOCK)  # lines 44 to 46
        if len(prevotes) < self.quorum:
            return False
        if self._prevote_due == inf:
            self._prevote_due = now + votes_seconds(self.round)  # lines 34, 35
        if now >= self._prevote_due:
            return self._precommit(NO_BLOCK)  # lines 61 to 64
        return False

    def _precommit(self, value: bytes) -> bool:
        self._say(PRECOMMIT, value)
        self.step, self._prevote_due = RoundStep.PRECOMMIT, inf
        return True

    def _note_valid_value(self) -> bool:
        """Lines 36, 42 and 43: whether a quorum has prevoted a good value in this round.

        The paper waits for the proposal, too, because that brings the value. Here the quorum names its hash.
        """
        if self.valid_round < self.round and (prevotes := self.log.prevotes_of(self.round, self.quorum)):
            if not self._judge(prevotes[0].value, proven=True):
                return False
            self.valid = prevotes
        return self.valid_round == self.round

    def _end_round(self, now: float) -> bool:
        precommits = self.log.of_round(self.round).precommits
        if len(precommits) < self.quorum:
            return False
        # After a quorum for no block none can be decided in this round: CometBFT waits no longer, either.
        if precommits.counts[NO_BLOCK] < self.quorum:
            if self._precommit_due == inf:
                self._precommit_due = now + votes_seconds(self.round)  # lines 47, 48
            if now < self._precommit_due:
                return False
        self._start_round(self.round + 1)  # lines 65 to 67
        return True

    # -- helpers of the rules --------------------------------------------------------------------

    def _say(self, kind: str, value: bytes, valid_round: int = NO_ROUND) -> None:
        statement = RoundStatement(kind, self.height, self.round, self.index, value, valid_round)
        self._outputs.append(Send(statement))
        self.log.add(statement, self.round)
        self._count(statement)

    def _prevotes_for(self, value: bytes, round_number: int) -> tuple[RoundStatement, ...]:
        """Its quorum of prevotes in a round; empty if there is none."""
        prevotes = self.log.prevotes_of(round_number, self.quorum)
        return prevotes if prevotes and prevotes[0].value == value else ()

    def _judge(self, value: bytes, proven: bool) -> bool | None:
        """Line 36 and others: valid(v). None until the caller has answered; asked again in each round."""
        if value in self._good:
            return True
        check = CheckValue(self.height, self.round, value, proven)
        if check not in self._checks:
            self._checks[check] = None
            self._outputs.append(check)
        return self._checks[check]

    def _is_active(self) -> bool:
        """Whether a time-out for the proposal runs: records wait, a block is known, or f + 1 others are here.

        Fewer than f + 1 could be liars, who would keep all nodes busy with empty rounds.
        """
        if self._wanted or self._good or self.valid_value is not None:
            return True
        here = [node for node, top in self.log.highest.items() if top >= self.round and node != self.index]
        return len(here) > self.faults

    @property
    def _propose_due(self) -> float:
        if self._propose_since is None or self.nodes == 1:
            return inf
        proposer = self.proposer(self.round)
        gone = proposer not in self._reachable and proposer != self.index
        if gone and self.log.find(PROPOSAL, self.round, proposer) is None:
            return self._propose_since + UNREACHABLE_SECONDS
        return self._propose_since + propose_seconds(self.round, self.search_seconds)
