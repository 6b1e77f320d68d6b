"""A named node whose disk was put back from a backup, in a whole network and in virtual time."""

from __future__ import annotations

import copy

import msgspec
import pytest

from support.elections import CREATED, make_election, make_votes, named_nodes
from support.named_network import NamedNetwork, named
from votenet.core.election.voting_hours import LISTS_LATE_SECONDS
from votenet.core.ledger.vote import HashedVote
from votenet.core.records.acceptance import Acceptance
from votenet.core.records.evidence import FinalChain, check_lie, evidence_of_acceptance
from votenet.errors import NotProven
from votenet.protocol.node.closing import Closing
from votenet.protocol.node.restored import Restored, RestoredMark
from votenet.protocol.node.round_statements import decode_state
from votenet.protocol.wire.client_messages import FinalityStatus, SubmitVotes, VotesTaken

VICTIM = named(1)


def cast_one_by_one(net: NamedNetwork, votes: list, at: str = named(0)) -> None:
    before = net.core(at).state.chain.tally.votes
    for number, vote in enumerate(votes, start=before + 1):
        net.cast([vote], at)
        assert net.run_until(lambda: net.core(at).state.chain.tally.votes >= number, 60.0)  # noqa: B023


def network_with_an_old_disk(count: int = 5, **definition: object) -> tuple[NamedNetwork, list]:
    """The backup knows of two blocks; the node has signed for more of them since."""
    net = NamedNetwork(count, **definition)
    votes = list(make_votes(net.election, 12))
    cast_one_by_one(net, votes[:2])
    backup = copy.deepcopy(net.nodes[VICTIM].store)
    cast_one_by_one(net, votes[2:5])
    net.crash(VICTIM)
    net.nodes[VICTIM].store = backup
    return net, votes[5:]


def last_signed(net: NamedNetwork) -> int:
    """The height of the newest own statement on its disk; 0 for none."""
    state = decode_state(net.nodes[VICTIM].store.load().finality)
    return 0 if state is None else state.height


def is_silent(net: NamedNetwork) -> bool:
    finality = net.core(VICTIM).finality
    assert finality is not None
    return finality.restored.is_silent


def test_a_restored_node_signs_for_no_block_before_two_more_are_decided() -> None:
    net, votes = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    signed_before = last_signed(net)
    net.restart(VICTIM)
    assert net.run_until(lambda: net.core(VICTIM).state.chain.tip.height == 5, 60.0)
    net.run(30.0)
    assert is_silent(net)
    assert not net.core(VICTIM).finality.knows_itself  # type: ignore[union-attr]
    for vote in votes[:2]:
        assert is_silent(net)
        assert last_signed(net) == signed_before
        cast_one_by_one(net, [vote])
        net.run(10.0)
    assert not is_silent(net)
    cast_one_by_one(net, votes[2:4])
    assert net.run_until(lambda: last_signed(net) >= 8, 60.0)
    assert net.no_two_decisions()
    assert net.core(named(0)).state.lies == ()


def test_it_is_needed_again_afterwards_and_the_mark_on_its_disk_says_so() -> None:
    net, votes = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[:2])
    assert net.run_until(lambda: not is_silent(net), 60.0)
    assert net.nodes[VICTIM].store.load().restored == RestoredMark(speaks=True).encode().state
    net.crash(named(4))
    cast_one_by_one(net, votes[2:4])


def test_a_start_while_it_is_silent_begins_the_silence_anew() -> None:
    net, votes = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[:1])
    net.run(10.0)
    net.restart(VICTIM)
    cast_one_by_one(net, votes[1:2])
    net.run(10.0)
    assert is_silent(net)
    cast_one_by_one(net, votes[2:3])
    assert net.run_until(lambda: not is_silent(net), 60.0)


def test_a_silent_node_counts_as_down_and_whatever_the_others_hid_it_says_nothing() -> None:
    net, votes = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.crash(named(4))
    net.restart(VICTIM)
    net.cast(votes[:1], named(0))
    net.run(60.0)
    assert net.core(named(0)).state.chain.tip.height == 5
    net.restart(named(4))
    assert net.run_until(lambda: net.core(named(0)).state.chain.tip.height == 6, 60.0)


def test_it_believes_no_height_that_came_over_a_link_on_which_a_stranger_may_write() -> None:
    net, votes = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)

    def doubt() -> bool:
        for peer in net.core(VICTIM).state.sync.peers.values():
            peer.peer_info = peer.peer_info._replace(proven=False)
        return False

    net.run_until(doubt, 30.0)
    cast_one_by_one(net, votes[:3])
    net.run(10.0)
    assert net.core(VICTIM).state.chain.tip.height == 8
    assert is_silent(net)
    for index in (0, 2, 3, 4):
        net.cut(VICTIM, named(index))
    assert net.run_until(lambda: len(net.nodes[VICTIM].peers()) == 4, 60.0)
    net.run(10.0)
    assert is_silent(net)
    cast_one_by_one(net, votes[3:5])
    assert net.run_until(lambda: not is_silent(net), 60.0)


