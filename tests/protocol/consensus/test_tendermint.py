"""Each rule of the paper's Algorithm 1 (numbers are its lines), and what differs from it."""

from __future__ import annotations

import pytest

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
from votenet.protocol.consensus.tendermint import Tendermint
from votenet.protocol.consensus.timeouts import (
    MAX_GROWTH,
    RECOVERY_SECONDS,
    UNREACHABLE_SECONDS,
    VOTES_SECONDS,
)

A, B = b"a" * 32, b"b" * 32
HEIGHT = 4
"""With four nodes the proposer of round r at this height is node r mod 4."""
LONG = 1000.0
"""Seconds after which every time-out has passed."""


class Bench:
    """One machine among four nodes that wants records in blocks, and everything that it put out."""

    def __init__(
        self,
        index: int = 3,
        nodes: int = 4,
        *,
        saved: SavedState | None = None,
        wanted: bool = True,
        recovered: bool = True,
        judges: bool = True,
    ) -> None:
        self.now = 0.0
        self.judges = judges
        self.machine = Tendermint(nodes, index, search_seconds=1.0)
        self.outputs: list[Output] = []
        self.take(self.machine.start(HEIGHT, self.now, saved))
        if recovered:
            for node in range(nodes):
                self.answer(node)
        if wanted:
            self.take(self.machine.set_wanted(True, self.now))

    def take(self, outputs: list[Output]) -> list[Output]:
        """Keep outputs; every value is judged good at once if this bench judges."""
        self.outputs += outputs
        for output in outputs:
            if isinstance(output, CheckValue) and self.judges:
                outputs = outputs + self.take(self.machine.judged(output, True, self.now))
        return outputs

    def hear(self, kind: str, nodes: list[int], value: bytes, round_number: int = 0) -> list[Output]:
        made = (RoundStatement(kind, HEIGHT, round_number, node, value) for node in nodes)
        return [output for one in made for output in self.take(self.machine.receive(one, self.now))]

    def propose(self, value: bytes, round_number: int = 0, valid_round: int = NO_ROUND) -> list[Output]:
        proposer = self.machine.proposer(round_number)
        made = RoundStatement(PROPOSAL, HEIGHT, round_number, proposer, value, valid_round)
        return self.take(self.machine.receive(made, self.now))

    def answer(self, node: int, *statements: RoundStatement) -> list[Output]:
        return self.take(self.machine.own_statements_from(node, HEIGHT, statements, self.now))

    def wait(self, seconds: float) -> list[Output]:
        self.now += seconds
        return self.take(self.machine.tick(self.now))

    @property
    def said(self) -> list[tuple[str, int, bytes]]:
        made = [output.statement for output in self.outputs if isinstance(output, Send)]
        return [(statement.kind, statement.round, statement.value) for statement in made]

    def all(self, kind: type[Output]) -> list[Output]:
        return [output for output in self.outputs if isinstance(output, kind)]


def own(kind: str, value: bytes, round_number: int = 0, index: int = 3) -> RoundStatement:
    return RoundStatement(kind, HEIGHT, round_number, index, value)


def start_next_round(bench: Bench, round_number: int = 0) -> None:
    """Have all others precommit nothing in a round."""
    others = [node for node in range(bench.machine.nodes) if node != bench.machine.index]
    bench.hear(PRECOMMIT, others, NO_BLOCK, round_number)


# -- lines 11 to 21: a round starts ---------------------------------------------------------------


def test_the_proposer_searches_a_block_and_proposes_it() -> None:
    bench = Bench(index=0)
    assert bench.all(BuildBlock) == [BuildBlock(HEIGHT, 0)]
    assert bench.said == []
    bench.take(bench.machine.built(0, A, bench.now))
    assert bench.said == [(PROPOSAL, 0, A), (PREVOTE, 0, A)]
    assert bench.all(CheckValue) == [], "its own block needs no judgement"


def test_proposers_take_turns() -> None:
    machine = Tendermint(5, 0, 1.0)
    machine.start(3, 0.0)
    assert [machine.proposer(number) for number in range(4)] == [3, 4, 0, 1]


def test_a_valid_value_is_proposed_again_without_a_search() -> None:
    bench = Bench(index=1)
    bench.propose(A)
    bench.hear(PREVOTE, [0, 2], A)
    start_next_round(bench)
    sent = [output.statement for output in bench.all(Send) if output.statement.kind == PROPOSAL]
    assert sent == [RoundStatement(PROPOSAL, HEIGHT, 1, 1, A, valid_round=0)]
    assert bench.all(BuildBlock) == []


def test_a_search_that_ends_too_late_changes_nothing() -> None:
    bench = Bench(index=0)
    bench.wait(LONG)
    assert not bench.machine.building
    bench.take(bench.machine.built(0, A, bench.now))
    assert bench.said == [(PREVOTE, 0, NO_BLOCK)]


# -- lines 22 to 27: a new proposal ---------------------------------------------------------------


def test_a_good_proposal_is_prevoted() -> None:
    bench = Bench()
    bench.propose(A)
    assert bench.said == [(PREVOTE, 0, A)]
    assert bench.all(CheckValue) == [CheckValue(HEIGHT, 0, A, proven=False)]


def test_a_bad_proposal_gets_a_prevote_for_nothing() -> None:
    bench = Bench(judges=False)
    bench.propose(A)
    assert bench.said == [], "not judged yet"
    bench.take(bench.machine.judged(CheckValue(HEIGHT, 0, A, proven=False), False, bench.now))
    assert bench.said == [(PREVOTE, 0, NO_BLOCK)]


def test_a_proposal_by_another_node_than_the_proposer_is_nothing() -> None:
    bench = Bench()
    bench.hear(PROPOSAL, [1, 2], A)
    assert bench.said == []


@pytest.mark.parametrize("valid_round", [-2, 0, 1])
def test_a_valid_round_that_is_not_earlier_is_impossible(valid_round: int) -> None:
    bench = Bench()
    bench.propose(A, 0, valid_round)
    assert bench.said == []


def locked_on_a() -> Bench:
    """In round 1, locked on A since round 0."""
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [0, 1], A)
    assert (bench.machine.locked_value, bench.machine.locked_round) == (A, 0)
    start_next_round(bench)
    assert bench.machine.round == 1
    return bench


def test_a_locked_node_prevotes_no_other_new_value() -> None:
    bench = locked_on_a()
    bench.propose(B, 1)
    assert bench.said[-1] == (PREVOTE, 1, NO_BLOCK)


def test_a_locked_node_prevotes_its_value_when_it_is_proposed_as_new() -> None:
    bench = locked_on_a()
    bench.propose(A, 1)
    assert bench.said[-1] == (PREVOTE, 1, A)


# -- lines 28 to 33: a proposal with a valid round -------------------------------------------------


def test_a_valid_round_counts_only_with_its_quorum_of_prevotes() -> None:
    bench = Bench()
    start_next_round(bench)
    bench.propose(A, 1, valid_round=0)
    assert (PREVOTE, 1, A) not in bench.said
    bench.hear(PREVOTE, [0, 1, 2], A, 0)
    assert (PREVOTE, 1, A) in bench.said


def test_a_lock_yields_to_a_later_valid_round() -> None:
    bench = locked_on_a()
    bench.hear(PREVOTE, [0, 1, 2], B, 1)
    start_next_round(bench, 1)
    bench.propose(B, 2, valid_round=1)
    assert bench.said[-1] == (PREVOTE, 2, B)


def test_a_lock_does_not_yield_to_an_earlier_valid_round() -> None:
    bench = Bench(judges=False)
    bench.hear(PREVOTE, [0, 1, 2], B, 0)
    start_next_round(bench)
    bench.judges = True
    bench.propose(A, 1)
    bench.hear(PREVOTE, [0, 1], A, 1)
    assert (bench.machine.locked_value, bench.machine.locked_round) == (A, 1)
    start_next_round(bench, 1)
    bench.propose(B, 2, valid_round=0)
    assert bench.said[-1] == (PREVOTE, 2, NO_BLOCK)