def test_it_signs_for_no_vote_while_it_is_silent() -> None:
    net, _ = network_with_an_old_disk()
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    net.run(10.0)
    acceptances = net.core(VICTIM).acceptances
    assert acceptances is not None
    assert acceptances.closed


def test_two_that_were_restored_go_on_when_each_gives_the_other_up_for_lost() -> None:
    net, votes = network_with_an_old_disk()
    other = named(2)
    net.crash(other)
    for name, lost in ((VICTIM, 2), (other, 1)):
        net.nodes[name].store.apply([RestoredMark(lost=(lost,)).encode()])
        net.restart(name)
    cast_one_by_one(net, votes[:2])
    assert net.no_two_decisions()
    assert net.core(named(0)).state.lies == ()


def test_a_moved_node_goes_on_at_once() -> None:
    net = NamedNetwork(5)
    votes = list(make_votes(net.election, 6))
    cast_one_by_one(net, votes[:3])
    net.crash(named(4))
    net.crash(VICTIM)
    net.nodes[VICTIM].store.apply([RestoredMark(known_height=4).encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[3:5])


def accepted_by_the_victim_alone(net: NamedNetwork, vote: HashedVote) -> Acceptance:
    """The victim takes a vote that it can tell nobody, signs for it, and loses its disk."""
    others = [name for name in net.names if name != VICTIM]
    for name in others:
        net.crash(name)
    net.restart(VICTIM)
    client = net.client(VICTIM)
    client.ask(SubmitVotes(votes=(vote.vote,), acceptances=True))
    assert net.run_until(lambda: bool(client.lines), 10.0)
    (answer,) = client.answers()
    assert isinstance(answer, VotesTaken)
    (acceptance,) = answer.outcomes[0].acceptances
    net.crash(VICTIM)
    for name in others:
        net.restart(name)
    return acceptance


def closing_of(net: NamedNetwork, name: str) -> Closing:
    closing = net.core(name).closing
    assert closing is not None
    return closing


def final_chain(net: NamedNetwork) -> FinalChain:
    end = closing_of(net, named(0)).end
    assert end.listed is not None
    return FinalChain(end.listed, net.core(named(0)).state.chain.voters, end.election)


def test_a_vote_that_one_restored_before_the_hour_has_forgotten_convicts_it_of_nothing() -> None:
    net = NamedNetwork(5, closes=int(CREATED) + 400)
    votes = list(make_votes(net.election, 12))
    cast_one_by_one(net, votes[:2])
    backup = copy.deepcopy(net.nodes[VICTIM].store)
    acceptance = accepted_by_the_victim_alone(net, votes[11])
    net.nodes[VICTIM].store = backup
    backup.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[2:4])
    assert net.run_until(lambda: not is_silent(net), 60.0)
    net.restart(VICTIM)
    net.crash(named(4))
    cast_one_by_one(net, votes[4:6])
    net.restart(named(4))
    assert net.now < CREATED + 390
    assert net.run_until(lambda: closing_of(net, named(0)).end.over, 900.0)
    evidence = evidence_of_acceptance(net.election, acceptance, votes[11].vote)
    with pytest.raises(NotProven, match="no list of named node 1"):
        check_lie(evidence, net.election, final_chain(net))


def test_one_restored_before_the_hour_signs_a_list_when_too_few_others_have_for_long() -> None:
    net, votes = network_with_an_old_disk(closes=int(CREATED) + 400)
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[:2])
    assert net.run_until(lambda: not is_silent(net), 60.0)
    net.crash(named(4))
    assert net.run_until(lambda: len(closing_of(net, VICTIM).lists) == 3, 400.0)
    net.run(LISTS_LATE_SECONDS)
    assert not closing_of(net, VICTIM).list_signed
    assert net.run_until(lambda: closing_of(net, named(0)).end.over, 300.0)
    assert closing_of(net, VICTIM).list_signed
    assert 1 in final_chain(net).listed.nodes