def test_a_proven_value_is_judged_again_without_rules_about_clocks() -> None:
    bench = Bench(judges=False)
    bench.propose(A)
    bench.take(bench.machine.judged(CheckValue(HEIGHT, 0, A, proven=False), False, bench.now))
    bench.hear(PREVOTE, [0, 1, 2], A)
    assert bench.all(CheckValue)[-1] == CheckValue(HEIGHT, 0, A, proven=True)
    bench.take(bench.machine.judged(CheckValue(HEIGHT, 0, A, proven=True), True, bench.now))
    assert bench.said == [(PREVOTE, 0, NO_BLOCK), (PRECOMMIT, 0, A)]


# -- lines 34 to 46: prevotes ----------------------------------------------------------------------


def test_a_quorum_of_prevotes_locks_and_is_precommitted() -> None:
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [0], A)
    assert bench.machine.locked_value is None
    bench.hear(PREVOTE, [1], A)
    assert bench.said[-1] == (PRECOMMIT, 0, A)
    assert (bench.machine.valid_value, bench.machine.valid_round) == (A, 0)


def test_nothing_is_precommitted_before_the_own_prevote() -> None:
    bench = Bench()
    bench.hear(PREVOTE, [0, 1, 2], A)
    assert bench.said == []
    bench.propose(A)
    assert bench.said == [(PREVOTE, 0, A), (PRECOMMIT, 0, A)]


def test_a_quorum_for_nothing_is_precommitted_at_once() -> None:
    bench = Bench()
    bench.hear(PREVOTE, [0, 1, 2], NO_BLOCK)
    bench.wait(LONG)
    assert bench.said == [(PREVOTE, 0, NO_BLOCK), (PRECOMMIT, 0, NO_BLOCK)]


def test_split_prevotes_are_waited_for_and_given_up() -> None:
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [0], B)
    bench.hear(PREVOTE, [1], NO_BLOCK)
    assert bench.machine.deadline == pytest.approx(VOTES_SECONDS)
    bench.wait(VOTES_SECONDS / 2)
    assert bench.said == [(PREVOTE, 0, A)]
    bench.wait(VOTES_SECONDS / 2)
    assert bench.said[-1] == (PRECOMMIT, 0, NO_BLOCK)
    assert bench.machine.locked_value is None


def test_a_quorum_of_prevotes_after_the_precommit_makes_a_valid_value_without_a_lock() -> None:
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [0], A)
    bench.hear(PREVOTE, [1], NO_BLOCK)
    bench.wait(VOTES_SECONDS)
    bench.hear(PREVOTE, [2], A)
    assert (bench.machine.valid_value, bench.machine.valid_round) == (A, 0)
    assert bench.machine.locked_value is None


# -- lines 47 to 56, 65 to 67: precommits, skipped rounds ------------------------------------------


def test_a_quorum_of_precommits_decides() -> None:
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [0, 1], A)
    bench.hear(PRECOMMIT, [2, 0], A)
    [decided] = bench.all(Decided)
    assert decided == bench.machine.decided
    assert (decided.height, decided.round, decided.value) == (HEIGHT, 0, A)
    assert [made.node for made in decided.precommits] == [0, 2, 3]
    assert bench.machine.deadline is None


def test_a_decision_needs_neither_the_block_nor_its_round() -> None:
    bench = Bench(judges=False)
    bench.hear(PRECOMMIT, [0, 1, 2], A, 5)
    [decided] = bench.all(Decided)
    assert (decided.round, decided.value) == (5, A)
    assert bench.said == []


def test_precommits_of_different_rounds_decide_nothing() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0, 1], A, 0)
    bench.hear(PRECOMMIT, [2], A, 1)
    assert bench.machine.decided is None


def test_a_quorum_of_any_precommits_ends_the_round_after_a_wait() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0, 1], NO_BLOCK)
    bench.hear(PRECOMMIT, [2], A)
    assert bench.machine.round == 0
    bench.wait(VOTES_SECONDS)
    assert bench.machine.round == 1


def test_after_a_quorum_for_nothing_the_next_round_starts_at_once() -> None:
    bench = Bench()
    start_next_round(bench)
    assert (bench.machine.round, bench.now) == (1, 0.0)


def test_a_round_is_skipped_to_when_an_honest_node_must_be_in_it() -> None:
    bench = Bench()
    bench.hear(PREVOTE, [0], NO_BLOCK, 9)
    assert bench.machine.round == 0, "one may be a liar"
    bench.hear(PRECOMMIT, [1], NO_BLOCK, 7)
    assert bench.machine.round == 7


def test_statements_of_a_later_round_count_once_it_is_reached() -> None:
    bench = Bench()
    bench.propose(A, 2)
    bench.hear(PREVOTE, [0, 1], A, 2)
    assert bench.said == [(PREVOTE, 2, A), (PRECOMMIT, 2, A)]


# -- lines 57 to 60: no proposal -------------------------------------------------------------------


def test_a_missing_proposal_is_waited_for_as_long_as_four_searches_take() -> None:
    bench = Bench()
    assert bench.machine.deadline == pytest.approx(5.0)
    bench.wait(4.9)
    assert bench.said == []
    bench.wait(0.2)
    assert bench.said == [(PREVOTE, 0, NO_BLOCK)]


def test_waits_grow_with_the_round() -> None:
    waits = []
    for number in (0, 10, 10_000):
        bench = Bench()
        bench.hear(PRECOMMIT, [0, 1], NO_BLOCK, number)
        waits.append(bench.machine.deadline)
    assert waits == [pytest.approx(5.0), pytest.approx(10.0), pytest.approx(5.0 + MAX_GROWTH)]


def test_the_search_time_may_change() -> None:
    bench = Bench()
    bench.machine.search_seconds = 0.1
    assert bench.machine.deadline == pytest.approx(1.4)


def test_a_proposer_without_a_link_is_passed_over() -> None:
    bench = Bench()
    bench.take(bench.machine.set_reachable([1, 2], bench.now))
    assert bench.machine.deadline == pytest.approx(UNREACHABLE_SECONDS)
    bench.wait(UNREACHABLE_SECONDS)
    assert bench.said == [(PREVOTE, 0, NO_BLOCK)]


def test_a_proposal_that_came_by_another_node_is_judged_in_peace() -> None:
    bench = Bench(judges=False)
    bench.take(bench.machine.set_reachable([1, 2], bench.now))
    bench.propose(A)
    assert bench.machine.deadline == pytest.approx(5.0)


# -- no round without records -----------------------------------------------------------------------


def test_without_records_nothing_happens() -> None:
    for index in range(4):
        bench = Bench(index, wanted=False)
        assert bench.machine.deadline is None
        assert bench.wait(LONG) == []


def test_without_records_a_proposal_is_taken_up() -> None:
    bench = Bench(wanted=False)
    bench.propose(A)
    bench.hear(PREVOTE, [0, 1], A)
    assert bench.said == [(PREVOTE, 0, A), (PRECOMMIT, 0, A)]


def test_without_records_a_liar_starts_no_wait_but_an_honest_node_does() -> None:
    bench = Bench(wanted=False)
    bench.hear(PREVOTE, [1], NO_BLOCK)
    assert bench.machine.deadline is None
    bench.hear(PREVOTE, [2], NO_BLOCK)
    assert bench.machine.deadline is not None


def test_records_that_come_later_start_the_search() -> None:
    bench = Bench(index=0, wanted=False)
    assert not bench.machine.building
    bench.take(bench.machine.set_wanted(True, 50.0))
    assert bench.all(BuildBlock) == [BuildBlock(HEIGHT, 0)]
    assert bench.machine.deadline == pytest.approx(55.0)


# -- quorums of every size --------------------------------------------------------------------------


def test_one_node_decides_alone() -> None:
    bench = Bench(index=0, nodes=1)
    outputs = bench.take(bench.machine.built(0, A, bench.now))
    assert [type(output) for output in outputs] == [Save, Send, Send, Send, Decided]


def test_a_node_alone_waits_for_its_search_however_long() -> None:
    bench = Bench(index=0, nodes=1)
    assert bench.machine.deadline is None
    assert bench.wait(LONG) == []


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 6, 7, 64])
def test_a_decision_needs_a_quorum_and_no_more(nodes: int) -> None:
    bench = Bench(index=(HEIGHT - 1) % nodes, nodes=nodes)
    quorum = bench.machine.quorum
    assert 2 * quorum > nodes + bench.machine.faults >= 2 * (quorum - 1)
    voters = [node for node in range(nodes) if node != bench.machine.index][: quorum - 1]
    bench.hear(PRECOMMIT, voters, A)
    assert bench.machine.decided is None
    bench.propose(A)
    bench.hear(PREVOTE, voters, A)
    assert bench.machine.decided is not None