def test_the_status_says_that_a_restored_node_leaves_closing_lists_to_the_others_until_the_end() -> None:
    net, votes = network_with_an_old_disk(closes=int(CREATED) + 400)
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    assert is_silent(net)
    assert not told_to_leave_lists(net, VICTIM), "it says already that it decides nothing"
    cast_one_by_one(net, votes[:2])
    assert net.run_until(lambda: not is_silent(net), 60.0)
    assert told_to_leave_lists(net, VICTIM)
    assert not told_to_leave_lists(net, named(0))
    assert net.run_until(lambda: closing_of(net, VICTIM).end.over, 900.0)
    assert not told_to_leave_lists(net, VICTIM)


def told_to_leave_lists(net: NamedNetwork, name: str) -> bool:
    """What the status of a node says, as a client reads it."""
    sent = msgspec.json.encode(net.core(name).status(net.now).finality)
    return msgspec.json.decode(sent, type=FinalityStatus).leaves_lists


def test_of_two_nodes_one_that_was_restored_signs_its_list_because_no_election_ends_without_it() -> None:
    net, votes = network_with_an_old_disk(2, closes=int(CREATED) + 400)
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.restart(VICTIM)
    cast_one_by_one(net, votes[:2])
    assert net.nodes[VICTIM].store.load().restored == b""
    assert net.run_until(lambda: closing_of(net, named(0)).end.over, CREATED + 500 - net.now)


@pytest.mark.parametrize(
    ("nodes", "mark", "height", "leaves"),
    [
        (5, RestoredMark(), 9, True),
        (5, RestoredMark(lost=(2,)), 9, False),
        (7, RestoredMark(lost=(2,)), 9, True),
        (2, RestoredMark(), 9, False),
        (3, RestoredMark(), 9, True),
        (5, RestoredMark(known_height=9), 9, False),
        (5, RestoredMark(known_height=9), 10, True),
        (5, RestoredMark(known_height=9, forgot=True), 9, True),
    ],
)
def test_a_node_leaves_the_lists_to_others_where_it_may_have_forgotten_votes_and_these_are_enough(
    nodes: int, mark: RestoredMark, height: int, leaves: bool
) -> None:
    restored = Restored(make_election(nodes=named_nodes(nodes)), mark.encode().state)
    saved = restored.speak(height, 500, hour_over=False).state
    assert (
        restored.leaves_lists
        == leaves
        == Restored(make_election(nodes=named_nodes(nodes)), saved).leaves_lists
    )
    assert restored.may_promise(500), "one closes later than it spoke"


def test_a_node_that_was_moved_over_the_hour_signs_its_list_if_nothing_was_decided_meanwhile() -> None:
    election = make_election(nodes=named_nodes(5))
    for mark, height, promises in (
        (RestoredMark(known_height=9), 9, True),
        (RestoredMark(known_height=9), 10, False),
        (RestoredMark(known_height=9, forgot=True), 9, False),
    ):
        restored = Restored(election, mark.encode().state)
        restored.speak(height, 500, hour_over=True)
        assert restored.may_promise(500) == promises


def test_no_final_backup_brings_back_the_votes_that_were_lost_before() -> None:
    spoke = RestoredMark(speaks=True).encode().state
    moved = RestoredMark(known_height=9).in_place_of(spoke)
    assert (moved.known_height, moved.forgot, moved.speaks) == (9, True, False)
    again = RestoredMark(known_height=12).in_place_of(moved.encode().state)
    assert (again.known_height, again.forgot) == (9, True)


def test_one_restored_after_the_hour_leaves_the_closing_lists_to_the_others() -> None:
    net, _ = network_with_an_old_disk(closes=int(CREATED) + 300)
    assert net.now < CREATED + 290
    net.nodes[VICTIM].store.apply([RestoredMark().encode()])
    net.run(CREATED + 301 - net.now)
    net.restart(VICTIM)
    assert net.run_until(lambda: net.core(named(0)).closing.end.over, 900.0)  # type: ignore[union-attr]
    closing = net.core(VICTIM).closing
    assert closing is not None
    assert not closing.list_signed
    assert net.core(named(0)).state.lies == ()


@pytest.mark.parametrize(
    "mark", [RestoredMark(), RestoredMark(7, (1, 3)), RestoredMark(speaks=True, no_list=9)]
)
def test_a_mark_is_read_as_it_was_written(mark: RestoredMark) -> None:
    election = NamedNetwork(4).election
    restored = Restored(election, mark.encode().state)
    assert restored.is_silent == (not mark.speaks)
    assert restored.may_promise(9) is False
    assert restored.may_promise(8) == mark.speaks


def test_without_a_mark_nothing_is_held_back_and_another_value_is_refused() -> None:
    election = NamedNetwork(4).election
    assert Restored(election, b"").may_promise(None)
    assert Restored(election, b"").silence() is None
    with pytest.raises(ValueError, match="JSON"):
        Restored(election, b"mark")