# -- heights ------------------------------------------------------------------------------------------


def test_statements_of_the_next_height_wait_for_it() -> None:
    bench = Bench()
    made = RoundStatement(PROPOSAL, HEIGHT + 1, 0, 1, B)
    bench.take(bench.machine.receive(made, bench.now))
    bench.take(bench.machine.receive(made._replace(height=HEIGHT + 2, node=2), bench.now))
    assert bench.said == []
    assert bench.machine.statements_of(1, HEIGHT + 1) == [made]
    assert bench.machine.statements_of(2, HEIGHT + 2) == []
    bench.hear(PRECOMMIT, [0, 1, 2], A)
    bench.take(bench.machine.start_height(HEIGHT + 1, bench.now))
    assert bench.said == [(PREVOTE, 0, B)]
    assert bench.machine.statements_of(1, HEIGHT) is None, "that height is decided"


def test_a_height_starts_without_lock_and_log() -> None:
    bench = locked_on_a()
    bench.take(bench.machine.start_height(HEIGHT + 3, bench.now))
    machine = bench.machine
    assert (machine.round, machine.locked_value, machine.valid_value, machine.decided) == (
        0,
        None,
        None,
        None,
    )
    assert machine.statements() == []
    assert machine.saved_state() == SavedState(HEIGHT + 3, 0, (), ())


# -- what is saved, and coming back -------------------------------------------------------------------


def test_state_is_saved_before_anything_is_sent() -> None:
    bench = Bench()
    outputs = bench.propose(A)
    save = next(output for output in outputs if isinstance(output, Save))
    send = next(output for output in outputs if isinstance(output, Send))
    assert outputs.index(save) < outputs.index(send)
    assert save.state == SavedState(HEIGHT, 0, (), (send.statement,))


def test_a_node_comes_back_with_its_lock_and_step() -> None:
    bench = locked_on_a()
    [*_, saved] = bench.all(Save)
    back = Bench(saved=saved.state)
    machine = back.machine
    assert (machine.round, machine.step) == (0, RoundStep.PRECOMMIT)
    assert (machine.locked_value, machine.locked_round) == (A, 0)
    assert (machine.valid_value, machine.valid_round) == (A, 0)
    back.propose(B)
    assert back.said == []


def test_a_proposer_comes_back_and_proposes_nothing_else() -> None:
    bench = Bench(index=0)
    bench.take(bench.machine.built(0, A, bench.now))
    back = Bench(index=0, saved=bench.machine.saved_state())
    assert back.all(BuildBlock) == []
    assert [made.kind for made in back.machine.statements()] == [PROPOSAL, PREVOTE]


def test_a_saved_height_before_this_one_means_nothing() -> None:
    old = SavedState(
        HEIGHT - 1, 4, (own(PREVOTE, A, 3),), (own(PRECOMMIT, A, 3)._replace(height=HEIGHT - 1),)
    )
    back = Bench(saved=old)
    assert (back.machine.round, back.machine.valid_value) == (0, None)
    assert back.machine.deadline is not None


def test_a_saved_height_after_this_one_keeps_silent_until_it_is_reached() -> None:
    later = SavedState(HEIGHT + 1, 0, (), (own(PREVOTE, A)._replace(height=HEIGHT + 1),))
    back = Bench(saved=later)
    back.propose(B)
    back.wait(LONG)
    assert back.said == []
    back.take(back.machine.start_height(HEIGHT + 1, back.now))
    assert back.machine.saved_state() == later
    back.wait(LONG)
    assert back.said == []


def test_a_node_alone_finds_its_decision_again() -> None:
    bench = Bench(index=0, nodes=1)
    bench.take(bench.machine.built(0, A, bench.now))
    back = Bench(index=0, nodes=1, saved=bench.machine.saved_state())
    assert [decided.value for decided in back.all(Decided)] == [A]


# -- recovery -----------------------------------------------------------------------------------------


def test_nothing_is_said_before_a_quorum_has_told_what_it_holds() -> None:
    bench = Bench(recovered=False)
    bench.take(bench.machine.set_reachable([0, 1], bench.now))
    bench.propose(A)
    bench.hear(PREVOTE, [0, 1], A)
    bench.answer(0)
    bench.answer(0)
    bench.wait(LONG)
    assert bench.said == []
    bench.answer(1)
    assert bench.said == [(PREVOTE, 0, A), (PRECOMMIT, 0, A)]


def test_nodes_within_reach_are_waited_for_a_moment() -> None:
    bench = Bench(recovered=False)
    bench.answer(0)
    bench.answer(1)
    assert bench.machine.recovering
    assert bench.machine.deadline == pytest.approx(RECOVERY_SECONDS)
    bench.wait(RECOVERY_SECONDS)
    assert not bench.machine.recovering


def test_an_answer_about_another_height_or_by_ourselves_is_none() -> None:
    bench = Bench(recovered=False)
    for node, height in ((0, HEIGHT - 1), (1, HEIGHT + 1), (3, HEIGHT), (9, HEIGHT)):
        bench.take(bench.machine.own_statements_from(node, height, [], bench.now))
    bench.wait(LONG)
    assert bench.machine.recovering


def test_unknown_own_statements_are_taken_over_and_all_must_answer() -> None:
    bench = Bench(recovered=False)
    bench.answer(0, own(PREVOTE, A, 2), own(PRECOMMIT, A, 2))
    bench.answer(1, own(PREVOTE, NO_BLOCK, 3))
    bench.wait(LONG)
    assert bench.machine.recovering
    assert bench.machine.deadline is None
    bench.answer(2)
    machine = bench.machine
    assert not machine.recovering
    assert (machine.round, machine.locked_value, machine.locked_round) == (3, A, 2)
    bench.hear(PREVOTE, [0, 1], NO_BLOCK, 3)
    assert bench.said == [(PRECOMMIT, 3, NO_BLOCK)]
    assert set(bench.all(Save)[-1].state.own) >= {own(PREVOTE, A, 2), own(PRECOMMIT, A, 2)}


def test_a_later_proposal_that_was_forgotten_is_prevoted_and_not_made_again() -> None:
    saved = SavedState(HEIGHT, 0, (), (own(PREVOTE, NO_BLOCK), own(PRECOMMIT, NO_BLOCK)))
    bench = Bench(saved=saved, recovered=False)
    bench.answer(0, own(PROPOSAL, B, 3))
    bench.answer(1)
    bench.answer(2)
    assert bench.machine.round == 3
    assert bench.said == [(PREVOTE, 3, B)]
    assert bench.all(BuildBlock) == []


def test_an_own_statement_in_what_others_send_counts_like_an_answer() -> None:
    bench = Bench(recovered=False)
    bench.hear(PREVOTE, [3], A)
    bench.answer(0)
    bench.answer(1)
    bench.wait(LONG)
    assert bench.machine.recovering


def test_a_height_decided_without_us_asks_again_at_the_next() -> None:
    bench = Bench(recovered=False)
    bench.answer(0, own(PREVOTE, A))
    bench.hear(PRECOMMIT, [0, 1, 2], B)
    assert bench.machine.decided is not None
    bench.take(bench.machine.start_height(HEIGHT + 1, bench.now))
    assert bench.machine.recovering
    for node in range(3):
        bench.take(bench.machine.own_statements_from(node, HEIGHT + 1, [], bench.now))
    assert not bench.machine.recovering


def test_two_own_statements_that_exclude_each_other_show_a_second_process() -> None:
    bench = Bench(recovered=False)
    bench.answer(0, own(PREVOTE, A))
    bench.answer(1, own(PREVOTE, B))
    bench.answer(2)
    assert bench.all(OwnKeyElsewhere) == [OwnKeyElsewhere(own(PREVOTE, B))]
    bench.wait(LONG)
    assert bench.said == []


def test_an_own_statement_that_we_never_made_stops_us_at_this_height() -> None:
    bench = Bench(index=0)
    foreign = own(PREVOTE, B, 0, index=0)
    bench.hear(PREVOTE, [0], B)
    bench.hear(PREVOTE, [0], A)
    assert bench.all(OwnKeyElsewhere) == [OwnKeyElsewhere(foreign)]
    assert not bench.machine.building
    bench.take(bench.machine.built(0, A, bench.now))
    bench.wait(LONG)
    assert bench.said == []
    assert bench.machine.deadline is None
    bench.hear(PRECOMMIT, [1, 2, 3], A)
    assert bench.machine.decided is not None, "others still decide"


def test_own_statements_that_come_back_are_known() -> None:
    bench = Bench()
    bench.propose(A)
    bench.hear(PREVOTE, [3], A)
    assert bench.all(OwnKeyElsewhere) == []


# -- conflicts ------------------------------------------------------------------------------------------


def test_a_second_vote_is_shown_once_and_not_counted() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0, 1], A)
    bench.hear(PRECOMMIT, [0], B)
    bench.hear(PRECOMMIT, [0], NO_BLOCK)
    bench.hear(PRECOMMIT, [2], B)
    bench.hear(PRECOMMIT, [1], A)
    first, second = own(PRECOMMIT, A, index=0), own(PRECOMMIT, B, index=0)
    assert bench.all(Conflict) == [Conflict(first, second)]
    assert bench.machine.decided is None
    assert bench.machine.statements_of(0, HEIGHT) == [first, second]


def test_a_second_proposal_is_shown() -> None:
    bench = Bench()
    bench.propose(A)
    bench.propose(B)
    assert [conflict.second.value for conflict in bench.all(Conflict)] == [B]
    assert bench.said == [(PREVOTE, 0, A)]


def test_conflicts_are_found_after_the_decision_too() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0, 1, 2], A)
    bench.hear(PRECOMMIT, [1], B)
    assert [conflict.first.node for conflict in bench.all(Conflict)] == [1]


def test_statements_that_no_honest_node_makes_are_dropped() -> None:
    bench = Bench()
    for made in (
        RoundStatement("praise", HEIGHT, 0, 0, A),
        RoundStatement(PREVOTE, HEIGHT, -1, 0, A),
        RoundStatement(PREVOTE, HEIGHT, 0, 4, A),
        RoundStatement(PROPOSAL, HEIGHT, 0, 0, NO_BLOCK),
        RoundStatement(PREVOTE, HEIGHT - 1, 0, 0, A),
    ):
        assert bench.take(bench.machine.receive(made, bench.now)) == []
    assert bench.machine.statements() == []


# -- votes that do not come -------------------------------------------------------------------------------


def test_missing_votes_are_asked_for_again_and_again() -> None:
    bench = Bench()
    bench.propose(A)
    waits = []
    while bench.now < 200.0:
        waits.append(bench.machine.deadline - bench.now)
        assert bench.wait(waits[-1]) == [Refresh()]
    assert waits[:7] == pytest.approx([2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
    bench.hear(PREVOTE, [0, 1], A)
    assert bench.machine.deadline == pytest.approx(bench.now + 2.0)


def test_nodes_that_a_liar_holds_up_in_two_rounds_meet_again() -> None:
    """Node 0 lies: its precommit of round 0 went to node 3 alone, which has gone on to round 1."""
    ahead, behind = Bench(index=3), Bench(index=1)
    votes = [own(PRECOMMIT, NO_BLOCK, index=index) for index in (0, 1, 2)]
    ahead.hear(PRECOMMIT, [0, 1, 2], NO_BLOCK)
    behind.hear(PREVOTE, [0, 2], NO_BLOCK)
    behind.wait(5.0)
    behind.hear(PRECOMMIT, [2], NO_BLOCK)
    assert (ahead.machine.round, behind.machine.round) == (1, 0)
    behind.wait(behind.machine.deadline - behind.now)
    assert behind.all(Refresh) == [Refresh()]
    assert set(ahead.machine.statements()) == set(votes)
    for made in ahead.machine.statements():
        behind.take(behind.machine.receive(made, behind.now))
    assert behind.machine.round == 1


# -- catching up ------------------------------------------------------------------------------------------


def test_a_late_node_gets_as_far_with_the_statements_of_another() -> None:
    ahead = locked_on_a()
    ahead.propose(A, 1, valid_round=0)
    late = Bench(index=2)
    for made in ahead.machine.statements():
        if made.node != 2:
            late.take(late.machine.receive(made, late.now))
    assert late.machine.round == 1
    assert late.said == [(PREVOTE, 0, A), (PRECOMMIT, 0, A), (PREVOTE, 1, A)]


def test_statements_are_of_recent_rounds_and_quorums_prove_old_values() -> None:
    bench = locked_on_a()
    bench.hear(PREVOTE, [0, 1, 2], B, 7)
    for number in range(1, 40):
        start_next_round(bench, number)
    assert {made.round for made in bench.machine.statements()} == {39}
    assert [(votes[0].round, votes[0].value) for votes in bench.machine.quorums()] == [(7, B)]
    bench.propose(A, 40, valid_round=0)
    assert {made.round for made in bench.machine.statements()} == {39, 40}
    assert [(votes[0].round, votes[0].value) for votes in bench.machine.quorums()] == [(7, B), (0, A)]


def test_a_proposer_forwards_the_quorum_that_a_liar_hid_from_others() -> None:
    bench = Bench(index=1)
    bench.propose(A)
    bench.hear(PREVOTE, [0, 2], A)
    start_next_round(bench)
    [forward] = bench.all(Forward)
    assert [(made.node, made.round, made.value) for made in forward.prevotes] == [
        (0, 0, A),
        (1, 0, A),
        (2, 0, A),
    ]
    other = Bench(index=3)
    other.hear(PREVOTE, [2], B)
    start_next_round(other)
    other.propose(A, 1, valid_round=0)
    assert (PREVOTE, 1, A) not in other.said
    other.take(other.machine.receive_quorum(forward.prevotes, other.now))
    assert (PREVOTE, 1, A) in other.said
    assert [conflict.first.node for conflict in other.all(Conflict)] == [2]


def test_a_quorum_of_this_round_in_one_piece_locks() -> None:
    bench = Bench()
    bench.hear(PREVOTE, [2], B)
    bench.propose(A)
    votes = [own(PREVOTE, A, index=index) for index in (0, 1, 2)]
    bench.take(bench.machine.receive_quorum(votes, bench.now))
    assert (bench.machine.locked_value, bench.machine.locked_round) == (A, 0)
    assert len(bench.machine.valid) == 3


def test_a_liar_who_told_us_something_else_does_not_hide_a_decision() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0], B)
    votes = [own(PRECOMMIT, A, index=index) for index in (0, 1, 2)]
    bench.hear(PRECOMMIT, [1, 2], A)
    assert bench.machine.decided is None
    bench.take(bench.machine.receive_quorum(votes, bench.now))
    assert [decided.precommits for decided in bench.all(Decided)] == [tuple(votes)]


@pytest.mark.parametrize(
    "votes",
    [
        [own(PRECOMMIT, A, index=index) for index in (0, 1)],
        [own(PRECOMMIT, A, index=index) for index in (0, 1, 1)],
        [own(PRECOMMIT, A, index=index) for index in (0, 1, 4)],
        [own(PRECOMMIT, NO_BLOCK, index=index) for index in (0, 1, 2)],
        [own(PRECOMMIT, A, index=0), own(PRECOMMIT, A, index=1), own(PRECOMMIT, B, index=2)],
        [own(PRECOMMIT, A, index=0), own(PRECOMMIT, A, index=1), own(PREVOTE, A, index=2)],
        [own(PRECOMMIT, A, index=0), own(PRECOMMIT, A, index=1), own(PRECOMMIT, A, 1, index=2)],
        [own(PRECOMMIT, A, index=index)._replace(height=HEIGHT + 1) for index in (0, 1, 2)],
        [],
    ],
)
def test_votes_that_make_no_quorum_prove_nothing(votes: list[RoundStatement]) -> None:
    bench = Bench()
    assert bench.take(bench.machine.receive_quorum(votes, bench.now)) == []
    assert bench.machine.decided is None


def test_after_a_decision_its_precommits_are_enough() -> None:
    bench = Bench()
    bench.hear(PRECOMMIT, [0, 1, 2], A, 3)
    late = Bench(index=3, recovered=False)
    [commit] = bench.machine.quorums()
    late.take(late.machine.receive_quorum(commit, late.now))
    assert [decided.value for decided in late.all(Decided)] == [A]
